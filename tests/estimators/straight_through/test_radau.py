"""RadauStraightThrough: exact for cubics, which the score times a two-point rule is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Bernoulli, Categorical, RadauStraightThrough
from tests.estimators.helpers.enumeration import exact, joint, moments, per_key
from tests.estimators.test_identities import (
    BITS,
    CLASSES,
    RIGHT,
    coupled_cubic,
    coupled_quadratic,
    linear,
)

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")


def quartic(z):
    return (RIGHT[: z.size] @ z.ravel()) ** 4


def mean_gradient(cls, logits, f):
    """The mean over samples and over m, from the definition."""
    distribution = cls(jnp.asarray(logits))
    samples, chance = joint(distribution, 1)
    total = 0
    for sample, weight in zip(samples[:, 0], chance, strict=True):
        score = distribution.score(jnp.asarray(sample)).logits
        rule = sum(
            share * jax.grad(f)(jnp.asarray(m * sample)).ravel() @ sample.ravel()
            for m, share in ((1, 0.25), (1 / 3, 0.75))
        )
        total = total + weight * rule * score
    return total


@pytest.mark.parametrize(("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)])
@pytest.mark.parametrize("f", [linear, coupled_quadratic, coupled_cubic, quartic])
def test_exact_for_cubics(cls, logits, f):
    difference = abs(mean_gradient(cls, logits, f) - exact(cls, logits, f)[1]).max()
    assert difference < 1e-11 if f is not quartic else difference > 1e-3


@pytest.mark.parametrize(("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)])
def test_draws_what_is_defined(cls, logits):
    """Over many keys: the mean of the definition, for an f that it is biased for."""
    keys = jax.random.split(jax.random.key(3), 2**17)
    _, gradients = per_key(RadauStraightThrough(), cls, logits, keys, quartic)
    mean, variance = moments(np.full(len(keys), 1 / len(keys)), gradients)
    error = np.sqrt(variance / len(keys))
    assert (abs(mean - mean_gradient(cls, logits, quartic)) < 5 * error + 1e-12).all()
