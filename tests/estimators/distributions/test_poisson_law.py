"""Quantiles of Poisson variables: steps where the distribution function has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from estimators.distributions.poisson_law import quantile

pytestmark = pytest.mark.usefixtures("strict_dtypes")

RATES = [1e-8, 1e-3, 1.0, 15.9, 16.1, 20.0, 100.0, 1e4]


def off_by(rate, height, dtype):
    """The counts whose step is further off than a share of its height, in either direction."""
    law = scipy.stats.poisson(np.exp(np.float64(dtype.type(np.log(rate)))))
    ends = law.ppf(1e-12), max(law.isf(1e-12), 2)
    counts = np.unique(np.floor(np.linspace(*ends, 1000)))
    below, above = law.cdf(counts), law.sf(counts)
    chance = np.minimum(law.pmf(counts), law.pmf(counts + 1))
    # Where the tail, and the share of the step in it, are numbers that the type holds.
    smaller, limits = np.minimum(below, above), np.finfo(dtype)
    kept = (smaller > limits.eps / 100) & (height * chance > 8 * limits.eps * smaller)
    counts, below, above, chance = (one[kept] for one in (counts, below, above, chance))
    wrong = np.zeros(len(counts), bool)
    for side in -1, 1:
        u, v = below + side * height * chance, above - side * height * chance
        log_rate = jnp.full(len(counts), np.log(rate), dtype)
        found = jax.jit(quantile)(log_rate, jnp.asarray(u, dtype), jnp.asarray(v, dtype))
        wrong |= np.asarray(found) != counts + (side > 0)
    assert len(counts) > (0 if rate < 1e-6 else 1 if rate < 1 else 8)
    return counts[wrong], law


@pytest.mark.parametrize("rate", RATES)
def test_steps(float64, rate):
    """In both tails, to a probability of 1e-12, within a thousandth of the height.

    From rate 16 on, counts whose distribution function is below 1e-5, within a twentieth.
    """
    wrong, law = off_by(rate, 1e-3, np.dtype("float64"))
    assert (law.cdf(wrong) < 1e-5).all()
    assert rate > 16 or not len(wrong)
    wrong, _ = off_by(rate, 5e-2, np.dtype("float64"))
    assert not len(wrong)


@pytest.mark.parametrize("rate", RATES)
def test_steps_in_single_precision(rate):
    """By a share that rounding allows: numbers near one half have an error of 6e-8."""
    wrong, _ = off_by(rate, 5e-2, np.dtype("float32"))
    assert not len(wrong)
