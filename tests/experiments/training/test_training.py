"""Training and tuning: the right steps, and the estimator's leaves never touch the model's."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from estimators import (
    NVIL,
    Average,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    ScoreFunction,
)
from experiments.measurement.moments import flat
from experiments.optimisers import SGD
from experiments.problems import VAE, Coupled, Quadratic
from experiments.training import is_tuned, train, tuner
from experiments.training.run import Recipe, Run, advance, resume

PROBLEM = Coupled(bits=3)
KEY = jax.random.key(1)


def start(problem=PROBLEM):
    return jax.jit(problem.initial)(jax.random.key(0))


@functools.partial(jax.jit, static_argnums=1)
def ready(estimator, problem=PROBLEM):
    """Return the estimator with its networks, which are given something to say."""
    distribution = problem.distribution(start(problem), None)
    estimator = estimator.initialise(jax.random.key(7), distribution)
    return jax.tree.map(lambda leaf: leaf + 0.3 if leaf.ndim else leaf, estimator)


@functools.cache
def moments_of_f():
    """Return mean, variance and fourth central moment of f at the initial logits."""

    @jax.jit
    @jax.vmap
    def f_and_log_prob(z):
        return PROBLEM.f(params["logits"], z), PROBLEM.distribution(params, None).log_prob(z)

    params, states = start(), np.float32(list(itertools.product([0, 1], repeat=3)))
    f, log_prob = map(np.float64, f_and_log_prob(states))
    p = np.exp(log_prob)
    mean = p @ f
    return mean, p @ (f - mean) ** 2, p @ (f - mean) ** 4


# Training ---------------------------------------------------------------------------------------


def test_training_with_the_exact_gradient_lowers_the_bound():
    problem = VAE(size=2, batch_size=10)
    data = problem.data()
    exact_loss = jax.jit(problem.exact_loss)

    params = problem.initial(KEY)
    trained, _, losses = train(KEY, problem, params, Exact(), data, 100, 3e-3)
    assert losses.shape == (100,)
    # On images that it may not have seen, in nats per image.
    batch = problem.batch(jax.random.key(2), data)
    assert exact_loss(trained, batch) < exact_loss(params, batch) - 10
    # Each step has a minibatch of its own.
    assert len(np.unique(losses)) == 100


@pytest.mark.parametrize("steps", [1, 3])
def test_steps_are_adams(steps):
    rate, params = 0.1, start()
    slope = jax.jit(jax.grad(PROBLEM.exact_loss))
    expected = np.asarray(params["logits"], np.float64)
    first = second = np.zeros(3)
    for step in range(1, steps + 1):
        g = np.asarray(slope({"logits": jnp.float32(expected)}, None)["logits"], np.float64)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        unbiased = first / (1 - 0.9**step), second / (1 - 0.999**step)
        expected = expected - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    trained, _, losses = train(KEY, PROBLEM, params, Exact(), None, steps, rate)
    np.testing.assert_allclose(trained["logits"], expected, rtol=1e-4)
    # The loss of a step is the one before it.
    np.testing.assert_allclose(losses[0], jax.jit(PROBLEM.exact_loss)(params, None), rtol=1e-6)


def test_seeds_differ_and_repeat():
    def run(key):
        return train(key, PROBLEM, start(), ScoreFunction(), None, 5)[0]["logits"]

    first, again, other = run(KEY), run(KEY), run(jax.random.key(2))
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other)


# The model and the estimator's leaves -----------------------------------------------------------


@pytest.mark.parametrize(
    "baseline", [MovingAverage(0.9, 0.4), NVIL(value=0.4), NVIL(normalise=True)], ids=str
)
def test_tuning_leaves_the_models_gradient_as_it_is(baseline):
    # One backward pass for both: the model's gradient is that of the same baseline untuned.
    @jax.jit
    def gradients(*arguments):
        return jax.grad(PROBLEM.loss, (0, 1))(*arguments), jax.grad(PROBLEM.loss)(*arguments)

    (model, own), alone = gradients(start(), ready(ScoreFunction(baseline)), KEY, None)
    np.testing.assert_array_equal(model["logits"], alone["logits"])
    # Though there was something to leak.
    assert own.baseline.value != 0
    assert own.baseline.decay == 0


def test_a_step_of_the_model_is_the_same_with_a_frozen_baseline():
    # Training moves the baseline after the step; what the step did to the model is untouched.
    estimator, run = ScoreFunction(MovingAverage(0.9, 0.4)), Run(np.uint32(1), np.float32(0.1))
    trained = {}
    for tuned in (True, False):
        recipe = Recipe(PROBLEM, SGD(), tuned=tuned)
        state = resume(recipe, run, start(), estimator)
        trained[tuned], _ = advance(recipe, run, state, None, 1)
    np.testing.assert_array_equal(trained[True].params["logits"], trained[False].params["logits"])
    assert np.all(trained[True].params["logits"] != start()["logits"])
    assert trained[True].estimator.baseline.value != estimator.baseline.value
    assert trained[False].estimator.baseline.value == estimator.baseline.value
    assert trained[True].estimator.baseline.decay == estimator.baseline.decay


@pytest.mark.parametrize("sign", [1, -1])
def test_maximising_tunes_the_baseline_all_the_same(sign):
    def loss(estimator):
        return sign * PROBLEM.loss(start(), estimator, KEY, None)

    slope = jax.jit(jax.grad(loss))(ScoreFunction(MovingAverage(0.9, 100.0)))
    assert slope.baseline.value > 90  # towards f


# Tuning -----------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=(0, 2))
def tune(problem, estimator, num_steps):
    """Return the estimator after steps of its optimiser at the initial parameters."""
    params, optimiser = start(problem), tuner(estimator)

    def step(state, key):
        estimator, optimiser_state = state
        slope = jax.grad(problem.loss, 1)(params, estimator, key, None)
        update, optimiser_state = optimiser.update(slope, optimiser_state)
        return (optax.apply_updates(estimator, update), optimiser_state), None

    initial = estimator, optimiser.init(estimator)
    return jax.lax.scan(step, initial, jax.random.split(KEY, num_steps))[0][0]


def test_tuning_a_moving_average_is_the_moving_average():
    # Of the values of f, each weighted (1 - decay) decay^age, from the batches before.
    decay, steps, params = 0.8, 6, start()
    tuned = tune(PROBLEM, ScoreFunction(MovingAverage(decay)), steps)
    value = jax.jit(lambda key: PROBLEM.loss(params, ScoreFunction(), key, None))
    average = 0.0
    for step_key in jax.random.split(KEY, steps):
        average = decay * average + (1 - decay) * float(value(step_key))
    np.testing.assert_allclose(tuned.baseline.value, average, rtol=1e-5)
    np.testing.assert_allclose(tuned.baseline.decay, decay, rtol=1e-6)


@dataclasses.dataclass(frozen=True)
class Summed(type(PROBLEM)):
    """The same problem, whose loss is a sum over a batch of eight."""

    def loss(self, params, estimator, key, batch):
        def one(key):
            return PROBLEM.loss(params, estimator, key, batch)

        return jax.vmap(one)(jax.random.split(key, 8)).sum()


def test_a_moving_average_of_a_loss_that_is_a_sum():
    """It ran away: the gradient of a sum is as many times too large."""
    decay, steps, params = 0.5, 8, start()
    problem = Summed(**dataclasses.asdict(PROBLEM))
    tuned = tune(problem, ScoreFunction(MovingAverage(decay)), steps)
    value = jax.jit(lambda key: problem.loss(params, ScoreFunction(), key, None) / 8)
    average = 0.0
    for step_key in jax.random.split(KEY, steps):
        average = decay * average + (1 - decay) * float(value(step_key))
    np.testing.assert_allclose(tuned.baseline.value, average, rtol=1e-5)
    assert tuned.baseline.count == 0


def test_tuning_brings_the_average_to_the_mean_of_f():
    decay = 0.999
    tuned = tune(PROBLEM, ScoreFunction(MovingAverage(decay)), 10_000)
    mean, variance, _ = moments_of_f()
    # A moving average has the variance of (1 + decay) / (1 - decay) draws' mean.
    error = np.sqrt(variance * (1 - decay) / (1 + decay))
    assert abs(tuned.baseline.value - mean) < 4 * error
    assert abs(mean) > 10 * error  # it started from zero


def test_tuning_brings_nvil_to_the_mean_and_variance_of_f():
    decay = 0.999
    estimator = ScoreFunction(NVIL(decay, normalise=True, network=None))
    baseline = tune(PROBLEM, estimator, 10_000).baseline
    mean, variance, fourth = moments_of_f()
    shrink = (1 - decay) / (1 + decay)
    assert abs(baseline.value - mean) < 4 * np.sqrt(variance * shrink)
    # The average that the residuals are of is itself off by a share of the variance.
    error = np.sqrt((fourth - variance**2) * shrink)
    assert abs(baseline.variance - variance * (1 + shrink)) < 4 * error


def test_training_carries_nvil_along():
    # The model moves, the baseline follows it, and the model does find lower values of f.
    problem = Coupled(bits=3)
    estimator = ready(ScoreFunction(NVIL()))
    trained, carried, losses = train(KEY, problem, start(), estimator, None, 2000, 0.01)
    exact_loss = jax.jit(problem.exact_loss)
    after = float(exact_loss(trained, None))
    assert after < exact_loss(start(), None) - 0.3
    assert abs(carried.baseline.prediction(trained["logits"]) - after) < 0.2
    assert np.isfinite(losses).all()


def test_tuning_reaches_inside_an_average():
    problem = Quadratic()
    estimator = Average(ScoreFunction(MovingAverage(0.5)), 4)
    tuned = tune(problem, estimator, 50)
    f = (1 - problem.target) ** 2, problem.target**2
    assert min(f) < tuned.estimator.baseline.value < max(f)
    assert tuned.num_samples == 4


def test_a_hyperparameter_is_not_tuned():
    tuned = tune(Quadratic(), GumbelSoftmax(0.5), 20)
    assert tuned.temperature == 0.5


@pytest.mark.parametrize(
    ("estimator", "tuned"),
    [
        (Exact(), False),
        (ScoreFunction(), False),
        (ScoreFunction(LeaveOneOut(2)), False),
        (GumbelSoftmax(0.5), False),
        (ScoreFunction(MovingAverage(0.9)), True),
        (ScoreFunction(NVIL(network=None)), True),
        (ready(ScoreFunction(NVIL())), True),
        (Average(ScoreFunction(MovingAverage(0.9)), 2), True),
    ],
    ids=str,
)
def test_who_is_tuned(estimator, tuned):
    assert is_tuned(estimator) is tuned


def test_the_tuner_descends_averages_and_adams_the_rest():
    estimator = ready(ScoreFunction(NVIL(decay=0.75)))
    slope = jax.tree.map(lambda leaf: jnp.full_like(leaf, 2.0), estimator)
    optimiser = tuner(estimator, learning_rate=0.01)
    update, _ = optimiser.update(slope, optimiser.init(estimator))
    # (1 - 0.75) times a sum of 2 from 2 contributions.
    np.testing.assert_allclose(update.baseline.value, -0.25)
    np.testing.assert_allclose(update.baseline.variance, -0.25)
    assert update.baseline.count == 0
    np.testing.assert_allclose(flat(update.baseline.network), -0.01, rtol=1e-5)
    assert isinstance(optax.apply_updates(estimator, update), ScoreFunction)
