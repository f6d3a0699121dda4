"""The baselines of GRPO: what a group's own mean and standard deviation do to the gradient."""

import numpy as np
import pytest

from estimators import Bernoulli, Categorical, GroupMean, LeaveOneOut, ScoreFunction
from tests.estimators.helpers.enumeration import exact, hard_moments, joint, per_key
from tests.estimators.helpers.scripted import hard_keys
from tests.estimators.test_identities import coupled_cubic

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

BIT = np.array([-1.3])
ARMS = np.array([[0.3, -0.8, 1.1]])


def reward(z):
    """Zero or one, of any event."""
    return z.ravel()[0]


def bandit(z):
    return 2.0 * z[0, 0] - z[0, 1] + 0.4


def tiny(normalise):
    """A group baseline whose epsilon is negligible."""
    return lambda n: ScoreFunction(GroupMean(n, normalise, 1e-12))


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("f", [coupled_cubic, bandit])
def test_without_the_deviation_it_is_the_gradient_times_n_minus_one_over_n(f, n):
    mean, variance = hard_moments(ScoreFunction(GroupMean(n)), Categorical, ARMS, f, draws=n)
    truth = exact(Categorical, ARMS, f)[1]
    np.testing.assert_allclose(mean, (n - 1) / n * truth, rtol=1e-11, atol=1e-13)
    unbiased = hard_moments(ScoreFunction(LeaveOneOut(n)), Categorical, ARMS, f, draws=n)
    np.testing.assert_allclose(variance, ((n - 1) / n) ** 2 * unbiased[1], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("n", "chance", "factor"), [(4, 0.1, 1.690), (4, 0.5, 1.616), (8, 0.1, 2.328), (8, 0.5, 1.856)]
)
def test_factor_for_binary_rewards(n, chance, factor):
    """E sqrt(q (1 - q)) / (P (1 - P)), q the share of successes; for the population's deviation."""
    logits = np.array([np.log(chance / (1 - chance))])
    mean, _ = hard_moments(tiny(True)(n), Bernoulli, logits, reward, draws=n)
    truth = exact(Bernoulli, logits, reward)[1]
    np.testing.assert_allclose(mean / truth, factor * np.sqrt((n - 1) / n), rtol=1e-3)


def test_two_samples_of_binary_rewards_are_unbiased_with_the_population_deviation():
    mean, _ = hard_moments(tiny(True)(2), Bernoulli, BIT, reward, draws=2)
    truth = exact(Bernoulli, BIT, reward)[1]
    np.testing.assert_allclose(mean * np.sqrt(2), truth, rtol=1e-10)


def test_two_samples_follow_the_ranks():
    """The gradient of f's rank score, P(f < f_i) - P(f > f_i), over the square root of two."""
    values = np.array([2.4, -0.6, 0.4])  # of the bandit
    chance = np.exp(ARMS[0]) / np.exp(ARMS[0]).sum()
    ranks = np.array([chance @ (values < v) - chance @ (values > v) for v in values])
    wanted = exact(Categorical, ARMS, lambda z: z[0] @ ranks)[1] / np.sqrt(2)
    mean, _ = hard_moments(tiny(True)(2), Categorical, ARMS, bandit, draws=2)
    np.testing.assert_allclose(mean, wanted, rtol=1e-9)


def test_other_rewards_change_the_direction():
    mean, _ = hard_moments(tiny(True)(4), Categorical, ARMS, bandit, draws=4)
    truth = exact(Categorical, ARMS, bandit)[1]
    cosine = (mean * truth).sum() / np.linalg.norm(mean) / np.linalg.norm(truth)
    assert 0.9 < cosine < 1 - 1e-4


@pytest.mark.parametrize("normalise", [False, True])
def test_scale_and_shift_of_f(normalise):
    samples, _ = joint(Categorical(ARMS), 3)
    keys = hard_keys(samples)
    estimator = tiny(normalise)(3)
    plain = per_key(estimator, Categorical, ARMS, keys, bandit)[1]
    moved = per_key(estimator, Categorical, ARMS, keys, lambda z: 3 * bandit(z) + 100.0)[1]
    np.testing.assert_allclose(moved, plain * (1 if normalise else 3), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_equal_values_have_no_gradient(normalise, size):
    samples, _ = joint(Categorical(ARMS), 2)
    estimator = ScoreFunction(GroupMean(2, normalise))
    keys = hard_keys(samples)
    _, gradients = per_key(estimator, Categorical, ARMS, keys, lambda z: size + 0 * z.sum())
    assert not gradients.any()
    _, gradients = per_key(estimator, Categorical, ARMS, keys, lambda z: size * z[0, 0])
    assert np.isfinite(gradients).all()


def test_epsilon_matters_where_f_is_small():
    """As large as the deviation, it halves the gradient."""
    keys = hard_keys(np.array([[[1.0], [0.0]]]))

    def small(z):
        return 1e-4 * np.sqrt(2) * z[0]  # two values with a deviation of 1e-4

    halved = per_key(ScoreFunction(GroupMean(2, True)), Bernoulli, BIT, keys, small)[1]
    whole = per_key(tiny(True)(2), Bernoulli, BIT, keys, small)[1]
    np.testing.assert_allclose(halved, whole / 2, rtol=1e-6)


def test_facts():
    assert ScoreFunction(GroupMean(4)).unbiased == "up to scale"
    assert ScoreFunction(GroupMean(4, normalise=True)).unbiased == "no"
    assert ScoreFunction(GroupMean(4)).evaluations(Bernoulli(BIT)) == 4
    with pytest.raises(ValueError, match="at least 2"):
        ScoreFunction(GroupMean(1)).check()
