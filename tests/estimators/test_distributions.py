"""The distributions: laws of their samples and posterior noise, and everything they compute.

Each statistical test has a fixed key and one threshold: a p-value below `LEAST_P_VALUE` fails.
"""

import functools
import itertools

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

pytestmark = pytest.mark.usefixtures("strict_dtypes")

LEAST_P_VALUE = 1e-4
BIT_LOGITS = [-3.0, 0.0, 1.5]
CLASS_LOGITS = [0.3, -1.2, 1.0, -2.5]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield np.dtype("float64")


def repeat(logits, count, dtype):
    """`count` independent copies of some logits."""
    return jnp.broadcast_to(jnp.asarray(logits, dtype), (count, *np.shape(logits)))


def softmax(logits):
    return scipy.special.softmax(np.asarray(logits, float), -1)


def ks(draws, cdf):
    return scipy.stats.kstest(np.asarray(draws).ravel(), cdf).pvalue


class Compiled:
    """A distribution whose methods and properties are one program each, not one an operation."""

    def __init__(self, distribution):
        self.own = distribution

    def __getattr__(self, name):
        attribute = getattr(type(self.own), name)
        if isinstance(attribute, property):
            return _run(name, self.own)
        return lambda *arguments: _run(name, self.own, *map(bare, arguments))

    def each(self, name, points):
        """Call a method on each of several points."""
        return _run_each(name, self.own, points)


compiled_hard_squash = jax.jit(hard_squash)


def bare(argument):
    return argument.own if isinstance(argument, Compiled) else argument


@functools.partial(jax.jit, static_argnums=0)
def _run(name, distribution, *arguments):
    found = getattr(distribution, name)
    return found(*arguments) if callable(found) else found


@functools.partial(jax.jit, static_argnums=0)
def _run_each(name, distribution, points):
    return jax.vmap(getattr(distribution, name))(points)


# Hard samples -----------------------------------------------------------------------------------


def joint_counts(distribution, num_samples, key):
    """How often each state is drawn, and its probability."""
    keys = jax.random.split(key, num_samples)
    distribution = Compiled(distribution)
    samples = np.asarray(distribution.each("sample", keys))
    states = np.asarray(distribution.states())
    same = (samples.reshape(num_samples, 1, -1) == states.reshape(1, len(states), -1)).all(-1)
    assert (same.sum(1) == 1).all()
    return same.sum(0), np.exp(np.asarray(distribution.each("log_prob", states), float))


@pytest.mark.first_cases(5)
@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: Bernoulli(jnp.array(BIT_LOGITS, dtype)),
        lambda dtype: Categorical(jnp.array(CLASS_LOGITS, dtype)),
        lambda dtype: Categorical(jnp.array([[0.5, -1.0, 0.0], [2.0, 0.0, 1.0]], dtype)),
        lambda dtype: Bernoulli(jnp.array([0.7], dtype)).independent(3),
        lambda dtype: Categorical(jnp.array([0.5, -1.0, 0.0], dtype)).independent(2),
    ],
    ids=["bits", "class", "classes", "copies of a bit", "copies of a class"],
)
def test_samples_have_the_joint_law(make, dtype):
    counts, probabilities = joint_counts(make(dtype), 2**17, jax.random.key(0))
    expected = probabilities * counts.sum()
    assert expected.min() > 5
    assert scipy.stats.chisquare(counts, expected, sum_check=False).pvalue > LEAST_P_VALUE


def rare_p_values(draw, probabilities, num_chunks):
    """Whether events are as frequent as they should be: `draw` gives `[events, 2^20]` for a key."""

    @jax.jit
    def count(key):
        def chunk(total, key):
            return total + jnp.sum(draw(key), 1, dtype=jnp.int32), None

        start = jnp.zeros(len(probabilities), jnp.int32)
        return jax.lax.scan(chunk, start, jax.random.split(key, num_chunks))[0]

    total = num_chunks * 2**20
    hits = [int(hit) for hit in count(jax.random.key(1))]
    tests = map(scipy.stats.binomtest, hits, itertools.repeat(total), probabilities)
    return np.array([test.pvalue for test in tests])


