"""What no machine can do is refused at the door, with how much it would take."""

import time

import jax
import jax.numpy as jnp
import pandas as pd
import pytest

import estimators
from estimators import Exact, GumbelRao, GumbelSoftmax
from experiments.command_line import main
from experiments.measurement.cost import cost
from experiments.measurement.point import prepare
from experiments.problems import VAE
from experiments.running import limits
from experiments.running.results import FILE
from experiments.running.user_code import parse_estimator
from tests.experiments.helpers.command import refused

TOY = ["--problem", "Quadratic", "--estimators"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", *TOY, "Exact", "--samples", str(10**12)], ["--samples", "2,147,483,648"]),
        (["compare", *TOY, "GumbelRao[0.5,1000000000]"], ["GumbelRao", "would take"]),
        (["compare", "--problem", "VAE[size=100000000]"], ["VAE[size=100000000]", "GB of memory"]),
        (["compare", "--problem", f"Coupled[bits={10**15}]"], ["GB of memory"]),
        (["compare", "--problem", f"VAE[batch_size={10**10}]"], ["a minibatch", "GB of memory"]),
        (
            ["compare", "--problem", f"SequenceGAN[pretraining={10**8}]"],
            ["would take at least", "for initial parameters"],
        ),
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--problem", "Quadratic", "--steps", "2"],
        ["compare", "--problem", "Quadratic"],
        ["train", "--problem", "Policy", "--steps", "2"],
    ],
    ids=" ".join,
)
def test_a_network_of_more_context_than_there_is_does_not_fit(arguments, capsys, tmp_path):
    name = "ScoreFunction[baseline=NVIL[network=MLP[hidden=4,context=9]]]"
    line = refused(capsys, *arguments, "--estimators", name, "--output", tmp_path / "out")
    assert f"{name} does not fit" in line and "9 of them the context of f" in line


def test_the_cost_of_a_program_is_read_off_its_equations():
    def program(x):
        return jax.lax.scan(lambda s, y: (s + jnp.sin(y).sum(), None), 0.0, jnp.outer(x, x))[0]

    found = cost(jax.make_jaxpr(program)(jnp.zeros(100)).jaxpr, [True])
    assert found.largest == 4 * 100 * 100
    assert 20_000 < found.once + found.each < 35_000  # the products, and their sines
    assert limits.excess(program, jnp.zeros(100), fixed=0, times=1) is None
    assert "days" in limits.excess(program, jnp.zeros(100), fixed=0, times=1e20)


def test_memory_is_asked_of_the_compiler(monkeypatch):
    def sorted_sum(x):
        return jnp.sort(jnp.outer(x, x), axis=1).sum()

    x = jnp.ones(300)
    monkeypatch.setattr(limits, "memory", lambda: 200_000)  # the products take 360,000
    assert "GB of memory" in limits.excess(sorted_sum, x, fixed=0, times=1)
    # What is summed as it is made is never held.
    assert limits.excess(lambda x: jnp.outer(x, x).sum(), x, fixed=0, times=1) is None


DIAGNOSED = """
import jax.numpy as jnp
from estimators import Bernoulli

def loss(model, estimator, key, batch):
    return estimator(key, Bernoulli(model), lambda z: ((z - 0.45) ** 2).sum())

def wide():
    return loss, jnp.zeros(BITS), None
"""


@pytest.mark.parametrize(
    ("bits", "core"), [(2_000, 1e5), pytest.param(10**6, 2e10, marks=pytest.mark.slow)]
)
def test_a_diagnosis_of_many_bits_shows_that_it_goes_on(bits, core, tmp_path, capsys, monkeypatch):
    """One gradient of LocalExpectation is as many evaluations; on a slow machine of fewer bits."""
    monkeypatch.setattr(limits, "CORE_RATE", core)
    monkeypatch.setattr(limits, "num_cores", lambda: 2)
    path = tmp_path / "wide.py"
    path.write_text(DIAGNOSED.replace("BITS", str(bits)))
    chosen = ["--estimators", "LocalExpectation", "ScoreFunction", "--samples", "32"]
    out = ["--output", str(tmp_path / "out")]
    assert main(["diagnose", f"{path}:wide", *chosen, *out]) == 0
    printed = capsys.readouterr()
    said = " ".join(printed.out.split())
    assert "recommended: ScoreFunction" in said and "LocalExpectation" in said
    assert "seconds for one gradient (maximum 60)" in said
    assert "[1/3] LocalExpectation" in printed.err and "[2/3] ScoreFunction" in printed.err


