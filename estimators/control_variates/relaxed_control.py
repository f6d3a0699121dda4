"""The score function with a control variate of the relaxed sample, as in REBAR and RELAX."""

from collections.abc import Callable
from typing import TypeVar

import jax

from estimators.control_variates.coupling import noise_given
from estimators.control_variates.learning import attach_learning
from estimators.core.distribution import Discrete
from estimators.core.objective import Objective

E = TypeVar("E")


def relaxed_control(
    estimator: E,
    key: jax.Array,
    distribution: Discrete,
    f: Objective,
    control: Callable[[E, Discrete, jax.Array], jax.Array],
    coupled: bool = False,
) -> jax.Array:
    r"""Return f at a hard sample b, with the controlled score attached.

    $(f(b) - c(\tilde z)) \nabla \log q(b) + \nabla c(z) - \nabla c(\tilde z)$, where z are the
    perturbed logits with hard sample b, and $\tilde z$ is an independent draw of them given b. Its
    mean is the true gradient for every c, so the estimator's leaves are learned from its squared
    norm.

    Args:
        estimator: the estimator, on whose leaves c depends.
        key: a typed random key, consumed.
        distribution: the distribution.
        f: the objective.
        control: c, as `control(estimator, distribution, perturbed)`.
        coupled: whether $\tilde z$ uses the noise for which it equals z, instead of independent
            noise.
    """
    noise = distribution.noise(key)
    fixed = jax.lax.stop_gradient(distribution)
    perturbed = fixed.perturb(noise)
    sample = fixed.hard(perturbed)
    value = f(sample)
    if coupled:
        further = noise_given(fixed, perturbed, sample)
    else:
        further = fixed.noise(jax.random.fold_in(key, 1))

    def gradient(estimator: E) -> Discrete:
        def difference(distribution: Discrete) -> tuple[jax.Array, jax.Array]:
            free = control(estimator, distribution, distribution.perturb(noise))
            given = control(estimator, distribution, distribution.perturb_given(further, sample))
            return free - given, given

        correction, given = jax.grad(difference, has_aux=True)(fixed)
        # Differentiable in the estimator's leaves, for tuning.
        signal = jax.lax.stop_gradient(value) - given
        return jax.tree.map(lambda s, c: signal * s + c, fixed.score(sample), correction)

    return attach_learning(value, distribution, estimator, gradient)