@pytest.mark.slow
def test_rare_bits_are_drawn_at_their_rate():
    # Also with p = 1 less the rate; and 1e-8 is 1.3 hits, where JAX's default mode has 16.
    logits = scipy.special.logit([1e-6, 1e-7, 1e-8]).astype(np.float32)
    rates = scipy.special.expit(logits.astype(float))

    def draw(key):
        # The same noise for all.
        bits = [Bernoulli(jnp.full(2**20, logit)) for logit in (*logits, *-logits)]
        noise = bits[0].noise(key)
        samples = [bit.hard(bit.perturb(noise)) for bit in bits]
        return jnp.stack(samples) == jnp.array([[1], [1], [1], [0], [0], [0]], jnp.float32)

    assert rare_p_values(draw, [*rates, *rates], 2**7).min() > LEAST_P_VALUE

    def draw_default(key):
        return jax.random.bernoulli(key, 1e-8, (1, 2**20))

    assert rare_p_values(draw_default, [1e-8], 2**7).min() < LEAST_P_VALUE


@pytest.mark.slow
def test_rare_classes_are_drawn_at_their_rate():
    # Ten hits or more of each are expected: none at all would fail.
    logits = np.float32([scipy.special.logit(1e-6), 0, scipy.special.logit(2e-7)])
    rates = softmax(logits)[[0, 2]]

    def draw(key):
        sample = Categorical(jnp.broadcast_to(logits, (2**20, 3))).sample(key)
        return sample[:, [0, 2]].T == 1

    assert rare_p_values(draw, rates, 2**6).min() > LEAST_P_VALUE


@pytest.mark.slow
def test_rare_classes_of_jax_in_its_default_mode_are_not():
    # It never draws this one; we do.
    logits = np.float32([0, -18])
    rate = softmax(logits)[1]

    def draw_default(key):
        return jax.random.categorical(key, jnp.asarray(logits), shape=(1, 2**20)) == 1

    def draw(key):
        return Categorical(jnp.broadcast_to(logits, (1, 2**20, 2))).sample(key)[..., 1] == 1

    assert rare_p_values(draw_default, [rate], 2**10).min() < LEAST_P_VALUE
    assert rare_p_values(draw, [rate], 2**10).min() > LEAST_P_VALUE


def test_saturated_bits_and_classes_are_constant():
    key = jax.random.key(2)
    bits = Compiled(Bernoulli(repeat([-50.0, 50.0], 2**16, "float32"))).sample(key)
    np.testing.assert_array_equal(bits, repeat([0.0, 1.0], 2**16, "float32"))
    classes = Compiled(Categorical(repeat([-50.0, 50.0, 0.0], 2**16, "float32"))).sample(key)
    np.testing.assert_array_equal(classes, repeat([0.0, 1.0, 0.0], 2**16, "float32"))


def test_samples_have_no_gradient():
    for distribution in (Bernoulli(jnp.array(BIT_LOGITS)), Categorical(jnp.array(CLASS_LOGITS))):
        key = jax.random.key(3)
        gradient = jax.jit(jax.grad(lambda q, key=key: q.sample(key).sum()))(distribution)
        np.testing.assert_array_equal(gradient.logits, 0)


def test_a_sample_is_the_hard_map_of_perturbed_logits(dtype):
    # What couples a relaxed sample to a hard one; and one key gives one sample.
    for logits in (BIT_LOGITS, CLASS_LOGITS):
        cls = Bernoulli if len(logits) == 3 else Categorical
        distribution = Compiled(cls(repeat(logits, 1000, dtype)))
        key = jax.random.key(4)
        perturbed = distribution.perturb(distribution.noise(key))
        np.testing.assert_array_equal(distribution.hard(perturbed), distribution.sample(key))
        np.testing.assert_array_equal(distribution.sample(key), distribution.sample(key))


# Relaxed samples --------------------------------------------------------------------------------


