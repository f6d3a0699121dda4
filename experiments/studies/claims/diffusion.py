"""Claims about the diffusion relaxation by its number of steps."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Categorical, DiffusionRelaxation, Estimator, StraightThrough
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.measurements import Measurements
from experiments.studies.claims.outcomes import apart
from experiments.studies.claims.quantities import squared_bias_difference
from experiments.studies.claims.toys import CustomToy

_LOGITS = np.array([0.3, -0.8, 1.1, 0.0])
_LIKELIEST = 2
_CHANCE = float(np.exp(_LOGITS[_LIKELIEST]) / np.exp(_LOGITS).sum())


def _f(z: jax.Array) -> jax.Array:
    """Return a quadratic of one variable of four classes."""
    at = z[0] @ jnp.asarray([1.0, 0.2, -0.7, 0.0], z.dtype)
    return (at - 0.6) ** 2 + 0.5 * at


class _Relaxed:
    """Relaxed samples of one variable, by the number of steps."""

    def __init__(self, scale: Scale):
        self._keys = jax.random.split(jax.random.key(0), scale.samples(1 << 16))

    def gradients(self, estimator: Estimator) -> np.ndarray:
        """Return gradients `[n, 4]`."""

        def loss(logits: jax.Array, key: jax.Array) -> jax.Array:
            return estimator(key, Categorical(logits), _f)

        each = jax.vmap(jax.grad(loss), (None, 0))
        found = jax.jit(each)(jnp.asarray(_LOGITS[None], jnp.float32), self._keys)
        return np.asarray(found, np.float64)[:, 0]

    def values(self, steps: int, of: Callable[[jax.Array], jax.Array]) -> np.ndarray:
        """Return a function of the soft sample of a number of steps, `[n]`."""
        law = Categorical(jnp.asarray(_LOGITS, jnp.float32))

        def value(key: jax.Array) -> jax.Array:
            return DiffusionRelaxation(steps)(key, law, of)

        return np.asarray(jax.jit(jax.vmap(value))(self._keys), np.float64)


def _likeliest(relaxed: _Relaxed, steps: int) -> np.ndarray:
    """Return the likeliest entry of soft samples, less its probability."""
    return relaxed.values(steps, lambda z: z[_LIKELIEST]) - _CHANCE


def _mean_field(relaxed: _Relaxed) -> Estimate:
    """Return how far gradients of one soft step are from the derivative of f at the mean."""
    slope = jax.grad(lambda logits: _f(jax.nn.softmax(logits)))
    exact = np.asarray(slope(jnp.asarray(_LOGITS[None], jnp.float32)))
    return apart(relaxed.gradients(DiffusionRelaxation(1)), exact)


def _toy(scale: Scale) -> Measurements:
    return Measurements(scale, CustomToy(_f, _LOGITS[None]), 1 << 18)


_REDGE = "Gourevitch et al. 2026"

STUDIES = (
    ClaimStudy(
        "diffusion-law",
        "diffusion relaxation of one variable of four classes by its steps, 2^16 draws",
        _Relaxed,
        (
            Claim(
                "With one step the straight-through form of diffusion is straight-through",
                f"{_REDGE}, abstract",
                "largest difference, one step and straight-through",
                lambda relaxed: apart(
                    relaxed.gradients(DiffusionRelaxation(1, straight_through=True)),
                    relaxed.gradients(StraightThrough()),
                ),
                below(1e-4, effect=1e-4),
            ),
            Claim(
                "With one step the soft form is the mean-field pass",
                "derived",
                "largest difference, one step and f at the mean",
                _mean_field,
                below(1e-4, effect=1e-4),
            ),
            Claim(
                "With many steps the mean of a diffused sample goes to the probability",
                f"{_REDGE}, abstract; derived",
                "likeliest entry less its probability, 100 steps",
                lambda relaxed: sample_mean(_likeliest(relaxed, 100)),
                between(-0.015, 0.015),
            ),
            Claim(
                "With many steps a diffused sample is a class",
                "derived",
                "1 less the largest entry, 100 steps",
                lambda relaxed: sample_mean(1 - relaxed.values(100, jnp.max)),
                below(0.005, effect=0.004),
            ),
            Claim(
                "With five steps the mean is not the probability",
                "derived",
                "likeliest entry less its probability, 5 steps",
                lambda relaxed: sample_mean(_likeliest(relaxed, 5)),
                above(0.01, effect=0.01),
            ),
            Claim(
                "With three steps the largest entry is not categorical, unlike Gumbel-softmax's",
                "derived",
                "frequency of the likeliest class less its probability, 3 steps",
                lambda relaxed: sample_mean(
                    relaxed.values(3, lambda z: (jnp.argmax(z) == _LIKELIEST).astype(z.dtype))
                    - _CHANCE
                ),
                above(0.01, effect=0.01),
            ),
        ),
    ),
    ClaimStudy(
        "diffusion-trade-off",
        "diffusion relaxation of a quadratic of four classes at 2 and 5 steps, 2^18 gradients",
        _toy,
        (
            Claim(
                "More steps raise the variance of the soft diffusion relaxation",
                "derived",
                "log variance ratio, 5 steps over 2",
                lambda measured: measured.ratio(DiffusionRelaxation(5), DiffusionRelaxation(2)),
                above(0.0, effect=0.1),
            ),
            Claim(
                "More steps lower the bias of the soft diffusion relaxation",
                "derived",
                "squared bias at 2 steps, less that at 5",
                lambda measured: squared_bias_difference(
                    measured(DiffusionRelaxation(2)),
                    measured(DiffusionRelaxation(5)),
                    measured.truth,
                ),
                above(0.0, effect=0.01),
            ),
        ),
    ),
)
