"""A user's model and loss as a problem that can be measured."""

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import BlackBox, Distribution, Estimator, Exact, ImportanceBound
from estimators.checks import check_call, check_distribution, checked
from experiments.problems import Measurable, Params
from experiments.problems.latent import evaluations
from experiments.system.errors import UsageError

Loss = Callable[[Any, Estimator, jax.Array, Any], jax.Array]
"""`loss(model, estimator, key, batch)`: a scalar estimate of the objective to minimise."""


@dataclasses.dataclass(frozen=True)
class _Calls:
    """The estimator calls made by a loss.

    Attributes:
        distribution: a representative distribution.
        all: the distributions of all calls.
        is_black_box: whether any f is a black box.
        is_bound: whether every f is an importance bound.
        depth: the number of nested calls.
    """

    distribution: Distribution
    all: tuple[Distribution, ...]
    is_black_box: bool
    is_bound: bool
    depth: int


@jax.tree_util.register_static  # an estimator may pass through jit
class _Recorder:
    """Replaces an estimator, and records its calls."""

    def __init__(self):
        self.calls: list[tuple[Distribution, Any]] = []
        self.depth = self._level = 0

    def __call__(self, key: jax.Array, distribution: Any, f: Any) -> jax.Array:
        check_call("the estimator", key, distribution, f)
        check_distribution("the estimator", distribution)
        self.calls.append((distribution, f))
        self._level += 1
        self.depth = max(self.depth, self._level)
        value = checked(f)(distribution.sample(key))
        self._level -= 1
        return value


@dataclasses.dataclass(frozen=True, eq=False)
class Model(Measurable):
    """A user's loss, at fixed parameters and a fixed batch.

    Attributes:
        loss_of: the loss.
        arrays: the floating-point arrays of the model.
        rebuild: builds the model from such arrays.
        fixed: the batch.
    """

    group = "model"

    loss_of: Loss
    arrays: Any
    rebuild: Callable[[Any], Any]
    fixed: Any

    @classmethod
    def of(cls, loss: Loss, model: Any, batch: Any) -> "Model":
        """Return a checked model.

        Raises:
            UsageError: if the loss takes other arguments, returns no scalar or calls no estimator,
                or if the model has no floating-point array.
        """
        made = cls(loss, *_split(model), batch)
        made._check()
        return made

    def __str__(self) -> str:
        """Return the name of the loss."""
        return getattr(self.loss_of, "__name__", type(self.loss_of).__name__)

    @property
    def objective(self) -> str:
        """Unknown."""
        return ""

    @property
    def parameters(self) -> Params:
        """The model's arrays, as a group of parameters."""
        return {"model": self.arrays}

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return a distribution with the type and shape of a call's."""
        return self.calls.distribution

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the user's loss."""
        return self.loss_of(self.rebuild(params["model"]), estimator, key, batch)

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit the calls of the loss, None if it does."""
        if estimator.needs_bound and not self.calls.is_bound:
            return "needs a multi-sample bound, an ImportanceBound"
        if estimator.differentiates and self.calls.is_black_box:
            return "needs the derivative of f, which is a black box"
        return next(filter(None, map(estimator.refusal, self.calls.all)), None)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the number of evaluations of the innermost f in nested calls."""
        return evaluations(estimator, distribution, self.calls.depth)

    @functools.cached_property
    def calls(self) -> _Calls:
        """The estimator calls of the loss, found by tracing."""
        recorder: Any = _Recorder()

        def value(arrays):
            returned = self.loss({"model": arrays}, recorder, jax.random.key(0), self.fixed)
            if not recorder.calls:
                raise UsageError(f"{self} never calls its estimator")
            shape = getattr(returned, "shape", None)
            if shape != ():
                what = type(returned).__name__ if shape is None else f"an array of shape {shape}"
                raise UsageError(f"{self} must return a scalar, not {what}")
            return returned

        jax.eval_shape(value, self.arrays)
        every = tuple(_like(distribution) for distribution, _ in recorder.calls)
        # If any is too large to enumerate, the truth cannot be exact.
        chosen = next((one for one in every if Exact().refusal(one)), every[0])
        is_black_box = any(isinstance(f, BlackBox) for _, f in recorder.calls)
        is_bound = all(isinstance(f, ImportanceBound) for _, f in recorder.calls)
        return _Calls(chosen, every, is_black_box, is_bound, recorder.depth)

    @property
    def fingerprint(self) -> str:
        """Hash of the values in the model and the batch."""
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves((self.arrays, self.fixed)):
            is_key = jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.extended)
            digest.update(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
        return digest.hexdigest()[:12]

    def _check(self) -> None:
        if not jax.tree.leaves(self.arrays):
            raise UsageError("the model has no floating-point array to take a gradient of")
        for leaf in jax.tree.leaves(self.fixed):
            if not isinstance(leaf, jax.typing.ArrayLike):
                raise UsageError(f"the batch holds a {type(leaf).__name__}, not an array")
        try:
            inspect.signature(self.loss_of).bind(None, None, None, None)
        except TypeError as error:
            raise UsageError(f"{self} must take (model, estimator, key, batch): {error}") from error
        _ = self.calls


def _like(distribution: Distribution) -> Distribution:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), distribution)


def _split(model: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the floating-point arrays of a model, and a function that rebuilds it from arrays."""
    from flax import nnx

    if isinstance(model, nnx.Module):
        graph, params, rest = nnx.split(model, nnx.Param, ...)
        return params, lambda arrays: nnx.merge(graph, arrays, rest)
    leaves, structure = jax.tree.flatten(model)
    is_array = [
        hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves
    ]
    arrays = [leaf for leaf, chosen in zip(leaves, is_array, strict=True) if chosen]

    def rebuild(others):
        fresh = iter(others)
        whole = [
            next(fresh) if chosen else leaf for leaf, chosen in zip(leaves, is_array, strict=True)
        ]
        return jax.tree.unflatten(structure, whole)

    return arrays, rebuild