@pytest.mark.first_cases(4)
@pytest.mark.parametrize("temperature", [1e-3, 0.5, 2.0, 1e3])
def test_relaxed_samples_have_the_law(temperature, dtype):
    count = 2**16
    bits = Compiled(Bernoulli(repeat(BIT_LOGITS, count, dtype)))
    key = jax.random.key(5)
    perturbed = bits.perturb(bits.noise(key))
    relaxed = bits.relaxed(perturbed, temperature)
    law_of_bits = Compiled(bits.own.relax(temperature))
    in_logit_space = law_of_bits.sample(key)
    np.testing.assert_array_equal(law_of_bits.squash(in_logit_space), relaxed)
    for i, logit in enumerate(BIT_LOGITS):
        law = scipy.stats.logistic(logit / temperature, 1 / temperature)
        assert ks(in_logit_space[:, i], law.cdf) > LEAST_P_VALUE
    classes = Compiled(Categorical(repeat(CLASS_LOGITS, count, dtype)))
    perturbed = classes.perturb(classes.noise(key))
    relaxed = np.asarray(classes.relaxed(perturbed, temperature))
    np.testing.assert_allclose(relaxed.sum(-1), 1, rtol=8 * jnp.finfo(dtype).eps)
    log = np.asarray(Compiled(classes.own.relax(temperature)).sample(key), float)
    # Large logarithms have large rounding errors, and e^x has them relatively.
    tolerance = 16 * jnp.finfo(dtype).eps * np.maximum(1, np.abs(log).max())
    np.testing.assert_allclose(np.exp(log), relaxed, atol=tolerance)
    # The log-ratio of two classes is a logistic variable.
    for i, j in itertools.combinations(range(len(CLASS_LOGITS)), 2):
        location = (CLASS_LOGITS[i] - CLASS_LOGITS[j]) / temperature
        law = scipy.stats.logistic(location, 1 / temperature)
        assert ks(log[:, i] - log[:, j], law.cdf) > LEAST_P_VALUE


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
def test_relaxed_samples_at_extreme_logits_are_finite_and_have_finite_gradients(temperature):
    key = jax.random.key(6)
    for distribution in (
        Bernoulli(repeat([-50.0, 0.0, 50.0], 1000, "float32")),
        Categorical(repeat([-50.0, 0.0, 50.0], 1000, "float32")),
    ):

        def total(q, t):
            relaxed = q.relaxed(q.perturb(q.noise(key)), t)
            weights = jnp.cos(jnp.arange(relaxed.size, dtype=relaxed.dtype)).reshape(relaxed.shape)
            return jnp.sum(weights * relaxed) + jnp.sum(weights * q.relax(t).sample(key))

        gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
        value, gradients = gradient(distribution, temperature)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradients)))


# Posterior noise --------------------------------------------------------------------------------


def truncated_logistic_cdf(z, logit, bit):
    """P(Z <= z given Z > 0, or Z < 0), Z logistic at the logit; accurate in both tails."""
    sign = 2 * bit - 1
    log_beyond = scipy.special.log_expit(sign * (logit - z)) - scipy.special.log_expit(sign * logit)
    return -np.expm1(log_beyond) if bit else np.exp(log_beyond)


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("logit", [-50.0, -3.0, 0.0, 1.5, 50.0])
def test_posterior_of_a_bit_is_the_truncated_logistic(logit, bit, dtype):
    distribution = Compiled(Bernoulli(jnp.full(2**16, logit, dtype)))
    sample = jnp.full(2**16, bit, dtype)
    posterior = np.asarray(distribution.posterior(jax.random.key(7), sample), float)
    cdf = functools.partial(truncated_logistic_cdf, logit=logit, bit=bit)
    assert ks(posterior, cdf) > LEAST_P_VALUE


@pytest.mark.many_samples
@pytest.mark.parametrize(
    ("logit", "bit"), [(-3.0, 1), pytest.param(10.0, 0, marks=pytest.mark.slow)]
)
def test_posterior_of_a_bit_has_the_right_tails(logit, bit):
    distribution = Bernoulli(jnp.full(2**20, logit, jnp.float32))
    sample = jnp.full(2**20, bit, jnp.float32)
    rates = np.array([1e-6, 1e-8])
    # Away from zero: P(|Z| > z) = expit(+-logit - z) / size. Close to it: the rest.
    size = scipy.special.expit(logit if bit else -logit)
    far = (logit if bit else -logit) - scipy.special.logit(rates * size)
    near = (logit if bit else -logit) - scipy.special.logit((1 - rates) * size)

    def draw(key):
        distance = jnp.abs(distribution.posterior(key, sample))
        return jnp.stack([distance > z for z in far] + [distance < z for z in near])

    # At 1e-8, 1.3 hits; noise in JAX's default mode would make 16.
    assert rare_p_values(draw, [*rates, *rates], 2**7).min() > LEAST_P_VALUE


