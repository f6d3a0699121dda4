"""The interfaces of problems that are measured, trained and evaluated."""

import abc
from collections.abc import Callable, Collection
from typing import Any, ClassVar, NamedTuple

import jax

from estimators import Distribution, Estimator, Exact
from estimators.naming import Named
from experiments.data import Split
from experiments.optimisers import Optimiser

Params = dict[str, Any]


def joined(first: Params, second: Params) -> Params:
    """Return the parameters of either, each with None for what it lacks; the second's go first."""

    def either(one, other):
        return jax.tree.map(
            lambda a, b: a if b is None else b, one, other, is_leaf=lambda leaf: leaf is None
        )

    shared = {name: either(first[name], part) for name, part in second.items() if name in first}
    return first | second | shared


def _nothing(tree: Any) -> Any:
    """Return a pytree with None for every leaf."""
    return jax.tree.map(lambda leaf: None, tree)


class Measurable(abc.ABC):
    """An objective whose gradient is estimated at given parameters on a given minibatch.

    Parameters are a dict of named groups (`encoder`, `decoder`, ...), so that a gradient can be
    taken with respect to any of them.

    Attributes:
        group: the group of parameters that is measured by default.
    """

    group: ClassVar[str] = "all"

    @property
    def objective(self) -> str:
        """Name of the objective's form, on which the measured variance depends."""
        return "expectation"

    @property
    def no_truth(self) -> str:
        """Why no gradient is the true one, such as that of a rule without E f; else empty."""
        return ""

    @abc.abstractmethod
    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the distribution of one example's latent variable."""

    @abc.abstractmethod
    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the estimate of the objective, a loss to minimise; `key` is consumed."""

    def exact_loss(self, params: Params, batch: Any) -> jax.Array | None:
        """Return the objective itself, or None if it cannot be enumerated."""
        exact = Exact()
        if self.refusal(exact, self.distribution(params, batch)):
            return None
        return self.loss(params, exact, jax.random.key(0), batch)

    def measured_params(self, params: Params, batch: Any) -> Params:
        """Return the parameters, with any groups that exist only during measurement."""
        return params

    def groups(self, params: Params) -> dict[str, Params]:
        """Return the groups that a gradient can be taken with respect to, by name.

        They are those of `params`; of one that is a list, also each part, such as `encoder_2`,
        counted from 1; and `all`.

        Args:
            params: the parameters, those that exist only during measurement included; or a gradient
                with respect to some of them.

        Returns:
            For each name, the dict of its parameters, with None for those of a list that it lacks.

        Raises:
            TypeError: unless the parameters are a dict.
        """
        if not isinstance(params, dict):
            given = type(params).__name__
            raise TypeError(f"parameters must be a dict of groups by name, not {given}")
        found: dict[str, Params] = {}
        for name, part in params.items():
            found[name] = {name: part}
            if isinstance(part, list) and len(part) > 1:
                for place in range(len(part)):
                    own = [one if i == place else _nothing(one) for i, one in enumerate(part)]
                    found.setdefault(f"{name}_{place + 1}", {name: own})
        return found | {"all": params}

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit the problem, or None if it does."""
        if estimator.needs_bound:
            return "needs a multi-sample bound, as in VAE[size=4,kl=sampled,num_samples=2]"
        return estimator.refusal(distribution)

    def instead(self, estimator: Estimator, distribution: Distribution) -> str:
        """Return which estimators fit instead of one that does not, as `Estimator.instead`."""
        return estimator.instead(distribution)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the number of evaluations of f that one gradient estimate takes."""
        return estimator.evaluations(distribution)


class Turn(NamedTuple):
    """One of the losses that a training step descends in turn, as the players of a game do.

    Attributes:
        loss: the loss, as `Problem.loss`.
        groups: the names of the parameters that it trains; empty for all.
        optimiser: its optimiser; None for the one of the run.
        rate: a factor of the run's learning rate.
        updates: the number of updates in a training step, each with its own minibatch and noise.
    """

    loss: Callable[[Params, Estimator, jax.Array, Any], jax.Array]
    groups: Collection[str] = ()
    optimiser: Optimiser | None = None
    rate: float = 1.0
    updates: int = 1


class Problem(Named, Measurable):
    """An objective with initial parameters and optional data: a frozen dataclass of settings.

    A subclass in a user's own file defines `initial`, `distribution` and `loss`, and is named like
    the project's problems: `estimax compare --problem my_file.py:MyProblem[size=3]`.

    Attributes:
        trainable: whether the problem is trained briefly before it is measured.
        default_samples: default number of gradients per estimator.
    """

    trainable: ClassVar[bool] = False
    default_samples: ClassVar[int] = 1024

    @abc.abstractmethod
    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters; `key` is consumed."""

    def data(self, split: Split = "train") -> Any:
        """Return a split of the data as a pytree of arrays, or None for a problem without data."""

    def batch(self, key: jax.Array, data: Any) -> Any:
        """Return a minibatch of `data()`, by default all of it; `key` is consumed."""
        return data

    @property
    def about_data(self) -> str:
        """Description of the data for tables, empty for a problem without data."""
        return ""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The losses that a training step descends in turn; by default `loss`, for all parameters.

        The estimator's own leaves learn from the first, which is the loss that is reported.
        """
        return (Turn(self.loss),)

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return scores of the hard model on a split, by name: scalars. By default, none.

        They are metrics of `analysis.schema`. `key` is consumed.

        Args:
            params: the parameters.
            key: a typed random key.
            data: the result of `data(split)`.
        """
        return {}


class EvaluatedProblem(Problem):
    """A problem whose discrete model is evaluated on held-out examples during training."""

    @abc.abstractmethod
    def examples(self, key: jax.Array, data: Any) -> Any:
        """Return a whole split as model inputs, with examples along the first axis.

        `key` is consumed: dynamic binarisation draws from it.
        """

    @abc.abstractmethod
    def log_weight(self, params: Params, key: jax.Array, example: Any) -> jax.Array:
        r"""Return the log importance weight of one hard sample for one example, in nats.

        The mean of its exponential is the likelihood of the discrete model, so its mean is the
        evidence lower bound. `key` is consumed.
        """

    def example_scores(self, params: Params, example: Any) -> dict[str, jax.Array]:
        """Return further scores of one example, by name, such as its `accuracy`."""
        return {}

    def pictures(self, params: Params, key: jax.Array, examples: Any) -> dict[str, jax.Array]:
        """Return grids of images `[rows, columns, height, width]` in [0, 1], by name."""
        return {}
