"""Training and tuning: the right steps, and the estimator's leaves never touch the model's."""

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
from experiments.problems import VAE, Coupled, Quadratic
from experiments.training import is_tuned, train, tune, tuner

SMALL = VAE(size=2, batch_size=10)


def _leaves(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_training_with_the_exact_gradient_lowers_the_bound():
    params, data = SMALL.initial(jax.random.key(0)), SMALL.data()
    run = jax.jit(lambda key: train(key, SMALL, params, Exact(), data, 100, 3e-3)[::2])
    trained, losses = run(jax.random.key(1))
    assert losses.shape == (100,)
    batch = SMALL.batch(jax.random.key(2), data)
    before, after = SMALL.exact_loss(params, batch), SMALL.exact_loss(trained, batch)
    assert after < before - 10  # nats per image


def test_one_step_is_adams():
    problem, key = Quadratic(), jax.random.key(0)
    params, rate = problem.initial(key), 0.1
    (trained, _, losses) = train(key, problem, params, Exact(), None, 1, rate)
    slope = jax.grad(problem.exact_loss)(params, None)
    # Adam's first step is the rate times the gradient's sign, but for its epsilon.
    step = rate * slope["logits"] / (jnp.abs(slope["logits"]) + 1e-8)
    np.testing.assert_allclose(trained["logits"], params["logits"] - step, rtol=1e-6)
    np.testing.assert_allclose(losses[0], problem.exact_loss(params, None), rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_seeds_differ_and_repeat(seed):
    problem = Coupled()
    run = jax.jit(
        lambda key: train(key, problem, problem.initial(key), ScoreFunction(), None, 5)[0]
    )
    again, other = run(jax.random.key(seed)), run(jax.random.key(seed + 7))
    np.testing.assert_array_equal(_leaves(run(jax.random.key(seed))), _leaves(again))
    assert np.any(_leaves(other) != _leaves(again))


def test_tuning_a_baseline_leaves_the_models_gradient_as_it_is():
    """One backward pass for both: the model's gradient is that of the same baseline untuned."""
    params, data = SMALL.initial(jax.random.key(0)), SMALL.data()
    batch, key = SMALL.batch(jax.random.key(1), data), jax.random.key(2)
    estimator = ScoreFunction(MovingAverage(0.9, 200.0))
    both, own = jax.grad(SMALL.loss, (0, 1))(params, estimator, key, batch)
    alone = jax.grad(SMALL.loss)(params, estimator, key, batch)
    np.testing.assert_array_equal(_leaves(both), _leaves(alone))
    assert own.baseline.value != 0
    assert own.baseline.decay == 0


def test_tuning_a_moving_average_is_the_moving_average():
    """Of the batch means of f, each weighted (1 - decay) decay^age, from the batches before."""
    problem, decay, steps = Coupled(), 0.8, 6
    params, key = problem.initial(jax.random.key(0)), jax.random.key(1)
    tuned = tune(key, problem, params, ScoreFunction(MovingAverage(decay)), None, steps)
    average = 0.0
    for step_key in jax.random.split(key, steps):
        value = problem.loss(params, ScoreFunction(), step_key, None)
        average = decay * average + (1 - decay) * float(value)
    np.testing.assert_allclose(tuned.baseline.value, average, rtol=1e-5)
    np.testing.assert_allclose(tuned.baseline.decay, decay, rtol=1e-6)


def test_nvil_learns_f_and_its_variance():
    problem = Coupled()
    params = problem.initial(jax.random.key(0))
    distribution = problem.distribution(params, None)
    estimator = ScoreFunction(NVIL(decay=0.99, normalise=True))
    estimator = estimator.initialise(jax.random.key(1), distribution)
    run = jax.jit(lambda key, estimator: tune(key, problem, params, estimator, None, 2000))
    baseline = run(jax.random.key(2), estimator).baseline
    states = distribution.states()
    f = jax.vmap(lambda z: problem.f(params["logits"], z))(states)
    p = jnp.exp(jax.vmap(distribution.log_prob)(states))
    mean = p @ f
    variance = p @ (f - mean) ** 2
    # Averages over 1 / (1 - decay) = 100 draws: 5 of their standard errors.
    prediction = baseline.prediction(params["logits"])
    assert abs(prediction - mean) < 5 * np.sqrt(variance / 100)
    fourth = p @ (f - mean) ** 4
    assert abs(baseline.variance - variance) < 5 * np.sqrt(fourth / 100)


def test_tuning_reaches_inside_an_average():
    problem = Quadratic()
    params = problem.initial(jax.random.key(0))
    estimator = Average(ScoreFunction(MovingAverage(0.5)), 4)
    tuned = tune(jax.random.key(1), problem, params, estimator, None, 50)
    f = [(1 - problem.target) ** 2, problem.target**2]
    assert min(f) < tuned.estimator.baseline.value < max(f)
    assert tuned.num_samples == 4


def test_a_hyperparameter_is_not_tuned():
    problem = Quadratic()
    params = problem.initial(jax.random.key(0))
    tuned = tune(jax.random.key(1), problem, params, GumbelSoftmax(0.5), None, 20)
    assert tuned.temperature == 0.5


def test_training_carries_the_baseline_along():
    params, data = SMALL.initial(jax.random.key(0)), SMALL.data()
    estimator = ScoreFunction(MovingAverage(0.9))
    _, estimator, losses = train(jax.random.key(1), SMALL, params, estimator, data, 60)
    assert min(losses) < estimator.baseline.value < max(losses)


@pytest.mark.parametrize(
    ("estimator", "tuned"),
    [
        (ScoreFunction(), False),
        (ScoreFunction(LeaveOneOut(2)), False),
        (GumbelSoftmax(0.5), False),
        (ScoreFunction(MovingAverage(0.9)), True),
        (ScoreFunction(NVIL(network=None)), True),
        (Average(ScoreFunction(MovingAverage(0.9)), 2), True),
    ],
    ids=str,
)
def test_who_is_tuned(estimator, tuned):
    assert is_tuned(estimator) is tuned


def test_the_tuner_descends_averages_and_adams_the_rest():
    estimator = ScoreFunction(NVIL(decay=0.75)).initialise(
        jax.random.key(0), Quadratic().distribution({"logits": jnp.ones(1)}, None)
    )
    slope = jax.tree.map(lambda leaf: jnp.full_like(leaf, 2.0), estimator)
    optimiser = tuner(estimator, learning_rate=0.01)
    update, _ = optimiser.update(slope, optimiser.init(estimator))
    np.testing.assert_allclose(update.baseline.value, -0.5)  # (1 - 0.75) * 2
    np.testing.assert_allclose(update.baseline.variance, -0.5)
    for leaf in jax.tree.leaves(update.baseline.network):
        np.testing.assert_allclose(leaf, -0.01, rtol=1e-5)
    assert isinstance(optax.apply_updates(estimator, update), ScoreFunction)