def test_posterior_of_a_bit_averages_to_the_prior(dtype):
    distribution = Compiled(Bernoulli(repeat(BIT_LOGITS, 2**16, dtype)))
    sample_key, posterior_key = jax.random.split(jax.random.key(8))
    posterior = np.asarray(distribution.posterior(posterior_key, distribution.sample(sample_key)))
    for i, logit in enumerate(BIT_LOGITS):
        assert ks(posterior[:, i], scipy.stats.logistic(logit).cdf) > LEAST_P_VALUE


def gumbel_level(z, location):
    """The Gumbel CDF."""
    return np.exp(-np.exp(location - z))


def centred(logits):
    """The logits to which the library adds noise."""
    return np.asarray(logits, float) - np.max(logits)


def posterior_levels(logits, winner, posterior):
    """Levels of the posterior under its conditional laws: independent uniforms, if it is right.

    The maximum is a Gumbel variable; each other one a Gumbel variable truncated at the maximum.
    """
    logits, posterior = centred(logits), np.asarray(posterior, float)
    maximum = posterior[:, winner, None]
    levels = np.exp(np.exp(logits - maximum) - np.exp(logits - posterior))
    levels[:, winner] = gumbel_level(maximum[:, 0], scipy.special.logsumexp(logits))
    return levels


@pytest.mark.first_cases(9)
@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], [0.5, -3.0, 2.0], [1.0, -50.0, 50.0]], ids=str)
def test_posterior_of_a_class_is_the_truncated_gumbel(logits, winner, dtype):
    count = 2**16
    distribution = Compiled(Categorical(repeat(logits, count, dtype)))
    sample = repeat(np.eye(3)[winner], count, dtype)
    posterior = distribution.posterior(jax.random.key(9), sample)
    levels = posterior_levels(logits, winner, posterior)
    for level in levels.T:
        assert ks(level, scipy.stats.uniform.cdf) > LEAST_P_VALUE
    cells = np.histogramdd(levels, bins=4, range=[(0, 1)] * 3)[0]
    assert scipy.stats.chisquare(cells.ravel()).pvalue > LEAST_P_VALUE


@pytest.mark.slow
def test_posterior_of_a_class_has_the_right_tails():
    logits, rate = np.float32(centred([0.5, -3.0, 2.0])), 1e-6
    distribution = Categorical(jnp.broadcast_to(logits, (2**20, 3)))
    sample = repeat([1.0, 0.0, 0.0], 2**20, "float32")
    law = scipy.stats.gumbel_r(scipy.special.logsumexp(logits))

    def draw(key):
        maximum, *others = distribution.posterior(key, sample).T
        # Levels below the rate, under the Gumbel law truncated at the maximum.
        low = [
            location - jnp.log(jnp.exp(location - maximum) - np.log(rate)) > other
            for location, other in zip(logits[1:], others, strict=True)
        ]
        return jnp.stack([maximum < law.ppf(rate), maximum > law.isf(rate), *low])

    assert rare_p_values(draw, [rate] * 4, 2**5).min() > LEAST_P_VALUE


def test_posterior_of_a_class_averages_to_the_prior(dtype):
    distribution = Compiled(Categorical(repeat(CLASS_LOGITS, 2**16, dtype)))
    sample_key, posterior_key = jax.random.split(jax.random.key(10))
    posterior = distribution.posterior(posterior_key, distribution.sample(sample_key))
    levels = gumbel_level(np.asarray(posterior, float), centred(CLASS_LOGITS))
    for level in levels.T:
        assert ks(level, scipy.stats.uniform.cdf) > LEAST_P_VALUE
    cells = np.histogramdd(levels, bins=4, range=[(0, 1)] * 4)[0]
    assert scipy.stats.chisquare(cells.ravel()).pvalue > LEAST_P_VALUE


