"""Categorical estimators of dependent samples: CARMS and CategoricalDisARM."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    CARMS,
    Bernoulli,
    Categorical,
    CategoricalDisARM,
    DisARM,
    LeaveOneOut,
    ScoreFunction,
)
from tests.estimators.helpers.enumeration import antithetic_cells, exact, joint, per_key
from tests.estimators.helpers.scripted import hard_keys, logistic_keys
from tests.estimators.test_definitions import coupled, sigmoid

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

CLASSES = np.array([[4.0, 0.5, -1.0], [-0.5, 0.3, 0.2]])
CHANCE = np.exp(CLASSES) / np.exp(CLASSES).sum(-1, keepdims=True)


def f_of(samples):
    """Evaluate f at samples `[..., D, K]`."""
    flat = jnp.asarray(samples.reshape(-1, *samples.shape[-2:]))
    return np.asarray(jax.vmap(coupled)(flat)).reshape(samples.shape[:-2])


# DisARM by stick-breaking


def sticks(logits):
    """The log-odds of each class against all later ones, and their Jacobian `[D, K - 1, K]`."""
    size, classes = logits.shape
    odds, jacobian = np.zeros((size, classes - 1)), np.zeros((size, classes - 1, classes))
    for d, k in itertools.product(range(size), range(classes - 1)):
        rest = np.exp(logits[d, k + 1 :])
        odds[d, k] = logits[d, k] - np.log(rest.sum())
        jacobian[d, k, k] = 1
        jacobian[d, k, k + 1 :] = -rest / rest.sum()
    return odds, jacobian


def by_sticks(noise):
    """The definition, one bit at a time."""
    odds, jacobian = sticks(CLASSES)
    chance = sigmoid(odds)
    u = sigmoid(noise)
    bits = (u > 1 - chance).astype(int), (u < chance).astype(int)
    size, classes = CLASSES.shape
    picked = [[int(np.argmax([*row, 1])) for row in bit] for bit in bits]
    samples = np.eye(classes)[np.array(picked)]
    step = f_of(samples[0]) - f_of(samples[1])
    slope = np.zeros((size, classes - 1))
    for d, k in itertools.product(range(size), range(classes - 1)):
        first, second = bits[0][d, k], bits[1][d, k]
        reached = k <= picked[0][d], k <= picked[1][d]
        if all(reached):
            differ = (first != second) * (-1) ** second
            slope[d, k] = step / 2 * differ * sigmoid(abs(odds[d, k]))
        elif reached[0]:
            slope[d, k] = step / 2 * (first - chance[d, k])
        elif reached[1]:
            slope[d, k] = -step / 2 * (second - chance[d, k])
    return np.einsum("dk,dkc->dc", slope, jacobian)


def test_disarm_by_stick_breaking():
    """As defined for any noise; and over all of it value and gradient are the truth."""
    noise = np.random.default_rng(0).logistic(size=(200, 1, 2, 2))
    estimator = CategoricalDisARM()
    _, gradients = per_key(estimator, Categorical, CLASSES, logistic_keys(noise), coupled)
    defined = np.array([by_sticks(each) for each in noise[:, 0]])
    np.testing.assert_allclose(gradients, defined, rtol=1e-10, atol=1e-12)

    cells, chance = antithetic_cells(sticks(CLASSES)[0])
    keys = logistic_keys(cells[:, None])
    values, gradients = per_key(estimator, Categorical, CLASSES, keys, coupled)
    value, gradient = exact(Categorical, CLASSES, coupled)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    np.testing.assert_allclose(np.tensordot(chance, gradients, 1), gradient, rtol=1e-10, atol=1e-12)


def test_two_classes_by_stick_breaking_are_disarm():
    """Noise by noise: the logit is the difference of the two."""
    logits = np.array([[0.9, 0.2], [-2.0, 1.0]])
    noise = np.random.default_rng(0).logistic(size=(200, 1, 2))

    def of_bits(b):
        return coupled(jnp.stack([b, 1 - b], -1))

    keys = logistic_keys(noise)
    bits = per_key(DisARM(), Bernoulli, logits[:, 0] - logits[:, 1], keys, of_bits)
    keys = logistic_keys(noise[..., None])
    classes = per_key(CategoricalDisARM(), Categorical, logits, keys, coupled)
    np.testing.assert_allclose(classes[0], bits[0], rtol=1e-12)
    np.testing.assert_allclose(classes[1][..., 0], bits[1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(classes[1].sum(-1), 0, atol=1e-12)


# CARMS


def orders(classes):
    """The orders that CARMS draws from: a first class, then the ring of the others, rolled."""
    found = []
    for first, roll in itertools.product(range(classes), range(classes - 1)):
        rest = np.roll([(first + 1 + i) % classes for i in range(classes - 1)], roll)
        if first < rest[-1]:
            found.append([first, *rest])
    return found


def intervals(chance, order):
    """Where each class's interval begins and ends in an order: `[K]`, `[K]`."""
    ends = np.cumsum(chance[order])
    place = np.argsort(order)
    return np.append(0, ends)[place], ends[place]


def together(chance, count):
    """The joint law `[K, K]` of two of the samples of one variable: the mean over orders."""

    def below(p, q):
        root = 1 / (count - 1)
        return np.maximum(p**root + q**root - 1, 0) ** (count - 1)

    laws = []
    for order in orders(chance.size):
        low, high = intervals(chance, order)
        a, b, c, d = low[:, None], high[:, None], low[None], high[None]
        laws.append(below(b, d) + below(a, c) - below(b, c) - below(a, d))
    return np.mean(laws, 0)


