"""The optimiser of an estimator's own leaves, at frozen parameters or during training."""

from typing import TYPE_CHECKING, Any

import jax

from estimators import Baseline, Estimator, mean_contributions
from estimators.learning import field_of, learned_leaves

if TYPE_CHECKING:
    import optax


def is_tuned(estimator: Estimator) -> bool:
    """Return whether an estimator has learned leaves."""
    return bool(learned_leaves(estimator))


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

    Raises:
        TypeError: for a class, or anything else that is no estimator.
    """
    import optax

    if not _is_tunable(estimator):
        raise TypeError(f"tuner takes an estimator, not {estimator!r}")

    def label(path):
        kinds = field_of(estimator, path)[1].metadata
        return next((kind for kind in ("average", "counter") if kind in kinds), "learned")

    # A function, since labels shaped like an estimator are callable, and optax would call them.
    def labels(leaves):
        return jax.tree.map_with_path(lambda path, _: label(path), leaves)

    def descend(updates, params=None):

        def scale(path, slope):
            decay = field_of(estimator, path)[0].decay
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


def with_tuner(
    optimiser: "optax.GradientTransformation", learning_rate: Any = 1e-2, b2: float = 0.999
) -> "optax.GradientTransformation":
    """Return an optimiser of a model together with the estimators that it contains.

    The estimators, anywhere in the pytree, are updated by `tuner`, all else by `optimiser`. The
    pytree may be the pair of parameters and an estimator, or an equinox or flax module that has
    the estimator as an attribute.

    Args:
        optimiser: the optimiser of the model.
        learning_rate: that of `tuner`.
        b2: that of `tuner`.

    Raises:
        ValueError: from `init`, if the pytree contains no estimator, as the state that `nnx.split`
            makes of a module, which only lists arrays.
    """
    import optax

    def split(tree: Any) -> tuple[Any, list[Any]]:
        """Return the pytree with None in place of its estimators, and these."""
        leaves, structure = jax.tree.flatten(tree, is_leaf=_is_tunable)
        found = [leaf for leaf in leaves if _is_tunable(leaf)]
        rest = [None if _is_tunable(leaf) else leaf for leaf in leaves]
        return jax.tree.unflatten(structure, rest), found

    def init(params: Any) -> Any:
        model, found = split(params)
        if not found:
            raise ValueError(
                "with_tuner found no estimator in the model: pass (params, estimator), or update "
                "the estimator by tuner(estimator)"
            )
        own = [tuner(one, learning_rate, b2).init(one) for one in found]
        return optimiser.init(model), own

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:  # a gradient has no decay
            raise ValueError("with_tuner needs update(updates, state, params)")
        model, found = split(updates)
        moved, state_of_model = optimiser.update(model, state[0], split(params)[0])
        own = [
            tuner(one, learning_rate, b2).update(slope, each)
            for one, slope, each in zip(split(params)[1], found, state[1], strict=True)
        ]
        fresh = iter([one for one, _ in own])
        structure = jax.tree.structure(updates, is_leaf=_is_tunable)
        rest = iter(jax.tree.leaves(moved))
        leaves = [
            next(fresh) if _is_tunable(leaf) else next(rest)
            for leaf in jax.tree.leaves(updates, is_leaf=_is_tunable)
        ]
        return jax.tree.unflatten(structure, leaves), (state_of_model, [each for _, each in own])

    return optax.GradientTransformation(init, update)


def _is_tunable(value: Any) -> bool:
    return isinstance(value, Estimator | Baseline)


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
    return "average" in field_of(estimator, path)[1].metadata
