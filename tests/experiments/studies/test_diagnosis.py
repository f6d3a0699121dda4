"""Which estimator for a model of the user's own: that it is seen through, measured, judged."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pandas as pd
import pytest
from flax import nnx

from analysis import report
from estimators import (
    CARMS,
    REBAR,
    VIMCO,
    Bernoulli,
    Categorical,
    DisARM,
    Exact,
    GumbelSoftmax,
    ImportanceBound,
    LeaveOneOut,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    black_box,
)
from experiments.command_line import main
from experiments.running.results import FILE
from experiments.studies.diagnosis.diagnose import diagnose
from experiments.studies.diagnosis.recommendation import recommend
from experiments.system.errors import UsageError

pytestmark = pytest.mark.xdist_group("diagnosis")

KEY = jax.random.key(0)
LOGITS = jnp.array([1.0, -0.5, 0.3])
FEW = [Exact(), ScoreFunction(), ScoreFunction(LeaveOneOut(2)), DisARM(), StraightThrough()]


def cubic(z):
    return (z.sum() - 1.2) ** 3


def loss(logits, estimator, key, batch):
    return estimator(key, Bernoulli(logits), lambda z: batch * cubic(z))


def values(found, metric):
    return {row["estimator"]: row for row in found.rows if row["metric"] == metric}


def test_plain_jax():
    found = diagnose(loss, LOGITS, KEY, 2.0, candidates=FEW, samples=4096)
    bias = values(found, "squared_bias")
    assert bias["StraightThrough"]["low"] > 0 and bias["DisARM"]["low"] <= 0
    variance = values(found, "variance")
    assert variance["DisARM"]["value"] < variance["ScoreFunction"]["value"]
    errors = values(found, "equal_cost_error")
    del errors["Exact"]
    assert found.recommended == min(errors, key=lambda name: errors[name]["high"])
    assert "Exact() has no error here, and takes 8 evaluations of f" in str(found)
    assert "there is nothing to tune" in str(found)


class Encoder(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(2, 3, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        return self.linear(x)


@dataclasses.dataclass
class Module:
    """As equinox makes them: arrays and functions are leaves alike."""

    weight: jax.Array
    activation: object


jax.tree_util.register_dataclass(Module, ["weight", "activation"], [])


def test_modules_of_frameworks_are_plain_jax_in_disguise():
    """One weight matrix, held in three ways: to rounding the same numbers."""
    x = jnp.array([[0.5, -1.0], [2.0, 0.3]])
    encoder = Encoder(nnx.Rngs(0))
    kernel, bias = encoder.linear.kernel[...], encoder.linear.bias[...]

    def of(logits):
        def loss(model, estimator, key, batch):
            keys = jax.random.split(key, len(batch))

            def one(key, x):
                return estimator(key, Bernoulli(logits(model, x)), cubic)

            return jax.vmap(one)(keys, batch).mean()

        return loss

    models = {
        "nnx": (lambda model, x: model(x), encoder),
        "dict": (lambda m, x: x @ m["kernel"] + m["bias"], {"kernel": kernel, "bias": bias}),
        "module": (lambda m, x: m.activation(x @ m.weight) + bias, Module(kernel, jnp.positive)),
    }
    found = {
        name: diagnose(of(logits), model, KEY, x, candidates=[ScoreFunction()], samples=256)
        for name, (logits, model) in models.items()
    }
    variances = {
        name: values(one, "variance")["ScoreFunction"]["value"] for name, one in found.items()
    }
    np.testing.assert_allclose(variances["nnx"], variances["dict"], rtol=1e-4)
    assert 0 < variances["module"] < variances["dict"]  # the bias is no part of it


def test_what_does_not_fit_is_skipped_with_a_reason():
    def of_a_black_box(logits, estimator, key, batch):
        return estimator(key, Bernoulli(logits), black_box(cubic))

    found = diagnose(
        of_a_black_box, LOGITS, KEY, candidates=[GumbelSoftmax(0.5), VIMCO(), DisARM()], samples=64
    )
    notes = {row["estimator"]: row["note"] for row in found.rows if row["metric"] == "skipped"}
    assert "black box" in notes["GumbelSoftmax[temperature=0.5]"]
    assert "ImportanceBound" in notes["VIMCO"]
    assert found.recommended == "DisARM"


def test_multi_sample_bounds_and_nested_layers():
    def bound(logits, estimator, key, batch):
        several = Bernoulli(logits).independent(2)
        return estimator(key, several, ImportanceBound(lambda z: -cubic(z)))

    found = diagnose(bound, LOGITS[:2], KEY, candidates=[VIMCO(), ScoreFunction()], samples=64)
    assert set(values(found, "variance")) == {"VIMCO", "ScoreFunction"}

    def nested(logits, estimator, key, batch):
        first, second = jax.random.split(key)

        def f(z):
            return estimator(second, Bernoulli(z - 0.5), cubic)

        return estimator(first, Bernoulli(logits), f)

    found = diagnose(nested, LOGITS, KEY, candidates=[DisARM()], samples=64)
    assert values(found, "variance")["DisARM"]["evaluations"] == 4


def test_calls_of_several_kinds_and_inside_jit():
    """An estimator must fit all calls; one that cannot be enumerated has no exact gradient."""

    @jax.jit
    def two(logits, estimator, key, batch):
        first, second = jax.random.split(key)
        one = estimator(first, Categorical(logits[:3]), cubic)
        return one + estimator(second, Bernoulli(logits), lambda z: z @ logits)

    candidates = [DisARM(), Exact(), StraightThrough()]
    found = diagnose(two, LOGITS, KEY, candidates=candidates, samples=64)
    assert {row["estimator"] for row in found.rows if row["metric"] == "skipped"} == {"DisARM"}
    found = diagnose(two, jnp.zeros(30), KEY, candidates=[Exact(), StraightThrough()], samples=1)
    assert {row["estimator"] for row in found.rows if row["metric"] == "skipped"} == {"Exact"}


def takes_two(model, estimator):
    return estimator


@pytest.mark.parametrize(
    ("wrong", "model", "batch", "message"),
    [
        (lambda model, estimator, key, batch: model.sum(), LOGITS, None, "never calls its est"),
        (lambda *given: loss(*given) * jnp.ones(2), LOGITS, 1.0, r"scalar, not an array of .*\(2,"),
        (lambda *given: (loss(*given), 0), LOGITS, 1.0, "must return a scalar, not tuple"),
        (loss, LOGITS, float("nan"), "the gradient of loss is not finite"),
        (lambda model, *given: loss(LOGITS, *given), LOGITS, 1.0, "zero for every sample"),
        (takes_two, LOGITS, 1.0, r"takes_two must take \(model, estimator, key, batch\): too many"),
        (loss, "a name", 1.0, "no floating-point array"),
        (loss, LOGITS, {"x": "a name"}, "the batch holds a str, not an array"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused(wrong, model, batch, message):
    with pytest.raises(UsageError, match=message):
        diagnose(wrong, model, KEY, batch, candidates=[ScoreFunction()], samples=64)


def test_a_model_that_no_estimator_fits_is_refused():
    several = [VIMCO(), CARMS(2), CARMS(4), CARMS(3)]
    message = (
        "no estimator fits loss: VIMCO needs a multi-sample bound, an ImportanceBound; "
        "CARMS.* takes Categorical, not Bernoulli; use ARM, ARMS or DisARM; .*; and 1 more"
    )
    with pytest.raises(UsageError, match=message):
        diagnose(loss, LOGITS, KEY, 1.0, candidates=several, samples=64)


def test_what_an_estimator_needs_is_said():
    """A temperature to choose; parameters to learn."""
    for estimator, said in (
        (GumbelSoftmax(0.5), "measured at temperature 0.5, which was not searched"),
        (
            REBAR(0.5),
            "tuned here first (tuning had not converged after 3 steps): train them together",
        ),
    ):
        found = diagnose(loss, LOGITS, KEY, 1.0, candidates=[estimator], samples=64, tuning_steps=3)
        assert said in str(found)


def row(name, metric, value, low=None, high=None, unbiased="yes"):
    shared = {"estimator": name, "method": name, "unbiased": unbiased, "evaluations": 2}
    bounds = {"low": value if low is None else low, "high": value if high is None else high}
    return shared | {"metric": metric, "value": value, "samples": 64} | bounds


def measured(name, error, low, high, bias=0.0, unbiased="yes"):
    return [
        row(name, "equal_cost_error", error, low, high, unbiased),
        row(name, "squared_bias", bias, bias, bias, unbiased),
        row(name, "seconds", 0.001, unbiased=unbiased),
        row(name, "plain_seconds", 0.0004, unbiased=unbiased),
        row(name, "truth_norm", 2.0, unbiased=unbiased),
    ]


def test_reasons_say_what_else_could_be_taken():
    rows = [
        *measured("A", 1.0, 0.9, 1.1, bias=0.4, unbiased="no"),
        *measured("B", 1.05, 0.95, 1.2),
        *measured("C", 3.0, 2.9, 3.1),
        *measured("D", float("nan"), float("nan"), float("nan")),
    ]
    name, reasons = recommend(rows[::-1], 100.0)
    said = "\n".join(reasons)
    assert name == "A" and "squared bias is 10 % of the squared gradient" in said
    assert "with intervals that overlap its own: B (2.5 times the time)" in said
    assert "C" not in said and "left out, not finite: D" in said
    assert "a gradient takes 2 evaluations of f and 1 ms, 2.5 times the time" in said
    assert (
        "the best unbiased estimator is B, with 1.05 times its error; it takes 2 evaluations"
        in said
    )


def test_an_error_of_nothing_is_compared_with():
    """At a budget beside which nothing costs anything, or where there is no error at all."""
    rows = [*measured("A", 0.0, 0.0, 0.1, unbiased="no"), *measured("B", 0.5, 0.4, 0.6)]
    name, reasons = recommend(rows, 3e38)
    assert name == "A"
    assert any(
        reason.startswith("the best unbiased estimator is B; it takes 2") for reason in reasons
    )


def test_the_order_is_that_of_the_upper_limits():
    """A value is near zero by chance too."""
    rows = [*measured("A", 0.0, 0.0, 0.5), *measured("B", 0.1, 0.05, 0.2)]
    name, reasons = recommend(rows, 100.0)
    assert name == "B" and "of f, 0.1 [0.05, 0.2], has the lowest upper limit" in reasons[0]


@pytest.mark.parametrize("budget", [1e6, 3e38])
def test_a_budget_beside_which_nothing_costs(budget):
    def loss(model, estimator, key, batch):
        return estimator(key, Bernoulli(model), lambda b: jnp.sum((b - 0.3) ** 2) + b[0] * b[1])

    candidates = [ReinMax(), ScoreFunction()]
    found = diagnose(
        loss, jnp.array([0.3, -0.2]), KEY, candidates=candidates, samples=2048, budget=budget
    )
    for row in values(found, "equal_cost_error").values():
        assert row["low"] <= row["value"] <= row["high"]
    assert found.recommended


def test_what_has_no_interval_is_not_ranked_without_a_word():
    def refused(name, error):
        rows = measured(name, error, float("nan"), float("nan"), bias=float("nan"))
        return [one | {"note": "too few events"} for one in rows]

    name, reasons = recommend([*refused("A", 0.1), *measured("B", 1.0, 0.9, 1.1)], 100.0)
    assert name == "B" and "left out, no interval: A: too few events" in reasons
    name, reasons = recommend([*refused("A", 0.1), *refused("B", 0.2)], 100.0)
    assert name == "A" and "without an interval (too few events)" in reasons[0]
    assert "nan" not in reasons[0]


MODEL = """
import jax.numpy as jnp
from estimators import Bernoulli

