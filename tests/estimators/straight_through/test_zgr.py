"""ReinMax at temperature 1 is ZGR, the limit of Gumbel-Rao (Shekhovtsov 2023)."""

import jax
import numpy as np
import pytest

from estimators import DARN, Categorical, GumbelRao, ReinMax, StraightThrough
from tests.estimators.helpers.enumeration import per_key
from tests.estimators.helpers.scripted import hard_keys
from tests.estimators.test_identities import CLASSES, coupled_cubic

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

LOGITS = np.array([0.4, -0.9, 0.2])


def test_it_is_the_mean_of_straight_through_and_of_darn_about_the_mean():
    """DARN's centre 1 / K is moved to p by its own linear term."""
    keys = jax.random.split(jax.random.key(0), 50)
    probs = np.exp(CLASSES) / np.exp(CLASSES).sum(-1, keepdims=True)

    def at(estimator, f=coupled_cubic):
        return per_key(estimator, Categorical, CLASSES, keys, f)[1]

    score = np.asarray([np.eye(3)[row] for row in drawn(keys)]) - probs
    slopes = at(StraightThrough("identity"))
    about_mean = at(DARN("sample")) + score * (slopes * (1 / 3 - probs)).sum(-1, keepdims=True)
    np.testing.assert_allclose(at(ReinMax()), (at(StraightThrough()) + about_mean) / 2, rtol=1e-10)


def drawn(keys):
    """The classes that these keys draw."""
    sample = jax.vmap(Categorical(CLASSES).sample)(keys)
    return np.asarray(sample).argmax(-1)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(("temperature", "least", "most"), [(0.5, 0.05, 0.2), (0.03, 0.0, 0.02)])
def test_gumbel_rao_tends_to_it(temperature, least, most):
    """The mean over the noise given the sample, at a falling temperature."""
    found = []
    for sample in np.eye(3):
        keys = jax.random.split(jax.random.key(1), 2**15)
        estimator = GumbelRao(temperature, 100)
        key = hard_keys(sample[None, None])
        for f in map(coordinate, range(3)):
            limit = per_key(ReinMax(), Categorical, LOGITS, key, f)[1][0]
            found.append(given(estimator, sample, keys, f).mean(0) - limit)
    assert least < np.abs(found).max() < most


def coordinate(index):
    return lambda z: z[index]


def given(estimator, sample, keys, f):
    """Gradients of the keys that draw a sample."""
    _, gradients = per_key(estimator, Categorical, LOGITS, keys, f)
    same = np.asarray(jax.vmap(Categorical(LOGITS).sample)(keys)).argmax(-1) == sample.argmax()
    return gradients[same]


def test_the_score_is_the_mean_of_perturbed_arg_max_given_the_sample():
    """So perturbation (Berthet et al. 2020) has the same mean and more variance."""
    keys = jax.random.split(jax.random.key(2), 2**18)
    distribution = Categorical(LOGITS)
    noise = np.asarray(jax.vmap(distribution.noise)(keys))
    classes = (LOGITS + noise).argmax(-1)
    derivative = 1 - np.exp(-noise)  # minus that of the log-density of Gumbel noise
    probs = np.exp(LOGITS) / np.exp(LOGITS).sum()
    for drawn_class in range(3):
        of_class = derivative[classes == drawn_class]
        error = of_class.std(0) / np.sqrt(len(of_class))
        score = np.eye(3)[drawn_class] - probs
        assert (abs(of_class.mean(0) - score) < 5 * error).all()
    f = np.array([1.0, -0.5, 2.0])[classes][:, None]
    score = np.eye(3)[classes] - probs
    assert (f * derivative).var(0).sum() > 1.5 * (f * score).var(0).sum()
