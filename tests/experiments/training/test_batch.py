"""Batches of runs: each as if alone, on any number of devices, divided at any step."""

import functools

import jax
import numpy as np
import optax
import pytest

from estimators import (
    REBAR,
    RODEO,
    DisARM,
    Exact,
    GumbelSoftmax,
    MovingAverage,
    ScoreFunction,
    SlopeAnnealedStraightThrough,
)
from experiments.measurement.moments import flat
from experiments.optimisers import SGD, Adam, AdamW, RAdam, RMSProp
from experiments.problems import VAE, Coupled
from experiments.training import run as one_run
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run
from experiments.training.schedules import Cosine, Exponential, Linear

TOY = Coupled(bits=3)
SMALL = VAE(size=2, batch_size=4)


def alone(recipe, run, estimator, num_steps):
    """Return the state and the losses of one run that is in no batch."""
    data = recipe.problem.data()

    @jax.jit
    def whole(run, estimator, data):
        state = one_run.start(recipe, run, estimator, data)
        return one_run.advance(recipe, run, state, data, num_steps)

    return whole(Run(np.uint32(run.seed), np.float32(run.rate)), estimator, data)


def trained(recipe, runs, estimators, steps, **options):
    batch = Batch(recipe, runs, estimators, recipe.problem.data(), **options)
    state, losses = batch.start(), []
    for count in steps:
        state, found = batch.advance(state, count)
        losses.append(found)
    return batch.gather(state), np.concatenate(losses, 1)


RUNS = [Run(seed, rate) for rate in (1e-2, 3e-2) for seed in range(3)]


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("problem", [TOY, SMALL], ids=str)
def test_every_run_is_as_if_alone(problem):
    # Six runs on four devices: two of them are padding.
    recipe = Recipe(problem)
    estimator = ScoreFunction(MovingAverage(0.9))
    state, losses = trained(recipe, RUNS, [estimator] * 6, [20], devices=jax.devices()[:4])
    for number, run in enumerate(RUNS):
        own, own_losses = alone(recipe, run, estimator, 20)
        np.testing.assert_allclose(losses[number], own_losses, rtol=1e-3, atol=1e-3)
        params = jax.tree.map(lambda leaf, number=number: leaf[number], state.params)
        np.testing.assert_allclose(flat(params), flat(own.params), rtol=1e-3, atol=1e-3)
    rows = np.concatenate([leaf.reshape(6, -1) for leaf in jax.tree.leaves(state.params)], 1)
    assert len(np.unique(rows, axis=0)) == 6
    np.testing.assert_array_equal(state.step, 20)


def test_runs_are_the_same_on_one_device_and_on_four():
    recipe, estimators = Recipe(TOY), [DisARM()] * 6
    one, losses = trained(recipe, RUNS, estimators, [30], devices=jax.devices()[:1])
    four, others = trained(recipe, RUNS, estimators, [30], devices=jax.devices()[:4])
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    np.testing.assert_allclose(one.params["logits"], four.params["logits"], rtol=1e-4)


def test_a_study_is_one_program():
    """Seeds, rates and temperatures differ; the program is compiled once, and used again."""
    members = [GumbelSoftmax(t) for t in (0.5, 1.0)]
    pairs = [(run, member) for member in members for run in RUNS]
    runs, estimators = zip(*pairs, strict=True)
    batch = Batch(Recipe(TOY), runs, estimators, None)
    state = batch.start()
    for _ in range(3):
        state, losses = batch.advance(state, 4)
    assert losses.shape == (12, 4)
    assert batch._advance._cache_size() == 1


def test_dividing_the_steps_changes_nothing():
    recipe, estimators = Recipe(SMALL), [ScoreFunction(MovingAverage(0.9))] * 2
    whole, losses = trained(recipe, RUNS[:2], estimators, [12])
    parts, divided = trained(recipe, RUNS[:2], estimators, [5, 7])
    np.testing.assert_array_equal(losses, divided)
    np.testing.assert_array_equal(flat(whole), flat(parts))


def test_temperatures_are_one_program():
    """Members of one structure: each run has its own leaves."""
    members = [GumbelSoftmax(t) for t in (0.1, 1.0, 10.0)]
    runs = [Run(0, 1e-2)] * 3
    state, losses = trained(Recipe(SMALL), runs, members, [5])
    np.testing.assert_allclose(state.estimator.temperature, [0.1, 1.0, 10.0], rtol=1e-6)
    assert len(np.unique(losses[:, -1])) == 3


def test_a_diverging_run_leaves_the_others_alone():
    runs = [Run(0, 1e-2), Run(0, 1e37), Run(1, 1e-2)]
    recipe = Recipe(SMALL, SGD())
    state, losses = trained(recipe, runs, [ScoreFunction()] * 3, [10])
    first = int(np.flatnonzero(~np.isfinite(losses[1]))[0])
    np.testing.assert_array_equal(state.diverged, [-1, first, -1])
    assert 0 < first < 9 and not np.isfinite(losses[1, first:]).any()
    own, own_losses = alone(recipe, runs[2], ScoreFunction(), 10)
    np.testing.assert_allclose(losses[2], own_losses, rtol=1e-4)