UNNAMED = [
    *("--problem", "Quadratic", "--samples", "64", "--tuning-steps", "2"),
    *("--estimators", "chosen"),  # a family
]


@pytest.mark.parametrize("command", ["compare", "temperature"])
def test_estimators_that_nobody_named_are_skipped_where_they_take_too_much(
    command, tmp_path, capsys, monkeypatch
):
    """Those that fit are measured; where nothing fits the run ends at the door."""
    chosen = [Exact, GumbelRao, GumbelSoftmax]
    monkeypatch.setattr(estimators, "FAMILIES", {"chosen": tuple(chosen)})
    monkeypatch.setattr(GumbelRao, "examples", classmethod(lambda cls: (cls(0.5, 10**9),)))
    monkeypatch.setattr(limits, "memory", lambda: 24 * 10**9)
    out = tmp_path / "out"
    more = ["--temperatures", "0.5", "1"] if command == "temperature" else []
    assert main([command, *UNNAMED, *more, "--output", str(out)]) == 0
    rows = pd.read_parquet(out / FILE)
    skipped = rows[rows["metric"] == "skipped"]
    assert set(skipped["method"]) == {"GumbelRao"} and len(skipped) == 1
    assert "would take" in skipped["note"].item() and len(rows) > 8
    monkeypatch.setattr(estimators, "FAMILIES", {"chosen": tuple(chosen[1:])})
    monkeypatch.setattr(limits, "num_cores", lambda: 2)
    monkeypatch.setattr(limits, "MAX_SECONDS", 1e-8)  # enough for what is the same each time
    capsys.readouterr()
    line = refused(capsys, command, *UNNAMED, "--output", tmp_path / "other")
    assert (
        "no estimator fits Quadratic" in line and "would take at least" in line and "days" in line
    )
    assert not (tmp_path / "other").exists()


def test_what_does_not_depend_on_the_key_is_counted_once():
    def program(x, key):
        return jax.lax.scan(lambda s, y: (s + y, None), 0.0, jnp.sin(x))[0] + jax.random.normal(key)

    x, key = jnp.zeros(10_000), jax.random.key(0)
    traced = jax.make_jaxpr(program)(x, key).jaxpr
    fixed = cost(traced, [False, True])
    assert fixed.once >= 20_000 and 0 < fixed.each < 1_000
    moving = cost(traced, [True, True])
    assert moving.once + moving.each == fixed.once + fixed.each and moving.each >= 20_000
    assert limits.excess(program, x, key, fixed=1, times=1e12) is None
    assert "days" in limits.excess(program, x, key, fixed=0, times=1e14)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("estimator", ["Exact", "ScoreFunction", "REBAR[0.5]"])
def test_the_least_time_is_below_what_gradients_take(estimator, monkeypatch):
    """A bound, so that what is available is not refused."""
    problem = VAE(size=4)
    point = prepare(problem, jax.random.key(0))
    ready = parse_estimator(estimator)
    point.draw(ready, jax.random.key(1), 512)  # compiles
    begun = time.process_time()
    point.draw(ready, jax.random.key(1), 512)
    taken = time.process_time() - begun
    context = point.params, point.batch
    monkeypatch.setattr(limits, "num_cores", lambda: 1)
    monkeypatch.setattr(limits, "MAX_SECONDS", taken)
    assert limits.refusal(problem, ready, context, point.distribution, 512) is None


def test_layers_nested_too_deeply_are_refused_at_once(capsys, tmp_path):
    out = ["--output", tmp_path / "out"]
    chosen = ["--problem", "VAE[depth=99]", "--estimators", "ScoreFunction"]
    assert "depth must be at most" in refused(capsys, "train", *chosen, *out)


def test_a_benchmark_of_what_takes_too_much_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 24 * 10**9)
    line = refused(capsys, "benchmark", "--quick", "--estimators", "GumbelRao[0.5,1000000000]")
    assert "GumbelRao" in line and "would take" in line
