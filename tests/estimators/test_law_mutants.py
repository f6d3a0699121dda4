"""The battery bites laws too: wrong gates and relaxed counts fail what right ones pass."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from estimators import (
    ArrivalTimes,
    HardConcrete,
    InvertibleGaussian,
    Normal,
    Pathwise,
    RelaxedCount,
    ScoreFunction,
    pytree,
)
from tests.estimators.helpers import checks
from tests.estimators.helpers.problems import (
    ARRIVAL_TIMES,
    HARD_CONCRETE,
    INVERTIBLE_GAUSSIAN,
    RELAXED_COUNT,
)

# Each of them differs from the class above it in one place ----------------------------------------


@pytree
class WithoutAtoms(HardConcrete):
    """The stretched variable is not clipped, so that it has no atoms."""

    def sample(self, key):
        noise = jax.random.logistic(key, self.log_alpha.shape)
        s = jax.nn.sigmoid((self.log_alpha + noise) / self.temperature)
        return s * (self.high - self.low) + self.low


@pytree
class OfUnitTemperature(HardConcrete):
    """The temperature is left out."""

    def sample(self, key):
        return HardConcrete(self.log_alpha, jnp.ones_like(self.temperature)).sample(key)


@pytree
class WithFullAtoms(HardConcrete):
    """Both atoms have the probability of the bit, as at temperature zero."""

    def log_prob(self, sample):
        bit = jax.nn.log_sigmoid(jnp.where(sample > 0, 1, -1) * self.log_alpha)
        in_atom = (sample <= 0) | (sample >= 1)
        inside = HardConcrete(self.log_alpha, self.temperature).log_prob
        between = jax.vmap(lambda i: jnp.where(in_atom[i], 0.0, inside(alone(sample, i))))
        return jnp.where(in_atom, bit, 0).sum() + between(jnp.arange(len(sample))).sum()


def alone(sample, place):
    """One gate, the others at one half."""
    return jnp.full_like(sample, 0.5).at[place].set(sample[place])


@pytree
class WithoutScale(InvertibleGaussian):
    """The noise is not scaled."""

    def sample(self, key):
        standard = jnp.zeros_like(self.log_scale)
        return InvertibleGaussian(self.mean, standard, self.temperature, self.delta).sample(key)


@pytree
class WithUnitDelta(InvertibleGaussian):
    """Delta is left out of the map."""

    def sample(self, key):
        return InvertibleGaussian(self.mean, self.log_scale, self.temperature).sample(key)


@pytree
class WithoutJacobian(InvertibleGaussian):
    """The density is that of the normal variables alone."""

    def log_prob(self, sample):
        inverse = self.temperature * (sample[..., :-1] - sample[..., -1:] + jnp.log(self.delta))
        return Normal(self.mean, self.log_scale).log_prob(inverse)


@pytree
class OfOneGap(ArrivalTimes):
    """All arrivals have the first one's time."""

    def sample(self, key):
        gaps = jax.random.exponential(key, (*self.event_shape, self.most))
        times = gaps[..., :1] * jnp.exp(-self.log_rate)[..., None]
        times = jnp.broadcast_to(times, gaps.shape)
        return jax.nn.sigmoid((1 - times) / self.temperature).sum(-1)


@pytree
class WithCubicIndicator(ArrivalTimes):
    """Another indicator than it says."""

    def sample(self, key):
        return ArrivalTimes(self.log_rate, self.temperature, self.most, "cubic").sample(key)


@pytree
class WithoutFactorials(RelaxedCount):
    """The classes have the powers of the rate as weights."""

    def log_classes(self):
        counts = jnp.arange(self.most + 1, dtype=self.dtype)
        return counts[None] * self.log_rate[..., None]


@pytree
class OfNormalNoise(RelaxedCount):
    """Normal noise where Gumbel noise belongs."""

    def sample(self, key):
        noise = jax.random.normal(key, (*self.event_shape, self.most + 1))
        shares = jax.nn.softmax((self.log_classes() + noise) / self.temperature)
        return shares @ jnp.arange(self.most + 1, dtype=self.dtype)


# What the battery says ----------------------------------------------------------------------------


def of(cls, problem):
    """The problem with another law, whose truth is that of the right one."""
    (right,) = problem.distributions

    def build(parameters, above):
        fields = dataclasses.fields(right(parameters, above))
        return cls(*(getattr(right(parameters, above), field.name) for field in fields))

    return dataclasses.replace(problem, name=cls.__name__, distributions=(build,))


@pytest.mark.parametrize(
    "problem", [HARD_CONCRETE, INVERTIBLE_GAUSSIAN, ARRIVAL_TIMES, RELAXED_COUNT], ids=str
)
def test_right_laws_pass(problem):
    """Also as a class of their own: nothing but the mistake makes the others fail."""
    name = type(problem.layer(0))
    same = pytree(type(f"The{name.__name__}", (name,), {"__doc__": "The right law."}))
    checks.check_mean(Pathwise(), of(same, problem))


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (WithoutAtoms, HARD_CONCRETE),
        (OfUnitTemperature, HARD_CONCRETE),
        (WithoutScale, INVERTIBLE_GAUSSIAN),
        (WithUnitDelta, INVERTIBLE_GAUSSIAN),
        (OfOneGap, ARRIVAL_TIMES),
        (WithCubicIndicator, ARRIVAL_TIMES),
        (WithoutFactorials, RELAXED_COUNT),
        (OfNormalNoise, RELAXED_COUNT),
    ],
)
def test_wrong_samples_fail(cls, problem):
    with pytest.raises(AssertionError):
        checks.check_mean(Pathwise(), of(cls, problem))
    with pytest.raises(AssertionError):
        checks.check_value(Pathwise(), of(cls, problem))


@pytest.mark.parametrize(
    ("cls", "problem"),
    [(WithFullAtoms, HARD_CONCRETE), (WithoutJacobian, INVERTIBLE_GAUSSIAN)],
)
def test_wrong_densities_fail(cls, problem):
    checks.check_mean(ScoreFunction(), problem)
    with pytest.raises(AssertionError):
        checks.check_mean(ScoreFunction(), of(cls, problem))
