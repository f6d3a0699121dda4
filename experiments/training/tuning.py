"""The optimiser of an estimator's own leaves, at frozen parameters or during training."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax

from estimators import Estimator, mean_contributions

if TYPE_CHECKING:
    import optax


def is_tuned(estimator: Estimator) -> bool:
    """Return whether an estimator has learned leaves."""
    fields = (_field(estimator, path) for path, _ in jax.tree.leaves_with_path(estimator))
    return any(field.metadata.keys() & {"average", "learned", "tuned"} for _, field in fields)


def tuner(
    estimator: Estimator, learning_rate: Any = 1e-2, b2: float = 0.999, *, step: Any = None
) -> "optax.GradientTransformation":
    """Return the optimiser of an estimator's own leaves.

    Moving averages take plain gradient descent at rate 1 - decay on their mean contributions, which
    computes exactly the average; all other leaves take Adam. Hyperparameters that are not learned
    have zero gradients and do not change.

    Args:
        estimator: the estimator; only its structure and its decays are used.
        learning_rate: Adam's; may be traced.
        b2: Adam's decay of the squares.
        step: the step number, from zero, for averages with bias correction as in Adam, which ignore
            their initial value; None for averages that start at their value.
    """
    import optax

    def label(path):
        kinds = _field(estimator, path)[1].metadata
        return next((kind for kind in ("average", "counter") if kind in kinds), "learned")

    # A function, since labels shaped like an estimator are callable, and optax would call them.
    def labels(leaves):
        return jax.tree.map_with_path(lambda path, _: label(path), leaves)

    def descend(updates, params=None):

        def scale(path, slope):
            decay = _field(estimator, path)[0].decay
            seen = 1.0 if step is None else 1 - decay ** (step + 1.0)
            return (decay - 1) / seen * slope

        return jax.tree.map_with_path(scale, updates)

    def means(updates: Any, params=None):
        return mean_contributions(updates)

    rules: dict[Any, optax.GradientTransformation] = {
        "average": optax.stateless(descend),
        "counter": optax.set_to_zero(),
        "learned": optax.adam(learning_rate, b2=b2),
    }
    return optax.chain(
        optax.stateless(means),
        optax.partition(rules, labels),
    )


def mean_of_iterates(total: Any, last: Any, count: Any) -> Any:
    """Return the mean of an estimator's iterates; for a moving average, the last iterate.

    Args:
        total: their sum.
        last: the last of them.
        count: their number.
    """

    def mean(path, total, final):
        return final if _is_average(last, path) else (total / count).astype(total.dtype)

    return jax.tree.map_with_path(mean, total, last)


def _is_average(estimator: Any, path: tuple) -> bool:
    return "average" in _field(estimator, path)[1].metadata


def _field(part: Any, path: tuple) -> tuple[Any, dataclasses.Field]:
    """Return the innermost component, and its field, on a leaf's path."""
    first, *rest = path
    inner = getattr(part, first.name)
    if rest and dataclasses.is_dataclass(inner):
        return _field(inner, tuple(rest))
    return part, next(field for field in dataclasses.fields(part) if field.name == first.name)
