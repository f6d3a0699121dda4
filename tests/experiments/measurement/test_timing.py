"""What is timed: every evaluation of f is executed for every gradient, and no dispatch."""

import itertools
import types

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
)
from experiments.measurement import timing
from experiments.measurement.point import prepare
from experiments.measurement.timing import Timer
from experiments.problems import Quadratic

KEY = jax.random.key(0)
EVERY = [
    pytest.param(one, marks=[pytest.mark.slow] if number else [])
    for cls in estimators.ALL
    for number, one in enumerate(cls.examples())
]
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


@pytest.mark.first_cases(30)
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


def test_each_member_of_a_stack_is_timed_alone():
    point = prepare(Quadratic(), KEY)
    for temperature in (0.5, 1.0, 2.0):
        times = point.timed(GumbelSoftmax(temperature))
        assert times.shape == (9,) and np.all(times > 0)


class Clock:
    """A clock that calls advance: each by what it takes to dispatch, and by its gradients."""

    def __init__(self, monkeypatch, each, dispatch=1e-4, noise=lambda: 0.0):
        self.now, self.counts = 0.0, []
        self.timer = Timer(lambda *_: pytest.fail("no gradient is computed"))
        monkeypatch.setattr(timing, "time", types.SimpleNamespace(perf_counter=lambda: self.now))

        def run(operands, like, key, count):
            self.counts.append(int(count))
            self.now += dispatch + noise() + count * each

        monkeypatch.setattr(self.timer, "run", run)


@pytest.mark.parametrize("each", [3e-8, 3e-7, 1e-5, 1e-3, 0.5])
def test_times_are_those_of_gradients(monkeypatch, each):
    """Of calls that take 100 us whatever they do."""
    clock = Clock(monkeypatch, each)
    np.testing.assert_allclose(clock.timer.rounds(ScoreFunction(), 0.0, 0.0), each, rtol=1e-6)
    longest = max(clock.counts) * each
    assert longest >= 2.5e-3
    # As few gradients as nine rounds need, and the growth to their length.
    assert clock.now < max(0.1, 12 * each)


def test_one_gradient_at_a_fixed_number_is_timed_alike(monkeypatch):
    clock = Clock(monkeypatch, 1e-6)
    found = clock.timer(ScoreFunction(), 0.0, 0.0, KEY, 32)
    assert found == pytest.approx(1e-6)


def test_no_time_is_negative(monkeypatch):
    """Where the call that draws nothing is the one that was interrupted."""
    late = itertools.cycle([0.0, 1e-3])
    clock = Clock(monkeypatch, 1e-9, noise=lambda: next(late))
    assert clock.timer(ScoreFunction(), 0.0, 0.0, KEY, 10) > 0
    assert (clock.timer.rounds(ScoreFunction(), 0.0, 0.0) > 0).all()


def test_a_load_while_the_number_is_chosen_is_seen_afterwards(monkeypatch):
    """The first calls of gradients, not those of none between them, take 50 ms longer."""
    load = itertools.chain([0.05, 0.0] * 3, itertools.repeat(0.0))
    clock = Clock(monkeypatch, 3e-8, noise=lambda: next(load))
    np.testing.assert_allclose(clock.timer.rounds(ScoreFunction(), 0.0, 0.0), 3e-8, rtol=1e-6)
    assert max(clock.counts) * 3e-8 >= 5e-3
