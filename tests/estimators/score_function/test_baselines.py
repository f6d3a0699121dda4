"""What baselines learn, from what, and what they leave alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    NVIL,
    Average,
    Bernoulli,
    MovingAverage,
    MuProp,
    ScoreFunction,
    averaged,
    counter,
    mean_contributions,
    parse,
    pytree,
    stack,
    unstack,
)
from estimators.core.part import Part
from tests.estimators.helpers.enumeration import exact, hard_moments, joint, moments, per_key
from tests.estimators.helpers.scripted import hard_keys

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

LOGITS = np.array([-2.0, 0.5, 1.0])


def f(z):
    return (jnp.asarray([1.0, -2.0, 0.5], z.dtype) @ z - 0.3) ** 3


def loss(estimator, keys, logits=LOGITS):
    """The mean over a batch."""
    return jax.vmap(lambda key: estimator(key, Bernoulli(jnp.asarray(logits)), f))(keys).mean()


tuning = jax.jit(jax.value_and_grad(loss))


def descend(estimator, gradient, rate):
    gradient = mean_contributions(gradient)
    return jax.tree.map(lambda leaf, slope: leaf - rate * slope, estimator, gradient)


def test_moving_average_under_gradient_descent_is_the_moving_average():
    """Of past batches only: the first step's baseline is the value that it starts with."""
    decay = 0.8
    estimator = ScoreFunction(MovingAverage(decay, 0.25))
    average = 0.25
    for step in range(20):
        np.testing.assert_allclose(estimator.baseline.value, average, rtol=1e-12)
        keys = jax.random.split(jax.random.key(step), 16)
        mean, gradient = tuning(estimator, keys)  # the value is f's mean over the batch
        estimator = descend(estimator, gradient, 1 - decay)
        average = decay * average + (1 - decay) * float(mean)
    assert estimator.baseline.decay == decay


def two_layers(estimator, key, logits):
    first, second = jax.random.split(key)

    def below(z):
        return estimator(second, Bernoulli(logits + z), f)

    return estimator(first, Bernoulli(logits), below)


def one_layer(estimator, key, logits):
    return estimator(key, Bernoulli(logits), f)


LOSSES = {
    "mean": lambda values: values.mean(),
    "sum": lambda values: values.sum(),
    "negative": lambda values: -values.sum(),
    "scaled": lambda values: 1000 * values.mean(),
    "nothing": lambda values: 0 * values.sum(),
}


AVERAGING = {
    "moving average": lambda: ScoreFunction(MovingAverage(0.8, 0.25)),
    "NVIL": lambda: ScoreFunction(NVIL(0.8, network=None, value=0.25)),
    "inside": lambda: Average(ScoreFunction(MovingAverage(0.8, 0.25)), 1),
}


@pytest.mark.first_cases(10)
@pytest.mark.parametrize("reduce", LOSSES)
@pytest.mark.parametrize("layers", [one_layer, two_layers])
@pytest.mark.parametrize("kind", AVERAGING)
def test_moving_averages_of_every_loss(kind, layers, reduce):
    """A sum over the batch ran away, and two layers doubled the rate."""
    logits, estimator = jnp.asarray(LOGITS), AVERAGING[kind]()

    @jax.jit
    def step(estimator, keys):
        def loss(estimator):
            values = jax.vmap(lambda key: layers(estimator, key, logits))(keys)
            return LOSSES[reduce](values), values

        gradient, values = jax.grad(loss, has_aux=True)(estimator)
        return mean_contributions(gradient), values

    average, variance = 0.25, 1.0
    for number in range(4):
        # Every layer's f is the value.
        gradient, values = step(estimator, jax.random.split(jax.random.key(number), 8))
        estimator = descend(estimator, gradient, 0.2)
        if reduce != "nothing":
            variance = 0.8 * variance + 0.2 * np.mean((values - average) ** 2)
            average = 0.8 * average + 0.2 * np.mean(values)
        baseline = getattr(estimator, "estimator", estimator).baseline
        np.testing.assert_allclose(baseline.value, average, rtol=1e-10)
        if kind == "NVIL":
            np.testing.assert_allclose(baseline.variance, variance, rtol=1e-10)
        assert baseline.count == 0


