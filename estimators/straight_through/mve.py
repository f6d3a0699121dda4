"""The minimum-variance estimators: straight-through with a price on the bias for quadratics."""

import functools
from typing import Self

import jax
import jax.numpy as jnp

from estimators.core.distribution import Discrete, Distribution
from estimators.core.estimator import Estimator, fact
from estimators.core.gradients import replace_gradient
from estimators.core.objective import Objective
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_choice, check_not_negative
from estimators.distributions.bernoulli import Bernoulli
from estimators.distributions.categorical import Categorical

_MOST_CLASSES = 1_000


@pytree
class MVE(Estimator[Bernoulli | Categorical, Objective]):
    r"""MVE: of all estimators $S(D)^\top f'(D)$ that are exact for linear f, the least error.

    S(D) is a $K \times K$ matrix per drawn class. Among those with $\sum_i p_i S(e_i) = J$, where
    $J = \mathrm{diag}(p) - p p^\top$, it minimises

    $$\sum_i p_i \|S(e_i)\|^2 + \tfrac{T}{2} \sum_{ij} \|p_i S(e_i)_j + p_j S(e_j)_i -
    \delta_{ij} J_i\|^2:$$

    the second moment of the gradient for a random linear f, plus T times the expected squared bias
    for a random quadratic one. With T = 0 it is `StraightThrough`; with $T = \infty$ it is unbiased
    for every quadratic f. S does not depend on f, so the best T grows with the curvature of f
    relative to its slope. The minimiser solves one $K \times K$ system per variable, so K is at
    most 1,000.

    For bits, and for two classes, no system is solved: it is straight-through and `DARN` with the
    weights $1 - w$ and $w = 4 T s (1 - s) / (1 + 4 T s (1 - s))$.

    With `integer`, f depends on each variable through the number $y = D \cdot (0, \dots, K - 1)$
    only, and the same is minimised over estimators $S(y)^\top f'(y)$, which needs no system. Its T
    is in other units: with two classes it is twice that of one-hot variables.

    Hooper and Shekhovtsov 2026 (AISTATS).

    Args:
        penalty: $T \ge 0$, which may be infinite.
        integer: whether f depends on the number of the class only.
    """

    penalty: Scalar = float("inf")
    integer: bool = static(default=False)

    distributions = fact(lambda self: (Categorical,) if self.integer else (Bernoulli, Categorical))
    differentiates = True
    paper = "hooper2026"

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return variants that are exact for quadratics, between, and for numbers."""
        return (cls(), cls(1.0), cls(integer=True))

    def unfit(self, distribution: Distribution) -> str | None:
        """Return a message if the linear systems are too large, else None."""
        classes = distribution.event_shape[-1] if isinstance(distribution, Categorical) else 2
        if classes <= _MOST_CLASSES or self.integer:
            return None
        return (
            f"solves a linear system of {classes:,} classes per variable, about {classes**3:.0e} "
            f"operations; at most {_MOST_CLASSES:,} classes"
        )

    def estimate(self, key: jax.Array, distribution: Discrete, f: Objective) -> jax.Array:
        """Return f at the hard sample, with the derivative S."""
        sample = distribution.sample(key)
        # Both vanish in the limits: 1 / (1 + T), and T / (1 + T).
        slack = 1 / (1 + jax.lax.stop_gradient(self.penalty))
        price = 1 / (1 + 1 / jax.lax.stop_gradient(self.penalty))
        make = _of_number if self.integer else surrogate
        return f(replace_gradient(sample, make(distribution, sample, slack, price)))

    def check(self) -> None:
        """Raise unless the penalty is at least zero."""
        check_not_negative("MVE penalty", self.penalty)
        check_choice("MVE integer", self.integer, (True, False))


@functools.singledispatch
def surrogate(distribution: Discrete, sample: jax.Array, slack: Scalar, price: Scalar) -> jax.Array:
    """Return an array shaped like the sample, whose derivative in the logits is S.

    Args:
        distribution: the distribution.
        sample: the hard sample.
        slack: $1 / (1 + T)$.
        price: $T / (1 + T)$.
    """
    raise NotImplementedError(f"MVE of {type(distribution).__name__}")


@surrogate.register
def _(distribution: Bernoulli, sample: jax.Array, slack: Scalar, price: Scalar) -> jax.Array:
    sign = 2 * sample - 1
    logits = jax.lax.stop_gradient(distribution.logits)
    drawn, other = jax.nn.sigmoid(sign * logits), jax.nn.sigmoid(-sign * logits)
    # Of two values that rule each other out, one may have probability zero.
    variance = jnp.maximum(drawn * other, jnp.finfo(sample.dtype).tiny)
    weight = 4 * price / (slack / variance + 4 * price)
    return (1 - weight) * distribution.mean + weight * other / 2 * distribution.logits


@surrogate.register
def _(distribution: Categorical, sample: jax.Array, slack: Scalar, price: Scalar) -> jax.Array:
    logits = jax.lax.stop_gradient(distribution.logits)
    probs = jax.nn.softmax(logits)
    variable = jnp.vectorize(_multiplied, signature="(k),(k),(k),(),()->(k)")
    soft = variable(distribution.logits, probs, sample, slack, price)
    # At T = 0 the same to the last bit, which a solution of a system is not.
    return jnp.where(price > 0, soft, distribution.mean)


def _multiplied(
    logits: jax.Array, p: jax.Array, sample: jax.Array, slack: jax.Array, price: jax.Array
) -> jax.Array:
    """Return S of one variable, for the class that was drawn, times its logits, `[K]`.

    All numerators and denominators are divided by 1 + T, and each row of the system by its diagonal
    element: so T may be infinite, and classes may be rare or masked.
    """
    classes, limits = len(p), jnp.finfo(p.dtype)
    # A class so rare that its shares would underflow counts as masked.
    p = jnp.where(p < limits.tiny / limits.eps, 0, p)
    row, column = p[:, None], p[None, :]
    is_own = jnp.eye(classes, dtype=bool)
    covariance = jnp.diag(p) - row * column
    own, twice = slack + price * row, slack + 2 * price * row
    pair = _nonzero(slack + price * (row + column))
    off_diagonal = jnp.where(is_own, 0, price * row * (column / pair))
    # No difference of large numbers: the own part of the sum is what remains of the diagonal.
    parts = jnp.where(is_own, slack * row / _nonzero(twice), own * (column / pair))
    diagonal = parts.sum(-1, keepdims=True)
    system = jnp.eye(classes, dtype=p.dtype) - off_diagonal / _nonzero(diagonal)
    # At T = inf solutions are determined up to a constant row, which cancels below.
    system += jnp.where(slack > 0, 0, 1 / classes).astype(p.dtype)
    # Two quotients: the compiler would divide by the product of the denominators, which underflows.
    right = (own / _nonzero(twice)) * (covariance / _nonzero(diagonal))
    solution = _solved(system, right @ logits)
    difference = (slack + price * p) * solution - price * p * (sample @ solution)
    difference += price * sample * (covariance @ logits)
    return difference / _nonzero(slack + price * (p + sample @ p))


def _solved(system: jax.Array, right: jax.Array) -> jax.Array:
    """Return the solution `[K]` of a linear system; its derivative is one more elimination."""
    return jax.lax.custom_linear_solve(
        lambda x: system @ x,
        right,
        lambda _, right: _eliminated(system, right),
        lambda _, right: _eliminated(system.T, right),
    )


def _eliminated(system: jax.Array, right: jax.Array) -> jax.Array:
    """Return the solution `[K]` by elimination, without pivoting: the diagonal is dominant.

    `jnp.linalg.solve` could hang: on CPUs its batches wait for the threads on which the programs of
    several devices already run (jaxlib 0.10.2).
    """

    def eliminate(k: jax.Array, rows: jax.Array) -> jax.Array:
        pivot = rows[k] / rows[k, k]
        return (rows - jnp.outer(rows[:, k], pivot)).at[k].set(pivot)

    rows = jnp.concatenate([system, right[:, None]], axis=1)
    return jax.lax.fori_loop(0, len(system), eliminate, rows)[:, -1]


def _of_number(
    distribution: Discrete, sample: jax.Array, slack: Scalar, price: Scalar
) -> jax.Array:
    """Return an array shaped like the sample, whose number has the derivative S in the logits."""
    logits = jax.lax.stop_gradient(distribution.logits)
    variable = jnp.vectorize(_weights, signature="(k),(k),(),()->(k)")
    weights = variable(jax.nn.softmax(logits), sample, slack, price)
    number = (weights * distribution.mean).sum(-1, keepdims=True)
    # f' is a multiple of the numbers of the classes, whose factor is the derivative in y.
    numbers = jax.lax.broadcasted_iota(sample.dtype, sample.shape, sample.ndim - 1)
    return number * numbers / (numbers**2).sum(-1, keepdims=True)


def _weights(p: jax.Array, sample: jax.Array, slack: jax.Array, price: jax.Array) -> jax.Array:
    """Return the weights `[K]` of one variable, so that S is J times them."""
    numbers = jnp.arange(len(p), dtype=p.dtype)
    centred = numbers - p @ numbers
    spread = p @ centred**2
    return centred + price * (sample @ centred) * centred**2 / _nonzero(slack + 2 * price * spread)


def _nonzero(values: jax.Array) -> jax.Array:
    return jnp.where(values > 0, values, 1)
