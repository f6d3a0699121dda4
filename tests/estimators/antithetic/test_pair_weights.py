"""The weights of CARMS, in either precision, for any pair of classes however rare."""

import decimal
import itertools
from decimal import Decimal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators.antithetic.orders import num_orders, pair_weights
from tests.estimators.antithetic.test_categorical_antithetic import orders

pytestmark = pytest.mark.usefixtures("float64")


def chances(classes, spread):
    logits = spread * np.random.default_rng(2).normal(size=classes)
    return np.asarray(jax.nn.softmax(jnp.asarray(logits, "float32")))


def defined(chance, count):
    """The definition in 80 digits: `[K, K]`, above the diagonal."""
    with decimal.localcontext(prec=80):
        power, classes = count - 1, len(chance)
        root = (Decimal(1) / power).__rpow__ if power > 1 else (lambda x: x)
        chance = [Decimal(float(p)) for p in chance]
        chance = [p / sum(chance) for p in chance]
        joint = np.full((classes, classes), Decimal(0))
        for order in orders(classes):
            ends = list(itertools.accumulate((chance[k] for k in order), initial=Decimal(0)))
            roots = [root(x) for x in ends[:-1]] + [Decimal(1)]
            below = np.array([[max(x + y - 1, 0) ** power for y in roots] for x in roots])
            cells = below[1:, 1:] - below[1:, :-1] - below[:-1, 1:] + below[:-1, :-1]
            place = np.argsort(order)
            joint += cells[np.ix_(place, place)]
        np.fill_diagonal(joint, Decimal(1))
        joint /= num_orders(classes)
        column = np.array(chance)[:, None]
        return (column * column.T / joint).astype(float)


def found(chance, one, other, count, dtype):
    """Return the weights of pairs, each of a variable of its own."""
    drawn = np.stack([one, *[other] * (count - 1)])
    chance = np.broadcast_to(chance.astype(dtype), (len(one), len(chance)))
    return np.asarray(jax.jit(pair_weights)(chance, drawn.astype("int32")))[0]


@pytest.mark.first_cases(3)
@pytest.mark.parametrize("spread", [1, 8])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_pair(count, spread):
    """In float32 as in 80 digits: a difference of joint chances is wrong by up to the cap."""
    chance = chances(12, spread)
    one, other = pairs = np.triu_indices(12, 1)
    wanted = defined(chance, count)[pairs]
    np.testing.assert_allclose(found(chance, one, other, count, "float32"), wanted, rtol=2e-6)
    exact = chance.astype(float) / chance.astype(float).sum()
    np.testing.assert_allclose(found(exact, one, other, count, "float64"), wanted, rtol=1e-12)
    reverse = found(chance, other, one, count, "float32")
    np.testing.assert_allclose(reverse, wanted, rtol=2e-6)


@pytest.mark.many_samples
@pytest.mark.parametrize(
    ("count", "spread"),
    [
        pytest.param(count, spread, marks=[pytest.mark.slow] * (count > 2 or spread == 1))
        for count in (2, 3, 4)
        for spread in (1, 2, 8)
    ],
)
def test_many_classes(count, spread):
    """Some pairs of a thousand classes, in float32 as in float64."""
    chance, rng = chances(1000, spread), np.random.default_rng(0)
    rarest = np.argsort(chance)[:6]
    one = np.concatenate([rng.integers(0, 1000, 8), rarest[:3]])
    other = np.concatenate([(one[:8] + rng.integers(1, 1000, 8)) % 1000, rarest[3:]])
    exact = chance.astype(float) / chance.astype(float).sum()
    wanted = found(exact, one, other, count, "float64")
    np.testing.assert_allclose(found(chance, one, other, count, "float32"), wanted, rtol=1e-5)


@pytest.mark.parametrize("count", [2, 4])
def test_a_class_that_cannot_be_drawn_has_no_weight(count):
    """And nothing else becomes NaN, also where one class is certain."""
    for each in ([0, 0.25, 0, 0.75], [0, 1, 0, 0], [2e-38, 1, 2e-38, 0]):
        chance = np.array(each, np.float32)
        one, other = (each.ravel() for each in np.indices((4, 4)))
        weights = found(chance, one, other, count, "float32")
        assert np.isfinite(weights).all()
        assert (weights >= 0).all() and (weights <= num_orders(4)).all()
        np.testing.assert_array_equal(weights > 0, (chance[one] > 0) & (chance[other] > 0))
