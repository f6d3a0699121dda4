"""Claims about laws of their own: hard concrete gates, and normal variables on the simplex."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Distribution, Estimator, HardConcrete, InvertibleGaussian, Pathwise
from estimators import ScoreFunction as Score
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import apart

_LOG_ALPHA, _COLD = 0.4, 0.01
_MEAN, _LOG_SCALE = np.array([0.3, -0.4, 0.8]), np.array([-0.2, 0.3, 0.1])
_ATOM = 2 / 3 * np.log(11)
"""The shift of both atoms, at the published interval and temperature."""


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _gate(log_alpha: jax.Array | float = _LOG_ALPHA, temperature: float = 2 / 3) -> HardConcrete:
    return HardConcrete(jnp.asarray(log_alpha, jnp.float32), jnp.float32(temperature))


class _Gates:
    """Draws of one gate, and derivatives in its log alpha."""

    def __init__(self, scale: Scale):
        self._keys = jax.random.split(jax.random.key(0), scale.samples(1 << 18))

    def samples(self, law: Distribution) -> np.ndarray:
        """Return samples `[n, *event]`."""
        return np.asarray(jax.jit(jax.vmap(law.sample))(self._keys), np.float64)

    def slopes(self, estimator: Estimator) -> np.ndarray:
        """Return derivatives of E (z - 0.3)^2, `[n]`."""

        def loss(log_alpha: jax.Array, key: jax.Array) -> jax.Array:
            return estimator(key, _gate(log_alpha), lambda z: (z - 0.3) ** 2)

        each = jax.vmap(jax.grad(loss), (None, 0))
        return np.asarray(jax.jit(each)(jnp.float32(_LOG_ALPHA), self._keys), np.float64)

    def mean(self, of: Callable[[np.ndarray], np.ndarray], temperature: float = 2 / 3) -> Estimate:
        """Return the mean of a function of a gate."""
        return sample_mean(of(self.samples(_gate(temperature=temperature))))


class _Simplex:
    """Draws of an invertible Gaussian with four classes, and of one with two."""

    def __init__(self, scale: Scale):
        self._keys = jax.random.split(jax.random.key(1), scale.samples(1 << 17))

    def logs(self, law: InvertibleGaussian) -> jax.Array:
        """Return samples in log-simplex space, `[n, K]`."""
        return jax.jit(jax.vmap(law.sample))(self._keys)

    def largest(self, law: InvertibleGaussian) -> np.ndarray:
        """Return the largest class of each draw, `[n]`."""
        return np.asarray(self.logs(law)).argmax(-1)

    def excess(self, temperature: float) -> Estimate:
        """Return the mean of the log-ratio of two laws, less their divergence."""
        first, second = _law(temperature), _law(temperature, 0.5)
        logs = self.logs(first)
        ratio = jax.vmap(lambda x: first.log_prob(x) - second.log_prob(x))(logs)
        return sample_mean(np.asarray(ratio, np.float64) - float(first.kl(second)))


def _law(temperature: float = 0.5, shrunk: float = 1.0) -> InvertibleGaussian:
    mean, log_scale = (jnp.asarray(one, jnp.float32) for one in (shrunk * _MEAN, _LOG_SCALE))
    return InvertibleGaussian(mean, log_scale, jnp.float32(temperature))


def _two(temperature: float = 0.5) -> InvertibleGaussian:
    mean, log_scale = jnp.asarray([0.4], jnp.float32), jnp.asarray([0.2], jnp.float32)
    return InvertibleGaussian(mean, log_scale, jnp.float32(temperature))


def _normal_cdf(x: np.ndarray | float) -> np.ndarray:
    from scipy import special

    return special.ndtr(x)


def _softmax(simplex: _Simplex) -> Estimate:
    """Return how far a sample is from the softmax of its normals and a zero."""
    law = _law()
    logs = simplex.logs(law)
    scaled = logs[:, :-1] - logs[:, -1:]  # the normals over the temperature
    appended = jnp.concatenate([scaled, jnp.zeros_like(logs[:, :1])], -1)
    # The density of the sample is that of the normals with the map's Jacobian.
    normal = jax.vmap(law.normal.log_prob)(0.5 * scaled) + 3 * np.log(0.5)
    jacobian = -jax.nn.log_softmax(appended)[:, -1]
    return apart(
        np.asarray(jax.vmap(law.log_prob)(logs), np.float64),
        np.asarray(normal + jacobian, np.float64),
    )


_LOUIZOS, _IGR = "Louizos et al. 2018", "Potapczynski et al. 2020"

STUDIES = (
    ClaimStudy(
        "hard-concrete",
        "a hard concrete gate of log alpha 0.4, 2^18 draws",
        _Gates,
        (
            Claim(
                "The probability of a closed hard concrete gate has a closed form",
                f"{_LOUIZOS}, section 2.2",
                "share of zeros, less its probability",
                lambda gates: gates.mean(lambda z: (z == 0) - _sigmoid(-_ATOM - _LOG_ALPHA)),
                between(-0.01, 0.01),
            ),
            Claim(
                "The probability of a fully open gate has one too",
                f"{_LOUIZOS}, section 2.2",
                "share of ones, less its probability",
                lambda gates: gates.mean(lambda z: (z == 1) - _sigmoid(_LOG_ALPHA - _ATOM)),
                between(-0.01, 0.01),
            ),
            Claim(
                "The expected number of gates that are not zero is the published penalty",
                f"{_LOUIZOS}, equation 12",
                "share that is not zero, less the penalty",
                lambda gates: gates.mean(lambda z: (z > 0) - float(_gate().expected_open())),
                between(-0.01, 0.01),
            ),
            Claim(
                "The gate of test time is not the mean",
                "derived",
                "gate less the mean",
                lambda gates: gates.mean(lambda z: float(_gate().gate()) - z),
                above(0.01, effect=0.01),
            ),
            Claim(
                "At low temperature hardly a gate is between 0 and 1",
                f"{_LOUIZOS}, section 2.1",
                "share between 0 and 1 at temperature 0.01",
                lambda gates: gates.mean(lambda z: (z > 0) & (z < 1.0), _COLD),
                below(0.05, effect=0.04),
            ),
            Claim(
                "At low temperature the mean is the probability of a Bernoulli variable",
                f"{_LOUIZOS}, section 2.1",
                "mean less the probability at temperature 0.01",
                lambda gates: gates.mean(lambda z: z - _sigmoid(_LOG_ALPHA), _COLD),
                between(-0.01, 0.01),
            ),
            Claim(
                "In spite of the atoms, pathwise derivative and score function have the same mean",
                "derived",
                "mean difference of derivatives of a square",
                lambda gates: sample_mean(gates.slopes(Pathwise()) - gates.slopes(Score())),
                between(-0.005, 0.005),
            ),
        ),
    ),
    ClaimStudy(
        "invertible-gaussian",
        "invertible Gaussian variables of four and two classes, 2^17 draws",
        _Simplex,
        (
            Claim(
                "With two classes the first is larger with the probability of a probit",
                f"{_IGR}, section 3",
                "frequency of the first of two, less its probability",
                lambda simplex: sample_mean(
                    (simplex.largest(_two()) == 0) - _normal_cdf(0.4 / np.exp(0.2))
                ),
                between(-0.01, 0.01),
            ),
            Claim(
                "The last of four classes is largest with a product of normal probabilities",
                f"{_IGR}, section 3",
                "frequency of the last of four, less the product",
                lambda simplex: sample_mean(
                    (simplex.largest(_law()) == 3) - _normal_cdf(-_MEAN / np.exp(_LOG_SCALE)).prod()
                ),
                between(-0.01, 0.01),
            ),
            Claim(
                "The probabilities of the other classes are exact by quadrature",
                f"{_IGR}, section 3",
                "frequency of the first of four, less the quadrature",
                lambda simplex: sample_mean(
                    (simplex.largest(_law()) == 0) - float(_law().class_probs()[0])
                ),
                between(-0.01, 0.01),
            ),
            Claim(
                "The divergence of two such variables is that of the normal ones",
                f"{_IGR}, section 3",
                "mean log-ratio less the divergence",
                lambda simplex: simplex.excess(0.5),
                between(-0.02, 0.02),
            ),
            Claim(
                "The softmax++ with delta 1 is a softmax with a zero appended: its density",
                "derived",
                "largest difference of log-densities",
                _softmax,
                below(1e-3, effect=1e-3),
            ),
        ),
    ),
)
