"""The ReinMax-CV estimator."""

from typing import Any, Literal, Self

import jax

from estimators.core.continuous_pass import mean_field_pass
from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.gradients import attach_gradient, replace_gradient, value_and_slope
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.products import vdot
from estimators.core.pytree import pytree, static
from estimators.core.validation import (
    check_choice,
    check_count,
    check_finite,
    check_positive,
)
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.relaxations.rao_blackwell import mean_relaxed
from estimators.straight_through.halfway import halfway
from estimators.straight_through.reinmax import heun


@pytree
class ReinMaxCV(Estimator):
    r"""ReinMax-CV: ReinMax with a control variate.

    With $M(D) = 2 J(\frac{p + D}{2}) - \frac12 J(p)$ as of `ReinMax` at temperature 1:

    - `control="gumbel"`, the published one: $f'(D) (M(D) - \eta J(y) / \tau + \eta \frac1K \sum_k
      J(y_k) / \tau)$ with $y = \mathrm{softmax}((\theta' + G) / \tau)$, $\theta' = \log \frac{p +
      D}{2}$, G the noise that drew D, and $y_k$ as of `ReinMaxRao`. G was drawn given $\arg\max
      (\theta + G) = D$, the $y_k$ given $\arg\max(\theta' + G_k) = D$, so what is added has no
      zero mean given D: it shifts ReinMax's bias, and exactness for quadratics is lost. With the
      same law for both it would be kept, but then the added term is noise independent of
      $f'(D) M(D)$, and never lowers the variance. On VAEs of MNIST with few latents both the
      squared bias and the variance were measured above ReinMax's.
      Wang and Bui 2026 (arXiv:2603.08257): read from the authors' published code, the text itself
      was unavailable.
    - `control="slope"`, derived here: $(f'(D) - \eta f'(p)) M(D) + \eta f'(p) J(p)$. Since
      $E[M(D)] = J(p)$, its mean is that of ReinMax for every f, so exact for quadratics; without
      variance for linear f at $\eta = 1$. f'(p) is one mean-field pass, as of `MuProp`. Where f'
      at the corners is far from f' at the mean, the variance is more than without.

    Both claims are checked, by quadrature and by enumeration. Biased beyond quadratics.

    Args:
        temperature: $\tau > 0$ of the relaxed samples; without effect where the control is "slope".
        scale: $\eta$.
        num_samples: K, at least 1.
        control: "gumbel" or "slope".
    """

    temperature: Any = 1.0
    scale: Any = 1.0
    num_samples: int = static(default=10)
    control: Literal["gumbel", "slope"] = static(default="gumbel")

    distributions = (Bernoulli, Categorical)
    differentiates = True
    paper = "wang2026"

    @property
    def unbiased(self) -> Unbiased:
        """Biased."""
        return "no"

    @property
    def continuous_passes(self) -> int:
        """One at the mean where its slope is the control."""
        return 1 if self.control == "slope" else 0

    def evaluations(self, distribution: Distribution) -> int:
        """One at the sample, and one at the mean where its slope is the control."""
        del distribution
        return 2 if self.control == "slope" else 1

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Both controls."""
        return (cls(), cls(control="slope"))

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the controlled derivative of Heun's step."""
        assert isinstance(distribution, Discrete)
        keys = sample_keys(key, 1 + self.num_samples)
        noise = distribution.noise(keys[0])
        sample = jax.lax.stop_gradient(distribution.hard(distribution.perturb(noise)))
        temperature, scale = jax.lax.stop_gradient((self.temperature, self.scale))
        middle = halfway(distribution, sample)
        if self.control == "gumbel":
            plain = middle.relaxed(middle.perturb(noise), temperature)
            averaged = mean_relaxed(keys[1:], middle, sample, temperature)
            soft = heun(distribution, middle) + scale * (averaged - plain)
            return f(replace_gradient(sample, soft))
        with mean_field_pass():
            _, slope = value_and_slope(f)(distribution.mean)

        def control(distribution):
            rest = distribution.mean - heun(distribution, halfway(distribution, sample))
            return scale * vdot(slope, rest)

        value = f(replace_gradient(sample, heun(distribution, middle)))
        return attach_gradient(value, distribution, jax.grad(control)(distribution))

    def check(self) -> None:
        """Raise where a number is out of range, or the control is unknown."""
        check_positive("ReinMaxCV temperature", self.temperature)
        check_finite("ReinMaxCV scale", self.scale)
        check_count("ReinMaxCV num_samples", self.num_samples, 1)
        check_choice("ReinMaxCV control", self.control, ("gumbel", "slope"))
