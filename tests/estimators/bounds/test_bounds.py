"""Multi-sample bounds: exact in mean over every sample, and every estimator on them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import (
    OVIS,
    VIMCO,
    Average,
    Bernoulli,
    Categorical,
    ImportanceBound,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
)
from tests.estimators.helpers import checks
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE, joint, moments
from tests.estimators.helpers.examples import EXAMPLES, is_first, parameter
from tests.estimators.helpers.problems import BOUNDS
from tests.estimators.helpers.sampling import BATCH, forget, gradient_samples
from tests.estimators.helpers.scripted import hard_keys
from tests.estimators.helpers.truth import expectation

LOGITS = {
    Bernoulli: np.array([-1.5, 0.4]),
    Categorical: np.array([[1.2, -0.4, 0.1]]),
}
CASES = [(cls, m) for cls in LOGITS for m in (2, 3)]


def log_joint(z):
    x = z.ravel()
    return 1.5 * jnp.sin(2 * x[0] + x[1]) - x[0] * x[1] + 0.7 * x[-1]


def log_weight(q):
    return lambda z: log_joint(z) - q.log_prob(z)


@partial(jax.jit, static_argnums=(1, 3), compiler_options=FAST_TO_COMPILE)
def bound_per_key(estimator, cls, keys, num_samples, logits):
    def loss(logits, key):
        q = cls(logits)
        return estimator(key, q.independent(num_samples), ImportanceBound(log_weight(q)))

    return jax.vmap(jax.value_and_grad(loss), (None, 0))(logits, keys)


@partial(jax.jit, static_argnums=(0, 1), compiler_options=FAST_TO_COMPILE)
@partial(jax.value_and_grad, argnums=2)
def bound_written_out(cls, num_samples, logits):
    q = cls(logits)

    def f(z):
        weights = [jnp.exp(log_weight(q)(each)) for each in z]
        return -jnp.log(sum(weights) / num_samples)

    return expectation(None, q.independent(num_samples), f)


def over_all_samples(estimator, cls, num_samples, draws=1):
    """Return every tuple of samples, its chance, and value and gradient there."""
    logits = jnp.asarray(LOGITS[cls])
    samples, chance = joint(cls(logits).independent(num_samples), draws)
    values, gradients = bound_per_key(estimator, cls, hard_keys(samples), num_samples, logits)
    return samples, chance, np.asarray(values), np.asarray(gradients)


def assert_unbiased(estimator, cls, num_samples, draws=1):
    _, chance, *results = over_all_samples(estimator, cls, num_samples, draws)
    truth = bound_written_out(cls, num_samples, jnp.asarray(LOGITS[cls]))
    for got, wanted in zip(results, truth, strict=True):
        np.testing.assert_allclose(np.tensordot(chance, got, 1), wanted, rtol=1e-11)


@pytest.mark.usefixtures("float64", "strict_dtypes")
@pytest.mark.parametrize("num_samples", [1, 2, 3])
def test_importance_bound(num_samples):
    """An ordinary f of several samples: exact in mean over every one of their states."""
    for estimator, draws in {
        ScoreFunction(): 1,
        ScoreFunction(LeaveOneOut(2)): 2,
        MuProp(): 1,
    }.items():
        assert_unbiased(estimator, Bernoulli, num_samples, draws)
    logits = jnp.asarray(LOGITS[Bernoulli])
    truth = bound_written_out(Bernoulli, num_samples, logits)
    key = jax.random.key(0)[None]
    by_exact = bound_per_key(estimators.Exact(), Bernoulli, key, num_samples, logits)
    for got, wanted in zip(by_exact, truth, strict=True):
        np.testing.assert_allclose(got[0], wanted, rtol=1e-12)


# VIMCO


@pytest.mark.usefixtures("float64", "strict_dtypes")
@pytest.mark.parametrize(("cls", "num_samples"), CASES)
def test_vimco_is_unbiased(cls, num_samples):
    assert_unbiased(VIMCO(), cls, num_samples)


def scores(cls, samples):
    logits = LOGITS[cls]
    power = np.exp(logits)
    mean = power / (1 + power) if cls is Bernoulli else power / power.sum(-1, keepdims=True)
    return samples - mean


def weights_of(cls, samples):
    """Return `[N, m]` log-weights."""
    return np.asarray(_weights_of(cls, samples))


@partial(jax.jit, static_argnums=0, compiler_options=FAST_TO_COMPILE)
def _weights_of(cls, samples):
    return jax.vmap(jax.vmap(log_weight(cls(LOGITS[cls]))))(samples)


def log_mean(log_weights):
    return np.log(np.exp(log_weights).mean(-1))


def surrogate(log_weights, baseline, score):
    """Return the bound's negated gradient for `[N, m]` baselines, as the papers write it.

    With the share v of each weight: sum of (L - v - baseline) score, since log q is in the weight.
    """
    share = np.exp(log_weights) / np.exp(log_weights).sum(-1, keepdims=True)
    signal = log_mean(log_weights)[:, None] - share - baseline
    return -np.einsum("nm,nm...->n...", signal, score)


@pytest.mark.usefixtures("float64", "strict_dtypes")
@pytest.mark.parametrize(("cls", "num_samples"), CASES)
def test_vimco_as_defined(cls, num_samples):
    """Gradient by gradient: weight i is replaced by the geometric mean of the others."""
    samples, _, values, gradients = over_all_samples(VIMCO(), cls, num_samples)
    samples = samples[:, 0]
    w = weights_of(cls, samples)
    np.testing.assert_allclose(values, -log_mean(w), rtol=1e-12, atol=1e-14)
    baseline = []
    for i in range(num_samples):
        others = np.delete(w, i, axis=1)
        baseline.append(log_mean(np.concatenate([others, others.mean(1, keepdims=True)], 1)))
    defined = surrogate(w, np.stack(baseline, 1), scores(cls, samples))
    np.testing.assert_allclose(gradients, defined, rtol=1e-11, atol=1e-12)


@pytest.mark.usefixtures("float64", "strict_dtypes")
@pytest.mark.parametrize(("cls", "num_samples"), CASES)
def test_vimco_is_the_score_function_with_a_baseline_per_sample(cls, num_samples):
    """The same mean as without, exactly; and here less variance."""
    _, chance, _, with_baselines = over_all_samples(VIMCO(), cls, num_samples)
    _, _, _, without = over_all_samples(ScoreFunction(), cls, num_samples)
    (mean, variance), (plain_mean, plain_variance) = (
        moments(chance, gradients) for gradients in (with_baselines, without)
    )
    np.testing.assert_allclose(mean, plain_mean, rtol=1e-11)
    assert variance.sum() < plain_variance.sum()


@pytest.mark.parametrize("q", [Bernoulli(np.zeros(2, "float32")).independent(1), Bernoulli(0.0)])
@pytest.mark.parametrize("estimator", [VIMCO(), OVIS()], ids=str)
def test_one_sample_is_refused(estimator, q):
    with pytest.raises(ValueError, match="two samples or more"):
        estimator(jax.random.key(0), q, ImportanceBound(jnp.sum))


# OVIS

FORMS = [OVIS(), OVIS(0.3), OVIS(0.0), OVIS(auxiliary_samples=1), OVIS(auxiliary_samples=2)]


def log_mean_without(log_weights, i):
    return log_mean(np.delete(log_weights, i, axis=1))


@pytest.mark.first_cases(5)
@pytest.mark.usefixtures("float64", "strict_dtypes")
@pytest.mark.parametrize(("cls", "num_samples"), CASES)
@pytest.mark.parametrize("estimator", FORMS, ids=str)
def test_ovis_as_defined(estimator, cls, num_samples):
    """Gradient by gradient; so the mean, which is the truth where the class says so."""
    draws = 2 if estimator.auxiliary_samples else 1
    found = over_all_samples(estimator, cls, num_samples, draws)
    samples, chance, values, gradients = found
    w = weights_of(cls, samples[:, 0])
    np.testing.assert_allclose(values, -log_mean(w), rtol=1e-12, atol=1e-14)
    gamma, baseline = float(estimator.gamma), []
    for i in range(num_samples):
        if estimator.auxiliary_samples:
            each = []
            for log_weight in weights_of(cls, samples[:, 1]).T[: estimator.auxiliary_samples]:
                swapped = w.copy()
                swapped[:, i] = log_weight
                share = np.exp(log_weight) / np.exp(swapped).sum(1)
                each.append(log_mean(swapped) - share)
            baseline.append(np.mean(each, 0))
        else:
            share = np.exp(w[:, i]) / np.exp(w).sum(1)
            fewer = np.log(1 - 1 / num_samples)
            baseline.append(log_mean_without(w, i) - gamma * share + (1 - gamma) * fewer)
    defined = surrogate(w, np.stack(baseline, 1), scores(cls, samples[:, 0]))
    np.testing.assert_allclose(gradients, defined, rtol=1e-11, atol=1e-12)

    value, gradient = bound_written_out(cls, num_samples, jnp.asarray(LOGITS[cls]))
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    mean = np.tensordot(chance, gradients, 1)
    if estimator.unbiased == "yes":
        np.testing.assert_allclose(mean, gradient, rtol=1e-10, atol=1e-13)
    else:
        assert np.abs(mean - gradient).max() > 1e-2


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (OVIS(1.5), ValueError, "gamma must be at least 0 and at most 1"),
        (OVIS("low"), TypeError, "gamma must be a number"),
        (OVIS(auxiliary_samples=-1), ValueError, "at least 0"),
    ],
)
def test_ovis_hyperparameters(estimator, error, message):
    with pytest.raises(error, match=message):
        q = Bernoulli(jnp.zeros(2)).independent(2)
        estimator(jax.random.key(0), q, ImportanceBound(jnp.sum))


# Samples of likelihood zero

ENDS = np.array([[np.inf, -np.inf], [-np.inf, np.inf], [-np.inf, -np.inf]])
"""Two bits that say which sample it is; each has a third one that is free."""


def signals(estimator, weights):
    """Return the learning signals, from the gradient in one free bit of each sample."""
    logits = jnp.concatenate([jnp.asarray(ENDS, jnp.float32), jnp.zeros((3, 1))], 1)
    weights = jnp.asarray(weights, jnp.float32)

    def log_weight(z):
        return jnp.where(z[0] == 1, weights[0], jnp.where(z[1] == 1, weights[1], weights[2]))

    @jax.jit
    @jax.value_and_grad
    def bound(logits):
        return estimator(jax.random.key(1), Bernoulli(logits), ImportanceBound(log_weight))

    value, gradient = bound(logits)
    sample = Bernoulli(logits).sample(jax.random.key(1))
    return value, gradient[:, 2] / (sample[:, 2] - 0.5)


@pytest.mark.parametrize(
    "weights",
    [[-0.4, 0.3, -1e10], [-1e10, 0.3, -0.4], [-0.4, 0.3, -np.inf], [-np.inf, 0.3, -np.inf]],
    ids=str,
)
def test_vimco_beside_tiny_and_zero_likelihoods(weights):
    value, found = signals(VIMCO(), weights)
    w = np.array(weights)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(value, -log_mean(w), rtol=1e-6)
        for i in range(3):
            others = np.delete(w, i)
            baseline = log_mean(np.append(others, others.mean()))
            baseline = baseline if np.isfinite(baseline) else 0
            np.testing.assert_allclose(found[i], baseline - log_mean(w), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("float64", "strict_dtypes")
@pytest.mark.parametrize(
    ("estimator", "draws"),
    [(VIMCO(), 1), (OVIS(0.0), 1), (OVIS(auxiliary_samples=1), 2), (ScoreFunction(), 1)],
    ids=str,
)
def test_unbiased_with_zero_likelihoods(estimator, draws):
    """The last class has likelihood zero; the first copy never takes it, so the bound is finite."""
    logits = jnp.array([[0.3, -0.8, -np.inf], [0.2, 0.5, 0.9], [-0.4, 0.1, 1.2]])

    def loss(operator, logits, key):
        def log_weight(z):
            return jnp.where(z[2] == 1, -jnp.inf, 1.5 * z[0] - z[1])

        return operator(key, Categorical(logits), ImportanceBound(log_weight))

    samples, chance = joint(Categorical(logits), draws)
    samples, chance = samples[chance > 0], chance[chance > 0]
    per_key = jax.vmap(jax.value_and_grad(loss, 1), (None, None, 0))
    found = jax.jit(per_key)(estimator, logits, hard_keys(samples))
    truth = jax.jit(jax.value_and_grad(loss, 1))(estimators.Exact(), logits, jax.random.key(0))
    for got, wanted in zip(found, truth, strict=True):
        assert np.isfinite(got).all()
        np.testing.assert_allclose(np.tensordot(chance, got, 1), wanted, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    "estimator",
    [*(example for example in EXAMPLES if example.needs_bound), OVIS(auxiliary_samples=2)],
    ids=str,
)
def test_zero_likelihoods_trip_no_debug_nans(estimator):
    """All but the first sample have likelihood zero, and the second auxiliary one."""
    logits = jnp.array([[np.inf, 0.3], [-np.inf, 0.3], [-np.inf, 0.3]], jnp.float32)

    def loss(logits):
        log_weight = lambda z: jnp.where(z[0] == 1, z[1], -jnp.inf)  # noqa: E731
        return estimator(jax.random.key(0), Bernoulli(logits), ImportanceBound(log_weight))

    with jax.debug_nans(True):  # not under jit, where it sees results alone
        value, slope = jax.value_and_grad(loss)(logits)
    assert np.isfinite(value) and np.isfinite(slope).all()


# Every estimator


ON_BOUNDS = [
    parameter(
        example,
        example,
        problem,
        name=f"{example} on {problem}",
        slow=not is_first(example) or distribution is not example.distributions[0],
    )
    for example in EXAMPLES
    for distribution, problem in BOUNDS.items()
    if issubclass(distribution, example.distributions)
]


@pytest.mark.first_cases(12)
@pytest.mark.usefixtures("strict_dtypes")
@pytest.mark.parametrize(("example", "problem"), ON_BOUNDS)
def test_every_estimator_takes_a_bound(example, problem):
    """Unbiased where it says so, and finite where not."""
    if reason := example.refusal(problem.layer(0)):
        pytest.skip(reason)
    count = 8 * BATCH
    if example.unbiased != "no":
        checks.check_mean(example, problem, count)
    samples = gradient_samples(problem, (checks.prepared(example, problem),), count)
    assert np.isfinite(samples).all()
    forget()


def test_an_average_needs_what_its_estimator_needs():
    assert Average(VIMCO(), 2).needs_bound and not Average(ScoreFunction(), 2).needs_bound
