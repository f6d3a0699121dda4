"""Claims about codes of autoencoders: exact by enumeration, and about the rotation's rule."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from estimators import MVE, Categorical, Estimator, ReinMax, StraightThrough
from experiments.problems import quantised
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below
from experiments.studies.claims.outcomes import Enumeration, Function, apart, number

_EXACT = below(1e-4, effect=1e-4)
_BIASED = above(0.01, effect=0.01)
_CODES, _DIMENSION, _PIXELS = 4, 3, 12


class _Decoders:
    """Gradients in the logits of two positions of four codes, at all sixteen of their values."""

    def __init__(self, scale: Scale):
        del scale
        rng = np.random.default_rng(0)
        codes, image = rng.normal(size=(_CODES, _DIMENSION)), rng.normal(size=_PIXELS)
        weights = rng.normal(size=(2 * _DIMENSION, _PIXELS)) / 2

        def misfit(choice: jax.Array, bend: bool) -> jax.Array:
            given = (jnp.asarray(one, choice.dtype) for one in (codes, image, weights))
            own_codes, own_image, own_weights = given
            decoded = (choice @ own_codes).ravel() @ own_weights
            return jnp.sum((own_image - (jnp.tanh(decoded) if bend else decoded)) ** 2)

        logits = jnp.asarray(rng.normal(size=(2, _CODES)), jnp.float32)
        self._of = Enumeration(Categorical(logits))
        self._errors: Mapping[str, Function] = {
            "linear": lambda choice: misfit(choice, bend=False),
            "tanh": lambda choice: misfit(choice, bend=True),
        }

    def bias(self, estimator: Estimator, decoder: str) -> Estimate:
        """Return the relative bias with a decoder."""
        return number(self._of(estimator, self._errors[decoder]).bias)


def _map(encoded: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Return the rotation's derivative of what the decoder sees in the encoder's vector."""
    given = (jnp.asarray(one, jnp.float32) for one in (encoded, code))
    return np.asarray(jax.jit(jax.jacobian(quantised.rotated))(*given), np.float64)


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


class _Rule:
    """An encoder's vector, its code, and a gradient that the decoder gives the code."""

    def __init__(self, scale: Scale):
        del scale
        self.encoded, self.code, self.given = np.random.default_rng(1).normal(size=(3, 8))
        self.passed = _map(self.encoded, self.code).T @ self.given

    def turned(self) -> Estimate:
        """Return by how much the gradient's cosine to its vector changes."""
        return number(abs(_cosine(self.passed, self.encoded) - _cosine(self.given, self.code)))

    def stretched(self) -> Estimate:
        """Return the log of the change of the gradient's length, less that of code over vector."""
        lengths = [np.linalg.norm(one) for one in (self.passed, self.given)]
        stretch = np.linalg.norm(self.code) / np.linalg.norm(self.encoded)
        return number(abs(np.log(lengths[0] / lengths[1] / stretch)))

    def at_the_code(self) -> Estimate:
        """Return the difference from straight-through, where the vector is the code."""
        return apart(_map(self.code, self.code), np.eye(len(self.code)))


_FIFTY = "Fifty et al. 2024, by its definition"

STUDIES = (
    ClaimStudy(
        "codes-of-two-positions",
        "two positions of four codes, squared error of 12 pixels, all sixteen values",
        _Decoders,
        (
            Claim(
                "With a linear decoder ReinMax's gradient of the codes is exact",
                "derived",
                "relative bias of ReinMax, linear decoder",
                lambda found: found.bias(ReinMax(), "linear"),
                _EXACT,
            ),
            Claim(
                "With a linear decoder MVE's gradient of the codes is exact",
                "derived",
                "relative bias of MVE, linear decoder",
                lambda found: found.bias(MVE(), "linear"),
                _EXACT,
            ),
            Claim(
                "Straight-through is biased even with a linear decoder",
                "derived",
                "relative bias of straight-through, linear decoder",
                lambda found: found.bias(StraightThrough(), "linear"),
                _BIASED,
            ),
            Claim(
                "With a decoder that bends ReinMax is biased",
                "derived",
                "relative bias of ReinMax, tanh",
                lambda found: found.bias(ReinMax(), "tanh"),
                _BIASED,
            ),
        ),
    ),
    ClaimStudy(
        "rotation-rule",
        "the rotation trick's map of one gradient, eight dimensions",
        _Rule,
        (
            Claim(
                "The rotation trick keeps the angle of the gradient to its vector",
                _FIFTY,
                "change of the cosine",
                lambda found: found.turned(),
                _EXACT,
            ),
            Claim(
                "It stretches the gradient by the length of the code over that of the vector",
                _FIFTY,
                "log of the length over the predicted one",
                lambda found: found.stretched(),
                _EXACT,
            ),
            Claim(
                "Where the encoder's vector is the code, the rotation trick is straight-through",
                "derived",
                "largest difference from the identity",
                lambda found: found.at_the_code(),
                _EXACT,
            ),
        ),
    ),
)