@pytest.mark.many_samples
@pytest.mark.parametrize("cls", [Bernoulli, Categorical])
def test_posterior_stands_for_its_sample(cls):
    # Rounding ties a class to the maximum at rates of 1e-7 to, at logits of 1000, 1e-5.
    @jax.jit
    def count_wrong(key, logit):
        def chunk(total, key):
            sample_key, posterior_key = jax.random.split(key)
            shape = (2**18, 3) if cls is Categorical else (2**18,)
            distribution = cls(jnp.broadcast_to(logit, shape))
            sample = distribution.sample(sample_key)
            posterior = distribution.posterior(posterior_key, sample)
            return total + jnp.sum(distribution.hard(posterior) != sample), None

        return jax.lax.scan(chunk, jnp.int32(0), jax.random.split(key, 2**3))[0]

    for logit in (0.0, 1.0, -1.0, 50.0, -50.0, 1000.0, -1000.0):
        assert count_wrong(jax.random.key(11), logit) == 0


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("logit", [-50.0, 0.0, 50.0])
def test_posterior_at_extreme_logits_is_finite_and_has_finite_gradients(logit):
    key, count = jax.random.key(12), 2**12
    bits = Bernoulli(jnp.full(count, logit))
    classes = Categorical(repeat([logit, 0.0, -logit], count, "float32"))

    @jax.jit
    def compute_all(distribution, sample):
        posterior, pull = jax.vjp(lambda q: q.posterior(key, sample), distribution)
        cotangent = jnp.cos(jnp.arange(posterior.size, dtype=jnp.float32))
        (gradient,) = pull(cotangent.reshape(posterior.shape))
        return posterior, distribution.hard(posterior), gradient.logits

    for distribution, samples in (
        (bits, [np.zeros(count, np.float32), np.ones(count, np.float32)]),
        (classes, np.broadcast_to(np.eye(3, dtype=np.float32)[:, None], (3, count, 3))),
    ):
        for sample in samples:
            # Possible or not: every sample.
            posterior, back, gradient = compute_all(distribution, sample)
            assert np.isfinite(posterior).all() and np.isfinite(gradient).all()
            np.testing.assert_array_equal(back, sample)


def slope(function, at, step=1e-5):
    """The derivative of a function of float64, by central differences of the fourth order."""
    near = function(at + step) - function(at - step)
    far = function(at + 2 * step) - function(at - 2 * step)
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("bit", [0, 1])
def test_gradient_of_the_posterior_of_a_bit_is_that_of_its_inverse_cdf(bit, float64):
    logits = np.linspace(-6, 6, 200)
    sample = jnp.full(200, bit, float64)

    def draw(logits):
        return Bernoulli(logits).posterior(jax.random.key(13), sample)

    posterior = np.asarray(jax.jit(draw)(jnp.asarray(logits)))
    gradient = jax.jit(jax.grad(lambda logits: draw(logits).sum()))(jnp.asarray(logits))
    # At a fixed level, dz/dlogit = -(dF/dlogit) / (dF/dz); F's logarithm does as well.
    sign = 2 * bit - 1

    def log_level(z, logit):
        return scipy.special.log_expit(sign * (logit - z)) - scipy.special.log_expit(sign * logit)

    by_logit = slope(lambda logit: log_level(posterior, logit), logits)
    by_value = slope(lambda z: log_level(z, logits), posterior)
    np.testing.assert_allclose(gradient, -by_logit / by_value, rtol=1e-7, atol=1e-9)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("winner", [0, 1, 3])
def test_gradient_of_the_posterior_of_a_class_is_that_of_its_inverse_cdf(winner, float64):
    logits = np.array(CLASS_LOGITS)
    sample = jnp.eye(4, dtype=float64)[winner]

    def draw(key, logits):
        return Categorical(logits).posterior(key, sample)

    keys = jax.random.split(jax.random.key(14), 5)
    posteriors, jacobians = (
        np.asarray(jax.jit(jax.vmap(one, (0, None)))(keys, jnp.asarray(logits)))
        for one in (draw, jax.jacobian(draw, argnums=1))
    )
    for posterior, jacobian in zip(posteriors, jacobians, strict=True):
        maximum = posterior[winner]
        expected = np.zeros((4, 4))
        for k in range(4):

            def shifted(step, k=k):
                return scipy.special.logsumexp(logits + step * np.eye(4)[k])

            # Logarithms of the levels that the draw keeps, differentiated implicitly.
            by_logit = slope(lambda step, z=maximum: -np.exp(shifted(step) - z), 0.0)
            by_value = slope(lambda z: -np.exp(shifted(0.0) - z), maximum)
            expected[winner, k] = -by_logit / by_value
            for j in set(range(4)) - {winner}:

                def log_level(z, maximum, location):
                    return np.exp(location - maximum) - np.exp(location - z)

                at = posterior[j], maximum, logits[j]
                by_value, by_maximum, by_logit = (
                    slope(lambda x, at=at, i=i: log_level(*at[:i], x, *at[i + 1 :]), at[i])
                    for i in range(3)
                )
                change = by_maximum * expected[winner, k] + by_logit * (j == k)
                expected[j, k] = -change / by_value
        np.testing.assert_allclose(jacobian, expected, rtol=1e-7, atol=1e-9)


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


