"""MVE: the least error among estimators that are exact for linear f, at each price of bias."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import DARN, MVE, Bernoulli, Categorical, ReinMax, StraightThrough
from tests.estimators.helpers.enumeration import per_key
from tests.estimators.helpers.scripted import hard_keys
from tests.estimators.test_identities import (
    BIASED,
    BITS,
    CLASSES,
    EXACT,
    bias,
    coupled_cubic,
    coupled_quadratic,
    linear,
    multilinear,
)

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

LOGITS = np.array([1.0, -2.0, 0.3, 0.0])
PROBS = np.exp(LOGITS) / np.exp(LOGITS).sum()
COVARIANCE = np.diag(PROBS) - np.outer(PROBS, PROBS)
PENALTIES = [0.0, 0.3, 50.0, float("inf")]


def matrices(estimator, logits=LOGITS):
    """Return S(x) of one variable for every drawn class, `[K, K, K]`: row i multiplies f'_i."""
    classes = len(logits)
    keys = hard_keys(np.eye(classes)[:, None, :])
    rows = [per_key(estimator, Categorical, logits, keys, coordinate(i))[1] for i in range(classes)]
    return np.stack(rows, 1)


def coordinate(index):
    return lambda z: z[index]


def as_published(penalty):
    """The definition: one linear system, then one matrix for each class."""
    pair = 1 + penalty * (PROBS[:, None] + PROBS)
    system = -penalty * np.outer(PROBS, PROBS) / pair
    own = 1 + penalty * PROBS
    twice = 1 + 2 * penalty * PROBS
    np.fill_diagonal(system, own * (PROBS / pair).sum(-1) - penalty * PROBS**2 / twice)
    solution = np.linalg.solve(system, (own / twice)[:, None] * COVARIANCE)
    found = []
    for drawn in range(len(PROBS)):
        here = own[:, None] * solution - penalty * PROBS[:, None] * solution[drawn]
        here[drawn] += penalty * COVARIANCE[drawn]
        found.append(here / pair[:, drawn, None])
    return np.array(found)


def without_penalty(found):
    """The violations of exactness for quadratics, `[K, K, K]`."""
    weighted = PROBS[:, None, None] * found
    return weighted + weighted.swapaxes(0, 1) - np.eye(len(PROBS))[..., None] * COVARIANCE


def objective(found, penalty):
    second_moment = PROBS @ (found**2).sum((1, 2))
    return second_moment + penalty / 2 * (without_penalty(found) ** 2).sum()


@pytest.mark.parametrize("penalty", PENALTIES[:-1])
def test_as_defined(penalty):
    found = matrices(MVE(penalty))
    np.testing.assert_allclose(found, as_published(penalty), rtol=1e-10, atol=1e-14)


