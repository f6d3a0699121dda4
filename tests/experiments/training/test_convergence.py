"""Tuning goes on until it has converged, and says where it had not."""

import functools
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import NVIL, REBAR, RELAX, Bernoulli, DoubleCV, MovingAverage, ScoreFunction
from experiments import statistics as intervals
from experiments.measurement.point import begin, prepare
from experiments.problems import VAE, Coupled
from experiments.system import signals
from experiments.training import convergence, is_tuned
from experiments.training.convergence import (
    TUNING_STEPS,
    Tuning,
    _ends,
    have_converged,
    until_converged,
)
from experiments.training.pace import Pace

KEY = jax.random.key(3)
LEARNED = [one for cls in estimators.ALL for one in cls.examples() if is_tuned(one)]


@functools.cache
def point(problem, train_steps=300):
    return prepare(problem, jax.random.key(0), train_steps=train_steps)


def variance(where, ready, num_samples=2048):
    (blocks,) = where.draw(ready.estimator, jax.random.key(2), num_samples)
    return intervals.variance(blocks, where.truth).value


@pytest.mark.slow
@pytest.mark.parametrize("estimator", LEARNED, ids=str)
def test_the_default_converges_on_the_default_vae(estimator, monkeypatch):
    where = point(VAE())
    ready = where.ready(estimator, KEY, TUNING_STEPS)
    if isinstance(estimator, RELAX):  # its network goes on learning
        assert ready.note == f"tuning had not converged after {TUNING_STEPS:,} steps"
        return
    assert not ready.note
    monkeypatch.setattr(convergence, "have_converged", lambda rounds: False)
    longer = where.ready(estimator, KEY, 2 * TUNING_STEPS)
    # Where it is unbiased up to scale, the scale goes with the residual: nothing to compare.
    if estimator.unbiased == "yes":
        assert variance(where, ready) < 1.08 * variance(where, longer)


def test_the_baseline_converges_where_few_steps_leave_it_far_off():
    where, estimator = point(VAE(size=2, batch_size=10), 20), ScoreFunction(NVIL())
    few, ready, again = (where.ready(estimator, KEY, limit) for limit in (250, 8000, 8000))
    assert few.note == "tuning had not converged after 250 steps"
    assert not ready.note
    assert variance(where, few, 512) > 1.3 * variance(where, ready, 512)
    for one, other in zip(*map(jax.tree.leaves, (ready.estimator, again.estimator)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "estimator", [ScoreFunction(MovingAverage(0.9)), DoubleCV(2), REBAR(0.5)], ids=str
)
def test_learned_leaves_converge_on_a_toy(estimator):
    assert not point(Coupled(bits=3)).ready(estimator, KEY, TUNING_STEPS).note


def test_a_network_that_goes_on_learning_is_said_not_to_have_converged():
    """The error of RELAX still falls by 7 % from half of the steps to all of them."""
    ready = point(Coupled(bits=3)).ready(RELAX(), KEY, TUNING_STEPS)
    assert ready.note == f"tuning had not converged after {TUNING_STEPS:,} steps"


def test_without_steps_nothing_is_tuned():
    where, estimator = point(Coupled(bits=3)), ScoreFunction(MovingAverage(0.9))
    ready = where.ready(estimator, KEY, 0)
    assert ready.estimator.baseline.value == 0 and ready.note == "not tuned"


def test_a_moving_average_is_left_as_it_is_last():
    # The mean of its values would be another, slower average.
    where = point(Coupled(bits=3))
    tuned = where.ready(ScoreFunction(MovingAverage(0.0)), KEY, 50).estimator
    states = where.distribution.states()
    values = jax.vmap(lambda z: where.problem.f(where.params["logits"], z))(states)
    assert np.abs(np.asarray(values) - tuned.baseline.value).min() < 1e-6


def test_normalising_does_not_hide_what_the_baseline_still_learns():
    # The normalised signal has the same size whatever the baseline: the scale is divided out.
    where = point(VAE(size=2, batch_size=10), 20)
    ready = where.ready(ScoreFunction(NVIL(normalise=True)), KEY, 8000)
    plain = where.ready(ScoreFunction(NVIL()), KEY, 8000)
    residual = [one.estimator.baseline.variance for one in (ready, plain)]
    assert not ready.note
    assert residual[0] < 1.5 * residual[1]


@pytest.mark.parametrize(
    ("falls", "noise", "converged"),
    [
        ((0.5, 0.5), 0.1, False),
        ((0.0, 0.06), 1.0, False),  # too noisy to tell
        ((0.05, 0.05), 0.01, False),
        ((0.03, 0.03), 0.0, False),  # does not slow down
        ((0.02, 0.04), 0.01, False),
        ((0.03, 0.015), 0.0, True),
        ((0.03, 0.01), 0.03, True),
        ((0.0, 0.0), 0.1, True),
        ((0.5, 0.0), 0.1, False),
        ((0.0, 0.5), 0.1, False),
        ((-0.2, 0.0), 0.1, False),
        ((0.0, -0.2), 0.1, False),
    ],
)
def test_what_has_converged(falls, noise, converged):
    rng = np.random.default_rng(0)
    said = []
    for _ in range(200):
        rounds = [rng.exponential(size=128)]
        for fall in falls:
            rounds.append(rounds[-1] * (1 - fall) + noise * rng.normal(size=128))
        said.append(have_converged(rounds))
    assert np.mean(said) > 0.9 if converged else np.mean(said) < 0.05
    assert not have_converged(rounds[1:])


def test_rounds_double():
    assert _ends(8000) == [250, 500, 1000, 2000, 4000, 8000]
    assert _ends(500) == [250, 500]
    assert _ends(20) == [20]
    assert _ends(0) == []


class Shifted:
    """A quadratic of two bits and a number that tells nothing, `batch`."""

    logits = jnp.array([0.3, -0.2])

    def loss(self, params, estimator, key, batch):
        return estimator(
            key, Bernoulli(params["logits"]), lambda z: batch + jnp.sum((z - 0.3) ** 2)
        )

    def tune(self, estimator, shift, limit=8000):
        estimator = estimator.initialise(KEY, Bernoulli(self.logits))
        params = {"logits": self.logits}
        chance = jax.nn.sigmoid(self.logits)
        truth = {"logits": 0.4 * chance * (1 - chance)}
        self.mean = shift + float(jnp.sum(0.09 + 0.4 * chance))
        return Tuning(self)(KEY, estimator, params, (params, jnp.float32(shift)), truth, limit)


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.9999])
def test_a_moving_average_has_the_steps_that_its_decay_needs(decay):
    """Corrected for its start: at 0.9999, 8,000 steps would leave it at half of its value."""
    problem = Shifted()
    tuned = problem.tune(ScoreFunction(MovingAverage(decay)), 10.0)
    # Of values whose standard deviation is 0.29.
    error = 0.29 * np.sqrt((1 - decay) / (1 + decay) + 1e-3)
    assert not tuned.note
    assert abs(tuned.estimator.baseline.value - problem.mean) < 4 * error


