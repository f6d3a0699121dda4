"""Straight-through estimators and local expectations against their definitions, in float64."""

from functools import partial

import numpy as np
import pytest

from estimators import Bernoulli, Categorical, IndeCateR, parse
from tests.estimators.helpers.enumeration import exact, joint, moments, per_key
from tests.estimators.helpers.scripted import gumbel_keys, hard_keys, logistic_keys
from tests.estimators.test_definitions import BITS, CLASSES, World, coupled, probabilities

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

DISTRIBUTIONS = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}


def reinmax(world, z, temperature=1.0):
    slope = world.slope(z[0])
    tempered = probabilities(world.cls, world.logits / temperature)
    return 2 * world.through_mean(slope, (tempered + z[0]) / 2) - world.through_mean(slope) / 2


def reinmax_with_slope(world, z, scale=1.0):
    def heun(slope):
        half = world.through_mean(slope, (world.mean + z[0]) / 2)
        return 2 * half - world.through_mean(slope) / 2

    slope = world.slope(world.mean)
    return heun(world.slope(z[0]) - scale * slope) + scale * world.through_mean(slope)


def gapped(world, z, temperature, gap=None):
    drawn = z[0] > 0
    chance = world.mean[drawn][:, None]
    gap = -np.log(1 - chance) / chance if gap is None else gap
    largest = world.logits.max(-1, keepdims=True)
    moved = np.where(drawn, largest, np.minimum(world.logits, largest - gap))
    soft = probabilities(world.cls, moved / temperature)
    return world.through_mean(world.slope(z[0]), soft) / temperature


def variables(world):
    """Index of each variable in an event."""
    shape = world.logits.shape if world.cls is Bernoulli else world.logits.shape[:-1]
    return list(np.ndindex(*shape))


def local(world, z, i):
    """The gradient of the variable at i, summed over, given the others in z; zero elsewhere."""
    total = np.zeros_like(z)
    classes = world.logits.shape[-1]
    for value in (0.0, 1.0) if world.cls is Bernoulli else np.eye(classes):
        at = z.copy()
        at[i] = value
        chance = np.where(value, world.mean[i], 1 - world.mean[i])
        chance = chance if world.cls is Bernoulli else chance[value > 0]
        total[i] += world.f(at) * chance * (value - world.mean[i])
    return total


def local_expectation(world, z):
    return sum(local(world, z[0], i) for i in variables(world))


def indecater(world, z):
    places = variables(world)
    return sum(local(world, each, places[k % len(places)]) for k, each in enumerate(z)) * (
        len(places) / len(z)
    )


DEFINITIONS = {
    "ReinMax": (1, reinmax),
    "ReinMax[1.5]": (1, partial(reinmax, temperature=1.5)),
    "ReinMaxCV[control=slope]": (1, reinmax_with_slope),
    "ReinMaxCV[scale=0.4,control=slope]": (1, partial(reinmax_with_slope, scale=0.4)),
    "GappedStraightThrough[0.5]": (1, partial(gapped, temperature=0.5, gap=1.0)),
    "GappedStraightThrough[1.5,0.2]": (1, partial(gapped, temperature=1.5, gap=0.2)),
    "GappedStraightThrough[0.7,None]": (1, partial(gapped, temperature=0.7)),
    "LocalExpectation": (1, local_expectation),
}
"""How many hard samples an estimator takes, and its gradient given these."""


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_hard(name, distribution):
    """Over every hard sample: the gradient is the definition's; so are its moments."""
    estimator = parse(name)
    draws, definition = DEFINITIONS[name]
    cls, logits = DISTRIBUTIONS[distribution]
    if cls not in estimator.distributions:
        pytest.skip("distributions: not this one")
    samples, chance = joint(cls(logits), draws)
    values, gradients = per_key(estimator, cls, logits, hard_keys(samples), coupled)
    defined = np.array([definition(World(cls, logits), z) for z in samples])
    np.testing.assert_allclose(gradients, defined, rtol=1e-10, atol=1e-11)

    value, gradient = exact(cls, logits, coupled)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    mean, _ = moments(chance, gradients)
    if estimator.unbiased == "yes":
        np.testing.assert_allclose(mean, gradient, rtol=1e-11, atol=1e-12)
    else:
        assert np.abs(mean - gradient).max() > 1e-2


SMALL = {
    "Bernoulli": (Bernoulli, np.array([-1.5, 0.4])),
    "Categorical": (Categorical, np.array([[1.5, 0.5, -1.0], [-0.5, 0.3, 0.2]])),
}


