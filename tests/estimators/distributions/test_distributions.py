"""What distributions compute: means, log-probabilities, scores, entropies, and invariances."""

import functools

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from estimators import Bernoulli, Categorical, Normal, RelaxedBernoulli, RelaxedCategorical
from estimators.straight_through.hard_squash import hard_squash
from tests.estimators.helpers.laws import Compiled, compiled_hard_squash, slope

pytestmark = pytest.mark.usefixtures("strict_dtypes")


# Mean, log-probability, score, entropy, divergence ----------------------------------------------


@pytest.fixture(
    params=[
        (Bernoulli, ()),
        (Bernoulli, (4,)),
        (Bernoulli, (2, 3)),
        (Categorical, (3,)),
        (Categorical, (2, 3)),
        (Categorical, (2, 2, 3)),
    ],
    ids=lambda param: f"{param[0].__name__}{param[1]}",
)
def make(request):
    """Build a discrete distribution of some event shape, with random logits."""
    cls, shape = request.param

    def build(dtype, seed=0, scale=2.0):
        return cls(jnp.asarray(np.random.default_rng(seed).normal(size=shape) * scale, dtype))

    return build


def probabilities_of(distribution):
    """Mean and the probability of every state, in numpy and from their definitions."""
    logits = np.asarray(distribution.logits, float)
    states = np.asarray(Compiled(distribution).states(), float)
    axes = tuple(range(1, states.ndim))
    if isinstance(distribution, Bernoulli):
        mean = 1 / (1 + np.exp(-logits))
        each = np.where(states == 1, mean, 1 - mean)
    else:
        mean = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        each = np.where(states == 1, mean, 1)
    return states, mean, each.prod(axes)


def test_shapes_and_types(make, dtype):
    distribution = make(dtype)
    shape = distribution.event_shape
    assert shape == distribution.logits.shape and distribution.dtype == dtype

    def compute_all(key):
        relaxed = distribution.relax(0.5)
        sample, relaxed_sample = distribution.sample(key), relaxed.sample(key)
        perturbed = distribution.perturb(distribution.noise(key))
        events = {
            "sample": sample,
            "mean": distribution.mean,
            "noise": distribution.noise(key),
            "perturbed": perturbed,
            "hard": distribution.hard(perturbed),
            "posterior": distribution.posterior(key, sample),
            "relaxed": distribution.relaxed(perturbed, 0.5),
            "squash": distribution.squash(perturbed),
            "hard_squash": hard_squash(distribution),
            "score": distribution.score(sample).logits,
            "relaxed sample": relaxed_sample,
            "relaxed squash": relaxed.squash(relaxed_sample),
            "relaxed score": relaxed.score(relaxed_sample).logits,
        }
        scalars = {
            "log_prob": distribution.log_prob(sample),
            "entropy": distribution.entropy(),
            "kl": distribution.kl(distribution),
            "relaxed log_prob": relaxed.log_prob(relaxed_sample),
            "relaxed log_density": relaxed.log_density(relaxed.squash(relaxed_sample)),
        }
        return events, scalars, distribution.log_probs(sample), distribution.states()

    events, scalars, log_probs, states = jax.eval_shape(compute_all, jax.random.key(15))
    assert {array.shape for array in events.values()} == {shape}
    assert {array.shape for array in scalars.values()} == {()}
    assert log_probs.shape == (shape if isinstance(distribution, Bernoulli) else (*shape[:-1], 1))
    assert states.shape == (distribution.num_states, *shape)
    assert {array.dtype for array in [*events.values(), *scalars.values(), states]} == {dtype}


def test_states_are_all_values_once(make, float64):
    distribution = make(float64)
    states, mean, probabilities = probabilities_of(distribution)
    assert len(np.unique(states, axis=0)) == distribution.num_states == len(states)
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-14)
    compiled = Compiled(distribution)
    log_probs = np.asarray(compiled.each("log_prob", states))
    np.testing.assert_allclose(np.exp(log_probs), probabilities, rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_probs).sum(), 1, rtol=1e-13)
    np.testing.assert_allclose(compiled.mean, mean, rtol=1e-14)
    by_enumeration = np.tensordot(probabilities, states, 1)
    np.testing.assert_allclose(compiled.mean, by_enumeration, rtol=1e-12)
    centre = 1 / distribution.class_shape[1]
    np.testing.assert_allclose(centre, states.mean(0), rtol=1e-12)


