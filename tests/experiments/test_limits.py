"""What no machine can do is refused at the door, with how much it would take."""

import jax
import jax.numpy as jnp
import pytest

from experiments import limits
from experiments.command_line import main
from tests.experiments.test_command_line import refused

TOY = ["--problem", "Quadratic", "--estimators"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", *TOY, "Exact", "--samples", str(10**12)], ["--samples", "2,147,483,648"]),
        (["compare", *TOY, "GumbelRao[0.5,1000000000]"], ["GumbelRao", "would take"]),
        (["compare", "--problem", "VAE[size=100000000]"], ["VAE[size=100000000]", "GB of memory"]),
        (["compare", "--problem", f"Coupled[bits={10**15}]"], ["GB of memory"]),
        (["compare", "--problem", f"VAE[batch_size={10**10}]"], ["a minibatch", "GB of memory"]),
        (["train", *TOY, "ScoreFunction", "--seeds", str(10**9)], ["runs", "GB of memory"]),
        (["train", *TOY, "ScoreFunction", "--steps", str(10**12)], ["--steps", "2,147,483,648"]),
        (
            ["train", *TOY, "ScoreFunction", "--steps", str(10**9), "--log-steps", "1"],
            ["a table of 1,000,000,001 rows", "GB of memory"],
        ),
        (
            ["train", "--estimators", "ScoreFunction", "--bound-samples", str(10**9)],
            ["evaluating VAE", "days", "--bound-samples"],
        ),
    ],
    ids=lambda value: " ".join(value)[-50:],
)
def test_what_is_too_much_is_refused(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 24 * 10**9)
    line = refused(capsys, *arguments, "--output", tmp_path / "out")
    assert all(words in line for words in says), line
    assert not (tmp_path / "out").exists()


def test_more_evaluations_than_possible(capsys, tmp_path):
    line = refused(capsys, "compare", "--problem", "VAE[depth=12]", "--output", tmp_path / "out")
    assert "evaluations of f" in line or "states" in line


def test_the_cost_of_a_program_is_read_off_its_equations():
    def program(x):
        return jax.lax.scan(lambda s, y: (s + jnp.sin(y).sum(), None), 0.0, jnp.outer(x, x))[0]

    cost = limits._cost(jax.make_jaxpr(program)(jnp.zeros(100)).jaxpr)
    assert cost.largest == 4 * 100 * 100
    assert 20_000 < cost.numbers < 35_000  # the products, and their sines
    assert limits.excess(program, jnp.zeros(100), times=1) is None
    assert "days" in limits.excess(program, jnp.zeros(100), times=1e20)


def test_memory_is_asked_of_the_compiler(monkeypatch):
    def sorted_sum(x):
        return jnp.sort(jnp.outer(x, x), axis=1).sum()

    x = jnp.ones(300)
    monkeypatch.setattr(limits, "memory", lambda: 200_000)  # the products take 360,000
    assert "GB of memory" in limits.excess(sorted_sum, x, times=1)
    # What is summed as it is made is never held.
    assert limits.excess(lambda x: jnp.outer(x, x).sum(), x, times=1) is None


DIAGNOSED = """
import jax.numpy as jnp
from estimators import Bernoulli

def loss(model, estimator, key, batch):
    return estimator(key, Bernoulli(model), lambda z: ((z - 0.45) ** 2).sum())

def wide():
    return loss, jnp.zeros(1_000_000), None
"""


def test_a_diagnosis_of_a_million_bits_shows_that_it_goes_on(tmp_path, capsys):
    path = tmp_path / "wide.py"
    path.write_text(DIAGNOSED)
    chosen = ["--estimators", "LocalExpectation", "ScoreFunction", "--samples", "32"]
    out = ["--output", str(tmp_path / "out")]
    assert main(["diagnose", f"{path}:wide", *chosen, *out]) == 0
    printed = capsys.readouterr()
    assert "recommended: ScoreFunction" in printed.out
    assert "GB of memory" in printed.out or "days" in printed.out
