"""Logits of infinite size: masked classes, fixed bits; and a constant added to the logits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    Bernoulli,
    Categorical,
    Chain,
    Exact,
    ImportanceBound,
    RelaxedBernoulli,
    RelaxedCategorical,
    ScoreFunction,
    UnorderedSet,
)
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE
from tests.estimators.helpers.examples import EXAMPLES, is_first, parameter

pytestmark = pytest.mark.usefixtures("strict_dtypes")

INF = np.inf
INFINITE = {
    Categorical: np.float32([[0.25, -INF, 1.25, -0.5], [-INF, 0.75, -INF, -INF]]),
    Bernoulli: np.float32([INF, 0.5, -INF]),
}
KEYS = jax.random.split(jax.random.key(3), 64)


def on(*classes, fast=is_first):
    """Return every estimator with each type that it takes; all but the first of both are slow."""
    return [
        parameter(
            example,
            example,
            cls,
            name=f"{example} on {cls.__name__}",
            slow=not (fast(example) and cls is taken[0]),
        )
        for example in EXAMPLES
        if (taken := [cls for cls in classes if issubclass(cls, example.distributions)])
        for cls in taken
    ]


def finite(logits, size):
    return np.where(np.isinf(logits), np.sign(logits) * np.float32(size), logits)


def prepared(example, cls):
    """Return the estimator with its networks."""
    example = example.initialise(jax.random.key(7), cls(jnp.zeros_like(INFINITE[cls])))
    return jax.tree.map(lambda leaf: leaf + 0.1 if leaf.ndim else leaf, example)


def objective(z, weights):
    x = z.ravel()
    coupling = jnp.cos(2.0 * jnp.arange(x.size, dtype=x.dtype) + 1)
    return jnp.sin(weights @ x) + (coupling @ x) ** 3


def per_key(example, cls, logits, f, keys=KEYS):
    """Return `[logits, keys, ...]`: values, and gradients in the logits and in f's weights."""

    def loss(logits, weights, key):
        q = cls(logits)

        def inner(z):
            return f(z, weights, q)

        if example.needs_bound:
            return example(key, q.independent(3), ImportanceBound(inner))
        return example(key, q, inner)

    weights = jnp.linspace(1.5, -1.0, logits[0].size)
    gradient = jax.vmap(jax.value_and_grad(loss, (0, 1)), (None, None, 0))
    gradient = jax.jit(jax.vmap(gradient, (0, None, None)), compiler_options=FAST_TO_COMPILE)
    value, gradients = gradient(jnp.asarray(logits), weights, keys)
    return np.asarray(value), *map(np.asarray, gradients)


def plain(z, weights, q):
    """Of live logits: its ordinary gradient in them is part of the answer."""
    return objective(z, weights) + 0.3 * q.log_prob(jax.lax.stop_gradient(z))


@functools.cache  # two tests compare with it
def at_the_limit(example, cls):
    """Return `per_key` at infinite logits, at two that are nearly so, and with a constant added."""
    logits = INFINITE[cls]
    shifted = logits if cls is Bernoulli else logits + np.float32(2**20)
    largest = np.finfo(np.float32).max
    every = np.stack([logits, finite(logits, 1e9), finite(logits, largest), shifted])
    return per_key(prepared(example, cls), cls, every, plain)


@pytest.mark.first_cases(90)
@pytest.mark.parametrize(("example", "cls"), on(Categorical, Bernoulli))
def test_infinite_logits_are_the_limit(example, cls):
    """Sample by sample; and a constant added to the logits of classes changes nothing."""
    is_finite = np.isfinite(INFINITE[cls])
    value, slope, in_weights = at_the_limit(example, cls)
    assert not slope[[0, -1]][..., ~is_finite].any()
    for found in value, slope[..., is_finite], in_weights:
        assert np.isfinite(found).all()
        for other in found[1:]:
            np.testing.assert_allclose(other, found[0], rtol=2e-5, atol=2e-5)


@pytest.mark.first_cases(70)
@pytest.mark.parametrize(("example", "cls"), on(Categorical, Bernoulli))
def test_f_has_no_value_at_forbidden_states(example, cls):
    """Its value and derivative there have no part in the result, and log q is what it is."""
    if example.differentiates:
        pytest.skip("differentiates: evaluates f between its corners")
    logits = INFINITE[cls]

    def f(z, weights, q):
        forbidden = jnp.where(z == 1, logits == -INF, (z == 0) & (logits == INF)).any()
        log_prob = q.log_prob(z)
        # Exact calls f at every state, so only f's value is left out.
        varying = jax.lax.stop_gradient(weights) if isinstance(example, Exact) else weights
        nowhere = jnp.where(forbidden, jnp.nan, 0.0) * varying.sum()
        return objective(z, weights) + 0.3 * log_prob + nowhere

    found = per_key(prepared(example, cls), cls, logits[None], f)
    for one, other in zip(found, at_the_limit(example, cls), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other[:1], rtol=1e-5, atol=1e-5)