def simulated(distance, limit=8000):
    """Return the steps of a tuning whose error is `distance(steps)`, times noise; and its note."""
    noise, ends = np.random.default_rng(0).exponential(size=128), []

    def one_round(start, end):
        ends.append(end)
        return ScoreFunction(), distance(end) * noise

    note = until_converged(one_round, ScoreFunction(), limit).note
    return ends[-1], note


@pytest.mark.parametrize("left", [100, 300, 1000, 2000])
def test_what_learns_slowly_at_first_is_not_taken_for_learned(left):
    """Adam moves an output by so much in all, 0.1 at first, whatever is missing."""

    def distance(steps):
        return 1 + max(left - (10 + 2 * (np.sqrt(steps) - 10)), 0) ** 2

    end, note = simulated(distance)
    assert end == 8000 and (note or left == 100)


def test_a_rise_goes_on():
    assert simulated(lambda steps: steps if steps < 4000 else 1.0)[0] == 8000
    assert simulated(lambda steps: steps)[1]


def test_what_has_converged_ends_early():
    assert simulated(lambda steps: 1 + 10 / steps) == (1000, "")
    end, note = simulated(lambda steps: 1.0, limit=500)
    assert end == 500 and note == "tuning had not converged after 500 steps"


@pytest.fixture
def asked():
    """Signals are deferred; returns what sends one to this process."""
    with signals.deferred():
        yield lambda: signal.raise_signal(signal.SIGTERM)


def test_a_signal_ends_tuning_before_the_next_chunk(monkeypatch, asked):
    begun, at_most = [], []

    class Asked(Pace):
        def chunks(self, num_steps):
            at_most.append(self.most)
            for first, stop in super().chunks(num_steps):
                begun.append(stop - first)
                if len(begun) == 4:
                    asked()
                yield first, stop

    monkeypatch.setattr(convergence, "Pace", Asked)
    with pytest.raises(signals.Interrupted):
        Shifted().tune(ScoreFunction(MovingAverage(0.9)), 0.0)
    assert len(begun) == 4 and max(begun) <= at_most[0]


def test_a_signal_ends_the_training_before_measuring(asked):
    told = []

    def note(message):
        told.append(message)
        if len(told) == 2:
            asked()

    with pytest.raises(signals.Interrupted):
        prepare(VAE(size=2, batch_size=2), KEY, train_steps=10, note=note)
    assert len(told) == 2 and all(message.startswith("training, ") for message in told)


def test_held_fields_keep_their_values():
    """The others are tuned to them: so errors differ between temperatures that are held."""
    found = []
    for temperature in (0.1, 2.0):
        problem = Coupled()
        start = begin(problem, jax.random.key(0), held=("log_temperature_change",))
        where = start.trained()
        ready = where.ready(REBAR(temperature), KEY, 1000)
        assert ready.estimator.log_temperature_change == 0 and ready.estimator.eta_change != 0
        found.append(variance(where, ready))
    assert abs(found[1] / found[0] - 1) > 0.05
