"""The ReinMax-CV estimator."""

from typing import Literal, Self

import jax

from estimators.core.continuous_pass import mean_field_pass
from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator, fact
from estimators.core.gradients import attach_gradient, replace_gradient, value_and_slope
from estimators.core.noise import sample_keys
from estimators.core.objective import Objective
from estimators.core.products import vdot
from estimators.core.pytree import Scalar, pytree, static
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
class ReinMaxCV(Estimator[Bernoulli | Categorical, Objective]):
    r"""ReinMax-CV: ReinMax with a control variate.

    With $M(D) = 2 J(\frac{p + D}{2}) - \frac12 J(p)$ as in `ReinMax` at temperature 1:

    - `control="gumbel"`, as published: $f'(D) (M(D) - \eta J(y) / \tau + \eta \frac1K \sum_k J(y_k)
      / \tau)$ with $y = \mathrm{softmax}((\theta' + G) / \tau)$, $\theta' = \log \frac{p + D}{2}$,
      G the noise that drew D, and $y_k$ as in `ReinMaxRao`. G is drawn given $\arg\max(\theta + G)
      = D$ and the $y_k$ given $\arg\max(\theta' + G_k) = D$, so the mean of the added term given D
      is not zero: it changes ReinMax's bias, and exactness for quadratics is lost. If both had the
      same distribution, exactness would be kept, but the added term would be noise independent of
      $f'(D) M(D)$, which cannot lower the variance. On VAEs of MNIST with few latents, squared bias
      and variance were both measured above those of ReinMax. Wang and Bui 2026 (arXiv:2603.08257),
      from the authors' published code, since the text was unavailable.
    - `control="slope"`, derived here: $(f'(D) - \eta f'(p)) M(D) + \eta f'(p) J(p)$. Since
      $E[M(D)] = J(p)$, its mean is that of ReinMax for every f, so it is exact for quadratics; it
      has zero variance for linear f at $\eta = 1$. f'(p) is one mean-field pass, as in `MuProp`.
      If f' at the corners is far from f' at the mean, it increases the variance.

    The tests verify both by quadrature and enumeration. Biased beyond quadratics.

    Args:
        temperature: $\tau > 0$ of the relaxed samples; unused by the control "slope".
        scale: $\eta$.
        num_samples: K, at least 1.
        control: "gumbel" or "slope".
    """

    temperature: Scalar = 1.0
    scale: Scalar = 1.0
    num_samples: int = static(default=10)
    control: Literal["gumbel", "slope"] = static(default="gumbel")

    differentiates = True
    continuous_passes = fact(lambda self: 1 if self.control == "slope" else 0)
    paper = "wang2026"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation at the sample, and one at the mean for the control "slope"."""
        return 2 if self.control == "slope" else 1

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with both controls."""
        return (cls(), cls(control="slope"))

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the controlled derivative of Heun's step."""
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

        def control(distribution: Discrete) -> jax.Array:
            rest = distribution.mean - heun(distribution, halfway(distribution, sample))
            return scale * vdot(slope, rest)

        value = f(replace_gradient(sample, heun(distribution, middle)))
        return attach_gradient(value, distribution, jax.grad(control)(distribution))

    def check(self) -> None:
        """Raise if a number is out of range or the control is unknown."""
        check_positive("ReinMaxCV temperature", self.temperature)
        check_finite("ReinMaxCV scale", self.scale)
        check_count("ReinMaxCV num_samples", self.num_samples, 1)
        check_choice("ReinMaxCV control", self.control, ("gumbel", "slope"))