# The distributions themselves

MASKED = np.array([[0.25, -INF, 1.25, -0.5], [-INF, 0.75, -INF, -INF]])
ALLOWED = np.isfinite(MASKED)


def probabilities(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def test_probability_zero(float64):
    first, second = np.indices((4, 4)).reshape(2, -1)
    states = np.eye(4)[np.stack([first, second], 1)]

    @jax.jit
    def of(q):
        entropy, slope = jax.value_and_grad(lambda q: q.entropy())(q)
        return q.mean, jax.vmap(q.log_prob)(states), jax.vmap(q.score)(states), entropy, slope

    mean, log_probs, scores, entropy, slope = jax.device_get(of(Categorical(MASKED)))
    chance = probabilities(MASKED)
    np.testing.assert_allclose(mean, chance, rtol=1e-14)
    assert not mean[~ALLOWED].any()
    with np.errstate(divide="ignore"):
        wanted = np.log(chance[0, first]) + np.log(chance[1, second])
    np.testing.assert_allclose(log_probs, wanted, rtol=1e-14)
    assert np.isfinite(scores.logits).all()
    inside = chance[ALLOWED]
    np.testing.assert_allclose(entropy, -(inside * np.log(inside)).sum(), rtol=1e-14)
    slope, inside = slope.logits, inside[:3]
    wanted = -inside * (np.log(inside) - (inside * np.log(inside)).sum())
    np.testing.assert_allclose(slope[0][ALLOWED[0]], wanted, rtol=1e-13)
    assert not slope[~ALLOWED].any()


def test_divergence(float64):
    """Infinite where p masks what q allows; what q masks adds nothing."""
    q, p = Categorical(MASKED[:1]), Categorical(np.zeros((1, 4)))
    kl = jax.jit(jax.value_and_grad(lambda one, other: one.kl(other), (0, 1)))
    inside = probabilities(MASKED[:1])[ALLOWED[:1]]
    np.testing.assert_allclose(kl(q, p)[0], (inside * np.log(4 * inside)).sum(), rtol=1e-14)
    np.testing.assert_allclose(kl(q, q)[0], 0, atol=1e-15)
    assert np.isposinf(kl(p, q)[0])
    for _, slopes in kl(q, p), kl(q, q):
        assert all(np.isfinite(slope.logits).all() for slope in slopes)
        assert not np.asarray(slopes[0].logits)[~ALLOWED[:1]].any()


def test_masks_are_never_drawn():
    logits = jnp.broadcast_to(jnp.asarray(MASKED, jnp.float32), (2**16, 2, 4))
    counts = np.asarray(Categorical(logits).sample(jax.random.key(0))).sum(0)
    assert not counts[~ALLOWED].any() and counts[ALLOWED].all()
    assert not np.asarray(Categorical(logits).relax(0.5).squash(logits))[:, ~ALLOWED].any()


def test_fixed_bits(float64):
    @jax.jit
    def of(q, alone, even):
        log_probs = jax.vmap(q.log_prob)(np.array([[1.0, 1, 0], [1, 1, 1], [0, 0, 0]]))
        slope = jax.grad(lambda q: q.entropy() + 2 * q.kl(even))(q).logits
        return q.mean, log_probs, (q.entropy(), alone.entropy()), (q.kl(q), even.kl(q)), slope

    q, alone, even = map(Bernoulli, (np.array([INF, 0.5, -INF]), np.array(0.5), np.zeros(3)))
    mean, log_probs, entropies, divergences, slope = jax.device_get(of(q, alone, even))
    np.testing.assert_array_equal(mean[[0, 2]], [1, 0])
    np.testing.assert_allclose(log_probs, [-np.log1p(np.exp(-0.5)), -INF, -INF])
    np.testing.assert_allclose(*entropies)
    assert divergences == (0, INF)
    np.testing.assert_array_equal(slope != 0, [False, True, False])


def test_relaxed_density_is_that_of_the_others(float64):
    @functools.partial(jax.jit, static_argnums=2)
    def of(q, rest, keep):
        def densities(q, x, y):
            log_prob, slope = jax.value_and_grad(lambda q: q.log_prob(x))(q)
            return (log_prob, q.log_density(y)), slope

        x = q.sample(jax.random.key(0))
        y = q.squash(x)
        wanted = densities(rest, keep(x), keep(y))
        return y, densities(q, x, y), densities(q.canonical(), x, y), wanted

    masked = RelaxedCategorical(np.array([[0.25, -INF, 1.25, -0.5]]), 0.7)
    rest = RelaxedCategorical(np.array([[0.25, 1.25, -0.5]]), 0.7)
    kept = np.array([0, 2, 3])
    y, found, canonical, wanted = jax.device_get(of(masked, rest, lambda x: x[:, kept]))
    assert y[0, 1] == 0
    for densities, _ in found, canonical:
        np.testing.assert_allclose(densities, wanted[0], rtol=1e-12)
    slope, slope_of_rest = found[1], wanted[1]
    np.testing.assert_allclose(slope.logits[:, kept], slope_of_rest.logits, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(slope.temperature, slope_of_rest.temperature, rtol=1e-10)
    assert slope.logits[0, 1] == 0

    fixed = RelaxedBernoulli(np.array([INF, 0.3]), 0.7)
    free = RelaxedBernoulli(np.array(0.3), 0.7)
    y, found, _, wanted = jax.device_get(of(fixed, free, lambda x: x[1]))
    assert y[0] == 1
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)
    assert found[1].logits[0] == 0


@pytest.mark.parametrize("cls", [Categorical, Bernoulli])
def test_what_cannot_be_refused_is_nan(cls):
    """Traced, a variable that has no class left, or a logit that is no number: its gradient."""
    bad = [[-INF, -INF], [INF, 0.0], [np.nan, 0.0]] if cls is Categorical else [[np.nan, 0.0]]

    @jax.jit
    @jax.grad
    def gradient(logits):
        return ScoreFunction()(jax.random.key(0), cls(logits), lambda z: z @ jnp.array([1.0, 2.0]))

    @jax.jit
    def own(logits):
        q = cls(logits)
        return q.entropy(), q.log_prob(jnp.array([1.0, 0.0]))

    for logits in bad:
        assert np.isnan(gradient(jnp.asarray(logits))).any(), logits
        assert np.isnan(own(jnp.asarray(logits))).all(), logits


def test_logits_whose_difference_overflows():
    @jax.jit
    def of(q):
        log_probs = jax.vmap(q.log_prob)(np.eye(2, dtype="float32"))
        return log_probs, jax.value_and_grad(lambda q: q.entropy())(q)

    log_probs, (entropy, slope) = jax.device_get(of(Categorical(np.float32([3e38, -3e38]))))
    np.testing.assert_array_equal(log_probs, [0, -INF])
    assert entropy == 0 and not slope.logits.any()


def test_masks_in_a_chain(float64):
    """The layer below is masked by the one above."""

    def below(bias, above):
        allowed = jnp.concatenate([above, jnp.ones((1, 3)) - above], -1)[:, :3]
        return Categorical(jnp.where(allowed > 0, -INF, bias))

    first = Categorical(jnp.array([[0.3, -INF, 1.0]]))

    def loss(bias):
        chain = Chain(first, bias, (below,))
        return Exact()(jax.random.key(0), chain, lambda z: jnp.exp(z[0] @ z[1]) + z[1, 0])

    value, slope = jax.jit(jax.value_and_grad(loss))(jnp.array([[0.5, -1.0, 0.2]]))
    bias, above = np.array([0.5, -1.0, 0.2]), np.exp([0.3, -INF, 1.0])
    above /= above.sum()
    wanted = 1.0
    for k in (0, 2):
        rest = np.exp(np.where(np.arange(3) == k, -INF, bias))
        wanted += above[k] * rest[0] / rest.sum()
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    assert np.isfinite(slope).all() and slope.any()


# A constant added to the logits


def test_a_constant_in_the_logits_leaves_the_law():
    """In float32, where noise added to 2**20 would be rounded to eighths."""
    count = 2**20
    logits = jnp.broadcast_to(jnp.arange(3.0) + 2.0**20, (count, 3))
    shares = np.asarray(Categorical(logits).sample(jax.random.key(1))).mean(0)
    chance = probabilities(np.arange(3.0))
    assert (np.abs(shares - chance) / np.sqrt(chance * (1 - chance) / count)).max() < 4.5


# No NaN on the way


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    ("example", "cls"),
    on(Categorical, Bernoulli, fast=lambda example: isinstance(example, Exact | UnorderedSet)),
)
def test_nothing_trips_debug_nans(example, cls):
    """With masks, and with large logits."""
    example = prepared(example, cls)
    large = 20 * np.where(np.isinf(INFINITE[cls]), 1.5 * np.sign(INFINITE[cls]), INFINITE[cls])

    def loss(logits, key):
        q = cls(logits)

        def f(z):
            return objective(z, jnp.linspace(1.5, -1.0, z.size)) + 0.3 * q.log_prob(z)

        if example.needs_bound:
            return example(key, q.independent(3), ImportanceBound(f))
        return example(key, q, f)

    for logits in INFINITE[cls], large:
        with jax.debug_nans(True):  # not under jit, where it sees results alone
            jax.grad(loss)(jnp.asarray(logits), KEYS[0])
