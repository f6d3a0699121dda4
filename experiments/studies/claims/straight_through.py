"""Claims about straight-through estimators and their second-order variants."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    DARN,
    Bernoulli,
    ReinMax,
    SlopeAnnealedStraightThrough,
    StraightThrough,
)
from experiments.problems import VAE
from experiments.studies.claims.claim import Claim, Deciding, Effort, Found, Quantity
from experiments.studies.claims.quantities import squared_bias_difference
from experiments.studies.claims.work import Given, Measured

_LOGITS = np.array([1.0, -1.0, 2.0, 0.5])
# Arbitrary couplings and weights of the toys' f.
_COUPLINGS = np.array(
    [[0.9, -0.4, 0.7, 0.2], [0.0, -0.8, 0.5, -0.6], [0.0, 0.0, 0.3, 0.8], [0.0, 0.0, 0.0, -0.5]]
)
_LINEAR = np.array([1.0, -2.0, 0.5, 1.5])


def _linear(z: jax.Array) -> jax.Array:
    return jnp.asarray(_LINEAR) @ z


def _separable(z: jax.Array) -> jax.Array:
    return jnp.sum((z - jnp.array([0.1, 0.3, 0.6, 0.8])) ** 2 * jnp.asarray(_LINEAR))


def _quadratic(z: jax.Array) -> jax.Array:
    return z @ jnp.asarray(_COUPLINGS) @ z + _linear(z)


def _classes_quadratic(z: jax.Array) -> jax.Array:
    weights = jnp.outer(jnp.arange(1.0, 4.0), jnp.array([1.0, -1.0, 0.5]))
    return jnp.sum(z * weights) ** 2 + jnp.sum(z[0] * jnp.roll(z[1], 1)) * jnp.sum(weights * z)


def _classes_cubic(z: jax.Array) -> jax.Array:
    weights = jnp.outer(jnp.arange(1.0, 4.0), jnp.array([1.0, -1.0, 0.5]))
    return jnp.sum(z * weights) ** 3 / 4


_CLASS_LOGITS = np.array([[0.5, 0.0, -0.5], [1.0, -0.5, 0.2], [-1.0, 0.3, 0.6]])


def _bias(problem: Given, effort: Effort, estimator, draws: int = 1 << 18) -> Found:
    return Measured(effort, problem, draws).bias(estimator)


def _straight(effort: Effort) -> Mapping[str, Found]:
    return {
        "relative bias, linear f": _bias(Given(_linear, _LOGITS), effort, StraightThrough()),
        "relative bias, quadratic f": _bias(Given(_separable, _LOGITS), effort, StraightThrough()),
    }


def _darn(effort: Effort) -> Mapping[str, Found]:
    coupled, separable = Given(_quadratic, _LOGITS), Given(_separable, _LOGITS)
    return {
        "relative bias at the sample, coupled": _bias(coupled, effort, DARN("sample")),
        "relative bias at 1/2, separable": _bias(separable, effort, DARN("half")),
        "relative bias at 1/2, coupled": _bias(coupled, effort, DARN("half")),
    }


def _reinmax(effort: Effort) -> Mapping[str, Found]:
    quadratic = Given(_classes_quadratic, _CLASS_LOGITS)
    cubic = Given(_classes_cubic, _CLASS_LOGITS)
    return {
        "relative bias, quadratic f": _bias(quadratic, effort, ReinMax(), 1 << 21),
        "relative bias of straight-through, quadratic f": _bias(
            quadratic, effort, StraightThrough(), 1 << 21
        ),
        "relative bias, cubic f": _bias(cubic, effort, ReinMax(), 1 << 21),
    }


def _identities(effort: Effort) -> Mapping[str, Quantity]:
    keys = jax.random.split(jax.random.key(0), effort.draws(4096))

    def gradients(estimator, logits, f):
        def loss(logits, key):
            return estimator(key, Bernoulli(logits), f)

        return jax.vmap(jax.grad(loss), (None, 0))(jnp.asarray(logits, jnp.float32), keys)

    def apart(first, second) -> Quantity:
        return Quantity(float(jnp.max(jnp.abs(first - second)) / jnp.max(jnp.abs(second))))

    def cubic(z):
        return (jnp.sum(z) - 0.4) ** 3

    slope, straight = SlopeAnnealedStraightThrough(1.0), StraightThrough()
    one = np.array([0.7])
    return {
        "largest difference, slope 1 and straight-through": apart(
            gradients(slope, _LOGITS, _quadratic), gradients(straight, _LOGITS, _quadratic)
        ),
        "largest difference, ReinMax and DARN on one bit": apart(
            gradients(ReinMax(), one, cubic), gradients(DARN("sample"), one, cubic)
        ),
    }


def _vae(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, VAE("Categorical", 4, 8), 2048)
    return {
        "squared bias of straight-through, less that of ReinMax": squared_bias_difference(
            measured(StraightThrough()), measured(ReinMax()), measured.truth
        )
    }


STUDIES = (
    Deciding(
        "straight-through-bias",
        "straight-through on a linear and a quadratic f of four bits, 2^18 gradients",
        _straight,
        (
            Claim(
                "Straight-through is exact for a linear f",
                "Liu et al. 2023, abstract: straight-through is of first order",
                "relative bias, linear f",
                high=0.02,
                effect=0.02,
            ),
            Claim(
                "Straight-through is biased for a quadratic f",
                "Liu et al. 2023, abstract: straight-through is of first order",
                "relative bias, quadratic f",
                low=0.0,
                effect=0.05,
            ),
        ),
    ),
    Deciding(
        "darn-readings",
        "the two readings of the 1/2 estimator on quadratic f of four bits, 2^18 gradients",
        _darn,
        (
            Claim(
                "DARN with f' at the sample is exact in mean for coupled quadratics",
                "Gu et al. 2016, section 4.2",
                "relative bias at the sample, coupled",
                high=0.02,
                effect=0.02,
            ),
            Claim(
                "DARN with f' at 1/2 is exact in mean for separable quadratics",
                "Jang et al. 2017, section 3.2",
                "relative bias at 1/2, separable",
                high=0.02,
                effect=0.02,
            ),
            Claim(
                "DARN with f' at 1/2 is biased for coupled quadratics",
                "Jang et al. 2017, section 3.2, against Gu et al. 2016, section 4.2",
                "relative bias at 1/2, coupled",
                low=0.0,
                effect=0.05,
            ),
        ),
    ),
    Deciding(
        "reinmax-order",
        "ReinMax on a coupled quadratic and a cubic f of three three-way variables, 2^21 gradients",
        _reinmax,
        (
            Claim(
                "ReinMax is exact in mean for quadratic f of any number of classes",
                "Liu et al. 2023, abstract",
                "relative bias, quadratic f",
                high=0.02,
                effect=0.02,
            ),
            Claim(
                "Straight-through is biased for the same quadratic",
                "Liu et al. 2023, abstract",
                "relative bias of straight-through, quadratic f",
                low=0.0,
                effect=0.05,
            ),
            Claim(
                "ReinMax is biased for a cubic f",
                "Liu et al. 2023, abstract: ReinMax is of second order",
                "relative bias, cubic f",
                low=0.0,
                effect=0.05,
            ),
        ),
    ),
    Deciding(
        "straight-through-identities",
        "estimators that are one another's special case, 4,096 gradients under common noise",
        _identities,
        (
            Claim(
                "Slope annealing at slope 1 is straight-through, sample by sample",
                "Chung et al. 2017, slope annealing",
                "largest difference, slope 1 and straight-through",
                high=1e-4,
                effect=1e-4,
            ),
            Claim(
                "ReinMax at temperature 1 is DARN with f' at the sample on one bit, sample by "
                "sample",
                "Gu et al. 2016, section 4.2; Liu et al. 2023",
                "largest difference, ReinMax and DARN on one bit",
                high=1e-4,
                effect=1e-4,
            ),
        ),
    ),
    Deciding(
        "reinmax-vae",
        "the authors' 8 x 4 setting: a VAE of four eight-way variables, 2,048 gradients",
        _vae,
        (
            Claim(
                "On the VAE of 4,096 configurations ReinMax is less biased than straight-through",
                "Liu et al. 2023, study of the bias on 8 x 4",
                "squared bias of straight-through, less that of ReinMax",
                low=0.0,
                effect=0.25,  # a bias of half the gradient; straight-through's is above its length
            ),
        ),
    ),
)
