"""The RELAX estimator."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp

from estimators.control_variates.relaxed_control import relaxed_control
from estimators.core.continuous_pass import relaxed_pass
from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, Unbiased
from estimators.core.network import MLP
from estimators.core.objective import Objective
from estimators.core.part import Part
from estimators.core.pytree import learned, pytree, static, tuned
from estimators.core.validation import check_choice, check_positive
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical


@pytree
class RELAX(Estimator):
    r"""RELAX: the score function with a learned function of the relaxed sample as control variate.

    $(f(b) - c(\tilde z)) \nabla \log q(b) + \nabla c(z) - \nabla c(\tilde z)$, with perturbed
    logits z, their hard sample b, and $\tilde z$ drawn given b. Unbiased for every fixed c, which
    is learned by descent on the squared gradient. With $c = \mathrm{net}(\sigma_\tau(z))$ f may be
    a black box. With `relaxes_objective`, $c = f(\sigma_\tau(z)) + \mathrm{net}(\sigma_\tau(z))$:
    REBAR at eta = 1, and what the network adds. Grathwohl et al. 2018 (arXiv:1711.00123).

    Args:
        control_variate: the network: a pytree with parameters as leaves, called on the relaxed
            sample as a vector, that returns a scalar. `MLP` is given its size by `initialise`.
        temperature: $\tau > 0$ of the relaxed sample.
        relaxes_objective: whether f at the relaxed sample is part of c.
        log_temperature_change: learned; added to the log of the temperature.
    """

    control_variate: Any = tuned(default_factory=MLP)
    temperature: Any = 1.0
    relaxes_objective: bool = static(default=False)
    log_temperature_change: Any = learned(default=0.0)

    distributions = (Bernoulli, Categorical)
    paper = "grathwohl2018"

    @property
    def differentiates(self) -> bool:
        """Only where f is part of the control variate."""
        return self.relaxes_objective

    @property
    def unbiased(self) -> Unbiased:
        """Unbiased."""
        return "yes"

    @property
    def continuous_passes(self) -> int:
        """Two at relaxed samples, where f is relaxed."""
        return 2 if self.relaxes_objective else 0

    def evaluations(self, distribution: Distribution) -> int:
        """One at the hard sample, and two at relaxed ones where f is part of c."""
        del distribution
        return 3 if self.relaxes_objective else 1

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A network alone, and with f."""
        return (cls(), cls(temperature=0.5, relaxes_objective=True))

    @property
    def tuned_temperature(self) -> jax.Array:
        """The temperature as learned."""
        return jax.lax.stop_gradient(self.temperature) * jnp.exp(self.log_temperature_change)

    def initialise(self, key: jax.Array, distribution: Distribution) -> Self:
        """Give the network weights; `key` is consumed."""
        if not isinstance(self.control_variate, Part):
            return self
        network = self.control_variate.initialise(key, distribution)
        return dataclasses.replace(self, control_variate=network)

    def estimate(self, key: jax.Array, distribution: Distribution, f: Objective) -> jax.Array:
        """Return f at the hard sample, the controlled score attached."""
        assert isinstance(distribution, Discrete)

        def control(estimator: "RELAX", distribution: Discrete, perturbed: jax.Array) -> jax.Array:
            temperature = estimator.tuned_temperature
            soft = distribution.relaxed(perturbed, temperature)
            value = estimator.control_variate(soft.ravel())
            if not self.relaxes_objective:
                return value
            with relaxed_pass(temperature):
                return f(soft) + value

        return relaxed_control(self, key, distribution, f, control)

    def check(self) -> None:
        """Raise where a setting is of the wrong type or out of range."""
        if not callable(self.control_variate):
            raise TypeError(f"RELAX control_variate must be callable, not {self.control_variate!r}")
        if isinstance(self.control_variate, Part):
            self.control_variate.check()
        check_positive("RELAX temperature", self.temperature)
        check_choice("RELAX relaxes_objective", self.relaxes_objective, (True, False))