def loss(logits, estimator, key, batch):
    return estimator(key, Bernoulli(logits), lambda z: (z.sum() - batch) ** 3)

def bits():
    return loss, jnp.array([1.0, -0.5]), 5.0

def wrong():
    return loss
"""


def test_the_command(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    folder = tmp_path / "mine"
    command = ["diagnose", f"{path}:bits", "--estimators", "DisARM", "ScoreFunction"]
    command += ["--samples", "256", "--output", str(folder)]
    assert main(command) == 0
    shown, err = capsys.readouterr()
    assert "recommended: DisARM" in shown and "ScoreFunction" in shown
    assert err.startswith("2 of 2 estimators fit the model; measuring 256 gradients of each\n")
    assert {path.name for path in folder.iterdir()} >= {"table.md", "bias_variance.png", FILE}
    assert main(command) == 0  # to the bit what was measured, timings included
    again = capsys.readouterr()
    assert again.out == shown and "already contains this run" in again.err
    path.write_text(MODEL.replace("-0.5", "-0.4"))
    assert main(command) == 2
    assert "holds the results of another run" in capsys.readouterr().err
    assert len(list(report.find(tmp_path))) == 1 and "DisARM" in report.report([folder]).text
    for name, message in (
        (f"{path}:none", "has no function none"),
        (f"{path}:bit", "has no function bit (did you mean 'bits'?)"),
        (f"{path}:wrong", "must return (loss, model, batch), not function"),
        ("mine", "mine is not FILE.py:NAME"),
    ):
        assert main(["diagnose", name, "--samples", "64"]) == 2
        said = capsys.readouterr().err.strip()
        assert message in said and "\n" not in said


def test_a_model_that_orbax_saved(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    with ocp.CheckpointManager(tmp_path / "saved") as manager:
        for step, shape in ((4, 2), (5, 3)):
            manager.save(step, args=ocp.args.PyTreeSave([jnp.full(shape, -0.4)]))
    path.write_text(MODEL.replace("jnp.array([1.0, -0.5])", "[jnp.zeros(2)]"))
    text = path.read_text().replace("Bernoulli(logits)", "Bernoulli(logits[0])")
    path.write_text(text)
    command = ["diagnose", f"{path}:bits", "--estimators", "DisARM", "--samples", "64"]
    at = ["--at", str(tmp_path / "saved")]
    assert main([*command, *at, "--step", "4", "--output", str(tmp_path / "at")]) == 0
    path.write_text(text.replace("jnp.zeros(2)", "jnp.full(2, -0.4)"))
    assert main([*command, "--output", str(tmp_path / "own")]) == 0
    rows, own = (pd.read_parquet(tmp_path / name / FILE) for name in ("at", "own"))
    assert set(rows["step"]) == {4} and set(own["step"]) == {0}
    timed = rows["metric"].isin(["seconds", "plain_seconds"])
    shown = ["metric", "value", "low", "high"]
    pd.testing.assert_frame_equal(rows.loc[~timed, shown], own.loc[~timed, shown], check_exact=True)
    for arguments, message in (
        (at, "does not fit: 0 is float32[3], not float32[2]"),
        ([*at, "--step", "6"], "has no step 6; it has 4, 5"),
    ):
        capsys.readouterr()
        assert main([*command, *arguments]) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1


def test_a_candidate_named_twice_is_measured_once(tmp_path, capsys):
    (tmp_path / "twice.py").write_text(
        "import jax.numpy as jnp\n"
        "from estimators import Bernoulli\n"
        "def loss(model, estimator, key, batch):\n"
        "    return estimator(key, Bernoulli(model), lambda z: ((z - 0.45) ** 2).sum())\n"
        "def toy():\n"
        "    return loss, jnp.zeros(2), None\n"
    )
    chosen = ["--estimators", "GumbelSoftmax[0.5]", "GumbelSoftmax[temperature=0.5]"]
    arguments = [f"{tmp_path / 'twice.py'}:toy", *chosen, "--samples", "64"]
    assert main(["diagnose", *arguments, "--output", str(tmp_path / "out")]) == 0
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert not rows.duplicated(["estimator", "metric"]).any()
