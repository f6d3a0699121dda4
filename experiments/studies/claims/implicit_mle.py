"""Claims about implicit MLE: long and short steps, its noise."""

import jax
import jax.numpy as jnp
import numpy as np

from estimators import SIMPLE, Estimator, ImplicitMLE, Subset
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below
from experiments.studies.claims.outcomes import Outcomes, apart
from experiments.studies.claims.quantities import share
from experiments.studies.claims.subset_laws import SPREAD, conditional
from experiments.studies.claims.subsets import LOGITS, linear


class _Implicit:
    """Gradients and samples of implicit MLE on a linear f of 3 of 7 items."""

    def __init__(self, scale: Scale):
        self._keys = jax.random.split(jax.random.key(1), scale.samples(1 << 15))

    def gradients(self, estimator: Estimator) -> np.ndarray:
        def loss(logits: jax.Array, key: jax.Array) -> jax.Array:
            return estimator(key, Subset(logits, 3), linear)

        each = jax.vmap(jax.grad(loss), (None, 0))
        return np.asarray(jax.jit(each)(jnp.asarray(SPREAD, jnp.float32), self._keys), np.float64)

    def shortfall(self, estimator: Estimator) -> Estimate:
        """Return 1 less the length of the mean along the true gradient."""
        states = conditional(SPREAD).states()

        def expected(logits: jax.Array) -> jax.Array:
            chances = jnp.exp(jax.vmap(Subset(logits, 3).log_prob)(states))
            return chances @ jax.vmap(linear)(states)

        truth = np.asarray(
            jax.jit(jax.grad(expected))(jnp.asarray(SPREAD, jnp.float32)), np.float64
        )
        return sample_mean(1 - self.gradients(estimator) @ truth / (truth @ truth))

    def errors(self, estimator: Estimator) -> np.ndarray:
        """Return the total difference of the marginals from those of the law, of 32 batches."""
        law = conditional(SPREAD)

        def sample(key: jax.Array) -> jax.Array:
            places = jnp.arange(len(SPREAD))
            return jax.vmap(lambda i: estimator(key, law, lambda z: z[i]))(places)

        found = np.asarray(jax.jit(jax.vmap(sample))(self._keys), np.float64)
        means = found.reshape(32, -1, len(SPREAD)).mean(1)
        return np.abs(means - np.asarray(law.mean)).sum(1)


def _of_marginals(step: float) -> Estimate:
    """Return how far a difference of marginal probabilities is from SIMPLE, relative to it."""
    slope = np.linspace(-1.0, 1.0, len(LOGITS))
    moved = conditional(LOGITS - step * slope)
    difference = (np.asarray(conditional(LOGITS).mean) - np.asarray(moved.mean)) / step
    simple = Outcomes(SIMPLE(), conditional(LOGITS), lambda z: z @ jnp.asarray(slope, z.dtype))
    return apart(difference, simple.gradients[0])


_NIEPERT = "Niepert et al. 2021"

STUDIES = (
    ClaimStudy(
        "implicit-mle",
        "implicit MLE on a linear f of 3 of 7 items, 2^15 gradients",
        _Implicit,
        (
            Claim(
                "With marginal probabilities for samples, implicit MLE tends to SIMPLE as lambda "
                "goes to 0",
                "derived",
                "largest difference from SIMPLE at lambda 0.01",
                lambda _: _of_marginals(0.01),
                below(0.02, effect=0.02),
            ),
            Claim(
                "At small lambda nearly all gradients of implicit MLE are zero",
                "Minervini et al. 2023, abstract",
                "share of zero gradients at lambda 0.01",
                lambda found: share(~found.gradients(ImplicitMLE(0.01)).any(1)),
                above(0.9, effect=0.05),
            ),
            Claim(
                "Implicit MLE with a long step is biased even for a linear f",
                "derived",
                "1 less the length along the truth, lambda 10",
                lambda found: found.shortfall(ImplicitMLE(10.0)),
                above(0.1, effect=0.1),
            ),
            Claim(
                "At temperature 1 sum-of-gamma noise is further from the law of subsets than "
                "Gumbel noise",
                f"derived, against {_NIEPERT}, section 3",
                "error of the marginals, sum of gamma less Gumbel",
                lambda found: sample_mean(
                    found.errors(ImplicitMLE(noise="sum_of_gamma")) - found.errors(ImplicitMLE())
                ),
                above(0.0, effect=0.01),
            ),
        ),
    ),
)
