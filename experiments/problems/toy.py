"""Toy problems with exact answers in closed form."""

import abc
import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    Bernoulli,
    Categorical,
    Discrete,
    Distribution,
    Estimator,
    PlackettLuceSubset,
    Subset,
)
from estimators.checks import check_choice, check_count, check_finite
from experiments.problems.problem import Params, Problem


class Toy(Problem):
    """A problem without data: one distribution with given logits, and f in closed form."""

    group = "logits"

    @abc.abstractmethod
    def logits(self) -> jax.Array:
        """Return the logits at which the problem is measured."""

    @abc.abstractmethod
    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return f at a sample, hard or relaxed."""

    def initial(self, key: jax.Array) -> Params:
        """Return the logits; nothing is random."""
        return {"logits": self.logits()}

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the Bernoulli variables of the logits."""
        return Bernoulli(params["logits"])

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the estimate of E f; `key` is consumed."""
        logits = params["logits"]
        return estimator(key, self.distribution(params, batch), lambda z: self.f(logits, z))


@dataclasses.dataclass(frozen=True)
class Quadratic(Toy):
    r"""One Bernoulli variable and $f(b) = (b - t)^2$.

    The toy of REBAR (t = 0.45; Tucker et al. 2017) and RELAX (t = 0.499; Grathwohl et al. 2018),
    measured away from logit 0, where straight-through happens to be unbiased.
    """

    target: float = 0.45
    logit: float = 1.0

    def check(self) -> None:
        """Raise unless target and logit are finite."""
        check_finite("Quadratic target", self.target)
        check_finite("Quadratic logit", self.logit)

    def logits(self) -> jax.Array:
        """Return the single logit."""
        return jnp.full(1, self.logit)

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the squared distance to the target."""
        return jnp.sum((sample - self.target) ** 2)


@dataclasses.dataclass(frozen=True)
class SharedLogit(Toy):
    r"""Three Bernoulli variables with a shared logit, $f(b) = \sum_i (b_i - t_i)^2$.

    t = (0.6, 0.51, 0.48). The toy of Liu et al. 2019 (arXiv:1810.04777) and Kool et al. 2020
    (arXiv:2002.06043), at high entropy (logit 0) and low (-4).
    """

    logit: float = 0.0

    def check(self) -> None:
        """Raise unless the logit is finite."""
        check_finite("SharedLogit logit", self.logit)

    def logits(self) -> jax.Array:
        """Return the single logit."""
        return jnp.asarray(self.logit)

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the three variables."""
        return Bernoulli(jnp.broadcast_to(params["logits"], 3))

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the squared distance to the targets."""
        return jnp.sum((sample - jnp.array([0.6, 0.51, 0.48])) ** 2)


