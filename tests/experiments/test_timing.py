"""What is timed: every evaluation of f is executed for every gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import (
    Bernoulli,
    Categorical,
    Exact,
    GumbelSoftmax,
    ImportanceBound,
    MuProp,
    Normal,
    ScoreFunction,
    stack,
)
from experiments.measurement import prepare
from experiments.problems import Quadratic
from experiments.timing import Timer

KEY = jax.random.key(0)
EVERY = [one for cls in estimators.ALL for one in cls.examples()]
LOGITS = {
    Bernoulli: np.float32([0.3, -0.5]),
    Categorical: np.float32([[0.3, -0.5, 0.1], [0.2, 0.0, -0.4]]),
    Normal: np.float32([0.3, -0.5]),
}
RUNS = []


def note(point, event_size):
    RUNS.append(point.size // event_size)
    return np.asarray(point)


@jax.custom_jvp
def counted(point):
    """Return the point, and note that f is evaluated there; without effects, to be left out."""

    def run(point, size=point.size):
        return note(point, size)

    return jax.pure_callback(run, point, point, vmap_method="expand_dims")


@counted.defjvp
def _(primals, tangents):
    return counted(*primals), tangents[0]


def gradient(family, needs_bound):
    """Return a gradient in logits and in a weight that f has, and what it samples from."""

    def distribution(logits):
        q = family(logits, jnp.zeros_like(logits)) if family is Normal else family(logits)
        return q.independent(2) if needs_bound else q

    def one(estimator, context, key):
        def loss(context):
            logits, weight = context

            def f(z):
                seen = counted(weight * z)
                return jnp.sum((seen - 0.3) ** 2) + jnp.prod(seen)

            return estimator(key, distribution(logits), ImportanceBound(f) if needs_bound else f)

        return jax.grad(loss)(context)

    return one, distribution


def executed(estimator, count=8):
    """Return the evaluations of f in so many gradients as they are timed, and as is said."""
    family = next(one for one in LOGITS if issubclass(one, estimator.distributions))
    one, distribution = gradient(family, estimator.needs_bound)
    logits = jnp.asarray(LOGITS[family])
    ready = estimator.initialise(KEY, distribution(logits))
    context, timer = (logits, jnp.float32(1)), Timer(one)
    timer(ready, context, context, KEY, 1)
    RUNS.clear()
    assert timer(ready, context, context, KEY, count) > 0
    return sum(RUNS), count * estimator.evaluations(distribution(logits))


@pytest.mark.parametrize("estimator", EVERY, ids=str)
def test_every_evaluation_is_executed(estimator):
    found, said = executed(estimator)
    assert found == said


@pytest.mark.parametrize("estimator", [Exact(), MuProp()], ids=str)
def test_without_the_barrier_they_are_not(monkeypatch, estimator):
    """The test can fail: what does not depend on the noise leaves the loop."""
    monkeypatch.setattr(jax.lax, "optimization_barrier", lambda operand: operand)
    found, said = executed(estimator)
    assert found < said


def test_each_member_of_a_stack_is_timed_alone(monkeypatch):
    point = prepare(Quadratic(), KEY)
    timed, rounds = [], point.instrument.timer.rounds

    def spy(estimator, *rest):
        timed.append(estimator)
        return rounds(estimator, *rest)

    monkeypatch.setattr(point.instrument.timer, "rounds", spy)
    members = [GumbelSoftmax(t) for t in (0.5, 1.0, 2.0)]
    drawn = point.draw(stack(members), KEY, 32, stacked=True, timed=True)
    assert [float(one.temperature) for one in timed] == [0.5, 1.0, 2.0]
    for blocks in drawn:
        assert blocks.seconds.shape == (9,) and np.all(blocks.seconds > 0)


def test_what_is_only_drawn_is_not_timed():
    point = prepare(Quadratic(), KEY)
    assert not len(point.draw(ScoreFunction(), KEY, 32)[0].seconds)