# Normal -----------------------------------------------------------------------------------------

MEAN, LOG_SCALE = np.array([0.3, -2.0, 5.0]), np.array([0.2, -1.5, 1.0])


def test_normal_samples_have_the_law(dtype):
    distribution = Normal(repeat(MEAN, 2**16, dtype), repeat(LOG_SCALE, 2**16, dtype))
    samples = np.asarray(Compiled(distribution).sample(jax.random.key(20)))
    assert samples.dtype == dtype and samples.shape == distribution.event_shape
    for i in range(3):
        law = scipy.stats.norm(MEAN[i], np.exp(LOG_SCALE[i]))
        assert ks(samples[:, i], law.cdf) > LEAST_P_VALUE


def test_normal_density_entropy_and_score(float64):
    distribution = Normal(jnp.asarray(MEAN), jnp.asarray(LOG_SCALE))
    law = scipy.stats.norm(MEAN, np.exp(LOG_SCALE))
    for sample in (MEAN, MEAN + [1.0, -2.0, 30.0]):
        log_prob = distribution.log_prob(jnp.asarray(sample))
        assert log_prob.shape == ()
        np.testing.assert_allclose(log_prob, law.logpdf(sample).sum(), rtol=1e-12)
        score = distribution.score(jnp.asarray(sample))
        standard = (sample - MEAN) / np.exp(LOG_SCALE)
        np.testing.assert_allclose(score.mean, standard / np.exp(LOG_SCALE), rtol=1e-12)
        np.testing.assert_allclose(score.log_scale, standard**2 - 1, rtol=1e-12)
    np.testing.assert_allclose(distribution.entropy(), law.entropy().sum(), rtol=1e-12)


def test_normal_divergence_is_the_integral(float64):
    one = Normal(jnp.asarray(MEAN), jnp.asarray(LOG_SCALE))
    other_mean, other_log_scale = MEAN + [0.5, 1.0, -3.0], LOG_SCALE + [0.4, -0.2, 0.1]
    other = Normal(jnp.asarray(other_mean), jnp.asarray(other_log_scale))
    expected = 0.0
    for i in range(3):
        p = scipy.stats.norm(MEAN[i], np.exp(LOG_SCALE[i]))
        q = scipy.stats.norm(other_mean[i], np.exp(other_log_scale[i]))
        low, high = p.ppf(1e-25), p.isf(1e-25)

        def integrand(x, p=p, q=q):
            return p.pdf(x) * (p.logpdf(x) - q.logpdf(x))

        expected += scipy.integrate.quad(integrand, low, high, epsabs=1e-13, limit=200)[0]
    np.testing.assert_allclose(one.kl(other), expected, rtol=1e-9)
    np.testing.assert_allclose(one.kl(one), 0, atol=1e-14)