def test_contributions_are_no_part_of_a_name():
    estimator = ScoreFunction(MovingAverage(0.9, 0.5))
    assert str(estimator) == "ScoreFunction[baseline=MovingAverage[decay=0.9,value=0.5]]"
    assert "baseline.count" not in estimator.hyperparameters()
    back = parse(str(estimator))
    assert jax.tree.structure(back) == jax.tree.structure(estimator)
    members = unstack(stack([estimator, estimator]))
    assert [str(member) for member in members] == [str(estimator)] * 2
    with pytest.raises(ValueError, match="has no field 'count'"):
        parse("ScoreFunction[baseline=MovingAverage[decay=0.9,count=1]]")


def test_one_counter_in_a_part():
    """A second one was ignored."""

    @pytree
    class Two(Part):
        value: Any = averaged(default=0.0)
        count: Any = counter(default=1.0)
        other: Any = counter(default=1.0)

    with pytest.raises(TypeError, match="Two has several counters, count, other"):
        mean_contributions(Two())


@pytest.mark.parametrize("network", [True, False])
def test_untrained_nvil_is_the_score_function(network):
    nvil = ScoreFunction(NVIL() if network else NVIL(network=None))
    nvil = nvil.initialise(jax.random.key(0), Bernoulli(jnp.asarray(LOGITS)))
    keys = hard_keys(joint(Bernoulli(LOGITS), 1)[0])
    of_nvil, plain = (
        per_key(estimator, Bernoulli, LOGITS, keys, f) for estimator in (nvil, ScoreFunction())
    )
    for one, other in zip(of_nvil, plain, strict=True):  # two programs, rounded apart
        np.testing.assert_allclose(one, other, rtol=1e-14)


def stirred(estimator):
    """With network weights that say something."""
    estimator = estimator.initialise(jax.random.key(0), Bernoulli(jnp.asarray(LOGITS)))
    return jax.tree.map(lambda leaf: leaf + 0.1 if leaf.ndim else leaf, estimator)


def test_network_is_subtracted():
    """The signal is f less the value less the network, seen from outside."""
    estimator = stirred(ScoreFunction(NVIL(value=0.4)))
    layers = jax.tree.map(np.asarray, estimator.baseline.network.layers)
    hidden = np.tanh(LOGITS @ layers["weight"] + layers["bias"])
    output = hidden @ layers["out"] + layers["out_bias"]
    assert abs(output) > 0.1
    samples, _ = joint(Bernoulli(LOGITS), 1)
    _, gradients = per_key(estimator, Bernoulli, LOGITS, hard_keys(samples), f)
    values = np.array([float(f(jnp.asarray(z[0]))) for z in samples])
    score = samples[:, 0] - 1 / (1 + np.exp(-LOGITS))
    np.testing.assert_allclose(gradients, (values - 0.4 - output)[:, None] * score, rtol=1e-10)


def test_network_does_not_differentiate_the_logits():
    """A live logit in the baseline would move the mean: of a constant f, away from zero."""

    def constant(z):
        return 1.0 + 0.0 * z[0]

    samples, chance = joint(Bernoulli(LOGITS), 1)
    estimator = stirred(ScoreFunction(NVIL()))
    _, gradients = per_key(estimator, Bernoulli, LOGITS, hard_keys(samples), constant)
    mean, variance = moments(chance, gradients)
    assert np.abs(mean).max() < 1e-14
    assert variance.max() > 1e-3


def test_network_learns_the_conditional_mean():
    """Of f given the logits, over two different distributions: no constant would do."""
    cases = np.array([[-2.0, 0.5, 1.0], [2.0, -0.5, -1.0]])
    wanted = np.array([float(exact(Bernoulli, logits, f)[0]) for logits in cases])
    estimator = ScoreFunction(NVIL()).initialise(
        jax.random.key(0), Bernoulli(jnp.asarray(cases[0]))
    )

    def batch_loss(estimator, key):
        return jnp.mean(
            jnp.stack(
                [
                    loss(estimator, jax.random.split(jax.random.fold_in(key, i), 200), logits)
                    for i, logits in enumerate(cases)
                ]
            )
        )

    def step(estimator, key):
        return descend(estimator, jax.grad(batch_loss)(estimator, key), 0.02), None

    keys = jax.random.split(jax.random.key(1), 500)
    trained, _ = jax.jit(lambda e: jax.lax.scan(step, e, keys))(estimator)
    learned = [trained.baseline.prediction(jnp.asarray(logits)) for logits in cases]
    assert abs(wanted[0] - wanted[1]) > 1
    # Batches of 200 whose f has a standard deviation of about 3, averaged over some 20 steps.
    np.testing.assert_allclose(learned, wanted, atol=0.2)


