"""The ARSM estimator."""

import jax
import jax.numpy as jnp
import numpy as np

from estimators.core.averages import differences, mean
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import pytree
from estimators.distributions.categorical import Categorical

_MOST_CLASSES = 100


@pytree
class ARSM(Estimator[Categorical, Objective]):
    r"""ARSM, augment-REINFORCE-swap-merge: differences of f over swaps of the noise of two classes.

    With $\pi$ uniform on the simplex, $\arg\min_k \pi_k e^{-\theta_k}$ has the distribution. Let
    $F_{cj}$ be f where each variable swaps $\pi_c$ and $\pi_j$ before its arg min. The gradient in
    $\theta_c$ is

    $$\sum_j \Bigl(F_{cj} - \frac1K \sum_m F_{mj}\Bigr) \Bigl(\frac1K - \pi_j\Bigr)$$

    per variable. Unbiased; with two classes it is `ARM`. All swaps are evaluated,
    $1 + K (K - 1) / 2$, so K is at most 100; those that change no sample contribute nothing.
    Yin, Yue and Zhou 2019 (arXiv:1905.01413).
    """

    unbiased = "yes"
    paper = "yin2019arsm"

    def evaluations(self, distribution: Categorical) -> int:
        """One evaluation per pair of classes, and one without a swap."""
        classes = distribution.event_shape[-1]
        return 1 + classes * (classes - 1) // 2

    def unfit(self, distribution: Categorical) -> str | None:
        """Return a message if there are too many pairs of classes, else None."""
        classes = distribution.event_shape[-1]
        if classes <= _MOST_CLASSES:
            return None
        count = self.evaluations(distribution)
        return f"evaluates f {count:,} times for {classes:,} classes; at most {_MOST_CLASSES}"

    def estimate(self, key: jax.Array, distribution: Categorical, f: Objective) -> jax.Array:
        """Return the mean of f over the swaps, with the weighted differences attached."""
        noise = distribution.noise(key)
        orders, pair = _swaps(distribution.event_shape[-1])
        # Swapping the Gumbel noise -log(-log) of two classes swaps their parts of the simplex.
        swapped = jnp.moveaxis(noise[..., orders], -2, 0)
        perturbed = jax.vmap(distribution.perturb)(swapped)
        samples = jax.lax.stop_gradient(jax.vmap(distribution.hard)(perturbed))
        values = jax.vmap(f)(samples)
        table = jax.lax.stop_gradient(differences(values))[pair]
        table = (table - table.mean(0, keepdims=True)).astype(noise.dtype)
        weights = 1 / noise.shape[-1] - jax.nn.softmax(-noise)
        gradient = jnp.einsum("cj,...j->...c", table, weights, precision="highest")
        return attach_gradient(mean(values), distribution.logits, gradient)


def _swaps(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the permutations `[swaps, K]`, the identity first, and the number of each `[K, K]`."""
    first, second = np.triu_indices(classes, 1)
    orders = np.tile(np.arange(classes), (1 + len(first), 1))
    rows = np.arange(1, 1 + len(first))
    orders[rows, first], orders[rows, second] = second, first
    pair = np.zeros((classes, classes), int)
    pair[first, second] = pair[second, first] = rows
    return orders, pair