def test_normal_samples_are_differentiable(float64):
    distribution = Normal(jnp.asarray(MEAN), jnp.asarray(LOG_SCALE))
    key = jax.random.key(21)
    sample, pull = jax.vjp(lambda q: q.sample(key), distribution)
    (gradient,) = pull(jnp.ones(3))
    np.testing.assert_allclose(gradient.mean, 1)
    np.testing.assert_allclose(gradient.log_scale, np.asarray(sample) - MEAN, rtol=1e-12)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "error", "message"),
    [
        (Bernoulli(np.zeros(3, int)), TypeError, "Bernoulli logits must be float32 or float64"),
        (Bernoulli(np.zeros(3, bool)), TypeError, "not bool"),
        (Bernoulli(np.zeros(3, np.float16)), TypeError, "not float16"),
        (Bernoulli(np.zeros(3, np.complex64)), TypeError, "not complex64"),
        (Categorical(np.zeros(3, int)), TypeError, "Categorical logits must be float32 or float64"),
        (Categorical(0.5), ValueError, r"at least two classes, not shape \(\)"),
        (Categorical(np.float32([[0.5]])), ValueError, r"at least two classes, not shape \(1, 1\)"),
        (RelaxedBernoulli(np.zeros(3, int), 1.0), TypeError, "RelaxedBernoulli logits"),
        (RelaxedBernoulli(np.zeros(3, "f"), 0.0), ValueError, "above zero and finite, not 0"),
        (RelaxedBernoulli(np.zeros(3, "f"), -1.0), ValueError, "above zero and finite, not -1"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.inf), ValueError, "above zero and finite, not inf"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.nan), ValueError, "above zero and finite, not nan"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.ones(3, int)), TypeError, "temperature must be"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.ones(2, "f")), ValueError, r"not \(2,\)"),
        (RelaxedCategorical(np.zeros(3, int), 1.0), TypeError, "RelaxedCategorical logits"),
        (RelaxedCategorical(np.zeros(3, "f"), 0), ValueError, "above zero and finite, not 0"),
        (RelaxedCategorical(np.zeros((3, 1), "f"), 1.0), ValueError, "at least two classes"),
        (RelaxedCategorical(np.zeros((3, 3), "f"), np.ones(3, "f")), ValueError, r"\(3, 1\), not"),
        (Normal(np.zeros(3, int), np.zeros(3, "f")), TypeError, "Normal mean must be float32"),
        (Normal(np.zeros(3, "f"), np.zeros(3, int)), TypeError, "Normal log_scale must be float32"),
        (Normal(np.zeros(3, "f"), np.zeros(2, "f")), ValueError, r"not \(3,\) and \(2,\)"),
    ],
)
def test_check_refuses(distribution, error, message):
    with pytest.raises(error, match=message):
        distribution.check()


def test_check_admits():
    logits, normal = np.zeros((2, 3), np.float32), np.zeros(2, np.float32)
    for distribution in (
        Bernoulli(logits),
        Bernoulli(0),
        Bernoulli(0.5),
        Categorical(logits),
        Categorical(logits[0]),
        RelaxedBernoulli(logits, 1),
        RelaxedBernoulli(logits, logits + 1),
        RelaxedCategorical(logits, 1e-3),
        RelaxedCategorical(logits, np.ones((2, 1), np.float32)),
        Normal(normal, normal),
        Normal(0, 1),
    ):
        distribution.check()
        sample = jax.eval_shape(distribution.sample, jax.random.key(22))
        assert sample.shape == distribution.event_shape
        jax.jit(lambda distribution: distribution.check())(distribution)

    @jax.jit
    def check_traced(temperature):
        RelaxedBernoulli(logits, temperature).check()
        return temperature

    check_traced(-1.0)


@pytest.mark.parametrize(
    ("distribution", "size"),
    [
        (Bernoulli(np.zeros(21, np.float32)), "2,097,152 states"),
        (Bernoulli(np.zeros((28, 28), np.float32)), r"\(28, 28\) has 10\^236 states"),
        (Categorical(np.zeros((13, 3), np.float32)), "1,594,323 states"),
        (Categorical(np.zeros((20, 10), np.float32)), r"10\^20 states"),
    ],
)
def test_too_many_states_are_refused_with_their_number(distribution, size):
    for refused in (distribution.check_enumerable, distribution.states):
        with pytest.raises(ValueError, match=rf"{size}; at most 1,048,576 are enumerated"):
            refused()


def test_a_million_states_are_enumerated():
    Bernoulli(np.zeros(20, np.float32)).check_enumerable()
    Categorical(np.zeros((10, 4), np.float32)).check_enumerable()


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError)])
def test_independent_copies_are_counted(count, error):
    with pytest.raises(error, match="num_copies"):
        Bernoulli(0.5).independent(count)


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
