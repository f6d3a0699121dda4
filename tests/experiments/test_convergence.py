"""Tuning goes on until it has converged, and says where it had not."""

import functools

import jax
import numpy as np
import pytest

import estimators
from estimators import NVIL, REBAR, RELAX, DoubleCV, MovingAverage, ScoreFunction
from experiments import convergence, intervals
from experiments.convergence import TUNING_STEPS, _ends, _has_converged
from experiments.measurement import prepare
from experiments.problems import VAE, Coupled
from experiments.training import is_tuned

KEY = jax.random.key(3)
LEARNED = [one for cls in estimators.ALL for one in cls.examples() if is_tuned(one)]


@functools.cache
def point(problem, train_steps=300):
    return prepare(problem, jax.random.key(0), train_steps=train_steps)


def variance(where, ready, num_samples=2048):
    (blocks,) = where.draw(ready.estimator, jax.random.key(2), num_samples)
    return intervals.variance(blocks, where.truth).value


@pytest.mark.slow
@pytest.mark.parametrize("estimator", LEARNED, ids=str)
def test_the_default_converges_on_the_default_vae(estimator, monkeypatch):
    where = point(VAE())
    ready = where.ready(estimator, KEY, TUNING_STEPS)
    assert not ready.note
    monkeypatch.setattr(convergence, "_has_converged", lambda before, after: False)
    longer = where.ready(estimator, KEY, 2 * TUNING_STEPS)
    # Where it is unbiased up to scale, the scale goes with the residual: nothing to compare.
    if estimator.unbiased == "yes":
        assert variance(where, ready) < 1.08 * variance(where, longer)


def test_the_baseline_converges_where_few_steps_leave_it_far_off():
    where, estimator = point(VAE(size=2, batch_size=10), 20), ScoreFunction(NVIL())
    few, ready, again = (where.ready(estimator, KEY, limit) for limit in (250, 8000, 8000))
    assert few.note == "tuning had not converged after 250 steps"
    assert not ready.note
    assert variance(where, few, 512) > 1.3 * variance(where, ready, 512)
    for one, other in zip(*map(jax.tree.leaves, (ready.estimator, again.estimator)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "estimator", [ScoreFunction(MovingAverage(0.9)), DoubleCV(2), REBAR(0.5), RELAX()], ids=str
)
def test_learned_leaves_converge_on_a_toy(estimator):
    assert not point(Coupled(bits=3)).ready(estimator, KEY, TUNING_STEPS).note


def test_without_steps_nothing_is_tuned():
    where, estimator = point(Coupled(bits=3)), ScoreFunction(MovingAverage(0.9))
    ready = where.ready(estimator, KEY, 0)
    assert ready.estimator.baseline.value == 0 and ready.note == "not tuned"


def test_a_moving_average_is_left_as_it_is_last():
    # The mean of its values would be another, slower average.
    where = point(Coupled(bits=3))
    tuned = where.ready(ScoreFunction(MovingAverage(0.0)), KEY, 50).estimator
    states = where.distribution.states()
    values = jax.vmap(lambda z: where.problem.f(where.params["logits"], z))(states)
    assert np.abs(np.asarray(values) - tuned.baseline.value).min() < 1e-6


def test_normalising_does_not_hide_what_the_baseline_still_learns():
    # The normalised signal has the same size whatever the baseline: the scale is divided out.
    where = point(VAE(size=2, batch_size=10), 20)
    ready = where.ready(ScoreFunction(NVIL(normalise=True)), KEY, 8000)
    plain = where.ready(ScoreFunction(NVIL()), KEY, 8000)
    residual = [one.estimator.baseline.variance for one in (ready, plain)]
    assert not ready.note
    assert residual[0] < 1.5 * residual[1]


@pytest.mark.parametrize(
    ("fall", "noise", "converged"),
    [
        (0.5, 0.1, False),
        (0.06, 1.0, False),  # too noisy to tell
        (0.05, 0.01, False),
        (0.03, 0.05, True),
        (0.0, 0.1, True),
        (-0.2, 0.1, True),
    ],
)
def test_what_has_converged(fall, noise, converged):
    rng = np.random.default_rng(0)
    said = []
    for _ in range(200):
        before = rng.exponential(size=128)
        after = before * (1 - fall) + noise * rng.normal(size=128)
        said.append(_has_converged(before, after))
    assert np.mean(said) > 0.9 if converged else np.mean(said) < 0.05


def test_rounds_double():
    assert _ends(8000) == [125, 250, 500, 1000, 2000, 4000, 8000]
    assert _ends(250) == [125, 250]
    assert _ends(20) == [20]
    assert _ends(0) == []
