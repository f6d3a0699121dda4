"""Claims about twelve gates of a classifier, exact by enumeration of their masks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Estimator, Exact, ReinMax, ScoreFunction, StraightThrough
from experiments.problems import Gates
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Enumeration, Function, apart, number

_IMAGES = 4
_LOGITS = np.linspace(-2.0, 2.0, 12)


class _Twelve:
    """Twelve gates of a network at its start, on images of MNIST."""

    def __init__(self, scale: Scale):
        del scale
        self._problem = Gates(batch_size=_IMAGES, penalty=0.0, sharpness=1.0)
        self._batch = self._problem.batch(jax.random.key(1), self._problem.data())
        gates = jnp.asarray(_LOGITS, jnp.float32)
        self._params = self._problem.initial(jax.random.key(0)) | {"gates": gates}
        self._masks = Enumeration(Bernoulli(gates))
        self._f = functools.partial(self._misfit, *self._batch)

    def _misfit(self, images: jax.Array, labels: jax.Array, gates: jax.Array) -> jax.Array:
        return -self._problem.log_likelihood(self._params, gates, images, labels)

    def bias(self, estimator: Estimator) -> float:
        """Return the relative bias."""
        return self._masks(estimator, self._f).bias

    def sharing(self) -> Estimate:
        """Return the difference of the exact gradients, masks of each image and a shared one."""

        def gradient(shared: bool) -> np.ndarray:
            problem = Gates(batch_size=_IMAGES, penalty=0.0, sharpness=1.0, shared=shared)

            def loss(gates: jax.Array) -> jax.Array:
                params = self._params | {"gates": gates}
                return problem.loss(params, Exact(), jax.random.key(2), self._batch)

            return np.asarray(jax.jit(jax.grad(loss))(self._params["gates"]), np.float64)

        return apart(gradient(False), gradient(True))

    def own_masks(self) -> Estimate:
        """Return the log ratio of the score function's variances, for masks of each image.

        The gradient is then the mean over the images of independent gradients.
        """
        images, labels = self._batch
        fs = [functools.partial(self._misfit, *one) for one in zip(images, labels, strict=True)]
        own = np.mean([self._variance(f) for f in fs]) / _IMAGES
        return number(np.log(own / self._variance(self._f)))

    def _variance(self, f: Function) -> float:
        """Return the trace of the covariance of the score function's gradient."""
        found = self._masks(ScoreFunction(), f)
        return float(found.chances @ np.sum(found.gradients**2, -1) - np.sum(found.mean**2))

    def convexity(self) -> Estimate:
        """Return the least excess of f's change over its slope at the closed gate, and vice versa.

        Of all gates, at all masks of the others: the slope at the open gate less the change, and
        the change less the slope at the closed one.
        """
        masks = self._masks.distribution.states()
        value_and_slope = jax.jit(jax.vmap(jax.value_and_grad(self._f)))

        def gaps(gate: int) -> float:
            (closed, below), (opened, above) = (
                value_and_slope(masks.at[:, gate].set(bit)) for bit in (0.0, 1.0)
            )
            change = np.asarray(opened, np.float64) - np.asarray(closed, np.float64)
            return min((above[:, gate] - change).min(), (change - below[:, gate]).min())

        return number(min(gaps(gate) for gate in range(len(_LOGITS))))


STUDIES = (
    ClaimStudy(
        "twelve-gates",
        "twelve gates of Gates at its start, logits from -2 to 2, 4 images, all masks",
        _Twelve,
        (
            Claim(
                "Whether images share their gates does not change the exact gradient",
                "derived",
                "largest difference of exact gradients, own masks and a shared one",
                lambda gates: gates.sharing(),
                below(1e-4, effect=1e-4),
            ),
            Claim(
                "Gates of its own for each image divide the score function's variance by their "
                "number",
                "derived: the mean of the loss is most of its square",
                "log variance ratio, own masks over a shared one, plus log 4",
                lambda gates: number(gates.own_masks().value + np.log(_IMAGES)),
                between(-0.1, 0.1),
            ),
            Claim(
                "The cross-entropy is convex along each gate of the last hidden layer",
                "derived",
                "least gap of a gate's slopes and the change of f between them",
                lambda gates: gates.convexity(),
                above(-1e-6, effect=1e-6),
            ),
            Claim(
                "Straight-through is biased on gates",
                "derived",
                "relative bias of straight-through, twelve gates",
                lambda gates: number(gates.bias(StraightThrough())),
                above(0.01, effect=0.01),
            ),
            Claim(
                "ReinMax has less than a third of straight-through's bias there",
                "Liu et al. 2023: exact for quadratic f",
                "log ratio of biases on twelve gates, ReinMax over straight-through",
                lambda gates: number(np.log(gates.bias(ReinMax()) / gates.bias(StraightThrough()))),
                below(-np.log(3), effect=0.1),
            ),
        ),
    ),
)