@dataclasses.dataclass(frozen=True)
class Coupled(Toy):
    r"""Several bits with a coupled, nonquadratic f, for which no estimator is accidentally exact.

    $f(b) = \cos(w \cdot b) + \frac12 (\bar b - 0.45)^2 \prod_i (0.5 + b_i)^{1/D}$, with weights w
    and logits spread evenly over [1, 2] and [-2, 2].
    """

    bits: int = 4

    def logits(self) -> jax.Array:
        """Return logits from -2 to 2."""
        return jnp.linspace(-2.0, 2.0, self.bits)

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the coupled function."""
        weights = jnp.linspace(1.0, 2.0, self.bits)
        product = jnp.exp(jnp.mean(jnp.log(0.5 + sample)))
        return jnp.cos(weights @ sample) + 0.5 * (sample.mean() - 0.45) ** 2 * product

    def check(self) -> None:
        """Raise unless there is at least one bit."""
        check_count("Coupled bits", self.bits, 1)


@dataclasses.dataclass(frozen=True)
class SimplexQuadratic(Toy):
    r"""The categorical quadratic on the simplex of Paulus et al. 2021 (arXiv:2010.04838).

    One variable of n classes, $f(D) = (D - c)^\top A(p) (D - c)$ with $c_i = 1/3$, where A is
    chosen so that $E f = (p - c)^\top Q (p - c)$, $Q_{ij} = e^{-2 |i - j|}$. f depends on the
    logits through p, and has a pole where two probabilities sum to 1/3, so the logits avoid that
    region.
    """

    classes: int = 3
    scale: float = 0.5

    def logits(self) -> jax.Array:
        """Return logits from -scale to scale."""
        return jnp.linspace(-self.scale, self.scale, self.classes)

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the categorical variable of the logits."""
        return Categorical(params["logits"])

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the quadratic form."""
        index = jnp.arange(self.classes)
        q = jnp.exp(-2.0 * jnp.abs(index[:, None] - index[None, :]))
        p, c = jax.nn.softmax(logits), jnp.full(self.classes, 1 / 3)
        off = p - c
        # E (D - c)_i (D - c)_j, off the diagonal and on it.
        second = jnp.outer(c, c) - jnp.outer(p, c) - jnp.outer(c, p) + jnp.diag(p)
        a = jnp.outer(off, off) / second * q
        return (sample - c) @ a @ (sample - c)

    def check(self) -> None:
        """Raise unless there are at least two classes and the scale is finite."""
        check_count("SimplexQuadratic classes", self.classes, 2)
        check_finite("SimplexQuadratic scale", self.scale)


@dataclasses.dataclass(frozen=True)
class Polynomial(Toy):
    r"""The polynomial programme of ReinMax (Liu et al. 2023, arXiv:2304.08612).

    $f(x) = \frac1L \sum_i |x_i - 0.45|^p$ of L Bernoulli variables, or L two-class categorical ones
    as published (`latent="Categorical"`, where x is the second class's indicator). f is separable.
    Logits go from -spread to spread; published: drawn from [-0.01, 0.01].
    """

    power: float = 2.0
    bits: int = 128
    latent: Literal["Bernoulli", "Categorical"] = "Bernoulli"
    spread: float = 1.0

    def logits(self) -> jax.Array:
        """Return logits (differences of logits) from -spread to spread."""
        half = jnp.linspace(-0.5, 0.5, self.bits) * self.spread
        return 2 * half if self.latent == "Bernoulli" else jnp.stack([-half, half], axis=-1)

    def distribution(self, params: Params, batch: Any) -> Discrete:
        """Return the variables."""
        family = Bernoulli if self.latent == "Bernoulli" else Categorical
        return family(params["logits"])

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the mean power of the distance to 0.45."""
        x = sample if self.latent == "Bernoulli" else sample[:, 1]
        return jnp.mean(jnp.abs(x - 0.45) ** self.power)

    def exact_loss(self, params: Params, batch: Any) -> jax.Array:
        """Return E f, a sum over bits since f is separable."""
        x = self.distribution(params, None).mean
        p = x if self.latent == "Bernoulli" else x[:, 1]
        return jnp.mean(p * 0.55**self.power + (1 - p) * 0.45**self.power)

    def check(self) -> None:
        """Raise unless there is at least one bit, a finite power and a known family."""
        check_count("Polynomial bits", self.bits, 1)
        check_finite("Polynomial power", self.power)
        check_finite("Polynomial spread", self.spread)
        check_choice("Polynomial latent", self.latent, ("Bernoulli", "Categorical"))


@dataclasses.dataclass(frozen=True)
class FourValues(Toy):
    r"""The polynomial programme of MVE (Hooper and Shekhovtsov 2026), with four classes.

    $f(D) = \frac1L \sum_i |w \cdot D_i - 0.45|^p$ of L categorical variables, which take the values
    w = (1, 0.507, 0, 0.739), or with `integer` w = (0, 1/3, 2/3, 1), multiples of the class's
    number. f is separable. Logits are drawn from [-spread, spread].
    """

    power: float = 2.0
    variables: int = 128
    integer: bool = False
    spread: float = 0.01

    def initial(self, key: jax.Array) -> Params:
        """Return random logits; `key` is consumed."""
        shape = self.variables, 4
        return {"logits": jax.random.uniform(key, shape, minval=-self.spread, maxval=self.spread)}

    def logits(self) -> jax.Array:
        """Return the logits of a fixed key."""
        return self.initial(jax.random.key(0))["logits"]

    def distribution(self, params: Params, batch: Any) -> Discrete:
        """Return the variables."""
        return Categorical(params["logits"])

    def values(self) -> jax.Array:
        """Return w."""
        if self.integer:
            return jnp.arange(4) / 3
        # Normal numbers of a seed of PyTorch, scaled to [0, 1].
        return jnp.array([1.0, 0.50686, 0.0, 0.73854])

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the mean power of the distance to 0.45."""
        return jnp.mean(jnp.abs(sample @ self.values() - 0.45) ** self.power)

    def exact_loss(self, params: Params, batch: Any) -> jax.Array:
        """Return E f, a sum over variables since f is separable."""
        each = jnp.abs(self.values() - 0.45) ** self.power
        return jnp.mean(self.distribution(params, None).mean @ each)

    def check(self) -> None:
        """Raise unless there is at least one variable, and finite numbers."""
        check_count("FourValues variables", self.variables, 1)
        check_finite("FourValues power", self.power)
        check_choice("FourValues integer", self.integer, (True, False))
        check_finite("FourValues spread", self.spread)


@dataclasses.dataclass(frozen=True)
class Subsets(Toy):
    r"""k of n items and $f(z) = \sum_i (z_i - b_i)^2$: the toy of SIMPLE (arXiv:2210.01941).

    n = 10 and k = 5 as published, where logits are standard normal numbers and targets b the sizes
    of such; the same for every run here, drawn with `draw`. On subsets f is linear, but its
    derivative is not constant between them. With `law="PlackettLuceSubset"` the subsets are the k
    largest perturbed logits: another objective, whose numbers are not comparable.
    """

    items: int = 10
    k: int = 5
    law: Literal["Subset", "PlackettLuceSubset"] = "Subset"
    draw: int = 0

    def logits(self) -> jax.Array:
        """Return the logits."""
        return jnp.asarray(self._numbers()[0], jnp.float32)

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the subset of the logits."""
        family = Subset if self.law == "Subset" else PlackettLuceSubset
        return family(params["logits"], self.k)

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the squared distance to the targets."""
        targets = jnp.asarray(abs(self._numbers()[1]), sample.dtype)
        return jnp.sum((sample - targets) ** 2)

    def _numbers(self) -> np.ndarray:
        return np.random.default_rng(self.draw).normal(size=(2, self.items))

    def check(self) -> None:
        """Raise unless k is from 1 to n - 1, the law is known and the draw a number."""
        check_count("Subsets k", self.k, 1)
        check_count("Subsets items", self.items, 2)
        if self.k >= self.items:
            raise ValueError(f"Subsets k must be below the {self.items} items, not {self.k}")
        check_choice("Subsets law", self.law, ("Subset", "PlackettLuceSubset"))
        check_count("Subsets draw", self.draw, 0)
