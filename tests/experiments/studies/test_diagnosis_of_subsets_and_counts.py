"""The diagnosis of a loss whose variable is a subset or a count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    SIMPLE,
    DisARM,
    Exact,
    PlackettLuceSubset,
    Poisson,
    PoissonDifference,
    RelaxedTopK,
    ScoreFunction,
    SecondOrderStraightThrough,
    Subset,
    UnorderedSet,
)
from experiments.command_line import main
from experiments.studies.diagnosis.diagnose import diagnose
from experiments.system.errors import UsageError

pytestmark = pytest.mark.xdist_group("diagnosis")

LOGITS = jnp.array([0.2, -0.5, 1.0, 0.3])
WEIGHTS = jnp.array([1.0, -0.7, 0.5, 0.9])
LAWS = {
    "Subset": lambda logits: Subset(logits, 2),
    "PlackettLuceSubset": lambda logits: PlackettLuceSubset(logits, 2),
    "Poisson": lambda logits: Poisson(logits[:2]),
}
EVERYWHERE = [Exact(), ScoreFunction()]
FIT = {
    "Subset": [UnorderedSet(2), SIMPLE(), SecondOrderStraightThrough()],
    "PlackettLuceSubset": [UnorderedSet(2), RelaxedTopK(0.5)],
    "Poisson": [PoissonDifference(), SecondOrderStraightThrough()],
}
UNFIT = {
    "Subset": [RelaxedTopK(0.5), DisARM()],
    "PlackettLuceSubset": [SIMPLE(), DisARM()],
    "Poisson": [UnorderedSet(2), SIMPLE()],
}


def loss_of(law):
    def loss(logits, estimator, key, batch):
        def f(z):
            return batch * (WEIGHTS[: len(z)] @ z - 0.4) ** 2

        return estimator(key, LAWS[law](logits), f)

    return loss


@pytest.mark.parametrize("law", LAWS)
def test_it_is_measured_as_any_other(law):
    candidates = [*EVERYWHERE, *FIT[law], *UNFIT[law]]
    loss = loss_of(law)
    found = diagnose(loss, LOGITS, jax.random.key(0), 2.0, candidates=candidates, samples=2048)
    skipped = {row["estimator"]: row["note"] for row in found.rows if row["metric"] == "skipped"}
    assert skipped.keys() == {str(one) for one in UNFIT[law]}
    assert all(f"not {law}" in note for note in skipped.values())
    (norm,) = {
        row["value"]
        for row in found.rows
        if row["metric"] == "truth_norm" and row["estimator"] == "ScoreFunction"
    }
    gradient = jax.jit(jax.grad(lambda logits: loss(logits, Exact(), jax.random.key(1), 2.0)))
    assert norm == pytest.approx(float(np.linalg.norm(gradient(LOGITS))), rel=1e-3)
    bias = {row["estimator"]: row for row in found.rows if row["metric"] == "squared_bias"}
    # f is quadratic: the second-order form is exact in mean too.
    for one in ["ScoreFunction", *(str(one) for one in FIT[law] if one.unbiased == "yes")]:
        assert bias[one]["low"] <= 0 or bias[one]["value"] < 1e-3 * norm**2, one
    assert found.recommended in [str(one) for one in FIT[law]]


@pytest.mark.parametrize("law", LAWS)
def test_none_fits(law):
    with pytest.raises(UsageError, match=f"no estimator fits loss: .* not {law}"):
        diagnose(loss_of(law), LOGITS, jax.random.key(0), 2.0, candidates=UNFIT[law], samples=64)


FILE = """
import jax.numpy as jnp
from estimators import Subset

def loss(logits, estimator, key, batch):
    return estimator(key, Subset(logits, 2), lambda z: (z @ jnp.arange(4.0) - 2.5) ** 2)

def mine():
    return loss, jnp.array([0.2, -0.5, 1.0, 0.3]), None
"""


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(FILE)
    few = ["--estimators", "ScoreFunction", "SIMPLE", "RelaxedTopK[0.5]", "--samples", "256"]
    assert main(["diagnose", "model.py:mine", *few, "--output", "out", "--only", "SIMPLE"]) == 0
    printed = capsys.readouterr().out
    assert "takes PlackettLuceSubset, not Subset" in printed and "recommended: " in printed