def test_float32_is_as_exact_as_its_logits(make):
    def compute_all(one, other):
        return jax.vmap(one.log_prob)(one.states()), one.entropy(), one.kl(other)

    results = []
    for dtype in ("float64", "float32"):
        with jax.enable_x64(dtype == "float64"):
            one, other = (make(dtype, seed, scale=10.0) for seed in range(2))
            results.append(jax.tree.map(np.asarray, jax.jit(compute_all)(one, other)))
    size = np.abs(one.logits).sum() + np.abs(other.logits).sum()
    for exact, rounded in zip(*results, strict=True):
        tolerance = 8 * np.finfo(np.float32).eps * size
        np.testing.assert_allclose(rounded, exact, rtol=0, atol=tolerance)


def test_score_is_the_sample_less_the_mean(make, float64):
    distribution = make(float64)
    states, mean, probabilities = probabilities_of(distribution)
    scores = np.asarray(Compiled(distribution).each("score", states).logits)
    np.testing.assert_allclose(scores, states - mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(np.tensordot(probabilities, scores, 1), 0, atol=1e-13)
    for index in range(distribution.logits.size):
        direction = np.eye(distribution.logits.size)[index].reshape(distribution.event_shape)

        def log_prob(step, direction=direction):
            moved = type(distribution)(np.asarray(distribution.logits) + step * direction)
            return float(Compiled(moved).log_prob(states[0]))

        np.testing.assert_allclose(slope(log_prob, 0.0), (scores[0] * direction).sum(), rtol=1e-7)


@pytest.mark.first_cases(3)
def test_entropy_and_divergence_are_sums_over_states(make, float64):
    one, other = make(float64), make(float64, seed=1)
    _, _, p = probabilities_of(one)
    _, _, q = probabilities_of(other)
    compiled = Compiled(one)
    np.testing.assert_allclose(compiled.entropy(), -np.sum(p * np.log(p)), rtol=1e-12)
    np.testing.assert_allclose(compiled.kl(other), np.sum(p * np.log(p / q)), rtol=1e-12)
    np.testing.assert_allclose(compiled.kl(one), 0, atol=1e-13)
    # Their gradients too: those of the sums.
    states = compiled.states()

    def summed_entropy(distribution):
        log_probs = jax.vmap(distribution.log_prob)(states)
        return -jnp.sum(jnp.exp(log_probs) * log_probs)

    def summed_kl(distribution):
        log_probs = jax.vmap(distribution.log_prob)(states)
        return jnp.sum(jnp.exp(log_probs) * (log_probs - jax.vmap(other.log_prob)(states)))

    for closed, summed in (
        (lambda distribution: distribution.entropy(), summed_entropy),
        (lambda distribution: distribution.kl(other), summed_kl),
    ):
        found, expected = (jax.jit(jax.grad(value))(one).logits for value in (closed, summed))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_log_probability_at_relaxed_samples_is_the_cross_entropy(make, float64):
    distribution = Compiled(make(float64))
    key = jax.random.key(16)
    relaxed = distribution.relaxed(distribution.perturb(distribution.noise(key)), 0.7)
    mean, y = np.asarray(distribution.mean), np.asarray(relaxed)
    terms = y * np.log(mean)
    if isinstance(distribution.own, Bernoulli):
        terms += (1 - y) * np.log(1 - mean)
    np.testing.assert_allclose(distribution.log_prob(relaxed), terms.sum(), rtol=1e-12)


@pytest.mark.first_cases(3)
def test_independent_copies(make, float64):
    distribution = make(float64)
    copies = distribution.independent(3)
    assert copies.event_shape == (3, *distribution.event_shape)
    assert copies.num_states == distribution.num_states**3
    compiled, of_one = Compiled(copies), Compiled(distribution)
    samples = compiled.sample(jax.random.key(17))
    expected = np.sum(of_one.each("log_prob", samples))
    np.testing.assert_allclose(compiled.log_prob(samples), expected, rtol=1e-12)
    np.testing.assert_allclose(compiled.entropy(), 3 * of_one.entropy(), rtol=1e-12)
    # The logits of all copies are one parameter.
    gradient = jax.jit(jax.grad(lambda q: q.independent(3).log_prob(samples)))(distribution)
    expected = np.asarray(compiled.score(samples).logits).sum(0)
    np.testing.assert_allclose(gradient.logits, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize(
    "distribution",
    [
        RelaxedBernoulli(np.float32([0.5, -1.0]), np.float32(0.7)),
        RelaxedBernoulli(np.float32([0.5, -1.0]), np.float32([0.7, 2.0])),
        RelaxedCategorical(np.float32([[0.5, -1.0, 0.0]] * 2), np.float32(0.7)),
        RelaxedCategorical(np.float32([[0.5, -1.0, 0.0]] * 2), np.float32([[0.7], [2.0]])),
        Normal(np.float32([0.5, -1.0]), np.float32([0.7, 0.0])),
    ],
    ids=lambda distribution: type(distribution).__name__,
)
def test_independent_copies_of_continuous_distributions(distribution):
    copies = distribution.independent(3)
    copies.check()
    samples = Compiled(copies).sample(jax.random.key(18))
    assert copies.event_shape == samples.shape == (3, *distribution.event_shape)
    expected = np.sum(Compiled(distribution).each("log_prob", samples))
    np.testing.assert_allclose(Compiled(copies).log_prob(samples), expected, rtol=1e-5)
    assert len(np.unique(np.asarray(samples).reshape(3, -1), axis=0)) == 3


@pytest.mark.parametrize("cls", [Bernoulli, Categorical])
def test_extreme_logits_are_finite(cls, dtype):
    distribution = cls(jnp.array([[-50.0, 0.0, 50.0]], dtype))
    other = cls(jnp.array([[50.0, 0.0, -50.0]], dtype))
    worst = jnp.array([[1.0, 0.0, 0.0]], dtype)
    computations = {
        "mean": lambda q: q.mean.sum(),
        "log_prob": lambda q: q.log_prob(worst),
        "entropy": lambda q: q.entropy(),
        "kl": lambda q: q.kl(other),
        "hard_squash": lambda q: hard_squash(q).sum(),
    }

    @jax.jit
    def compute_all(q):
        return {name: jax.value_and_grad(each)(q) for name, each in computations.items()}

    results = compute_all(distribution)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results))
    # Two bits lose by 50 each and one costs log 2; a class loses by 100.
    coin = np.log(2) if cls is Bernoulli else 0
    np.testing.assert_allclose(results["log_prob"][0], -100 - coin, rtol=1e-6)
    np.testing.assert_allclose(results["kl"][0], 100, rtol=1e-6)
    np.testing.assert_allclose(results["entropy"][0], coin, rtol=1e-6, atol=1e-6)


