"""Claims about routers of mixtures of experts, exact by enumeration of the choices."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    SIMPLE,
    Categorical,
    Enumerable,
    Estimator,
    Exact,
    ReinMax,
    SecondOrderStraightThrough,
    StraightThrough,
    Subset,
)
from experiments.problems import Experts
from experiments.problems.experts import Router
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Enumeration, number

_LOGITS = np.array([0.6, -0.3, 0.9, 0.2, -0.8, 0.4, -0.1, 0.0])
_APART, _NEAR = 0.4, 0.1
_FOLD = np.log(_APART / _NEAR)
_LABEL = 3


def _entropy(top: int, apart: float, choice: jax.Array) -> jax.Array:
    """Return the cross-entropy of the mean output of experts that differ by `apart` times noise."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=10) + apart * rng.normal(size=(len(_LOGITS), 10))
    mixed = choice @ jnp.asarray(outputs, choice.dtype) / top
    return -jax.nn.log_softmax(mixed)[_LABEL]


class _Choices:
    """Gradients in the logits of one example, at all choices of one or of two of eight experts."""

    def __init__(self, scale: Scale):
        del scale
        logits = jnp.asarray(_LOGITS, jnp.float32)
        laws: Mapping[int, Enumerable] = {1: Categorical(logits), 2: Subset(logits, 2)}
        self._laws = {top: Enumeration(law) for top, law in laws.items()}

    def order(self, estimator: Estimator, top: int, order: int) -> Estimate:
        """Return by how much the log ratio of two biases exceeds that of an order."""
        biases = [
            self._laws[top](estimator, functools.partial(_entropy, top, apart)).bias
            for apart in (_APART, _NEAR)
        ]
        return number(np.log(biases[0] / biases[1]) - order * _FOLD)


class _Gradients(NamedTuple):
    """Exact gradients in the logits of a batch, by router: of equal experts, and of others."""

    equal: dict[Router, np.ndarray]
    others: dict[Router, np.ndarray]

    def off(self, router: Router) -> Estimate:
        """Return the distance of the softmax-weighted gradient from another, relative to it."""
        truth = self.others[router]
        distance = np.linalg.norm(self.others["softmax-weighted"] - truth)
        return number(distance / np.linalg.norm(truth))

    def left(self, router: Router) -> Estimate:
        """Return the norm of the gradient with equal experts over that with others."""
        return number(np.linalg.norm(self.equal[router]) / np.linalg.norm(self.others[router]))


def _routers(scale: Scale) -> _Gradients:
    del scale
    routers: tuple[Router, ...] = "sampled", "sampled-weighted", "softmax-weighted"
    problem = Experts(batch_size=16)
    batch = problem.batch(jax.random.key(1), problem.data())
    params = problem.measured_params(problem.initial(jax.random.key(0)), batch)
    first = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), params["experts"])

    def gradient(router: Router, experts) -> np.ndarray:
        own = Experts(batch_size=16, router=router)

        def loss(logits):
            given = params | {"logits": logits, "experts": experts}
            return own.loss(given, Exact(), jax.random.key(2), batch)

        return np.asarray(jax.jit(jax.grad(loss))(params["logits"]), np.float64)

    return _Gradients(
        {router: gradient(router, first) for router in routers},
        {router: gradient(router, params["experts"]) for router in routers},
    )


_ORDER = between(-0.25, 0.25)
_ALONE = "log ratio of biases of experts 0.4 and 0.1 apart, less that of its order"

STUDIES = (
    ClaimStudy(
        "router-order",
        "one and two of eight experts that differ by 0.4 and by 0.1, all choices",
        _Choices,
        (
            Claim(
                "The relative bias of straight-through is of first order in the difference of the "
                "experts",
                "derived",
                f"{_ALONE}, straight-through",
                lambda found: found.order(StraightThrough(), 1, 1),
                _ORDER,
            ),
            Claim(
                "The relative bias of ReinMax is of second order in the difference of the experts",
                "derived",
                f"{_ALONE}, ReinMax",
                lambda found: found.order(ReinMax(), 1, 2),
                _ORDER,
            ),
            Claim(
                "With two experts of eight the relative bias of SIMPLE is of first order",
                "derived",
                f"{_ALONE}, SIMPLE",
                lambda found: found.order(SIMPLE(), 2, 1),
                _ORDER,
            ),
            Claim(
                "With two experts of eight the relative bias of second order is of second order",
                "derived",
                f"{_ALONE}, second order",
                lambda found: found.order(SecondOrderStraightThrough(), 2, 2),
                _ORDER,
            ),
        ),
    ),
    ClaimStudy(
        "softmax-weighted-router",
        "exact gradients of three routers of Experts, 16 images of MNIST",
        _routers,
        (
            Claim(
                "With equal experts E f has no gradient in the router",
                "derived",
                "norm of the gradient with equal experts over that with others, sampled",
                lambda found: found.left("sampled"),
                below(1e-5, effect=1e-5),
            ),
            Claim(
                "With equal experts the softmax-weighted router has a gradient",
                "derived",
                "norm of the gradient with equal experts over that with others, softmax-weighted",
                lambda found: found.left("softmax-weighted"),
                above(0.3, effect=0.1),
            ),
            Claim(
                "The gradient of the softmax-weighted router is not that of E f",
                "derived",
                "relative distance from the gradient of E f",
                lambda found: found.off("sampled"),
                above(0.3, effect=0.1),
            ),
            Claim(
                "It is not the gradient of E f with the probability in f either: the score is left "
                "out",
                "derived",
                "relative distance from the gradient of E f with the probability in f",
                lambda found: found.off("sampled-weighted"),
                above(0.3, effect=0.1),
            ),
        ),
    ),
)