def test_value_that_the_caller_computed_is_trained_through_the_chain_rule():
    """From x, by whatever the caller likes; the model's parameters get nothing from it."""
    x = jnp.asarray([0.5, -1.5])

    def caller_loss(weights, logits, key):
        value = jnp.tanh(weights @ x)
        estimator = ScoreFunction(NVIL(network=None, value=value))
        return estimator(key, Bernoulli(logits), f)

    weights, logits, key = jnp.asarray([0.7, 0.2]), jnp.asarray(LOGITS), jax.random.key(5)
    estimate, gradient = jax.jit(jax.value_and_grad(caller_loss))(weights, logits, key)
    value = np.tanh(weights @ x)  # the estimate is f at the sample
    np.testing.assert_allclose(gradient, (value - estimate) * (1 - value**2) * x, rtol=1e-12)


def test_normalisation_uses_past_signals_only():
    """Their running variance: the signal's own size does not matter within a step."""
    decay = 0.8
    estimator = ScoreFunction(NVIL(decay, network=None, normalise=True, value=0.3, variance=9.0))
    keys = hard_keys(joint(Bernoulli(LOGITS), 1)[0])
    plain = ScoreFunction(NVIL(network=None, value=0.3))
    for scale in (1.0, 100.0):
        scaled, unscaled = (
            per_key(e, Bernoulli, LOGITS, keys, lambda z: 0.3 + scale * (f(z) - 0.3))[1]  # noqa: B023
            for e in (estimator, plain)
        )
        np.testing.assert_allclose(scaled, unscaled / 3, rtol=1e-12)


@pytest.mark.parametrize(("variance", "scale"), [(0.25, 1.0), (16.0, 0.25)])
def test_muprop_with_a_baseline_is_unbiased_up_to_its_scale(variance, scale):
    """The mean's own path is divided as the score is: else the sum would be tilted."""
    nvil = NVIL(network=None, normalise=True, value=0.3, variance=variance)
    mean, of_nvil = hard_moments(MuProp(nvil), Bernoulli, LOGITS, f)
    truth = exact(Bernoulli, LOGITS, f)[1]
    np.testing.assert_allclose(mean, scale * truth, rtol=1e-10)
    _, plain = hard_moments(MuProp(), Bernoulli, LOGITS, f)
    assert not np.allclose(of_nvil, scale**2 * plain, rtol=1e-2)  # it is subtracted


def test_muprops_baseline_learns_what_the_expansion_leaves():
    estimator = MuProp(MovingAverage(0.8, 0.25))
    mean = jax.nn.sigmoid(jnp.asarray(LOGITS))
    at_mean, slope = jax.value_and_grad(f)(mean)
    samples = joint(Bernoulli(LOGITS), 1)[0][:, 0]
    keys = hard_keys(samples[:, None])
    left = [f(z) - at_mean - slope @ (z - mean) for z in jnp.asarray(samples)]
    _, gradient = tuning(estimator, keys)
    np.testing.assert_allclose(gradient.baseline.value, 0.25 - np.mean(left), rtol=1e-10)


def test_running_variance_under_gradient_descent_is_the_moving_average():
    decay = 0.8
    estimator = ScoreFunction(NVIL(decay, network=None, normalise=True, value=0.3, variance=9.0))
    key = jax.random.key(3)
    value, gradient = tuning(estimator, key[None])
    after = descend(estimator, gradient, 1 - decay).baseline
    np.testing.assert_allclose(after.value, decay * 0.3 + (1 - decay) * value, rtol=1e-12)
    residual = value - 0.3
    np.testing.assert_allclose(after.variance, decay * 9 + (1 - decay) * residual**2, rtol=1e-12)
    assert after.decay == decay