@pytest.mark.parametrize(
    ("distribution", "num_samples"), [("Bernoulli", 1), ("Bernoulli", 2), ("Categorical", 1)]
)
def test_indecater(distribution, num_samples):
    """Over every tuple of samples, one for each variable."""
    cls, logits = SMALL[distribution]
    samples, chance = joint(cls(logits), 2 * num_samples)
    estimator = IndeCateR(num_samples)
    values, gradients = per_key(estimator, cls, logits, hard_keys(samples), coupled)
    defined = np.array([indecater(World(cls, logits), z) for z in samples])
    np.testing.assert_allclose(gradients, defined, rtol=1e-11, atol=1e-11)
    value, gradient = exact(cls, logits, coupled)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    np.testing.assert_allclose(moments(chance, gradients)[0], gradient, rtol=1e-11)


def posterior(cls, logits, z, noise):
    """The perturbed logits given the hard sample, as in Paulus et al. and in REBAR."""
    if cls is Bernoulli:
        sign = 2 * z - 1
        return sign * np.log1p(np.exp(sign * noise + np.log1p(np.exp(sign * logits))))
    exponential, power = np.exp(-noise), np.exp(logits)
    total = power.sum(-1, keepdims=True)
    winner = (z * exponential).sum(-1, keepdims=True)
    rest = -np.log(exponential / power + winner / total)
    return np.where(z > 0, -np.log(winner) + np.log(total), rest)


def hard(cls, perturbed):
    if cls is Bernoulli:
        return (perturbed > 0).astype(float)
    return (perturbed == perturbed.max(-1, keepdims=True)).astype(float)


def relaxed(world, slope, perturbed, temperature):
    """f' times the derivative of the relaxed sample."""
    soft = probabilities(world.cls, perturbed / temperature)
    return world.through_mean(slope, soft) / temperature


def averaged(world, slope, logits, z, noise, temperature):
    each = [posterior(world.cls, logits, z, one) for one in noise]
    return np.mean([relaxed(world, slope, one, temperature) for one in each], 0)


def gumbel_rao(world, noise, temperature):
    z = hard(world.cls, world.logits + noise[0])
    return averaged(world, world.slope(z), world.logits, z, noise[1:], temperature)


def halfway(world, z):
    half = (world.mean + z) / 2
    return np.log(half) - (np.log(1 - half) if world.cls is Bernoulli else 0)


def reinmax_rao(world, noise, temperature):
    z = hard(world.cls, world.logits + noise[0])
    slope = world.slope(z)
    step = averaged(world, slope, halfway(world, z), z, noise[1:], temperature)
    return 2 * step - world.through_mean(slope) / 2


def reinmax_cv(world, noise, temperature, scale):
    z = hard(world.cls, world.logits + noise[0])
    slope, middle = world.slope(z), halfway(world, z)
    step = averaged(world, slope, middle, z, noise[1:], temperature)
    plain = relaxed(world, slope, middle + noise[0], temperature)
    return reinmax(world, [z]) + scale * (step - plain)


def decoupled(world, noise, forward, backward):
    z = hard(world.cls, world.logits / forward + noise[0])
    soft = probabilities(world.cls, world.logits / backward + noise[0])
    return world.through_mean(world.slope(z), soft) / backward


NOISY = {
    "GumbelRao[0.5,1]": (2, partial(gumbel_rao, temperature=0.5)),
    "GumbelRao[1.5,3]": (4, partial(gumbel_rao, temperature=1.5)),
    "ReinMaxRao[0.5,1]": (2, partial(reinmax_rao, temperature=0.5)),
    "ReinMaxRao[1.5,3]": (4, partial(reinmax_rao, temperature=1.5)),
    "ReinMaxCV[1,1,1]": (2, partial(reinmax_cv, temperature=1.0, scale=1.0)),
    "ReinMaxCV[0.5,0.3,3]": (4, partial(reinmax_cv, temperature=0.5, scale=0.3)),
    "DecoupledStraightThroughGumbelSoftmax[1,0.5]": (
        1,
        partial(decoupled, forward=1, backward=0.5),
    ),
    "DecoupledStraightThroughGumbelSoftmax[0.6,1.7]": (
        1,
        partial(decoupled, forward=0.6, backward=1.7),
    ),
}
"""How many draws of noise an estimator takes, and its gradient given these."""


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("name", NOISY)
def test_noisy(name, distribution):
    """The gradient is the definition's, noise by noise."""
    draws, definition = NOISY[name]
    cls, logits = DISTRIBUTIONS[distribution]
    generator = np.random.default_rng(0)
    size = (300, draws, *logits.shape)
    if cls is Bernoulli:
        noise = generator.logistic(size=size)
        keys = logistic_keys(noise)
    else:
        noise = generator.gumbel(size=size)
        keys = gumbel_keys(noise)
    _, gradients = per_key(parse(name), cls, logits, keys, coupled)
    defined = [definition(World(cls, logits), each) for each in noise]
    np.testing.assert_allclose(gradients, defined, rtol=1e-8, atol=1e-10)