def test_infinite_penalty_is_the_limit():
    """In closed form: a graph Laplacian of the weights p_i p_j / (p_i + p_j)."""
    weights = np.outer(PROBS, PROBS) / (PROBS[:, None] + PROBS)
    np.fill_diagonal(weights, 0)
    laplacian = np.diag(weights.sum(1)) - weights
    solution = np.linalg.pinv(laplacian) @ COVARIANCE / 2
    found = matrices(MVE())
    for drawn, matrix in enumerate(found):
        share = PROBS / (PROBS + PROBS[drawn])
        wanted = share[:, None] * (solution - solution[drawn])
        wanted[drawn] = (np.eye(4)[drawn] - PROBS) / 2
        np.testing.assert_allclose(matrix, wanted, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(found, matrices(MVE(1e9)), atol=1e-8)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_least_error_of_all_that_are_exact_for_linear_f(penalty):
    """No direction that keeps the mean S lowers the objective."""
    found = matrices(MVE(penalty))
    np.testing.assert_allclose(np.tensordot(PROBS, found, 1), COVARIANCE, atol=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(50):
        step = rng.normal(size=found.shape)
        step -= np.tensordot(PROBS, step, 1)
        if np.isinf(penalty):  # among those that are exact for quadratics
            step = quadratic_free(step)
        weight = 1.0 if np.isinf(penalty) else penalty
        up, down = (objective(found + sign * 1e-4 * step, weight) for sign in (1, -1))
        here = objective(found, weight)
        assert abs(up - down) < 1e-9 * here / 1e-4 and up + down > 2 * here


def quadratic_free(step):
    """Project a direction onto those that change neither the mean nor any violation."""
    size = step.size
    rows = []
    for index in range(size):
        unit = np.zeros(size)
        unit[index] = 1
        unit = unit.reshape(step.shape)
        change = without_penalty(unit) - without_penalty(np.zeros_like(unit))
        rows.append(np.concatenate([np.tensordot(PROBS, unit, 1).ravel(), change.ravel()]))
    constraints = np.array(rows).T
    removed = np.linalg.pinv(constraints) @ (constraints @ step.ravel())
    return (step.ravel() - removed).reshape(step.shape)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_constant_slope_has_no_effect(penalty):
    np.testing.assert_allclose(matrices(MVE(penalty)).sum(1), 0, atol=1e-14)


@pytest.mark.parametrize(("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_penalty_it_is_straight_through_to_the_last_bit(cls, logits, dtype):
    keys = jax.random.split(jax.random.key(0), 50)
    logits = logits.astype(dtype)
    found = [per_key(one, cls, logits, keys, wavy) for one in (MVE(0), StraightThrough())]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)])
def test_exact_for_linear_f(cls, logits, penalty):
    assert bias(MVE(penalty), cls, logits, linear) < EXACT


@pytest.mark.parametrize(("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)])
def test_exact_for_quadratic_f_in_the_limit_only(cls, logits):
    f = multilinear if cls is Bernoulli else coupled_quadratic
    assert bias(MVE(), cls, logits, f) < EXACT
    assert bias(MVE(0.3), cls, logits, coupled_quadratic) > BIASED
    assert bias(MVE(), cls, logits, coupled_cubic) > BIASED


@pytest.mark.parametrize("penalty", PENALTIES)
def test_bits_are_two_classes(penalty):
    """The closed form for bits is the system of two classes, and a mean of two estimators."""
    logit = 0.8
    keys = hard_keys(np.eye(2)[:, None, :])
    classes = per_key(MVE(penalty), Categorical, np.array([logit, 0.0]), keys, one_bit)[1]
    keys = hard_keys(np.array([[[1.0]], [[0.0]]]))
    found, darn, plain = (
        per_key(one, Bernoulli, np.array([logit]), keys, one_bit)[1][:, 0]
        for one in (MVE(penalty), DARN("sample"), StraightThrough())
    )
    np.testing.assert_allclose(found, classes[:, 0], rtol=1e-12)
    variance = np.exp(logit) / (1 + np.exp(logit)) ** 2
    weight = 1.0 if np.isinf(penalty) else 4 * penalty * variance / (1 + 4 * penalty * variance)
    np.testing.assert_allclose(found, weight * darn + (1 - weight) * plain, rtol=1e-12)


def wavy(z):
    """Of any dtype."""
    return jnp.sin(3 * z + jnp.cos(z).sum()).sum()


def one_bit(z):
    """Of one bit, or of the first of two classes."""
    return (z[0] + 0.3) ** 3


def test_of_more_classes_it_is_not_reinmax_and_has_a_smaller_second_moment():
    found, other = matrices(MVE()), matrices(ReinMax())
    assert np.abs(found - other).max() > 1e-2
    for one in (found, other):
        np.testing.assert_allclose(without_penalty(one), 0, atol=1e-12)
    assert objective(found, 0) < objective(other, 0)


def of_number(power):
    def f(z):
        y = z.ravel()[: z.shape[-1]] @ jnp.arange(z.shape[-1], dtype=z.dtype)
        return (y - 1.3) ** power

    return f


def test_numbers():
    logits = np.array([[0.4, -1.0, 0.3, 1.1, 0.0, -0.6]])
    for penalty in PENALTIES:
        assert bias(MVE(penalty, integer=True), Categorical, logits, of_number(1)) < EXACT
    assert bias(MVE(integer=True), Categorical, logits, of_number(2)) < EXACT
    assert bias(MVE(1.0, integer=True), Categorical, logits, of_number(2)) > BIASED
    assert bias(MVE(integer=True), Categorical, logits, of_number(3)) > BIASED
    keys = jax.random.split(jax.random.key(0), 20)
    plain = per_key(StraightThrough(), Categorical, logits, keys, of_number(3))[1]
    found = per_key(MVE(0, integer=True), Categorical, logits, keys, of_number(3))[1]
    np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("penalty", [0.3, 50.0, float("inf")])
def test_number_of_two_classes_has_twice_the_penalty(penalty):
    logits = np.array([[0.8, -0.2]])
    keys = hard_keys(np.eye(2)[:, None, None, :])
    numbered = per_key(MVE(2 * penalty, integer=True), Categorical, logits, keys, of_number(3))[1]
    one_hot = per_key(MVE(penalty), Categorical, logits, keys, of_number(3))[1]
    np.testing.assert_allclose(numbered, one_hot, rtol=1e-11)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_rare_and_masked_classes(penalty):
    """A masked class is none; a rare one, up to what single precision holds, changes little."""
    logits = np.array([[1.0, 0.3, 0.0], [0.2, 0.1, 0.9]])
    for mask in (-np.inf, -200.0, -90.0, -60.0):
        with_mask = np.insert(logits, 1, mask, axis=1)

        def f(z):
            return wavy(z[:, np.array([0, 2, 3])])

        keys = hard_keys(np.insert(np.eye(3)[[[0, 1]]], 1, 0, axis=2)[None])
        for dtype in ("float32", "float64"):
            found = per_key(MVE(penalty), Categorical, with_mask.astype(dtype), keys, f)[1]
            assert found.dtype == dtype
            keys_without = hard_keys(np.eye(3)[[[0, 1]]][None])
            plain = per_key(MVE(penalty), Categorical, logits, keys_without, wavy)[1]
            np.testing.assert_allclose(np.delete(found, 1, 2), plain, rtol=2e-5, atol=2e-6)
            assert np.isfinite(found).all() and abs(found[:, :, 1]).max() < 1e-6


def test_refuses_more_than_a_thousand_classes():
    many = Categorical(jnp.zeros((1, 1001)))
    assert "1e+09 operations" in MVE().refusal(many)
    assert MVE().refusal(Categorical(jnp.zeros((1, 1000)))) is None
    assert MVE(integer=True).refusal(many) is None


@pytest.mark.parametrize("penalty", [-1.0, float("nan")])
def test_refuses_a_negative_penalty(penalty):
    with pytest.raises(ValueError, match="MVE penalty must be at least 0"):
        MVE(penalty)(jax.random.key(0), Bernoulli(jnp.zeros(3)), jnp.sum)


def test_reinmax_is_the_mean_of_straight_through_and_of_darn_about_the_mean():
    """ZGR (Shekhovtsov 2023): S = (J + (D - p) (D - p)^T) / 2."""
    step = np.eye(4) - PROBS
    wanted = (COVARIANCE + step[:, :, None] * step[:, None, :]) / 2
    np.testing.assert_allclose(matrices(ReinMax()), wanted, atol=1e-14)


def test_nothing_is_solved_by_lapack():
    """Its batches on CPUs can wait for one another for ever, where programs run on all cores."""

    def loss(logits, keys):
        return jax.vmap(lambda key: MVE(2.0)(key, Categorical(logits), jnp.sum))(keys).mean()

    logits, keys = jnp.zeros((3, 4)), jax.random.split(jax.random.key(0), 8)
    assert "lapack" in jax.jit(jnp.linalg.solve).lower(jnp.eye(4), jnp.eye(4)).as_text()
    assert "lapack" not in jax.jit(jax.grad(loss)).lower(logits, keys).as_text()
