"""Claims about noise that averages out: perturbed arg max, Radau's rule, Gumbel-Rao, ARSM."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    ARM,
    ARSM,
    Bernoulli,
    Categorical,
    DisARM,
    Distribution,
    Estimator,
    GumbelRao,
    RadauStraightThrough,
    ReinMax,
    ScoreFunction,
    frozen,
)
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.measurements import Measurements
from experiments.studies.claims.outcomes import Enumeration, Function, apart
from experiments.studies.claims.toys import CustomToy

_LOGITS = np.array([[0.5, 0.0, -0.5], [1.0, -0.5, 0.2]])
_WEIGHTS = np.array([[1.0, -1.0, 0.5], [0.4, 1.2, -0.8]])
_FOUR = np.array([0.3, -0.8, 1.1, 0.0])
_VALUES = np.array([1.0, 0.2, -0.7, 0.0])


def _linear(z: jax.Array) -> jax.Array:
    return 1.5 + jnp.sum(z * jnp.asarray(_WEIGHTS, z.dtype))


def _less(z: jax.Array) -> jax.Array:
    return _linear(z) - 1.5


def _cubic(z: jax.Array) -> jax.Array:
    return _less(z) ** 3 + z[0, 0] * z[1, 2] * _less(z) - z[0, 1] * z[1, 0] + 0.3


def _quartic(z: jax.Array) -> jax.Array:
    return 2 * jnp.sum(z[0] * jnp.asarray([1.0, 0.5, -1.0], z.dtype)) ** 4 + _less(z) ** 4


class _Perturbed(NamedTuple):
    """Draws of a perturbed arg max.

    Attributes:
        noise: the derivative of minus the log-density of the Gumbel noise, `[n, K]`.
        score: the score of the class drawn, `[n, K]`.
        values: f, `[n, 1]`.
    """

    noise: np.ndarray
    score: np.ndarray
    values: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """The first coordinate of the noise less the score, where the first class was drawn."""
        drawn = self.score[:, 0] > 0
        return (self.noise - self.score)[drawn, 0]


def _perturbed(scale: Scale) -> _Perturbed:
    law = Categorical(jnp.asarray(_FOUR, jnp.float32))

    def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise = law.noise(key)
        return noise, law.hard(law.perturb(noise))

    keys = jax.random.split(jax.random.key(0), scale.samples(1 << 18))
    noise, samples = (np.asarray(one, np.float64) for one in jax.jit(jax.vmap(draw))(keys))
    probs = np.exp(_FOUR) / np.exp(_FOUR).sum()
    return _Perturbed(1 - np.exp(-noise), samples - probs, (samples @ _VALUES)[:, None])


def _gumbel_rao(scale: Scale) -> dict[float, np.ndarray]:
    """Return Gumbel-Rao's length along ReinMax given the class, less 1, by temperature, `[n]`."""
    distribution = Categorical(jnp.asarray(_FOUR, jnp.float32))
    slope = jnp.asarray(_VALUES, jnp.float32)
    keys = jax.random.split(jax.random.key(1), scale.samples(1 << 13))

    def gradients(estimator: Estimator) -> np.ndarray:
        def loss(logits: jax.Array, key: jax.Array) -> jax.Array:
            return estimator(key, Categorical(logits), lambda z: z @ slope)

        each = jax.vmap(jax.grad(loss), (None, 0))
        return np.asarray(jax.jit(each)(distribution.logits, keys), np.float64)

    limit = gradients(ReinMax())
    square = (limit**2).sum(-1).mean()
    return {
        temperature: ((gradients(GumbelRao(temperature, 200)) - limit) * limit).sum(-1) / square
        for temperature in (0.03, 1.0)
    }


def _cubic_f(scale: Scale) -> Measurements:
    return Measurements(scale, CustomToy(_cubic, _LOGITS), 1 << 20)


def _on_linear(scale: Scale) -> Estimate:
    """Return how far Radau's rule is from the score function of f less f(0), for linear f."""
    del scale
    at = Enumeration(Categorical(jnp.asarray(_LOGITS, jnp.float32)))
    first, second = at(RadauStraightThrough(), _linear), at(ScoreFunction(), _less)
    return apart(first.gradients, second.gradients)


class _Swaps:
    """Gradients of ARSM with two classes, and of ARM on bits of the differences of logits."""

    def __init__(self, scale: Scale):
        self._keys = jax.random.split(jax.random.key(2), scale.samples(1 << 17))
        self._logits = np.array([0.7, -1.1, 0.2])

    def _squares(self, estimator: Estimator, distribution: Distribution, f: Function) -> np.ndarray:
        """Return squared norms of gradients less their mean, `[n]`."""

        def loss(distribution: Distribution, key: jax.Array) -> jax.Array:
            return estimator(key, distribution, f)

        with frozen():
            each = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(distribution, self._keys)
        (found,) = (np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(each))
        flat = found.reshape(len(found), -1)
        return ((flat - flat.mean(0)) ** 2).sum(-1)

    def swaps(self) -> np.ndarray:
        """Return those of ARSM in the first of two logits."""
        pairs = np.stack([self._logits, np.zeros(3)], -1)
        distribution = Categorical(jnp.asarray(pairs, jnp.float32))
        # The gradient in the second logit is that in the first, with the other sign.
        return self._squares(ARSM(), distribution, lambda z: _of_bits(z[:, 0])) / 2

    def bits(self, estimator: Estimator) -> np.ndarray:
        """Return those of an estimator of bits."""
        distribution = Bernoulli(jnp.asarray(self._logits, jnp.float32))
        return self._squares(estimator, distribution, _of_bits)