# Schedules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "steps", "expected"),
    [
        # Jang et al. 2017: max(0.5, exp(-r t)), held for so many steps.
        (Exponential(rate=1e-2, every=10), 25, np.exp(-0.2)),
        (Exponential(rate=1e-2, every=10), 1000, 0.5),
        (Linear(1.0, 5.0, 100), 25, 2.0),
        (Linear(1.0, 5.0, 100), 400, 5.0),
        (Cosine(1.0, 0.2, 100), 50, 0.6),
    ],
    ids=str,
)
def test_schedules(schedule, steps, expected):
    np.testing.assert_allclose(schedule.make()(steps), expected, rtol=1e-5)


def test_a_schedule_sets_the_field_at_every_step():
    # f is the estimator's temperature itself, so the losses show it.
    class Shown(Coupled):
        def loss(self, params, estimator, key, batch):
            return estimator.temperature + 0 * params["logits"].sum()

    recipe = Recipe(Shown(bits=2), schedules=(("temperature", Linear(1.0, 0.5, 4)),))
    _, losses = alone(recipe, Run(0, 1e-2), GumbelSoftmax(7.0), 6)
    np.testing.assert_allclose(losses, [1, 0.875, 0.75, 0.625, 0.5, 0.5])


def test_a_slope_is_annealed():
    recipe = Recipe(TOY, schedules=(("slope", Linear(1.0, 5.0, 10)),))
    state, _ = alone(recipe, Run(0, 1e-2), SlopeAnnealedStraightThrough(1.0), 21)
    np.testing.assert_allclose(state.estimator.slope, 5.0)


def test_a_scheduled_rate_is_a_factor():
    schedule = Linear(1.0, 0.5, 2)
    recipe = Recipe(TOY, SGD(), (("learning_rate", schedule),))
    state, _ = alone(recipe, Run(0, 0.1), Exact(), 3)
    logits = TOY.initial(jax.random.key(0))["logits"]
    for factor in (1.0, 0.75, 0.5):
        logits = (
            logits - 0.1 * factor * jax.grad(TOY.exact_loss)({"logits": logits}, None)["logits"]
        )
    np.testing.assert_allclose(state.params["logits"], logits, rtol=1e-5)


# Optimisers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimiser", "same"),
    [
        (Adam(b1=0.8), optax.adam(0.1, 0.8)),
        (AdamW(b1=0.8), optax.adamw(0.1, 0.8, weight_decay=0.01)),
        (RAdam(), optax.radam(0.1)),
        (SGD(momentum=0.9), optax.sgd(0.1, 0.9)),
        (RMSProp(), optax.rmsprop(0.1)),
        (SGD(weight_decay=0.5), optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_optimisers_are_optaxs(optimiser, same):
    recipe = Recipe(TOY, optimiser)
    state, _ = alone(recipe, Run(0, 0.1), Exact(), 4)
    params = TOY.initial(jax.random.key(0))
    inner = same.init(params)
    for _ in range(4):
        update, inner = same.update(jax.grad(TOY.exact_loss)(params, None), inner, params)
        params = optax.apply_updates(params, update)
    np.testing.assert_allclose(state.params["logits"], params["logits"], rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (SGD(momentum=1.0), "SGD momentum must be at least 0 and below 1"),
        (Adam(b2=-0.1), "Adam b2 must be at least 0"),
        (Adam(weight_decay=-1.0), "Adam weight_decay must be at least 0"),
        (Exponential(rate=0.0), "Exponential rate must be above zero"),
        (Exponential(floor=2.0), "Exponential floor must be at most start"),
        (Linear(1.0, 2.0, 0), "Linear steps must be at least 1"),
        (Cosine(0.0, 2.0, 1), "Cosine start must be above zero"),
    ],
    ids=str,
)
def test_settings_out_of_range(value, message):
    with pytest.raises(ValueError, match=message):
        value.check()


# The estimator's own leaves -----------------------------------------------------------------------


@functools.cache
def first_step(estimator, rate, tuning_rate=None):
    """Return by how much the learned leaves move in the first step: Adam's rate, at most."""
    recipe = Recipe(TOY, tuning_rate=tuning_rate)
    state, _ = alone(recipe, Run(0, rate), estimator, 1)
    before = one_run.start(recipe, Run(0, rate), estimator, None).estimator
    return np.abs(flat(state.estimator) - flat(before)).max()


@pytest.mark.first_cases(2)
@pytest.mark.parametrize(
    ("estimator", "rate", "expected"),
    [
        (REBAR(0.5), 1e-3, 1e-2),  # ten times the model's
        (REBAR(0.5), 1e-4, 1e-3),
        (RODEO(2), 1e-4, 1e-3),  # its own
        (RODEO(2), 1e-3, 1e-3),
    ],
    ids=str,
)
def test_leaves_learn_at_the_published_rates(estimator, rate, expected):
    np.testing.assert_allclose(first_step(estimator, rate), expected, rtol=0.02)


def test_another_rate_of_the_leaves():
    np.testing.assert_allclose(first_step(REBAR(0.5), 1e-3, 0.05), 0.05, rtol=0.02)
