"""Straight-through estimators and local expectations against their definitions, in float64."""

from functools import partial

import numpy as np
import pytest

from estimators import Bernoulli, Categorical, parse
from tests.estimators.enumeration import exact, joint, moments, per_key
from tests.estimators.scripted import hard_keys
from tests.estimators.test_definitions import BITS, CLASSES, World, coupled, probabilities

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

DISTRIBUTIONS = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}


def reinmax(world, z, temperature=1.0):
    slope = world.slope(z[0])
    tempered = probabilities(world.cls, world.logits / temperature)
    return 2 * world.through_mean(slope, (tempered + z[0]) / 2) - world.through_mean(slope) / 2


DEFINITIONS = {
    "ReinMax": (1, reinmax),
    "ReinMax[1.5]": (1, partial(reinmax, temperature=1.5)),
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