def _of_bits(b: jax.Array) -> jax.Array:
    return (b @ jnp.asarray([1.0, -2.0, 0.5], b.dtype) - 0.3) ** 2


def _log_ratio(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Return the log of a ratio of means, with the error of first order."""
    terms = first / first.mean() - second / second.mean()
    found = sample_mean(terms)
    return Estimate.student(float(np.log(first.mean() / second.mean())), found.error, found.degrees)


STUDIES = (
    ClaimStudy(
        "perturbed-arg-max",
        "perturbed arg max of four classes (Berthet et al. 2020), 2^18 draws",
        _perturbed,
        (
            Claim(
                "The score is the mean of the perturbation's derivative given the class",
                "derived, of Berthet et al. 2020",
                "mean given the first class, less the score",
                lambda found: sample_mean(found.first),
                between(-0.02, 0.02),
            ),
            Claim(
                "So perturbation has more variance than the score function",
                "derived, of Berthet et al. 2020",
                "second moment of perturbation less that of the score function",
                lambda found: sample_mean(
                    (found.values**2 * (found.noise**2 - found.score**2)).sum(-1)
                ),
                above(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "gumbel-rao-limit",
        "Gumbel-Rao beside ReinMax of the same classes, linear f of four, 2^13 gradients",
        _gumbel_rao,
        (
            Claim(
                "Gumbel-Rao tends to ReinMax at temperature 1 as its temperature goes to 0",
                "Shekhovtsov 2023, abstract",
                "length along ReinMax at temperature 0.03, less 1",
                lambda found: sample_mean(found[0.03]),
                between(-0.05, 0.05),
            ),
            Claim(
                "At temperature 1 Gumbel-Rao is shorter than this limit",
                "derived",
                "length along ReinMax at temperature 1, less 1",
                lambda found: sample_mean(found[1.0]),
                below(0.0, effect=0.05),
            ),
        ),
    ),
    ClaimStudy(
        "radau-order",
        "Radau's rule on two variables of three classes, 2^20 gradients",
        _cubic_f,
        (
            Claim(
                "Straight-through with Radau's rule is unbiased for coupled cubics",
                "derived, after Liu et al. 2024",
                "relative bias of Radau's rule, cubic f",
                lambda measured: measured.bias(RadauStraightThrough()),
                below(0.03, effect=0.03),
            ),
            Claim(
                "ReinMax is biased for the same cubic",
                "Liu et al. 2023, abstract",
                "relative bias of ReinMax, cubic f",
                lambda measured: measured.bias(ReinMax()),
                above(0.05, effect=0.05),
            ),
            Claim(
                "Straight-through with Radau's rule is biased for quartics",
                "derived",
                "relative bias of Radau's rule, quartic f",
                lambda measured: Measurements(
                    measured.scale, CustomToy(_quartic, _LOGITS), 1 << 20
                ).bias(RadauStraightThrough()),
                above(0.05, effect=0.05),
            ),
            Claim(
                "For a linear f it is the score function with the baseline f(0)",
                "derived",
                "largest difference from the score function of f less f(0)",
                lambda measured: _on_linear(measured.scale),
                below(1e-4, effect=1e-4),
            ),
        ),
    ),
    ClaimStudy(
        "swaps-of-two",
        "ARSM of two classes beside ARM and DisARM on a quadratic of three bits, 2^17 gradients",
        _Swaps,
        (
            Claim(
                "With two classes ARSM is ARM: its variance",
                "Yin et al. 2019 (ARSM), section 3",
                "log variance ratio, ARSM over ARM",
                lambda swaps: _log_ratio(swaps.swaps(), swaps.bits(ARM())),
                between(-0.1, 0.1),
            ),
            Claim(
                "So DisARM has less variance than ARSM with two classes",
                "derived, of Dong et al. 2020",
                "log variance ratio, ARSM over DisARM",
                lambda swaps: _log_ratio(swaps.swaps(), swaps.bits(DisARM())),
                above(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "swaps-of-three",
        "ARSM on a cubic of two variables of three classes, 2^20 gradients",
        _cubic_f,
        (
            Claim(
                "ARSM is unbiased with three classes",
                "Yin et al. 2019 (ARSM), section 3",
                "relative bias of ARSM",
                lambda measured: measured.bias(ARSM()),
                below(0.03, effect=0.03),
            ),
            Claim(
                "ARSM has less variance than the score function",
                "Yin et al. 2019 (ARSM), abstract",
                "log variance ratio, ARSM over the score function",
                lambda measured: measured.ratio(ARSM(), ScoreFunction()),
                below(0.0, effect=0.1),
            ),
        ),
    ),
)
