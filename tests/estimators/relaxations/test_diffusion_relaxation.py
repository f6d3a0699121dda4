"""The diffusion relaxation: from the mean to hard samples by more steps."""

import jax
import numpy as np
import pytest

from estimators import Bernoulli, Categorical, DiffusionRelaxation, StraightThrough
from tests.estimators.helpers.enumeration import exact, joint, per_key
from tests.estimators.helpers.scripted import normal_keys
from tests.estimators.test_identities import BITS, CLASSES, coupled_cubic, linear

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

WORLDS = [(Bernoulli, BITS), (Categorical, CLASSES)]
SCHEDULES = {
    "linear": (lambda t: 1 - t, lambda t: t),
    "cosine": (lambda t: np.cos(np.pi * t / 2), lambda t: np.sin(np.pi * t / 2)),
}


def softmax(x):
    power = np.exp(x - x.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def by_steps(logits, noise, num_steps, schedule):
    """The definition, one step at a time."""
    alpha, sigma = SCHEDULES[schedule]
    x = noise
    for step in range(num_steps, 0, -1):
        t, s = step / num_steps, (step - 1) / num_steps
        y = softmax(logits + alpha(t) / sigma(t) ** 2 * x)
        x = alpha(s) * y + sigma(s) / sigma(t) * (x - alpha(t) * y)
    return x


def scripted(noise):
    """Keys whose second stream is the noise; the first draws hard samples."""
    return normal_keys(np.stack([np.zeros_like(noise), noise], 1))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("num_steps", [1, 2, 3, 7])
def test_as_defined(num_steps, schedule):
    noise = np.random.default_rng(0).normal(size=(50, *CLASSES.shape))
    estimator = DiffusionRelaxation(num_steps, schedule)
    values, _ = per_key(estimator, Categorical, CLASSES, scripted(noise), coupled_cubic)
    wanted = [float(coupled_cubic(by_steps(CLASSES, each, num_steps, schedule))) for each in noise]
    np.testing.assert_allclose(values, wanted, rtol=1e-7)


@pytest.mark.parametrize("num_steps", [1, 4])
def test_a_bit_is_one_of_two_classes(num_steps):
    noise = np.random.default_rng(1).normal(size=(50, 1))
    pair = np.stack([noise, -noise], -1)[:, 0] / np.sqrt(2)

    def f(z):
        return (z.ravel()[0] + 0.3) ** 3

    estimator = DiffusionRelaxation(num_steps)
    bit = per_key(estimator, Bernoulli, np.array([0.8]), scripted(noise), f)
    two = per_key(estimator, Categorical, np.array([0.8, 0.0]), scripted(pair), f)
    np.testing.assert_allclose(bit[0], two[0], rtol=1e-6)
    np.testing.assert_allclose(bit[1][:, 0], two[1][:, 0], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("cls", "logits"), WORLDS)
def test_one_step_is_the_mean_and_straight_through(cls, logits):
    keys = jax.random.split(jax.random.key(0), 100)
    values, gradients = per_key(DiffusionRelaxation(1), cls, logits, keys, coupled_cubic)
    mean = np.asarray(cls(logits).mean)
    np.testing.assert_allclose(values, float(coupled_cubic(mean)), rtol=1e-12)
    assert np.ptp(gradients, 0).max() < 1e-12
    estimator = DiffusionRelaxation(1, straight_through=True)
    found, plain = (
        per_key(one, cls, logits, keys, coupled_cubic) for one in (estimator, StraightThrough())
    )
    for one, other in zip(found, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def drawn(cls, logits, estimator, count=2**15):
    """Return values of f, one coordinate at a time: the mean sample, and how hard it is."""
    keys = jax.random.split(jax.random.key(5), count)
    size = logits.size
    first = [
        per_key(estimator, cls, logits, keys, lambda z, i=i: z.ravel()[i])[0] for i in range(size)
    ]
    return np.stack(first, -1)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(("cls", "logits"), [(Bernoulli, BITS[1:4]), (Categorical, CLASSES[:1])])
def test_many_steps_tend_to_hard_samples_of_the_distribution(cls, logits):
    mean = np.ravel(cls(logits).mean)
    samples = {n: drawn(cls, logits, DiffusionRelaxation(n)) for n in (1, 5, 100)}
    hardness = [abs(one * (1 - one)).mean() for one in samples.values()]
    assert hardness[0] > 3 * hardness[1] > 100 * hardness[2]
    error = samples[100].std(0) / np.sqrt(len(samples[100]))
    assert (abs(samples[100].mean(0) - mean) < 5 * error + 1e-3).all()
    assert (abs(samples[5].mean(0) - mean) > 6 * samples[5].std(0) / np.sqrt(2**15)).any()


@pytest.mark.parametrize("num_steps", [2, 5])
def test_hard_samples_have_the_mean_of_the_relaxed(num_steps):
    soft = drawn(Categorical, CLASSES[1:], DiffusionRelaxation(num_steps))
    hard = drawn(Categorical, CLASSES[1:], DiffusionRelaxation(num_steps, straight_through=True))
    assert set(np.unique(hard)) == {0.0, 1.0}
    error = np.hypot(soft.std(0), hard.std(0)) / np.sqrt(len(hard))
    assert (abs(soft.mean(0) - hard.mean(0)) < 5 * error).all()


def test_bias_falls_and_variance_grows_with_the_number_of_steps():
    """Until the tails are so heavy that nearly every gradient is zero."""
    logits, f = CLASSES[1:], coupled_cubic
    truth, keys = exact(Categorical, logits, f)[1], jax.random.split(jax.random.key(2), 2**16)
    found = {
        n: per_key(DiffusionRelaxation(n), Categorical, logits, keys, f)[1] for n in (1, 2, 5, 40)
    }
    biases = [abs(found[n].mean(0) - truth).max() for n in (1, 2, 5)]
    assert biases[0] > 1.8 * biases[1] > 5 * biases[2]
    variances = [found[n].var(0).sum() for n in (1, 2, 5)]
    assert variances[2] > 10 * variances[1] > 1e3 * variances[0]
    assert (abs(found[40]) < 1e-12).all()


def test_even_a_linear_f_has_a_bias():
    samples, _ = joint(Categorical(CLASSES), 1)
    keys = jax.random.split(jax.random.key(2), 2**15)
    _, gradients = per_key(DiffusionRelaxation(3), Categorical, CLASSES, keys, linear)
    error = gradients.std(0) / np.sqrt(len(keys))
    difference = abs(gradients.mean(0) - exact(Categorical, CLASSES, linear)[1])
    assert (difference > 6 * error).any() and len(samples) == 9
