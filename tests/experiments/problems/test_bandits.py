"""The toys of reinforcement learning, and what group baselines do there."""

import jax
import numpy as np
import pytest

from estimators import Bernoulli, Categorical, Exact, GroupMean, LeaveOneOut, ScoreFunction
from experiments.problems import Bandit, TwoContexts
from tests.estimators.helpers.enumeration import joint, moments, per_key
from tests.estimators.helpers.scripted import hard_keys
from tests.experiments.helpers.problems import exact, sigmoid


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def test_bandit():
    value, slope = exact(Bandit())
    logits = np.asarray(Bandit().logits())
    probs = np.exp(logits) / np.exp(logits).sum()
    rewards = np.array([1, 0.2, -0.7, 0])
    assert value == pytest.approx(-probs @ rewards, rel=1e-5)
    assert slope == pytest.approx(-probs * (rewards - probs @ rewards), abs=1e-6)


def test_two_contexts():
    problem = TwoContexts()
    logits = np.asarray(problem.logits())
    assert sigmoid(logits) == pytest.approx([0.5, 0.9], rel=1e-3)
    value, slope = exact(problem)
    assert value == pytest.approx(-0.7, rel=1e-3)
    assert slope == pytest.approx([-0.25 / 2, -0.09 / 2], rel=1e-2)


@pytest.mark.usefixtures("double")
def test_deviations_scale_each_context():
    """By 1.616 and 1.690 with four samples, which turns the gradient."""
    problem, found = TwoContexts(), []
    for logit in np.asarray(problem.logits(), np.float64):
        samples, chance = joint(Bernoulli(np.array([logit])), 4)
        estimator = ScoreFunction(GroupMean(4, True, 1e-12))
        keys = hard_keys(samples)
        found.append(
            moments(chance, per_key(estimator, Bernoulli, np.array([logit]), keys, failure)[1])[0]
        )
    chances = sigmoid(np.asarray(problem.logits(), np.float64))
    truth = -chances * (1 - chances)
    factors = np.ravel(found) / truth * np.sqrt(4 / 3)
    np.testing.assert_allclose(factors, [1.616, 1.690], rtol=1e-3)


def failure(sample):
    return -sample.sum()


@pytest.mark.usefixtures("double")
def test_groups_of_the_bandit():
    """All groups of four: leave-one-out is unbiased, GRPO's direction is not."""
    logits = np.asarray(Bandit().logits(), np.float64)
    samples, chance = joint(Categorical(logits), 4)
    keys = hard_keys(samples)

    def f(sample):
        return Bandit().f(logits, sample)

    def mean(baseline):
        return moments(chance, per_key(ScoreFunction(baseline), Categorical, logits, keys, f)[1])[0]

    truth = per_key(Exact(), Categorical, logits, jax.random.key(0)[None], f)[1][0]
    np.testing.assert_allclose(mean(LeaveOneOut(4)), truth, atol=1e-12)
    np.testing.assert_allclose(mean(GroupMean(4)), 0.75 * truth, atol=1e-12)
    turned = mean(GroupMean(4, True))
    cosine = turned @ truth / np.linalg.norm(turned) / np.linalg.norm(truth)
    assert 0.99 < cosine < 0.9999


@pytest.mark.parametrize("wrong", [float("inf"), float("nan")])
def test_infinite_logits_are_refused(wrong):
    with pytest.raises(ValueError, match="TwoContexts second"):
        TwoContexts(second=wrong).check()
