"""The neural stack against the recurrences as printed, and an ordinary stack."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import DiffusionRelaxation, StraightThrough
from experiments.problems import Memory
from tests.experiments.helpers.problems import KEY, exact, sigmoid


def reads(pops, pushes, inputs):
    """Return what a neural stack reads, of Grefenstette et al. 2015, equations 1 to 3."""
    strengths, found = [], []
    for time, (pop, push) in enumerate(zip(pops, pushes, strict=True)):
        strengths = [
            max(0.0, strengths[i] - max(0.0, pop - sum(strengths[i + 1 :]))) for i in range(time)
        ] + [push]
        weights = [
            min(strengths[i], max(0.0, 1 - sum(strengths[i + 1 :]))) for i in range(time + 1)
        ]
        found.append(sum(w * v for w, v in zip(weights, inputs, strict=False)))
    return found


def reversal(controls, symbols):
    """Return the mean squared error over all inputs."""
    pops, pushes = np.split(np.asarray(controls, float), 2)
    errors = []
    for inputs in itertools.product((-1.0, 1.0), repeat=symbols):
        found = reads(pops, pushes, [*inputs, *[0.0] * (symbols - 1)])
        errors.append(np.sum((np.array(found[symbols - 1 :]) - inputs[::-1]) ** 2))
    return np.mean(errors)


@pytest.mark.parametrize("symbols", [1, 2, 3])
def test_any_controls(symbols):
    problem = Memory(symbols=symbols)
    controls = np.random.default_rng(0).uniform(size=(20, problem.bits)).astype(np.float32)
    found = jax.jit(jax.vmap(lambda z: problem.f(z, z)))(controls)
    np.testing.assert_allclose(found, [reversal(z, symbols) for z in controls], rtol=1e-5)


def test_the_paper_s_example():
    """Pushes of 0.8, 0.5 and 0.9 with pops of 0, 0.1 and 0.9 (its figure 1a)."""
    weights = Memory(symbols=2).weights(jnp.array([0.0, 0.1, 0.9, 0.8, 0.5, 0.9]))
    np.testing.assert_allclose(weights, [[0.8, 0, 0], [0.5, 0.5, 0], [0.1, 0, 0.9]], atol=1e-6)


def test_bits_make_an_ordinary_stack():
    problem = Memory(symbols=3)
    for bits in np.random.default_rng(1).integers(0, 2, (10, problem.bits)):
        pops, pushes = np.split(bits, 2)
        stack, expected = [], np.zeros((5, 5))
        for time in range(5):
            if pops[time] and stack:
                stack.pop()
            if pushes[time]:
                stack.append(time)
            if stack:
                expected[time, stack[-1]] = 1
        np.testing.assert_array_equal(problem.weights(jnp.asarray(bits, jnp.float32)), expected)


@pytest.mark.parametrize("symbols", [2, 3])
def test_the_expectation_is_the_sum_over_machines(symbols):
    problem = Memory(symbols=symbols)
    states = np.array(list(itertools.product((0.0, 1.0), repeat=problem.bits)))
    losses = np.array([reversal(z, symbols) for z in states])
    assert (losses == 0).sum() == 2

    def mean(logits):
        p = sigmoid(logits)
        return losses @ np.where(states > 0, p, 1 - p).prod(-1)

    logits = np.asarray(problem.initial(KEY)["logits"], float)
    value, slope = exact(problem)
    assert value == pytest.approx(mean(logits), rel=1e-5)
    step = 1e-5 * np.eye(problem.bits)
    differences = [(mean(logits + e) - mean(logits - e)) / 2e-5 for e in step]
    np.testing.assert_allclose(slope, differences, atol=1e-5)


def test_a_coin_has_no_best_machine_and_a_best_soft_one():
    problem = Memory("coin")
    value, slope = exact(problem, [0.7])
    assert (value, slope.item()) == pytest.approx((0.5, 0.0), abs=1e-6)
    soft = jax.value_and_grad(
        lambda logits: problem.loss({"logits": logits}, DiffusionRelaxation(1), KEY, None)
    )
    for logit in (0.0, 1.0):
        q = sigmoid(logit)
        value, slope = soft(jnp.array([logit]))
        assert float(value) == pytest.approx(q * q - q + 0.5)
        assert slope.item() == pytest.approx((2 * q - 1) * q * (1 - q), abs=1e-6)


def test_the_slope_at_kinks_is_one_s_own():
    def gradient(kink):
        problem = Memory(kink=kink)
        params = {"logits": jnp.zeros(problem.bits)}
        loss = jax.grad(lambda p: problem.loss(p, StraightThrough(), KEY, None))
        return np.asarray(loss(params)["logits"])

    at_zero, half, one = map(gradient, (0.0, 0.5, 1.0))
    assert not np.allclose(at_zero, half) and not np.allclose(half, one)
    value, _ = exact(Memory(kink=0.0), [0.0] * 6)
    assert value == exact(Memory(kink=1.0), [0.0] * 6)[0]


def test_scores_are_those_of_the_likeliest_machine_and_of_the_soft_one():
    problem = Memory()
    logits = np.array([1.0, -1, 2, 3, 1, -2])
    found = problem.scores({"logits": jnp.asarray(logits)}, KEY, None)
    assert found["rounded_loss"] == 0 == reversal(logits > 0, 2)
    assert found["soft_loss"] == pytest.approx(reversal(sigmoid(logits), 2), rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"task": "copy"}, "Memory task"),
        ({"symbols": 0}, "Memory symbols"),
        ({"spread": float("inf")}, "Memory spread"),
        ({"kink": 2.0}, "Memory kink"),
    ],
)
def test_bad_settings_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Memory(**wrong).check()
