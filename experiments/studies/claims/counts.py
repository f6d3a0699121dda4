"""Claims about counts: differences, the trapezoid, relaxed counts."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    ArrivalTimes,
    Distribution,
    Pathwise,
    Poisson,
    PoissonDifference,
    RelaxedCount,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
)
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Enumeration, apart, number

_RATE = 2.3
_EXACT = below(1e-4, effect=1e-4)
_BIASED = above(0.01, effect=0.01)
_ENUMERATED = 40
"""No count above it: of a rate of 2.3, less than 1e-30."""

_Indicator = Literal["hard_sigmoid", "cubic", "sigmoid"]
_Direction = Literal["up", "down"]
_DIRECTIONS: tuple[_Direction, ...] = "up", "down"

_RELAXED_RATE, _ARRIVALS = 3.0, 24


def _linear(x: jax.Array) -> jax.Array:
    return 2 * jnp.sum(x)


def _square(x: jax.Array) -> jax.Array:
    return jnp.sum(x) ** 2


def _cubic(x: jax.Array) -> jax.Array:
    return jnp.sum(x) ** 3 / 4


def _wave(x: jax.Array) -> jax.Array:
    return jnp.cos(1.3 * jnp.sum(x))


def _exactly(scale: Scale) -> Enumeration:
    """Return one count, enumerated."""
    del scale
    return Enumeration(Poisson(jnp.log(jnp.full(1, _RATE, jnp.float32)), _ENUMERATED))


def _curvature(exactly: Enumeration) -> Estimate:
    """Return the bias of straight-through for x^2, over lambda f'' / 2, plus 1."""
    found = exactly(StraightThrough(), _square)
    return number((found.mean - found.truth)[0] / _RATE + 1)


def _unbiased(direction: _Direction) -> Claim:
    return Claim(
        f"Differences {direction} are unbiased for any f of a count",
        "derived",
        f"relative bias of differences {direction}, a wave",
        lambda exactly: number(exactly(PoissonDifference(direction), _wave).bias),
        _EXACT,
    )


def _trapezoid(exactly: Enumeration) -> Estimate:
    """Return how far the second-order form is from both differences and the score."""
    both = [exactly(PoissonDifference(direction), _square).gradients for direction in _DIRECTIONS]
    score = np.arange(_ENUMERATED + 1)[:, None] - _RATE
    mixed = (both[0] + both[1] + score) / 2
    return apart(exactly(SecondOrderStraightThrough(), _square).gradients, mixed)


class _Drawn:
    """Relaxed counts of rate 3, and derivatives in the log-rate, by the relaxation."""

    def __init__(self, scale: Scale):
        self._keys = jax.random.split(jax.random.key(0), scale.samples(1 << 19))

    def samples(self, law: Distribution) -> np.ndarray:
        """Return samples `[n]`."""
        return np.asarray(jax.jit(jax.vmap(law.sample))(self._keys), np.float64)

    def slopes(self, make: Callable[[jax.Array], Distribution]) -> np.ndarray:
        """Return pathwise derivatives of the mean square in the log-rate, `[n]`."""

        def loss(log_rate: jax.Array, key: jax.Array) -> jax.Array:
            return Pathwise()(key, make(log_rate), lambda x: x**2)

        each = jax.vmap(jax.grad(loss), (None, 0))
        return np.asarray(jax.jit(each)(jnp.log(_RELAXED_RATE), self._keys), np.float64)


def _arrivals(temperature: float, indicator: _Indicator) -> Callable[[jax.Array], ArrivalTimes]:
    return lambda log_rate: ArrivalTimes(log_rate, jnp.float32(temperature), _ARRIVALS, indicator)


def _count(temperature: float) -> RelaxedCount:
    return RelaxedCount(jnp.log(jnp.float32(_RELAXED_RATE)), jnp.float32(temperature), 14)


def _mean(drawn: _Drawn, temperature: float, indicator: _Indicator) -> Estimate:
    """Return the mean over the rate, less 1."""
    law = _arrivals(temperature, indicator)(jnp.log(jnp.float32(_RELAXED_RATE)))
    return sample_mean(drawn.samples(law) / _RELAXED_RATE - 1)


def _spread(drawn: _Drawn, temperature: float, indicator: _Indicator) -> Estimate:
    """Return the variance over the rate, of a law whose mean is the rate."""
    law = _arrivals(temperature, indicator)(jnp.log(jnp.float32(_RELAXED_RATE)))
    return sample_mean((drawn.samples(law) - _RELAXED_RATE) ** 2 / _RELAXED_RATE)


def _squares(samples: np.ndarray) -> np.ndarray:
    """Return the squared distances from the mean, over the rate."""
    return (samples - samples.mean()) ** 2 / _RELAXED_RATE


def _less(found: Estimate, value: float) -> Estimate:
    return Estimate.student(found.value - value, found.error, found.degrees)


_VAFAII = "Vafaii et al. 2024"

STUDIES = (
    ClaimStudy(
        "count-order",
        f"estimators of one Poisson variable of rate {_RATE}, all counts to {_ENUMERATED}",
        _exactly,
        (
            *map(_unbiased, _DIRECTIONS),
            Claim(
                "Differences down have more variance than differences up",
                "derived",
                "log variance ratio, down over up",
                lambda exactly: exactly.log_ratio(
                    PoissonDifference("down"), PoissonDifference("up"), _square
                ),
                above(0.0, effect=0.5),
            ),
            Claim(
                "Differences down have less variance than the score function",
                "derived",
                "log variance ratio, down over the score function",
                lambda exactly: exactly.log_ratio(
                    PoissonDifference("down"), ScoreFunction(), _square
                ),
                below(0.0, effect=0.5),
            ),
            Claim(
                "Straight-through is unbiased for a linear f of a count",
                "derived",
                "relative bias of straight-through, linear f",
                lambda exactly: number(exactly(StraightThrough(), _linear).bias),
                _EXACT,
            ),
            Claim(
                "The bias of straight-through for a quadratic f of a count is half its curvature "
                "times the rate",
                "derived",
                "bias over rate and half the curvature, plus 1",
                _curvature,
                between(-1e-4, 1e-4),
            ),
            Claim(
                "The trapezoid, straight-through of second order, is unbiased for a quadratic f of "
                "a count",
                "derived",
                "relative bias of the trapezoid, quadratic f",
                lambda exactly: number(exactly(SecondOrderStraightThrough(), _square).bias),
                _EXACT,
            ),
            Claim(
                "The trapezoid is biased for a cubic f of a count",
                "derived",
                "relative bias of the trapezoid, cubic f",
                lambda exactly: number(exactly(SecondOrderStraightThrough(), _cubic).bias),
                _BIASED,
            ),
            Claim(
                "For a quadratic f the trapezoid is the mean of both differences plus half the "
                "score times half the curvature",
                "derived",
                "largest difference, trapezoid and both differences",
                _trapezoid,
                _EXACT,
            ),
        ),
    ),
    ClaimStudy(
        "arrival-times",
        "relaxed arrival times of rate 3, 2^19 draws",
        _Drawn,
        (
            Claim(
                "With the cubic indicator relaxed arrivals have the mean of the count",
                "derived: Campbell's theorem",
                "mean over the rate, less 1, cubic, temperature 1",
                lambda drawn: _mean(drawn, 1.0, "cubic"),
                between(-0.02, 0.02),
            ),
            Claim(
                "With the sigmoid the mean of relaxed arrivals is larger by log(1 + e) at "
                "temperature 1",
                "derived: Campbell's theorem",
                "mean over the rate, less 1.3133, sigmoid, temperature 1",
                lambda drawn: _less(_mean(drawn, 1.0, "sigmoid"), float(np.log1p(np.e)) - 1),
                between(-0.02, 0.02),
            ),
            Claim(
                "With the cubic indicator their variance is less by 9/35 of the temperature",
                "derived: Campbell's theorem",
                "variance over the rate, less 1 - 9/70, cubic, temperature 0.5",
                lambda drawn: _less(_spread(drawn, 0.5, "cubic"), 1 - 9 / 70),
                between(-0.03, 0.03),
            ),
            Claim(
                "With the hard sigmoid their variance is less by a third of the temperature",
                "derived: Campbell's theorem",
                "variance over the rate, less 5/6, hard sigmoid, temperature 0.5",
                lambda drawn: _less(_spread(drawn, 0.5, "hard_sigmoid"), 1 - 1 / 6),
                between(-0.03, 0.03),
            ),
            Claim(
                "So the pathwise derivative of a mean square is too small by 9/35 of the "
                "temperature per unit of rate",
                "derived",
                "error of the derivative over the rate, plus 9/70, temperature 0.5",
                lambda drawn: sample_mean(
                    (drawn.slopes(_arrivals(0.5, "cubic")) - _RELAXED_RATE - 2 * _RELAXED_RATE**2)
                    / _RELAXED_RATE
                    + 9 / 70
                ),
                between(-0.06, 0.06),
            ),
        ),
    ),
    ClaimStudy(
        "relaxed-count",
        "relaxed counts of rate 3 up to 14, 2^19 draws",
        _Drawn,
        (
            Claim(
                "At temperature 1 a relaxed count has less than half of the variance of the count",
                "derived, against Joo et al. 2020",
                "variance over the rate at temperature 1",
                lambda drawn: sample_mean(_squares(drawn.samples(_count(1.0)))),
                below(0.5, effect=0.1),
            ),
            Claim(
                "At temperature 1 the mean of a relaxed count is above the rate",
                "derived, against Joo et al. 2020",
                "mean less the rate at temperature 1",
                lambda drawn: sample_mean(drawn.samples(_count(1.0)) - _RELAXED_RATE),
                above(0.05, effect=0.05),
            ),
            Claim(
                "As the temperature goes to 0, the mean of a relaxed count goes to the rate",
                "Joo et al. 2020, section 3",
                "mean less the rate at temperature 0.02",
                lambda drawn: sample_mean(drawn.samples(_count(0.02)) - _RELAXED_RATE),
                between(-0.04, 0.04),
            ),
            Claim(
                "As the temperature goes to 0, the variance of a relaxed count goes to that of the "
                "count",
                "Joo et al. 2020, section 3",
                "variance over the rate, less 1, at temperature 0.02",
                lambda drawn: sample_mean(_squares(drawn.samples(_count(0.02))) - 1),
                between(-0.05, 0.05),
            ),
        ),
    ),
)
