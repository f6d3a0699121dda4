"""The OVIS estimators for multi-sample bounds."""

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from estimators.bounds.copies import (
    attach_copy_scores,
    finite_baseline,
    shifted,
    too_few,
    with_replaced,
)
from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator, fact
from estimators.core.noise import sample_keys
from estimators.core.objective import ImportanceBound
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_count, check_share
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.distributions.chain import Chain


@pytree
class OVIS(Estimator[Bernoulli | Categorical | Chain, ImportanceBound]):
    r"""OVIS: the score function of a multi-sample bound with nearly optimal control variates.

    $\sum_i (\hat L - c_i) \nabla \log q(z_i)$, in addition to the ordinary gradient of the
    log-weights, which is $-\sum_i v_i \nabla \log q(z_i)$ where log q is in them. Here $\hat L =
    \log \frac1m \sum_j e^{w_j}$ and $v_i = e^{w_i} / \sum_j e^{w_j}$. The best $c_i$ is close to
    the mean of $\hat L - v_i$ over $z_i$, given the others.

    - The asymptotic form: $c_i = \hat L_{-i} - \gamma v_i + (1 - \gamma) \log(1 - \frac1m)$, with
      $\hat L_{-i}$ of the other m - 1 weights. For $\gamma = 0$, the limit where one weight
      dominates, $c_i$ does not depend on $z_i$, so it is unbiased. For $\gamma > 0$ it is biased,
      since $v_i$ cancels; for $\gamma = 1$, the limit of many effective samples, what remains is
      $\sum_i (\hat L - \hat L_{-i}) \nabla \log q(z_i)$.
    - The Monte Carlo form: $c_i$ is the average of $\hat L - v_i$ over auxiliary samples in place
      of $z_i$, shared by all i. Unbiased.

    If the likelihoods of the other samples are all zero, the infinite baseline is replaced by 0.

    Liévin et al. 2020 (arXiv:2008.01998), equations 17 and 12, as in the authors' code; the bias
    follows from the formulas and is verified by the tests.

    Args:
        gamma: $\gamma$ of the asymptotic form, in [0, 1]; unused by the Monte Carlo form.
        auxiliary_samples: number of auxiliary samples; 0 selects the asymptotic form.
    """

    gamma: Scalar = 1.0
    auxiliary_samples: int = static(default=0)

    # Biased if a sample's control variate depends on that sample.
    unbiased = fact(
        lambda self: "yes" if self.auxiliary_samples or np.all(self.gamma == 0) else "no"
    )
    paper = "lievin2020"

    def evaluations(self, distribution: Discrete | Chain) -> int:
        """One evaluation of the log-weight per sample, auxiliary samples included."""
        return distribution.event_shape[0] + self.auxiliary_samples

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return both limits of the asymptotic form, and the Monte Carlo form."""
        return (cls(), cls(0.0), cls(auxiliary_samples=1))

    def estimate(
        self, key: jax.Array, distribution: Discrete | Chain, f: ImportanceBound
    ) -> jax.Array:
        """Return the negated bound, with the weighted scores attached."""
        samples = distribution.sample(key)
        log_weights = f.log_weights(samples)
        stopped, origin = shifted(log_weights)
        if self.auxiliary_samples:
            further = jax.lax.stop_gradient(f.log_weights(self._further(key, distribution)))
            baselines = jax.vmap(lambda weight: _swapped(stopped, weight, f))(further - origin)
            baseline = finite_baseline(baselines, origin).mean(0)
        else:
            gamma = jnp.asarray(jax.lax.stop_gradient(self.gamma), stopped.dtype)
            # With weight i set to zero: the sum of the others divided by m.
            others = f.reduce(with_replaced(stopped, jnp.full_like(stopped, -jnp.inf)))
            fewer = jnp.log1p(jnp.asarray(-1 / len(stopped), stopped.dtype))
            share = jax.nn.softmax(stopped)
            baseline = finite_baseline(others, origin) + gamma * (share + fewer)
        signal = f.reduce(stopped) - baseline
        return attach_copy_scores(f.reduce(log_weights), distribution, samples, signal)

    def _further(self, key: jax.Array, distribution: Discrete | Chain) -> jax.Array:
        """Return the auxiliary samples, `[auxiliary_samples, *event]`, from further draws."""
        draws = -(-self.auxiliary_samples // distribution.event_shape[0])
        copies = jax.vmap(distribution.sample)(sample_keys(key, 1 + draws)[1:])
        return copies.reshape(-1, *distribution.event_shape[1:])[: self.auxiliary_samples]

    def unfit(self, distribution: Discrete | Chain) -> str | None:
        """Raise if there is only one sample."""
        return too_few(distribution)

    def check(self) -> None:
        """Raise if gamma or the number of auxiliary samples is out of range."""
        check_share("OVIS gamma", self.gamma)
        check_count("OVIS auxiliary_samples", self.auxiliary_samples, 0)


def _swapped(log_weights: jax.Array, auxiliary: jax.Array, f: ImportanceBound) -> jax.Array:
    """Return `[m]`: f plus the share of weight i, with weight i replaced by the auxiliary one.

    Infinite if all weights are zero.
    """
    rows = with_replaced(log_weights, auxiliary)
    with_share = jnp.where(jnp.isneginf(rows.max(-1, keepdims=True)), 0, rows)  # else 0 / 0
    return f.reduce(rows) + jnp.diagonal(jax.nn.softmax(with_share))
