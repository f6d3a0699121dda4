"""The REBAR estimator."""

from typing import Any, Literal, Self

import jax
import jax.numpy as jnp

from estimators.control_variates.relaxed_control import relaxed_control
from estimators.core.continuous_pass import relaxed_pass
from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.objective import Objective
from estimators.core.pytree import learned, pytree, static
from estimators.core.tuning import Tuning
from estimators.core.validation import check_choice, check_finite, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class REBAR(Estimator):
    r"""REBAR: the score function with f at the relaxed sample as its control variate.

    $(f(b) - \eta f(\sigma_\tau(\tilde z))) \nabla \log q(b) + \eta \nabla f(\sigma_\tau(z)) - \eta
    \nabla f(\sigma_\tau(\tilde z))$, with perturbed logits z, their hard sample b, and $\tilde z$
    drawn given b. Unbiased for every temperature and eta, which are learned by descent on the
    squared gradient: `log_temperature_change` and `eta_change` are added to the log of the
    temperature, and to eta. Where f holds further layers, f at a relaxed sample is one relaxed pass
    through all of them, with the noise of their hard samples. Tuning differentiates f twice.
    Tucker et al. 2017 (arXiv:1703.07370); for categorical variables Grathwohl et al. 2018
    (arXiv:1711.00123), appendix B.

    Args:
        temperature: $\tau > 0$.
        eta: $\eta$, the weight of the control variate; 0 is the score function.
        relaxation: "plain", $\sigma_\tau(z) = \mathrm{softmax}(z / \tau)$; or "modified",
            $\mathrm{softmax}(z / \tau + \theta\, \tau / (\tau + 1))$, which tends to the mean as
            the temperature grows (Tucker et al. 2017, section 3.3).
        coupled: whether $\tilde z$ shares the noise of z, so that it equals z but for its gradient
            (Tucker et al. 2017, appendix).
        log_temperature_change: learned.
        eta_change: learned.
    """

    temperature: Any
    eta: Any = 1.0
    relaxation: Literal["plain", "modified"] = static(default="plain")
    coupled: bool = static(default=False)
    log_temperature_change: Any = learned(default=0.0)
    eta_change: Any = learned(default=0.0)

    distributions = (Bernoulli, Categorical)
    differentiates = True
    continuous_passes = 2
    tuning = Tuning(10.0, b2=0.99999)
    paper = "tucker2017"

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    def evaluations(self, distribution: Distribution) -> int:
        """One at the hard sample, two at relaxed ones."""
        del distribution
        return 3

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Both relaxations, and coupled noise."""
        return (cls(0.5), cls(0.5, relaxation="modified"), cls(0.5, coupled=True))

    @property
    def tuned_temperature(self) -> jax.Array:
        """The temperature as learned."""
        return jax.lax.stop_gradient(self.temperature) * jnp.exp(self.log_temperature_change)

    @property
    def tuned_eta(self) -> jax.Array:
        """The weight of the control variate as learned."""
        return jax.lax.stop_gradient(self.eta) + self.eta_change

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the hard sample, the controlled score attached."""
        assert isinstance(distribution, Discrete)

        def control(estimator: "REBAR", distribution: Discrete, perturbed: jax.Array) -> jax.Array:
            temperature = estimator.tuned_temperature
            logits = perturbed / temperature
            if self.relaxation == "modified":
                logits = logits + distribution.logits * (temperature / (temperature + 1))
            with relaxed_pass(temperature):
                return estimator.tuned_eta * f(distribution.squash(logits))

        return relaxed_control(self, key, distribution, f, control, self.coupled)

    def check(self) -> None:
        """Raise where a setting is of the wrong type or out of range."""
        check_positive("REBAR temperature", self.temperature)
        check_finite("REBAR eta", self.eta)
        check_choice("REBAR relaxation", self.relaxation, ("plain", "modified"))
        check_choice("REBAR coupled", self.coupled, (True, False))
