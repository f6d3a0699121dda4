"""Identities of the straight-through estimators and of local expectations."""

import jax
import numpy as np
import pytest

from estimators import DARN, Bernoulli, Categorical, ReinMax, StraightThrough
from tests.estimators.enumeration import per_key
from tests.estimators.test_identities import (
    BIASED,
    BITS,
    CLASSES,
    EXACT,
    LEFT,
    RIGHT,
    bias,
    coupled_cubic,
    coupled_quadratic,
    linear,
    multilinear,
    separable_quadratic,
)

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

WORLDS = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}
FIVE_CLASSES = np.array([[1.0, -2.0, 0.3, 0.0, 0.7]])


def of_five(z):
    x = z.ravel()
    return (LEFT[:5] @ x) * (RIGHT[:5] @ x) + 0.3 * x[1] ** 2 - x[4]


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize(
    ("estimator", "f", "is_exact"),
    [
        (ReinMax(1.0), linear, True),
        (ReinMax(1.0), separable_quadratic, True),
        (ReinMax(1.0), coupled_quadratic, True),
        (ReinMax(1.0), coupled_cubic, False),
        (ReinMax(2.0), linear, False),
        (StraightThrough(), coupled_quadratic, False),
    ],
    ids=lambda x: getattr(x, "__name__", None) or str(x),
)
def test_exact(estimator, f, is_exact, name):
    found = bias(estimator, *WORLDS[name], f)
    assert found < EXACT if is_exact else found > BIASED


def test_reinmax_is_exact_for_quadratics_of_five_classes():
    assert bias(ReinMax(), Categorical, FIVE_CLASSES, of_five) < EXACT
    assert bias(StraightThrough(), Categorical, FIVE_CLASSES, of_five) > BIASED


def test_reinmax_is_exact_for_multilinear_f_of_bits():
    assert bias(ReinMax(), Bernoulli, BITS, multilinear) < EXACT


@pytest.mark.parametrize("f", [coupled_cubic, multilinear])
def test_reinmax_of_bits_is_darn(f):
    """Sample by sample, at temperature 1."""
    keys = jax.random.split(jax.random.key(0), 100)
    results = [per_key(member, Bernoulli, BITS, keys, f) for member in (ReinMax(), DARN("sample"))]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_reinmax_of_two_classes_is_darn_and_of_three_is_not():
    keys = jax.random.split(jax.random.key(0), 100)
    for logits, same in ((CLASSES[:, :2], True), (CLASSES, False)):
        one, other = (
            per_key(member, Categorical, logits, keys, coupled_cubic)[1]
            for member in (ReinMax(), DARN("sample"))
        )
        assert (np.abs(one - other).max() < 1e-12) == same