def test_distributions_pass_through_jit_and_vmap(make, float64):
    distribution = make(float64)
    keys = jax.random.split(jax.random.key(19), 3)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1, -leaf]), distribution)
    samples = jax.jit(jax.vmap(lambda q, key: q.sample(key)))(batch, keys)
    log_probs = jax.jit(jax.vmap(lambda q, sample: q.log_prob(sample)))(batch, samples)
    for i in range(3):
        one = Compiled(jax.tree.map(lambda leaf, i=i: leaf[i], batch))
        np.testing.assert_array_equal(samples[i], one.sample(keys[i]))
        np.testing.assert_allclose(log_probs[i], one.log_prob(samples[i]), rtol=1e-12)


def test_squashing():
    logits = jnp.array([-9.0, -1.0, -0.5, 0.0, 0.5, 1.0, 9.0])
    hard = hard_squash(Bernoulli(logits))
    np.testing.assert_allclose(hard, [0, 0, 0.25, 0.5, 0.75, 1, 1])
    logits = jnp.log(jnp.array([0.1, 0.3, 0.6]))
    hard = hard_squash(Categorical(logits))
    np.testing.assert_allclose(
        hard, np.clip((scipy.special.logit([0.1, 0.3, 0.6]) + 1) / 2, 0, 1), rtol=1e-6, atol=1e-7
    )