def carms(samples, ratios):
    """The definition for samples `[n, D, K]` and weights `[D, K, K]` of pairs of classes."""
    n, values = len(samples), f_of(samples)
    total = 0.0
    for i, j in itertools.permutations(range(n), 2):
        ratio = np.einsum("dk,dkl,dl->d", samples[i], ratios, samples[j])
        total = total + ratio[:, None] * (values[i] - values[j]) * (samples[i] - samples[j])
    return total / (2 * n * (n - 1))


def ratios_of(count):
    return np.array([np.outer(p, p) / np.maximum(together(p, count), 1e-300) for p in CHANCE])


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_carms(count):
    """As defined for any noise, samples included."""
    noise = np.random.default_rng(0).logistic(size=(200, count + 1, 2))
    estimator = CARMS(count)
    values, gradients = per_key(estimator, Categorical, CLASSES, logistic_keys(noise), coupled)
    shares = np.log1p(np.exp(noise[:, :count]))
    u = (1 - shares / shares.sum(1, keepdims=True)) ** (count - 1)
    drawn = np.floor(sigmoid(noise[:, count]) * 3).astype(int)
    ratios, known = ratios_of(count), orders(3)
    for i in range(len(noise)):
        samples = np.zeros((count, 2, 3))
        for d in range(2):
            low, high = intervals(CHANCE[d], known[drawn[i, d]])
            inside = (low < u[i, :, d, None]) & (u[i, :, d, None] <= high)
            samples[:, d] = inside
        np.testing.assert_allclose(values[i], f_of(samples).mean(), rtol=1e-11)
        np.testing.assert_allclose(gradients[i], carms(samples, ratios), rtol=1e-8, atol=1e-10)


def test_carms_of_two_is_exact():
    """Over every cell of the uniform number and every order, of both variables."""
    axes = []
    for chance in CHANCE:
        cells = []
        for number, order in enumerate(orders(3)):
            low, high = intervals(chance, order)
            edges = np.unique(np.clip(np.concatenate([low, high, 1 - low, 1 - high]), 0, 1))
            middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
            keep = width > 1e-12
            # Exponential variables that sum to one: the shares of the pair are u and 1 - u.
            pair = np.stack([1 - middle, middle], -1)[keep]
            noise = np.log(np.expm1(pair))
            pick = np.full((len(noise), 1), np.log((number + 0.5) / (2.5 - number)))
            cells.append(np.concatenate([noise, pick, width[keep, None] / 3], -1))
        axes.append(np.concatenate(cells))
    both = np.array(list(itertools.product(*axes)))
    chance = both[..., 3].prod(-1)
    np.testing.assert_allclose(chance.sum(), 1, rtol=1e-12)
    keys = logistic_keys(np.swapaxes(both[..., :3], 1, 2))
    values, gradients = per_key(CARMS(2), Categorical, CLASSES, keys, coupled)
    value, gradient = exact(Categorical, CLASSES, coupled)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-10)
    np.testing.assert_allclose(np.tensordot(chance, gradients, 1), gradient, rtol=1e-9, atol=1e-11)


def test_carms_weights_are_bounded():
    """Every pair of classes occurs, at least as often as the weight's bound says."""
    for count, classes in ((2, 3), (4, 3), (3, 6)):
        chance = np.random.default_rng(classes).dirichlet(np.full(classes, 0.3))
        law = together(chance, count)
        np.testing.assert_allclose(law.sum(1), chance, atol=1e-12)
        apart = ~np.eye(classes, dtype=bool)
        bound = np.outer(chance, chance) / (classes * (classes - 1) / 2)
        assert np.all(law[apart] >= bound[apart] - 1e-12)


def test_carms_of_independent_samples_is_leave_one_out():
    """With weights of one."""
    samples, _ = joint(Categorical(jnp.asarray(CLASSES)), 2)
    loo = ScoreFunction(LeaveOneOut(2))
    _, gradients = per_key(loo, Categorical, CLASSES, hard_keys(samples), coupled)
    defined = [carms(each, np.ones((2, 3, 3))) for each in samples]
    np.testing.assert_allclose(gradients, defined, rtol=1e-11, atol=1e-12)


def test_two_samples_of_two_classes_by_carms_are_disarm():
    """The same weight for pairs that differ: the larger chance."""
    logits = np.array([[0.9, 0.2]])
    noise = np.random.default_rng(0).logistic(size=(200, 3, 1))
    _, gradients = per_key(CARMS(2), Categorical, logits, logistic_keys(noise), lambda z: z[0, 0])
    # f differs by one, so half of the weight is left where the pair differs.
    larger = sigmoid(0.7)
    assert set(np.round(gradients[:, 0, 0], 12)) == {0.0, np.round(larger / 2, 12)}
    np.testing.assert_allclose(gradients.sum(-1), 0, atol=1e-14)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("estimator", [CARMS(2), CARMS(4), CategoricalDisARM()], ids=str)
def test_constant_added_to_f(estimator):
    """Leaves the gradient unchanged, sample by sample."""
    keys = jax.random.split(jax.random.key(0), 100)
    _, plain = per_key(estimator, Categorical, CLASSES, keys, coupled)
    _, shifted = per_key(estimator, Categorical, CLASSES, keys, lambda z: coupled(z) + 100)
    np.testing.assert_allclose(shifted, plain, rtol=1e-9, atol=1e-10)
