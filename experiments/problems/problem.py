"""What a problem is: an objective with a discrete latent variable, at parameters, on data."""

import abc
from typing import Any

import jax

from estimators import Distribution, Estimator, Exact
from estimators.core.identity import Named
from experiments.data import Split

Params = dict[str, Any]


class Problem(Named, abc.ABC):
    """An objective to measure estimators on, or to train with them: a frozen dataclass of settings.

    Parameters are a dict of named groups (`encoder`, `decoder`, ...), so that a gradient can be
    taken with respect to any of them. A subclass in a user's own file works as the project's do:
    `estimax compare --problem my_file.py:MyProblem[size=3]`.
    """

    @property
    @abc.abstractmethod
    def objective(self) -> str:
        """Name of the objective's form, since the measured variance depends on it."""

    @property
    @abc.abstractmethod
    def group(self) -> str:
        """The group of parameters that is measured unless the caller chooses."""

    @abc.abstractmethod
    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters; `key` is consumed."""

    @abc.abstractmethod
    def data(self, split: Split = "train") -> Any:
        """Return a split of the data as a pytree of arrays, or None for a problem without data."""

    @abc.abstractmethod
    def batch(self, key: jax.Array, data: Any) -> Any:
        """Return a minibatch of `data()`; `key` is consumed."""

    @abc.abstractmethod
    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the distribution of one example's latent variable."""

    @abc.abstractmethod
    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the estimate of the objective, a loss to minimise; `key` is consumed."""

    def exact_loss(self, params: Params, batch: Any) -> jax.Array | None:
        """Return the objective itself, or None where it cannot be enumerated."""
        exact = Exact()
        if self.refusal(exact, self.distribution(params, batch)):
            return None
        return self.loss(params, exact, jax.random.key(0), batch)

    def examples(self, key: jax.Array, data: Any) -> Any:
        """Return all of a split as models see it, examples along the first axis; None without data.

        `key` is consumed: by a binarisation that is drawn anew each time.
        """
        del key, data

    def log_weight(self, params: Params, key: jax.Array, example: Any) -> jax.Array:
        r"""Return the log importance weight of one hard sample for one example, in nats.

        The mean of its exponential is the likelihood of the discrete model, so that its own mean is
        the evidence lower bound. `key` is consumed. For problems with `examples`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no examples to evaluate")

    def scores(self, params: Params, example: Any) -> dict[str, jax.Array]:
        """Return what else is evaluated on one example, by name, such as its `accuracy`."""
        del params, example
        return {}

    def pictures(self, params: Params, key: jax.Array, examples: Any) -> dict[str, jax.Array]:
        """Return grids of images `[rows, columns, height, width]` in [0, 1] to look at, by name."""
        del params, key, examples
        return {}

    @property
    def about_data(self) -> str:
        """What tables say of the data, nothing where there is none."""
        return ""

    @property
    def trainable(self) -> bool:
        """Whether the problem is trained briefly before it is measured."""
        return False

    @property
    def default_samples(self) -> int:
        """Gradients that are drawn of an estimator unless told otherwise."""
        return 2048

    def measurable(self, params: Params, batch: Any) -> Params:
        """Return the parameters with the groups that exist only while measuring."""
        del batch
        return params

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit the problem, or None where it does."""
        if estimator.needs_bound:
            return "needs a multi-sample bound, as in VAE[size=4,kl=sampled,num_samples=2]"
        return estimator.refusal(distribution)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the evaluations of f that one gradient of the estimator takes."""
        return estimator.evaluations(distribution)
