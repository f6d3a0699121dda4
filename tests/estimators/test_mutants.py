"""The battery bites: wrong estimators fail the very checks that right ones pass."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from estimators import (
    Baseline,
    Bernoulli,
    Categorical,
    Estimator,
    GumbelSoftmax,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
    attach_gradient,
)
from estimators.core.continuous_pass import mean_field_pass
from estimators.core.gradients import replace_gradient
from estimators.core.pytree import pytree, static
from tests.estimators.helpers import checks
from tests.estimators.helpers.problems import BERNOULLI, CATEGORICAL, NESTED
from tests.estimators.helpers.sampling import one_key


@pytree
class Mutant(Estimator):
    """An estimator that does what it is given, and claims what it is told."""

    rule: Callable = static()
    claim: str = static(default="yes")
    num_evaluations: int = static(default=1)
    differentiates: bool = static(default=False)
    temperature: Any = 0.5

    distributions = (Bernoulli, Categorical)
    paper = ""

    @property
    def unbiased(self):
        return self.claim

    def evaluations(self, distribution):
        return self.num_evaluations

    @classmethod
    def examples(cls):
        return ()

    def estimate(self, key, distribution, f):
        return self.rule(self, key, distribution, f)


def score(key, distribution, f, signal):
    """The score function with a learning signal made of f's value and the live distribution."""
    sample = distribution.sample(key)
    value = f(sample)
    stopped = jax.lax.stop_gradient(value)

    def weighted(distribution):
        return signal(stopped, distribution) * distribution.log_prob(sample)

    return attach_gradient(value, distribution, jax.grad(weighted)(distribution))


def right(self, key, distribution, f):
    return score(key, distribution, f, lambda value, _: value)


def flipped(self, key, distribution, f):
    return score(key, distribution, f, lambda value, _: -value)


def doubled(self, key, distribution, f):
    return score(key, distribution, f, lambda value, _: 2 * value)


def live_baseline(self, key, distribution, f):
    return score(key, distribution, f, lambda value, q: value - jnp.tanh(q.logits.ravel()[-2]))


def without_the_rest_of_f(self, key, distribution, f):
    """Drops f's ordinary derivative at the sample."""
    return right(self, key, distribution, lambda z: jax.lax.stop_gradient(f(z)))


def value_at_the_mean(self, key, distribution, f):
    value = right(self, key, distribution, f)
    return value + jax.lax.stop_gradient(f(distribution.mean) - value)


def value_off_by_a_tenth(self, key, distribution, f):
    value = right(self, key, distribution, f)
    return value - jax.lax.stop_gradient(0.1 * value)


def muprop(self, key, distribution, f, control=True, correction=True):
    """MuProp, whose control variate or its correction can be left out."""
    sample = distribution.sample(key)
    with mean_field_pass():
        at_mean, slope = jax.value_and_grad(f)(distribution.mean)
    value = f(sample)
    rest = value - control * (at_mean + jnp.vdot(slope, sample - distribution.mean))

    def surrogate(distribution):
        path = jnp.vdot(slope, distribution.mean)
        return rest * distribution.log_prob(sample) + correction * path

    gradient = jax.grad(surrogate)(jax.tree.map(jax.lax.stop_gradient, distribution))
    return attach_gradient(value, distribution, gradient)


def muprop_without_correction(self, key, distribution, f):
    return muprop(self, key, distribution, f, correction=False)


def muprop_without_control(self, key, distribution, f):
    return muprop(self, key, distribution, f, control=False)


def straight_through(self, key, distribution, f):
    return f(replace_gradient(distribution.sample(key), distribution.mean))


def one_sample_twice(self, key, distribution, f):
    """Leave-one-out of a pair that has one key between them."""
    keys = jnp.stack([key, key])
    values = jax.vmap(f)(jax.vmap(distribution.sample)(keys))
    return right(self, key, distribution, lambda z: f(z) - jax.lax.stop_gradient(values.mean()))


def never_cold(self, key, distribution, f):
    """Its temperature goes nowhere near zero."""
    return GumbelSoftmax(self.temperature + 0.5)(key, distribution, f)


def too_noisy(self, key, distribution, f):
    """Relaxed samples that tend to hard ones of another law."""
    perturbed = distribution.perturb(1.5 * distribution.noise(key))
    return f(distribution.relaxed(perturbed, self.temperature))


def relaxed(self, key, distribution, f):
    return GumbelSoftmax(0.1)(key, distribution, f)


def by_logarithms(self, key, distribution, f):
    """log(sigmoid) in place of a stable form."""
    sample = distribution.sample(key)

    def log_prob(logits):
        p = jax.nn.sigmoid(logits)
        return jnp.sum(sample * jnp.log(p) + (1 - sample) * jnp.log(1 - p))

    value = f(sample)
    gradient = value * jax.grad(log_prob)(distribution.logits)
    return attach_gradient(value, distribution.logits, gradient)


