"""Claims about rounding a compressed image's latent vector, by enumeration of all roundings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Exact, StraightThrough
from experiments.problems import Rounding
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Outcomes, number


class _Images:
    """Compressed images, and the costs of their roundings in bits."""

    def __init__(self, scale: Scale):
        self.problem = Rounding(images=scale.samples(40))
        self.images = self.problem.data()
        self.latents = self.problem.initial(jax.random.key(0))["latent"]

    @functools.cached_property
    def best(self) -> np.ndarray:
        """The least cost of all roundings of each image."""
        return np.asarray(jax.jit(self.problem.best)(self.latents, self.images), float)

    def nearest(self) -> Estimate:
        """Return the mean cost of nearest integers, less that of the best rounding."""
        costs = jax.vmap(self.problem.f)(jnp.round(self.latents), self.images)
        return sample_mean(np.asarray(costs, float) - self.best)

    def random(self, temperature: float) -> float:
        """Return the mean cost of random roundings, less that of the best."""
        problem = Rounding(images=len(self.images), temperature=temperature)
        params = {"latent": self.latents}
        mean = jax.jit(lambda p: problem.loss(p, Exact(), jax.random.key(0), self.images))(params)
        return float(mean) - self.best.mean()

    def straight_through(self) -> Estimate:
        """Return the relative bias of straight-through's gradient in the bits of one image."""
        latent, image = self.latents[0], self.images[0]

        def f(bits: jax.Array) -> jax.Array:
            return self.problem.f(jnp.floor(latent) + bits, image)

        return number(Outcomes(StraightThrough(), self.problem.bits(latent), f).bias)


def _up(distance: float, temperature: float) -> float:
    """Return the probability of rounding up at a distance from the integer below."""
    bits = Rounding(temperature=temperature).bits(jnp.array([3 + distance]))
    return float(bits.mean[0])


_YANG = "Yang et al. 2020"

STUDIES = (
    ClaimStudy(
        "rounding-of-latents",
        "ten latent numbers of 40 compressed images of MNIST, all 1,024 roundings",
        _Images,
        (
            Claim(
                "Nearest integers are not the best rounding: they cost more than a bit",
                f"{_YANG}, section 3",
                "bits above the best rounding, nearest integers",
                _Images.nearest,
                above(1.0, effect=1.0),
            ),
            Claim(
                "The distribution of roundings goes to nearest integers as the temperature falls",
                f"{_YANG}, section 3.2",
                "probability of rounding 0.3 up at temperature 0.02",
                lambda _: number(_up(0.3, 0.02)),
                below(1e-4, effect=1e-4),
            ),
            Claim(
                "At temperature 1/2 a number is rounded up with nearly its distance as probability",
                "derived",
                "probability of rounding 0.3 up at temperature 0.5",
                lambda _: number(_up(0.3, 0.5)),
                between(0.24, 0.26),
            ),
            Claim(
                "Random roundings cost less at a low temperature, on average over images",
                "derived",
                "bits at temperature 0.5, less those at 0.1",
                lambda images: number(images.random(0.5) - images.random(0.1)),
                above(0.5, effect=0.5),
            ),
            Claim(
                "The gradient of straight-through in the bits of a rounding is biased",
                "derived",
                "relative bias of straight-through, roundings",
                _Images.straight_through,
                above(0.05, effect=0.05),
            ),
        ),
    ),
)
