"""The RELAX estimator."""

from typing import Any, Self

import jax
import jax.numpy as jnp

from estimators.control_variates.relaxed_control import relaxed_control
from estimators.core.continuous_pass import relaxed_pass
from estimators.core.distribution import Discrete
from estimators.core.estimator import Estimator, fact
from estimators.core.objective import Objective, and_context
from estimators.core.part import Part
from estimators.core.pytree import Scalar, learned, pytree, static, tuned
from estimators.core.validation import check_choice, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical
from estimators.score_function.network import MLP


@pytree
class RELAX(Estimator[Bernoulli | Categorical, Objective]):
    r"""RELAX: the score function with a learned function of the relaxed sample as control variate.

    $(f(b) - c(\tilde z)) \nabla \log q(b) + \nabla c(z) - \nabla c(\tilde z)$, with perturbed
    logits z, their hard sample b, and $\tilde z$ drawn given b. Unbiased for every fixed c, which
    is learned by gradient descent on the squared gradient. With $c =
    \mathrm{net}(\sigma_\tau(z))$, f may be a black box. If `relaxes_objective`, $c =
    f(\sigma_\tau(z)) + \mathrm{net}(\sigma_\tau(z))$: REBAR at eta = 1 plus a network. Grathwohl
    et al. 2018 (arXiv:1711.00123).

    Args:
        control_variate: the network: a pytree whose leaves are its parameters, which maps the
            relaxed sample as a vector, with f's context (`with_context`) at its end, to a scalar.
            `initialise` sizes an `MLP`.
        temperature: $\tau > 0$ of the relaxed sample.
        relaxes_objective: whether c includes f at the relaxed sample.
        log_temperature_change: learned; added to the logarithm of the temperature.
    """

    control_variate: Any = tuned(default_factory=MLP)
    temperature: Scalar = 1.0
    relaxes_objective: bool = static(default=False)
    log_temperature_change: Scalar = learned(default=0.0)

    unbiased = "yes"
    differentiates = fact(lambda self: self.relaxes_objective)
    continuous_passes = fact(lambda self: 2 if self.relaxes_objective else 0)
    paper = "grathwohl2018"

    def evaluations(self, distribution: Discrete) -> int:
        """One evaluation at the hard sample, and two at relaxed samples if c includes f."""
        return 3 if self.relaxes_objective else 1

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants with the network only, and with f."""
        return (cls(), cls(temperature=0.5, relaxes_objective=True))

    @property
    def tuned_temperature(self) -> jax.Array:
        """The temperature, including its learned change."""
        return jax.lax.stop_gradient(self.temperature) * jnp.exp(self.log_temperature_change)

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the controlled score attached."""

        def control(estimator: "RELAX", distribution: Discrete, perturbed: jax.Array) -> jax.Array:
            temperature = estimator.tuned_temperature
            soft = distribution.relaxed(perturbed, temperature)
            value = estimator.control_variate(and_context(soft.ravel(), f))
            if not self.relaxes_objective:
                return value
            with relaxed_pass(temperature):
                return f(soft) + value

        return relaxed_control(self, key, distribution, f, control)

    def check(self) -> None:
        """Raise if a setting has the wrong type or is out of range."""
        if not callable(self.control_variate):
            raise TypeError(f"RELAX control_variate must be callable, not {self.control_variate!r}")
        if isinstance(self.control_variate, Part):
            self.control_variate.check()
        check_positive("RELAX temperature", self.temperature)
        check_choice("RELAX relaxes_objective", self.relaxes_objective, (True, False))
