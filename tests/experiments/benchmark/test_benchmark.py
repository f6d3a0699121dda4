"""The benchmark measures what it says; how fast, no test asserts."""

import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import analysis
from estimators import GumbelSoftmax, LeaveOneOut, Pathwise, ScoreFunction, StraightThrough
from experiments import benchmark
from experiments.benchmark import cost, process, suite, torch_process, workload
from experiments.benchmark.rounds import ratios
from experiments.measurement.moments import sample_key
from experiments.problems import VAE, Quadratic
from experiments.statistics.blocks import NUM_BLOCKS
from experiments.system.errors import UsageError

needs_torch = pytest.mark.skipif(
    not torch_process.is_installed(), reason="PyTorch is not installed"
)

SUMMARY = {"median", "min", "max", "rounds"}


@pytest.fixture(scope="module")
def small():
    return workload.prepare(VAE(size=3, batch_size=4, kl="sampled-no-score"))


def one_by_one(work, estimator, key, count):
    """Return `[count, P]` gradients in float64, each of a key of its own."""

    def gradient(key):
        return jax.grad(work.problem.loss)(work.params, estimator, key, work.batch)

    keys = jax.vmap(sample_key, (None, 0))(key, jnp.arange(count))
    leaves = jax.tree.leaves(jax.jit(lambda keys: jax.lax.map(gradient, keys))(keys))
    return np.concatenate([np.asarray(leaf, np.float64).reshape(count, -1) for leaf in leaves], 1)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("estimator", suite.DEFAULT, ids=str)
def test_moments_are_those_of_the_gradients(small, estimator):
    key = jax.random.key(5)
    blocks = small.draw(estimator, key, NUM_BLOCKS)
    samples = one_by_one(small, estimator, key, NUM_BLOCKS)
    variance = samples.var(0, ddof=1)
    scale = np.abs(samples).max()
    np.testing.assert_allclose(blocks.mean, samples.mean(0), rtol=1e-4, atol=1e-6 * scale)
    np.testing.assert_allclose(blocks.variance, variance, rtol=1e-3, atol=1e-6 * scale**2)
    figure = workload.gradients(small, estimator, NUM_BLOCKS)(key)
    assert figure["variance"] == pytest.approx(variance.sum(), rel=1e-4)
    assert figure["value"] > 0


def test_the_toy_s_moments_are_the_known_ones():
    toy = workload.prepare(Quadratic(target=0.499))
    figure = workload.throughput(toy, ScoreFunction(), 2**18)(jax.random.key(0))
    p = 1 / (1 + np.exp(-toy.problem.logit))
    bits, chances = np.array([0, 1]), np.array([1 - p, p])
    gradients = (bits - 0.499) ** 2 * (bits - p)
    mean = chances @ gradients
    variance = chances @ (gradients - mean) ** 2
    assert figure["mean"] == pytest.approx(mean, abs=5 * np.sqrt(variance / 2**18))
    assert figure["variance"] == pytest.approx(variance, rel=0.02)


def test_training_is_the_project_s(small):
    figure = workload.steps(small, StraightThrough(), 3)(jax.random.key(0))
    assert figure.keys() == {"value"} and figure["value"] > 0


def test_cost_is_beside_evaluations():
    work = workload.prepare(VAE(size=2, batch_size=2))
    said = []
    pair = ScoreFunction(LeaveOneOut(2))
    found = cost.measure(work, [pair, Pathwise()], NUM_BLOCKS, 2, said.append)
    # Pathwise does not fit.
    assert found["rows"].keys() == {str(pair)}
    row = found["rows"][str(pair)]
    assert row["evaluations"] == 2 and row["ratio"] > 0
    assert row["seconds"].keys() == found["unit"].keys() == SUMMARY
    assert len(said) == 4


@functools.cache  # not a fixture: tests of one module need not follow each other
def alone():
    """A quick run where there is no PyTorch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_process, "is_installed", lambda: False)
        said = []
        return benchmark.run([ScoreFunction()], quick=True, report=said.append), said


@pytest.mark.slow
def test_quick_run():
    figures, said = alone()
    assert json.loads(json.dumps(figures)) == figures
    assert figures["quick"] and figures["seconds"] > 0
    assert figures["machine"]["cores"] >= 1 and len(figures["machine"]["load"]) == 2
    assert figures["torch"] == {"missing": torch_process.MISSING}
    # Encoder and decoder with biases, and the prior's logits.
    expected = 784 * 200 + 200 + 200 * 784 + 784 + 200
    assert figures["gradients"]["parameters"] == expected
    for kind in ("gradients", "steps", "toy"):
        row = figures[kind]["rows"]["ScoreFunction"]
        assert row["estimax"].keys() >= SUMMARY
        assert (row["torch"], row["best"], row["ratio"]) == ({}, None, None)
    assert figures["cost"]["rows"]["ScoreFunction"]["evaluations"] == 1
    batch = figures["batches"]["rows"]["ScoreFunction"]
    assert batch["alone"].keys() == batch["together"].keys() == SUMMARY
    assert batch["compile_seconds"] > 0
    assert figures["evaluation"]["samples"] == 10 and figures["evaluation"]["ratio"]["median"] > 0
    assert any("timing" in message for message in said)


@pytest.mark.slow
def test_render_without_torch():
    text = analysis.benchmark_text(alone()[0])
    assert torch_process.MISSING in text and "314,784 parameters" in text
    assert "smoke test" in text and max(map(len, text.splitlines())) <= 100


def test_a_ratio_above_one_is_faster():
    assert ratios([1.0, 2.0], [3.0, 3.0], more_is_better=False) == [3.0, 1.5]
    assert ratios([3.0, 3.0], [1.0, 2.0], more_is_better=True) == [3.0, 1.5]


def test_an_estimator_that_does_not_fit():
    with pytest.raises(UsageError, match="Pathwise does not fit VAE"):
        benchmark.run([Pathwise()], quick=True)


def test_pytorch_s_process_does_not_load_jax():
    code = "import sys, experiments.benchmark, experiments.data; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_process_of_pytorch_that_ends_says_why():
    arrays = [np.zeros(1, np.float32)]
    with (
        torch_process.start([], arrays, threads="two") as torch,
        pytest.raises(process.Ended) as error,
    ):
        torch.wait(lambda message: None)
    assert "Error" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
@needs_torch
def test_pytorch_does_the_same_work(monkeypatch):
    monkeypatch.setattr(suite, "QUICK", suite.Scale(3, 256, 5, 2**18, 2, 32))
    estimators = [ScoreFunction(), ScoreFunction(LeaveOneOut(2)), StraightThrough()]
    estimators += [GumbelSoftmax(0.5), GumbelSoftmax(1.0)]
    figures = benchmark.run(estimators, quick=True)
    assert figures["torch"].keys() == {"version", "threads", "device", "failed"}
    assert figures["torch"]["failed"] == []
    for row in figures["gradients"]["rows"].values():
        assert {"eager", "vmap 4", "vmap 20"} <= row["torch"].keys()
        for variant in row["torch"].values():
            # 60 gradients of PyTorch's.
            assert variant["variance"] == pytest.approx(row["estimax"]["variance"], rel=0.15)
        assert row["ratio"].keys() == SUMMARY and row["best"] in row["torch"]
    for row in figures["toy"]["rows"].values():
        for variant in row["torch"].values():
            assert variant["variance"] == pytest.approx(row["estimax"]["variance"], rel=0.02)
    assert figures["steps"]["rows"]["StraightThrough"]["torch"].keys() == {"eager"}
