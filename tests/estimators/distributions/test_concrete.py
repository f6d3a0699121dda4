"""The Concrete densities: that they are densities, and of the samples that are drawn.

`log_prob` is a density with respect to the log-ratios to the last class, `x_k - x_K`; `log_density`
is one with respect to the first K - 1 coordinates of the simplex.
Integrals are trapezoidal sums after a smooth change of variables, which converge exponentially.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from estimators import Bernoulli, Categorical, RelaxedBernoulli, RelaxedCategorical

LEAST_P_VALUE = 1e-4
TEMPERATURES = [1e-3, 0.1, 0.5, 2.0, 1e3]
BIT_LOGIT = 0.8
CLASS_LOGITS = np.array([0.5, -1.0, 0.2])


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield np.dtype("float64")


@functools.partial(jax.jit, static_argnums=1)
def each(relaxed, name, values):
    """A density at many points."""
    return jax.vmap(getattr(relaxed, name))(values)


def bit_density(temperature, values):
    """Density of the logit x of one bit."""
    return np.exp(each(RelaxedBernoulli(BIT_LOGIT, temperature), "log_prob", values))


def class_density(temperature, log_ratios, logits=CLASS_LOGITS):
    """Density of the log-ratios of three classes, given as `[..., 2]`."""
    relaxed = RelaxedCategorical(jnp.asarray(logits), temperature)
    log_ratios = np.asarray(log_ratios)
    variables = np.concatenate([log_ratios, np.zeros_like(log_ratios[..., :1])], -1)
    x = scipy.special.log_softmax(variables.reshape(-1, 3), axis=-1)
    return np.exp(each(relaxed, "log_prob", x)).reshape(log_ratios.shape[:-1])


def plane(reach, count):
    """A square grid of `[count, count, 2]` points and the area of a cell."""
    line = np.linspace(-reach, reach, count)
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1), (line[1] - line[0]) ** 2


# Integrals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_binary_log_prob_integrates_to_one(temperature, float64):
    x = np.linspace(-40, 40, 401) / temperature
    total = bit_density(temperature, x).sum() * (x[1] - x[0])
    np.testing.assert_allclose(total, 1, rtol=1e-10)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 5.0])
def test_the_binary_density_integrates_to_one(temperature, float64):
    relaxed = RelaxedBernoulli(jnp.array(BIT_LOGIT), temperature)
    density = jax.jit(lambda y: jnp.exp(relaxed.log_density(y)))
    # QUADPACK resolves the integrable singularities at the ends.
    halves = (
        scipy.integrate.quad(lambda y: float(density(y)), *ends, limit=200, epsabs=1e-10)[0]
        for ends in [(0, 0.5), (0.5, 1)]
    )
    np.testing.assert_allclose(sum(halves), 1, rtol=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_log_prob_of_three_classes_integrates_to_one(temperature, float64):
    points, area = plane(40 / temperature, 321)
    total = class_density(temperature, points).sum() * area
    np.testing.assert_allclose(total, 1, rtol=1e-10)


@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0, 2.0])
def test_the_density_of_three_classes_integrates_to_one_on_the_simplex(temperature, float64):
    # y = (s, (1 - s) t, (1 - s)(1 - t)), with s and t the sigmoids of the grid's variables.
    points, area = plane(35 / min(temperature, 1), 1001)
    s, t = (scipy.special.expit(points[..., i]) for i in range(2))
    not_s, not_t = (scipy.special.expit(-points[..., i]) for i in range(2))
    y = np.stack([s, not_s * t, not_s * not_t], -1).reshape(-1, 3)
    jacobian = (s * not_s * not_s * t * not_t).reshape(-1)
    relaxed = RelaxedCategorical(jnp.asarray(CLASS_LOGITS), temperature)
    density = np.exp(each(relaxed, "log_density", y))
    np.testing.assert_allclose(np.sum(density * jacobian) * area, 1, rtol=1e-8)


@jax.jit
def together_and_apart(together, apart):
    """The densities of a sample, and the sums of those of its parts."""
    sample = together.sample(jax.random.key(0))
    pairs = []
    for name, value in (("log_prob", sample), ("log_density", together.squash(sample))):
        parts = value.reshape(-1, *apart[0].event_shape)
        total = sum(getattr(one, name)(part) for one, part in zip(apart, parts, strict=True))
        pairs.append((getattr(together, name)(value), total))
    return pairs


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_densities_of_independent_variables_multiply(temperature, float64):
    logits = np.stack([CLASS_LOGITS, -CLASS_LOGITS])
    temperatures = np.array([[temperature], [3.0]])
    rows = [RelaxedCategorical(*row) for row in zip(logits, temperatures[:, 0], strict=True)]
    bits = [RelaxedBernoulli(logit, temperature) for logit in logits.ravel()]
    for together, apart in (
        (RelaxedCategorical(logits, temperatures), rows),
        (RelaxedBernoulli(logits, temperature), bits),
    ):
        for found, expected in together_and_apart(together, apart):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


# Maddison et al. 2017, Proposition 1 ------------------------------------------------------------


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_bit_rounds_to_one_with_its_probability(temperature, float64):
    # P(sigmoid(x) > 1/2): x = e^s, smooth in s.
    s = np.linspace(-40, np.log(60 / temperature), 2001)
    total = np.sum(bit_density(temperature, np.exp(s)) * np.exp(s)) * (s[1] - s[0])
    np.testing.assert_allclose(total, 1 / (1 + np.exp(-BIT_LOGIT)), rtol=1e-8)


@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_three_classes_round_to_one_hot_with_their_probabilities(temperature, winner, float64):
    # Where k wins, its log-ratios to both others are positive: e^s, smooth in s. With k last,
    # the variables of the density are the negatives.
    order = [*(set(range(3)) - {winner}), winner]
    line = np.linspace(-25, np.log(60), 401)
    s = np.stack(np.meshgrid(line, line, indexing="ij"), -1)
    positive = np.exp(s) / temperature
    density = class_density(temperature, -positive, CLASS_LOGITS[order])
    total = np.sum(density * positive.prod(-1)) * (line[1] - line[0]) ** 2
    expected = np.exp(CLASS_LOGITS[winner]) / np.exp(CLASS_LOGITS).sum()
    np.testing.assert_allclose(total, expected, rtol=1e-8)


def copies(cls, count, dtype):
    """Many independent copies of the three logits."""
    return cls(jnp.broadcast_to(jnp.asarray(CLASS_LOGITS, dtype), (count, 3)))


def relaxed_pairs(distribution, temperature, key):
    """Relaxed samples and the hard samples of the same perturbed logits."""
    perturbed = distribution.perturb(distribution.noise(key))
    relaxed = distribution.relaxed(perturbed, temperature)
    return np.asarray(relaxed), np.asarray(distribution.hard(perturbed))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_samples_round_to_the_hard_sample(temperature, float64):
    classes = copies(Categorical, 2**16, float64)
    relaxed, hard = relaxed_pairs(classes, temperature, jax.random.key(2))
    np.testing.assert_array_equal(relaxed.argmax(-1), hard.argmax(-1))
    probabilities = np.exp(CLASS_LOGITS) / np.exp(CLASS_LOGITS).sum()
    counts = np.bincount(relaxed.argmax(-1), minlength=3)
    assert scipy.stats.chisquare(counts, counts.sum() * probabilities).pvalue > LEAST_P_VALUE
    bits = copies(Bernoulli, 2**16, float64)
    relaxed, hard = relaxed_pairs(bits, temperature, jax.random.key(3))
    np.testing.assert_array_equal(relaxed > 0.5, hard == 1)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("temperature", [1e-1, 1e-2, 1e-3])
def test_cold_samples_approach_one_hot_and_their_mean_the_probabilities(temperature, dtype):
    # The gap of two perturbed logits is logistic, of density at most 1/4, and costs e^(-gap / t).
    count, standard_errors = 2**15, 4
    for cls, pairs in ((Categorical, 3 * 2), (Bernoulli, 2)):
        distribution = copies(cls, count, dtype)
        relaxed, hard = relaxed_pairs(distribution, temperature, jax.random.key(4))
        distance = np.abs(relaxed.astype(float) - hard)
        distance = distance.max(-1) if cls is Categorical else distance
        bound = pairs * temperature / 4
        error = distance.std(0) / count**0.5
        assert np.all(distance.mean(0) > 0)
        assert np.all(distance.mean(0) <= bound + standard_errors * error)
        mean, error = relaxed.mean(0, dtype=float), relaxed.std(0, dtype=float) / count**0.5
        assert np.all(np.abs(mean - distribution.mean[0]) <= bound + standard_errors * error)


@pytest.mark.parametrize("temperature", [10.0, 1e2, 1e3])
def test_hot_samples_approach_the_centre(temperature, float64):
    # No further from 1/K, as a logarithm, than the perturbed logits' spread over the temperature.
    key = jax.random.key(5)
    classes = copies(Categorical, 2**12, float64)
    perturbed = np.asarray(classes.perturb(classes.noise(key)))
    relaxed = classes.relaxed(jnp.asarray(perturbed), temperature)
    spread = np.ptp(perturbed, -1, keepdims=True) / temperature
    assert np.all(np.abs(np.log(relaxed * 3)) <= spread * (1 + 1e-9))
    bits = copies(Bernoulli, 2**12, float64)
    perturbed = np.asarray(bits.perturb(bits.noise(key)))
    relaxed = np.asarray(bits.relaxed(jnp.asarray(perturbed), temperature))
    assert np.all(np.abs(relaxed - 0.5) <= np.abs(perturbed) / temperature / 4 + 1e-15)
    assert np.ptp(relaxed) > 0


def worst_midpoint(relaxed, ends):
    """The largest excess of log p at a midpoint over its mean at the ends `[2, n, ...]`."""
    points = *ends, ends.mean(0)
    first, second, middle = (np.asarray(each(relaxed, "log_density", y)) for y in points)
    return np.max(middle - (first + second) / 2)


def segments(classes, least):
    """Ends `[2, n, K]` anywhere on the simplex, and some with one coordinate near the boundary."""
    rng = np.random.default_rng(6)
    near, far = rng.dirichlet([1.0] * classes, (2, 5000))
    close = np.maximum(near[:2500] * (np.arange(classes) > 0), least)
    far[:2500] = close / close.sum(-1, keepdims=True)
    return np.maximum(np.stack([near, far]), least)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_densities_are_log_convex_up_to_a_temperature_of_one_over_k_less_one(classes, float64):
    logits = jnp.asarray(np.random.default_rng(7).normal(size=classes))
    ends = segments(classes, 1e-30)
    limit = 1 / (classes - 1)
    for temperature in (0.01 * limit, 0.5 * limit, limit):
        assert worst_midpoint(RelaxedCategorical(logits, temperature), ends) <= 1e-9
    for temperature in (1.05 * limit, 2 * limit):
        assert worst_midpoint(RelaxedCategorical(logits, temperature), ends) > 0.01


def test_the_binary_density_is_log_convex_up_to_a_temperature_of_one(float64):
    ends = segments(2, 1e-6)[..., 0]
    for temperature in (0.01, 0.5, 1.0):
        assert worst_midpoint(RelaxedBernoulli(BIT_LOGIT, temperature), ends) <= 1e-9
    for temperature in (1.05, 2.0):
        assert worst_midpoint(RelaxedBernoulli(BIT_LOGIT, temperature), ends) > 0.01


# Samples have the density -----------------------------------------------------------------------


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_binary_samples_have_the_density(temperature, dtype):
    relaxed = RelaxedBernoulli(np.full(2**16, BIT_LOGIT, dtype), temperature)
    samples = np.asarray(relaxed.sample(jax.random.key(8)), float)
    with jax.enable_x64(True):
        # The CDF from the density itself: a cumulative trapezoidal sum.
        grid = np.linspace(-45, 45, 20001) / temperature
        density = bit_density(temperature, grid)
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * (grid[1] - grid[0]))])
    p_value = scipy.stats.kstest(samples, lambda x: np.interp(x, grid, cdf)).pvalue
    assert p_value > LEAST_P_VALUE


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_samples_of_three_classes_have_the_density(temperature, dtype):
    logits = jnp.broadcast_to(jnp.asarray(CLASS_LOGITS, dtype), (2**16, 3))
    x = np.asarray(RelaxedCategorical(logits, temperature).sample(jax.random.key(9)), float)
    samples = (x[:, :2] - x[:, 2:]) * temperature
    # Cells of the log-ratios, times the temperature; beyond the outermost edges to +-40.
    edges = np.array([-40.0, -4, -2, -1, 0, 1, 2, 4, 40])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    widths = np.diff(edges)[:, None] / 2
    points = (widths * (nodes + 1) + edges[:-1, None]) / temperature
    weights = widths * weights / temperature
    grid = np.stack(np.meshgrid(points.ravel(), points.ravel(), indexing="ij"), -1)
    with jax.enable_x64(True):
        density = class_density(temperature, grid)
    masses = density * np.outer(weights.ravel(), weights.ravel())
    masses = masses.reshape(8, 40, 8, 40).sum((1, 3)).ravel()
    np.testing.assert_allclose(masses.sum(), 1, rtol=1e-6)
    counts = np.histogram2d(*samples.T, bins=edges)[0].ravel()
    assert counts.sum() == len(samples)
    expected = masses / masses.sum() * len(samples)
    # Rare cells are taken together.
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    assert len(expected) > 40
    assert scipy.stats.chisquare(counts, expected).pvalue > LEAST_P_VALUE


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("extreme", [0.5, 50.0])
def test_densities_of_samples_are_finite_in_float32(extreme, temperature):
    logits = np.tile(np.float32([-extreme, 0.0, extreme]), (2**12, 1))

    def reparametrised(relaxed):
        sample = relaxed.sample(jax.random.key(10))
        return relaxed.log_prob(sample), sample

    @jax.jit
    def sample_and_gradients(relaxed):
        gradient, sample = jax.grad(reparametrised, has_aux=True)(relaxed)
        return sample, (gradient, relaxed.score(sample), jax.grad(relaxed.log_prob)(sample))

    for cls in (RelaxedBernoulli, RelaxedCategorical):
        sample, gradients = sample_and_gradients(cls(logits, np.float32(temperature)))
        assert np.isfinite(sample).all() and sample.dtype == jnp.float32
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
        values = each(cls(logits[0], np.float32(temperature)), "log_prob", sample)
        assert np.isfinite(values).all() and values.dtype == np.float32
        # And right: float64 has the same density at the same sample. The exponent, temperature * x
        # - logits, is the difference of numbers as large as |logits|, the noise and temperature.
        with jax.enable_x64(True):
            exact = cls(np.asarray(logits[0], float), float(np.float32(temperature)))
            expected = each(exact, "log_prob", np.asarray(sample, float))
        size = 3 * (extreme + 25 + 2 * temperature)
        tolerance = 4 * np.finfo(np.float32).eps * size
        np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance)


# Agreement with TensorFlow Probability ----------------------------------------------------------


@pytest.fixture(scope="module")
def tfd():
    # Imported late: it takes seconds.
    from tensorflow_probability.substrates import jax as tfp

    return tfp.distributions


def both_with_gradients(ours, theirs, *arguments):
    """Values and gradients of two log-densities of (logits, temperature, sample)."""
    for function in (ours, theirs):
        with jax.numpy_rank_promotion("allow"):
            yield jax.jit(jax.value_and_grad(function, argnums=(0, 1, 2)))(*arguments)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 3.0])
def test_densities_agree_with_tensorflow_probability(temperature, tfd, float64):
    logits = np.random.default_rng(11).normal(size=(4, 3)) * 2
    key = jax.random.key(12)
    bits, classes = (cls(logits, temperature) for cls in (RelaxedBernoulli, RelaxedCategorical))
    x, y = np.asarray(classes.sample(key)), np.asarray(bits.squash(bits.sample(key)))
    exp_relaxed = tfd.ExpRelaxedOneHotCategorical
    cases = [
        (
            lambda logits, t, y: RelaxedBernoulli(logits, t).log_density(y),
            lambda logits, t, y: tfd.RelaxedBernoulli(t, logits=logits).log_prob(y).sum(),
            # Their density takes 1 - y by subtraction: nothing closer to one.
            np.clip(y, 1e-9, 1 - 1e-9),
        ),
        (
            lambda logits, t, x: RelaxedCategorical(logits, t).log_prob(x),
            lambda logits, t, x: exp_relaxed(t, logits=logits).log_prob(x).sum(),
            x,
        ),
        (
            lambda logits, t, y: RelaxedCategorical(logits, t).log_density(y),
            lambda logits, t, y: tfd.RelaxedOneHotCategorical(t, logits=logits).log_prob(y).sum(),
            np.exp(x),
        ),
    ]
    for ours, theirs, sample in cases:
        (value, gradients), (expected, expected_gradients) = both_with_gradients(
            ours, theirs, logits, temperature, sample
        )
        np.testing.assert_allclose(value, expected, rtol=1e-9)
        for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
            np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-6, atol=1e-9)