_TRACES = itertools.count(1)


def hidden_state(self, key, distribution, f):
    """Depends on how often it has been traced."""
    return right(self, key, distribution, f) * next(_TRACES)


def of_one_type(self, key, distribution, f):
    return right(self, key, distribution, f).astype(jnp.float32)


@pytree
class WithItself(Baseline):
    """Of a pair, each sample's own value in its baseline."""

    paper = ""

    def num_evaluations(self):
        return 2

    def signal(self, values, parameters):
        return values - values.mean()


def own_value_in_the_mean(self, key, distribution, f):
    return ScoreFunction(WithItself())(key, distribution, f)


@pytree
class CompiledPerTemperature(Estimator):
    """Its temperature is structure, where it should be a leaf."""

    temperature: float = static(default=0.5)

    distributions = (Bernoulli,)
    differentiates = True
    paper = ""
    unbiased = "no"

    def evaluations(self, distribution):
        return 1

    @classmethod
    def examples(cls):
        return ()

    def estimate(self, key, distribution, f):
        return GumbelSoftmax(self.temperature)(key, distribution, f)


def fails(check, *arguments):
    with pytest.raises(AssertionError):
        check(*arguments)


PROBLEMS = pytest.mark.parametrize("problem", [BERNOULLI, CATEGORICAL], ids=str)


@pytest.mark.first_cases(14)
@PROBLEMS
@pytest.mark.parametrize(
    ("rule", "claim"),
    [
        (flipped, "yes"),
        (doubled, "yes"),
        (live_baseline, "yes"),
        (without_the_rest_of_f, "yes"),
        (muprop_without_correction, "yes"),
        (muprop_without_control, "yes"),
        (straight_through, "yes"),
        (relaxed, "yes"),
        (one_sample_twice, "yes"),
        (own_value_in_the_mean, "yes"),
        (right, "no"),
        (flipped, "up to scale"),
        (straight_through, "up to scale"),
    ],
)
def test_mean(rule, claim, problem):
    fails(checks.check_mean, Mutant(rule, claim), problem)


@pytest.mark.first_cases(4)
@PROBLEMS
@pytest.mark.parametrize(
    ("rule", "claim"),
    [(right, "yes"), (muprop, "yes"), (doubled, "up to scale"), (straight_through, "no")],
)
def test_mean_of_what_is_right(rule, claim, problem):
    """Nothing but the mistake makes the others fail."""
    checks.check_mean(Mutant(rule, claim), problem)


@pytest.mark.parametrize("rule", [flipped, doubled, live_baseline, muprop_without_correction])
def test_one_bit(rule):
    fails(checks.check_one_bit, Mutant(rule))


@pytest.mark.parametrize("rule", [value_at_the_mean, value_off_by_a_tenth])
def test_value(rule):
    fails(checks.check_value, Mutant(rule), BERNOULLI)


@pytest.mark.parametrize("rule", [never_cold, too_noisy])
def test_relaxation(rule):
    checks.check_relaxation(GumbelSoftmax(0.5), Bernoulli)
    fails(checks.check_relaxation, Mutant(rule), Bernoulli)


def test_finite():
    checks.check_finite(Mutant(right), BERNOULLI)
    fails(checks.check_finite, Mutant(by_logarithms), BERNOULLI)


def test_transforms():
    fails(checks.check_transforms, Mutant(hidden_state), BERNOULLI)


def test_compiles_once():
    checks.check_compiles_once(GumbelSoftmax(0.5), BERNOULLI)
    fails(checks.check_compiles_once, CompiledPerTemperature(0.5), BERNOULLI)


def test_dtypes():
    fails(checks.check_dtypes, Mutant(of_one_type), BERNOULLI)


def test_evaluations():
    checks.check_evaluations(Mutant(muprop, num_evaluations=2, differentiates=True), BERNOULLI)
    fails(checks.check_evaluations, Mutant(right, num_evaluations=2), BERNOULLI)
    fails(checks.check_evaluations, Mutant(muprop, differentiates=True), BERNOULLI)
    # Off the corners, although it says that it does not differentiate f.
    fails(checks.check_evaluations, Mutant(muprop, num_evaluations=2), BERNOULLI)


def test_black_box():
    fails(checks.check_black_box, Mutant(straight_through), BERNOULLI)
    fails(checks.check_black_box, Mutant(muprop), BERNOULLI)


@pytest.mark.slow
def test_nested():
    pair = MuProp(), ScoreFunction(LeaveOneOut(2))
    checks.check_nested(pair, NESTED[0])
    fails(checks.check_nested, pair, NESTED[0], one_key)
    for rule in (flipped, without_the_rest_of_f):
        fails(checks.check_nested, (ScoreFunction(), Mutant(rule)), NESTED[0])
        fails(checks.check_nested, (Mutant(rule), ScoreFunction()), NESTED[0])
