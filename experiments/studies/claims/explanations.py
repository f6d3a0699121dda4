"""Claims about masks that explain a prediction, exact by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    SIMPLE,
    Categorical,
    Estimator,
    ScoreFunction,
    SecondOrderStraightThrough,
    Subset,
)
from experiments.problems import Explain
from experiments.problems.explain import FEATURES, Law
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Enumeration, apart, number

_LOGITS = np.array([0.6, -0.3, 1.4, 0.2, -0.8, 0.9, -1.6, 0.1, -0.5, 0.3])
_REPEATED = 1 - 10 * 9 * 8 * 7 / 10**4  # of four choices, two are the same


class _Masks:
    """Four of ten features of an example of the orange skin, with predictors at their start."""

    def __init__(self, scale: Scale):
        del scale
        self._problem = Explain("orange", batch_size=1)
        self._params = self._problem.initial(jax.random.key(0))
        self._example = self._problem.draw(jax.random.key(1), 1)
        logits = jnp.asarray(_LOGITS, jnp.float32)
        self._law = Enumeration(Subset(logits, self._problem.k))
        own = self._problem.selector_logits(self._params, self._example["inputs"])
        self._params["logits"] = logits[None] - own

    def f(self, mask: jax.Array) -> jax.Array:
        """Return the cross-entropy of the example."""
        x, target = self._example["inputs"][0], self._example["targets"][0]
        return self._problem.misfit(self._params, mask, x, target)

    def bias(self) -> Estimate:
        """Return the log ratio of the biases, second order over SIMPLE."""
        return number(np.log(self._law(SecondOrderStraightThrough(), self.f).bias / self.simple))

    @property
    def simple(self) -> float:
        """The relative bias of SIMPLE."""
        return self._law(SIMPLE(), self.f).bias

    def variance(self, first: Estimator, second: Estimator) -> Estimate:
        """Return the log ratio of two variances."""
        return self._law.log_ratio(first, second, self.f)

    def laws(self) -> Estimate:
        """Return the relative distance of the exact gradients of the two laws of subsets."""

        def gradient(law: Law) -> np.ndarray:
            problem = Explain("orange", law, batch_size=1)

            def loss(logits: jax.Array) -> jax.Array:
                value = problem.exact_loss(self._params | {"logits": logits}, self._example)
                assert value is not None
                return value

            return np.asarray(jax.jit(jax.grad(loss))(self._params["logits"]), np.float64)

        return apart(gradient("PlackettLuceSubset"), gradient("Subset"))

    def repeated(self) -> Estimate:
        """Return the chance of fewer than four features, of four equal choices."""
        problem = Explain("orange", "Categorical")
        choices = Categorical(jnp.zeros((problem.k, FEATURES))).states()
        sizes = jax.vmap(lambda choice: problem.mask(choice).sum())(choices)
        return number(np.mean(np.asarray(sizes) < problem.k) - _REPEATED)


STUDIES = (
    ClaimStudy(
        "masks-of-features",
        "masks of four of ten features, an example of Explain[task=orange], all masks",
        _Masks,
        (
            Claim(
                "Second order has less than three quarters of SIMPLE's bias on explanations",
                "derived: of second order, not of first",
                "log ratio of biases on masks, second order over SIMPLE",
                lambda masks: masks.bias(),
                below(np.log(0.75), effect=0.3),
            ),
            Claim(
                "SIMPLE is biased on explanations",
                "derived: f is not linear",
                "relative bias of SIMPLE on masks",
                lambda masks: number(masks.simple),
                above(0.01, effect=0.01),
            ),
            Claim(
                "Second order has more than twice the variance of SIMPLE there",
                "derived",
                "log variance ratio on masks, second order over SIMPLE",
                lambda masks: masks.variance(SecondOrderStraightThrough(), SIMPLE()),
                above(np.log(2), effect=0.5),
            ),
            Claim(
                "Both vary less there than the score function",
                "Ahmed et al. 2023, section 5",
                "log variance ratio on masks, second order over the score function",
                lambda masks: masks.variance(SecondOrderStraightThrough(), ScoreFunction()),
                below(0.0, effect=0.5),
            ),
            Claim(
                "The law of perturbed logits is another objective than that of conditional bits",
                "derived",
                "relative distance of the gradients of the two laws on masks",
                lambda masks: masks.laws(),
                above(0.02, effect=0.02),
            ),
            Claim(
                "Of four choices with replacement, as Chen et al. 2018 draw masks, two are the "
                "same with probability 0.496 at equal logits",
                "derived",
                "chance of fewer than four features, less 0.496",
                lambda masks: masks.repeated(),
                between(-1e-5, 1e-5),
            ),
        ),
    ),
)
