"""Ordered Bernoulli variables, each conditioned on those before it."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from estimators import Bernoulli


@dataclasses.dataclass(frozen=True)
class Autoregressive:
    r"""Autoregressive Bernoulli variables: each is conditioned on those before it.

    $p(z) = \prod_i \mathrm{Bern}(z_i \mid \sigma(\phi_i + \sum_{j<i} U_{ij} c(z)_j))$, a layer of a
    deep autoregressive network (Gregor et al. 2014, arXiv:1310.8499); without couplings it is
    `Bernoulli(logits)`.

    Args:
        logits: $\phi$, `[D]`.
        couplings: $U$, `[D, D]`, of which only the part below the diagonal is used.
        code: $c$, the elementwise code of a sample that enters the sums.
    """

    logits: jax.Array
    couplings: jax.Array
    code: Callable[[jax.Array], jax.Array]

    def conditionals(self, sample: jax.Array) -> Bernoulli:
        """Return every variable's distribution given earlier ones in a hard or relaxed sample."""
        return Bernoulli(self.logits + jnp.tril(self.couplings, -1) @ self.code(sample))

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return log p of a sample, hard or relaxed, in nats."""
        return self.conditionals(sample).log_prob(sample)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw the variables in order; `key` is consumed."""
        alone = Bernoulli(self.logits)

        def draw(sample, variable):
            index, perturbed, couplings = variable
            return sample.at[index].set(alone.hard(perturbed + couplings @ self.code(sample))), None

        perturbed = alone.perturb(alone.noise(key))
        variables = jnp.arange(len(perturbed)), perturbed, jnp.tril(self.couplings, -1)
        return jax.lax.scan(draw, jnp.zeros_like(perturbed), variables)[0]