# Invariances ------------------------------------------------------------------------------------

examples = hypothesis.settings(deadline=None, max_examples=20, derandomize=True, database=None)
numbers = st.floats(-20, 20, width=32)


def logits_of(*shape):
    return hypothesis.extra.numpy.arrays(np.float64, shape, elements=numbers)


@examples
@hypothesis.given(logits=logits_of(2, 3), shift=logits_of(2, 1), seed=st.integers(0, 1000))
def test_shifting_the_logits_of_a_class_changes_nothing(logits, shift, seed):
    with jax.enable_x64(True):
        one, other = Compiled(Categorical(logits)), Compiled(Categorical(logits + shift))
        key = jax.random.key(seed)
        sample = one.sample(key)
        np.testing.assert_array_equal(other.sample(key), sample)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10)
        close(other.mean, one.mean)
        close(other.log_prob(sample), one.log_prob(sample))
        close(other.entropy(), one.entropy())
        close(other.kl(one), 0)
        close(compiled_hard_squash(other.own), compiled_hard_squash(one.own))
        close(other.posterior(key, sample), one.posterior(key, sample))
        one, other = (Compiled(q.own.relax(0.5)) for q in (one, other))
        relaxed = one.sample(key)
        close(other.sample(key), relaxed)
        close(other.log_prob(relaxed), one.log_prob(relaxed))


@examples
@hypothesis.given(logits=logits_of(3, 2), temperature=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_two_classes_are_a_bit(logits, temperature, seed):
    with jax.enable_x64(True):
        difference = logits[:, 0] - logits[:, 1]
        classes, bits = Compiled(Categorical(logits)), Compiled(Bernoulli(difference))
        other_classes, other_bits = Categorical(-logits / 2), Bernoulli(-difference / 2)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10)
        bit = np.asarray(bits.sample(jax.random.key(seed)))
        sample = np.stack([bit, 1 - bit], -1)
        close(classes.mean[:, 0], bits.mean)
        close(classes.log_prob(sample), bits.log_prob(bit))
        close(classes.score(sample).logits[:, 0], bits.score(bit).logits)
        close(classes.entropy(), bits.entropy())
        close(classes.kl(other_classes), bits.kl(other_bits))
        close(compiled_hard_squash(classes.own)[:, 0], compiled_hard_squash(bits.own))
        assert classes.own.num_states == bits.own.num_states
        assert classes.own.class_shape == bits.own.class_shape
        # The Concrete densities: the log-ratio of two classes is the logit of one.
        bits, classes = (Compiled(q.own.relax(temperature)) for q in (bits, classes))
        log_ratio = np.asarray(bits.sample(jax.random.key(seed)))
        pair = scipy.special.log_expit(np.stack([log_ratio, -log_ratio], -1))
        close(classes.log_prob(pair), bits.log_prob(log_ratio))


@examples
@hypothesis.given(logits=logits_of(4), seed=st.integers(0, 1000))
def test_negating_the_logits_of_bits_exchanges_zero_and_one(logits, seed):
    with jax.enable_x64(True):
        one, other = Compiled(Bernoulli(logits)), Compiled(Bernoulli(-logits))
        sample = np.asarray(one.sample(jax.random.key(seed)))
        close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10)
        close(other.mean, 1 - np.asarray(one.mean))
        close(other.log_prob(1 - sample), one.log_prob(sample))
        close(other.entropy(), one.entropy())
        close(compiled_hard_squash(other.own), 1 - np.asarray(compiled_hard_squash(one.own)))
