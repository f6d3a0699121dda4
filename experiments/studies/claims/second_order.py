"""Claims about MVE and ZGR, exact over all values of the sample."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    DARN,
    MVE,
    Bernoulli,
    Categorical,
    Estimator,
    ReinMax,
    StraightThrough,
)
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Enumeration, Outcomes, apart, number

_LOGITS = np.array([[0.5, 0.0, -0.5], [1.0, -0.5, 0.2], [-1.0, 0.3, 0.6]])
_WEIGHTS = np.outer(np.arange(1.0, 4.0), [1.0, -1.0, 0.5])
_BITS = np.array([1.0, -1.0, 2.0, 0.5])
_EXACT = below(1e-4, effect=1e-4)
"""Of an exact number in single precision."""

_BIASED = above(0.01, effect=0.01)


def _linear(z: jax.Array) -> jax.Array:
    return jnp.sum(z * jnp.asarray(_WEIGHTS, z.dtype))


def _quadratic(z: jax.Array) -> jax.Array:
    return _linear(z) ** 2 + jnp.sum(z[0] * jnp.roll(z[1], 1)) * _linear(z)


def _cubic(z: jax.Array) -> jax.Array:
    return _linear(z) ** 3 / 4


def _shifted(z: jax.Array) -> jax.Array:
    """Return the quadratic plus a constant on the samples, whose slope is 5."""
    return _quadratic(z) + 5 * jnp.sum(z)


def _of_bits(z: jax.Array) -> jax.Array:
    return jnp.sum(z * jnp.asarray([1.0, -2.0, 0.5, 1.5], z.dtype)) ** 3 / 4


def _classes(scale: Scale) -> Enumeration:
    del scale
    return Enumeration(Categorical(jnp.asarray(_LOGITS, jnp.float32)))


def _bits(estimator: Estimator) -> np.ndarray:
    return Outcomes(estimator, Bernoulli(jnp.asarray(_BITS, jnp.float32)), _of_bits).gradients


def _mixture(penalty: float) -> Estimate:
    """Return how far MVE is from a mixture of straight-through and DARN, on bits."""
    spread = np.exp(_BITS) / (1 + np.exp(_BITS)) ** 2
    weight = 4 * penalty * spread / (1 + 4 * penalty * spread)
    mixed = (1 - weight) * _bits(StraightThrough()) + weight * _bits(DARN("sample"))
    return apart(_bits(MVE(penalty)), mixed)


def _random_linear(estimator: Estimator) -> float:
    """Return the second moment over random linear f of one variable: a sum over coordinates."""
    distribution = Categorical(jnp.asarray(_LOGITS[1:2], jnp.float32))
    total = 0.0
    for place in range(3):
        found = Outcomes(estimator, distribution, lambda z, place=place: z[0, place])
        total += float(found.chances @ np.sum(found.gradients**2, -1))
    return total


def _indicator(estimator: Estimator) -> Outcomes:
    distribution = Categorical(jnp.asarray([[0.2, -1.5, 1.0]], jnp.float32))
    return Outcomes(estimator, distribution, lambda z: z[0, 0])


def _zgr(at: Enumeration) -> Estimate:
    """Return how far ReinMax is from the mean of straight-through and DARN about the mean."""
    logits = jnp.asarray(_LOGITS, jnp.float32)
    states = Categorical(logits).states()
    centred = states - jax.nn.softmax(logits)[None]
    slopes = jax.vmap(jax.grad(_quadratic))(states)
    about_mean = centred * jnp.sum(slopes * centred, -1, keepdims=True)
    about_mean = np.asarray(about_mean).reshape(len(states), -1)
    return apart(
        at(ReinMax(), _quadratic).gradients,
        (at(StraightThrough(), _quadratic).gradients + about_mean) / 2,
    )


def _numbers(scale: Scale) -> Callable[[float], Outcomes]:
    """Return a function of T: MVE of a quadratic of the number of one of six classes."""
    del scale
    logits = jnp.asarray([[0.4, -0.6, 0.1, 0.9, -0.2, 0.3]], jnp.float32)

    def of_number(z: jax.Array) -> jax.Array:
        y = z[0] @ jnp.arange(6, dtype=z.dtype)
        return (y - 1.5) ** 2 / 4

    return lambda penalty: Outcomes(MVE(penalty, integer=True), Categorical(logits), of_number)


def _two_classes(penalty: float) -> Estimate:
    """Return how far apart MVE of the number and MVE of half the penalty are, on two classes."""
    distribution = Categorical(jnp.asarray([[0.7, -0.4], [0.0, 1.1]], jnp.float32))

    def f(z: jax.Array) -> jax.Array:
        y = z @ jnp.arange(2, dtype=z.dtype)
        return jnp.sum(y) ** 3 - y[0] * y[1] + y[0] / 2

    integer = Outcomes(MVE(penalty, integer=True), distribution, f).gradients
    return apart(integer, Outcomes(MVE(penalty / 2), distribution, f).gradients)


_HOOPER = "Hooper and Shekhovtsov 2026"

STUDIES = (
    ClaimStudy(
        "mve-penalty",
        "MVE by its penalty on three variables of three classes, all 27 samples",
        _classes,
        (
            Claim(
                "MVE with penalty 0 is straight-through, to the last bit",
                f"{_HOOPER}, limit T = 0",
                "largest difference, penalty 0 and straight-through",
                lambda at: apart(
                    at(MVE(0.0), _quadratic).gradients, at(StraightThrough(), _quadratic).gradients
                ),
                below(1e-12, effect=1e-12),
            ),
            Claim(
                "MVE is unbiased for linear f at a penalty between its limits",
                f"{_HOOPER}, constraint",
                "relative bias, linear f, penalty 3",
                lambda at: number(at(MVE(3.0), _linear).bias),
                _EXACT,
            ),
            Claim(
                "MVE with an infinite penalty is unbiased for coupled quadratics",
                f"{_HOOPER}, limit of T",
                "relative bias, quadratic f, infinite penalty",
                lambda at: number(at(MVE(), _quadratic).bias),
                _EXACT,
            ),
            Claim(
                "MVE with a finite penalty is biased for quadratics",
                f"{_HOOPER}, trade-off",
                "relative bias, quadratic f, penalty 10",
                lambda at: number(at(MVE(10.0), _quadratic).bias),
                _BIASED,
            ),
            Claim(
                "MVE's bias for quadratics falls like 1 / T",
                "derived",
                "log ratio of biases, penalty 200 over 2,000, less log 10",
                lambda at: number(
                    np.log(at(MVE(2e2), _quadratic).bias / at(MVE(2e3), _quadratic).bias / 10)
                ),
                between(-0.15, 0.15),
            ),
            Claim(
                "MVE with an infinite penalty is biased for cubics",
                "derived",
                "relative bias, cubic f, infinite penalty",
                lambda at: number(at(MVE(), _cubic).bias),
                _BIASED,
            ),
            Claim(
                "A slope that is the same for all classes does not change MVE",
                "derived: the rows of S sum to zero",
                "largest change by a slope of 5",
                lambda at: apart(
                    at(MVE(2.0), _shifted).gradients, at(MVE(2.0), _quadratic).gradients
                ),
                _EXACT,
            ),
        ),
    ),
    ClaimStudy(
        "mve-and-zgr",
        "MVE with an infinite penalty beside ReinMax and DARN, all samples",
        _classes,
        (
            Claim(
                "On bits MVE with an infinite penalty is ReinMax at temperature 1",
                "derived",
                "largest difference, MVE and ReinMax on bits",
                lambda _: apart(_bits(MVE()), _bits(ReinMax())),
                _EXACT,
            ),
            Claim(
                "On bits MVE is a mixture of straight-through and DARN, with weights in closed "
                "form",
                "derived",
                "largest difference from the mixture, penalty 1.5",
                lambda _: _mixture(1.5),
                _EXACT,
            ),
            Claim(
                "With three classes MVE with an infinite penalty is not ReinMax",
                "derived",
                "largest difference, MVE and ReinMax on classes",
                lambda at: apart(
                    at(MVE(), _quadratic).gradients, at(ReinMax(), _quadratic).gradients
                ),
                _BIASED,
            ),
            Claim(
                "Of the two, MVE has the smaller second moment over random linear f",
                f"{_HOOPER}, optimality",
                "log ratio of second moments, MVE over ReinMax",
                lambda _: number(np.log(_random_linear(MVE()) / _random_linear(ReinMax()))),
                below(0.0, effect=0.001),
            ),
            Claim(
                "For the indicator of a class MVE can have more variance than ReinMax",
                "derived",
                "log variance ratio, MVE over ReinMax, an indicator",
                lambda _: number(
                    np.log(_indicator(MVE()).variance / _indicator(ReinMax()).variance)
                ),
                above(0.0, effect=0.01),
            ),
            Claim(
                "ReinMax at temperature 1 is ZGR, the mean of straight-through and DARN about the "
                "mean",
                "Shekhovtsov 2023, abstract",
                "largest difference, ReinMax and the mean of two",
                _zgr,
                _EXACT,
            ),
            Claim(
                "ReinMax at another temperature is biased for linear f",
                "derived",
                "relative bias, linear f, temperature 1.5",
                lambda at: number(at(ReinMax(1.5), _linear).bias),
                _BIASED,
            ),
        ),
    ),
    ClaimStudy(
        "mve-numbers",
        "MVE of f of the number of one of six classes, all samples",
        _numbers,
        (
            Claim(
                "MVE of numbers with an infinite penalty is unbiased for quadratics",
                f"{_HOOPER}, integer form",
                "relative bias, infinite penalty",
                lambda of_number: number(of_number(float("inf")).bias),
                _EXACT,
            ),
            Claim(
                "MVE of numbers is biased for quadratics at penalty 1",
                f"{_HOOPER}, integer form",
                "relative bias, penalty 1",
                lambda of_number: number(of_number(1.0).bias),
                _BIASED,
            ),
            Claim(
                "With two classes, MVE of numbers is MVE at half the penalty",
                "derived",
                "largest difference on two classes, penalty 3",
                lambda _: _two_classes(3.0),
                _EXACT,
            ),
        ),
    ),
)
