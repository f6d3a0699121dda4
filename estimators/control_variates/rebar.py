"""The REBAR estimator."""

from typing import Literal, Self

import jax
import jax.numpy as jnp

from estimators.control_variates.relaxed_control import relaxed_control
from estimators.core.continuous_pass import relaxed_pass
from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, learned, pytree, static
from estimators.core.tuning import Tuning
from estimators.core.validation import check_choice, check_finite, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class REBAR(Estimator[Bernoulli | Categorical, Objective]):
    r"""REBAR: the score function with f at the relaxed sample as its control variate.

    $(f(b) - \eta f(\sigma_\tau(\tilde z))) \nabla \log q(b) + \eta \nabla f(\sigma_\tau(z)) - \eta
    \nabla f(\sigma_\tau(\tilde z))$, with perturbed logits z, their hard sample b, and $\tilde z$
    drawn given b. Unbiased for every temperature and eta, which are learned by gradient descent on
    the squared gradient. If f contains further layers, f at a relaxed sample is one relaxed pass
    through all of them, with the noise of their hard samples. Tuning differentiates f twice.
    Tucker et al. 2017 (arXiv:1703.07370); for categorical variables Grathwohl et al. 2018
    (arXiv:1711.00123), appendix B.

    Args:
        temperature: $\tau > 0$.
        eta: $\eta$, the weight of the control variate; 0 gives the score function.
        relaxation: "plain", $\sigma_\tau(z) = \mathrm{softmax}(z / \tau)$; or "modified",
            $\mathrm{softmax}(z / \tau + \theta\, \tau / (\tau + 1))$, which tends to the mean as
            the temperature grows (Tucker et al. 2017, section 3.3).
        coupled: whether $\tilde z$ shares the noise of z, so that it equals z but has a different
            derivative (Tucker et al. 2017, appendix).
        log_temperature_change: learned; added to the logarithm of the temperature.
        eta_change: learned; added to eta.
    """

    temperature: Scalar
    eta: Scalar = 1.0
    relaxation: Literal["plain", "modified"] = static(default="plain")
    coupled: bool = static(default=False)
    log_temperature_change: Scalar = learned(default=0.0)
    eta_change: Scalar = learned(default=0.0)

    unbiased = "yes"
    differentiates = True
    continuous_passes = 2
    tuning = Tuning(10.0, b2=0.99999)
    paper = "tucker2017"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation at the hard sample, two at relaxed samples."""
        return 3

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with both relaxations, and with coupled noise."""
        return (cls(0.5), cls(0.5, relaxation="modified"), cls(0.5, coupled=True))

    @property
    def tuned_temperature(self) -> jax.Array:
        """The temperature, including its learned change."""
        return jax.lax.stop_gradient(self.temperature) * jnp.exp(self.log_temperature_change)

    @property
    def tuned_eta(self) -> Scalar:
        """The learned weight of the control variate."""
        return jax.lax.stop_gradient(self.eta) + self.eta_change

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the controlled score attached."""

        def control(estimator: "REBAR", distribution: Discrete, perturbed: jax.Array) -> jax.Array:
            temperature = estimator.tuned_temperature
            logits = perturbed / temperature
            if self.relaxation == "modified":
                logits = logits + distribution.logits * (temperature / (temperature + 1))
            with relaxed_pass(temperature):
                return estimator.tuned_eta * f(distribution.squash(logits))

        return relaxed_control(self, key, distribution, f, control, self.coupled)

    def check(self) -> None:
        """Raise if a setting has the wrong type or is out of range."""
        check_positive("REBAR temperature", self.temperature)
        check_finite("REBAR eta", self.eta)
        check_choice("REBAR relaxation", self.relaxation, ("plain", "modified"))
        check_choice("REBAR coupled", self.coupled, (True, False))
