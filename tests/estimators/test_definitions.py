"""Every estimator against its definition, gradient by gradient; so mean and variance exactly.

The definitions are those of the papers, written in numpy for given hard samples or noise. All in
float64, compared to rounding.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    Average,
    Bernoulli,
    Categorical,
    GumbelSoftmax,
    Pathwise,
    StraightThroughGumbelSoftmax,
    parse,
)
from tests.estimators.helpers.enumeration import (
    FAST_TO_COMPILE,
    exact,
    hard_moments,
    joint,
    logistic_panels,
    moments,
    per_key,
)
from tests.estimators.helpers.scripted import hard_keys, logistic_keys, two_class_keys

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

# Skewed; one inside the hard sigmoid's slope.
BITS = np.array([-4.0, 0.7, 0.3, 2.5])
CLASSES = np.array([[4.0, 0.5, -1.0], [-0.5, 0.3, 0.2]])
DISTRIBUTIONS = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}


def coupled(z):
    """An f that is neither quadratic, nor multilinear, nor separable."""
    x = z.ravel()
    a = jnp.asarray(np.cos(2.0 * np.arange(x.size) + 1), x.dtype)
    b = jnp.asarray(np.linspace(1.5, -1.0, x.size), x.dtype)
    return jnp.sin(a @ x) + (b @ x) ** 3 + jnp.exp(0.3 * x[0] * x[-1])


_coupled = jax.jit(coupled)
_slope = jax.jit(jax.grad(coupled))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def probabilities(cls, logits):
    if cls is Bernoulli:
        return sigmoid(logits)
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def through_mean(cls, slope, mean):
    """The derivative of f, through the derivative of the mean: f' J(p)."""
    if cls is Bernoulli:
        return slope * mean * (1 - mean)
    return mean * (slope - (slope * mean).sum(-1, keepdims=True))


def log_odds(cls, logits):
    """The log-odds and their Jacobian, applied from the left to a vector."""
    if cls is Bernoulli:
        return logits, lambda slope: slope
    mean = probabilities(cls, logits)
    classes = logits.shape[-1]
    # The others' weights, given that it is not this class.
    others = np.where(np.eye(classes, dtype=bool), 0.0, mean[..., None, :])
    others = others / others.sum(-1, keepdims=True)
    odds = np.log(mean / (1 - mean))
    return odds, lambda slope: slope - (slope[..., None] * others).sum(-2)


class World:
    """f, its derivative and the probabilities of one distribution, for the definitions."""

    def __init__(self, cls, logits):
        self.cls, self.logits = cls, logits
        self.mean = probabilities(cls, logits)
        self.centre = 0.5 if cls is Bernoulli else 1 / logits.shape[-1]

    @staticmethod
    def f(z):
        return float(_coupled(z))

    @staticmethod
    def slope(z):
        return np.asarray(_slope(z))

    def score(self, z):
        return z - self.mean

    def through_mean(self, slope, mean=None):
        return through_mean(self.cls, slope, self.mean if mean is None else mean)


def score_function(world, z, baseline=0.0, scale=1.0):
    return (world.f(z[0]) - baseline) * world.score(z[0]) / scale


def leave_one_out(world, z):
    values = np.array([world.f(each) for each in z])
    others = (values.sum() - values) / (len(z) - 1)
    return np.mean([(v - o) * world.score(x) for v, o, x in zip(values, others, z, strict=True)], 0)


def darn(world, z, half=False):
    slope = world.slope(np.full_like(z[0], world.centre) if half else z[0])
    weight = slope * (z[0] - world.centre)
    if world.cls is Categorical:  # per variable, not over the whole vector
        weight = weight.sum(-1, keepdims=True)
    return weight * world.score(z[0])


def muprop(world, z):
    slope = world.slope(world.mean)
    rest = world.f(z[0]) - world.f(world.mean) - np.vdot(slope, z[0] - world.mean)
    return rest * world.score(z[0]) + world.through_mean(slope)


def straight_through(world, z):
    return world.through_mean(world.slope(z[0]))


def identity(world, z):
    return world.slope(z[0])


def steep(world, z, slope):
    steeper = probabilities(world.cls, slope * world.logits)
    return slope * world.through_mean(world.slope(z[0]), steeper)


def steep_hard(world, z, slope):
    odds, back = log_odds(world.cls, slope * world.logits)
    inside = np.abs(odds) < 1
    return slope * back(world.slope(z[0]) * inside / 2)


DEFINITIONS = {
    "ScoreFunction": (1, score_function),
    "ScoreFunction[MovingAverage[0.9,value=0.7]]": (1, partial(score_function, baseline=0.7)),
    "ScoreFunction[NVIL[network=None,value=0.3,variance=9]]": (
        1,
        partial(score_function, baseline=0.3),
    ),
    "ScoreFunction[NVIL[network=None,value=0.3,variance=9,normalise=True]]": (
        1,
        partial(score_function, baseline=0.3, scale=3),
    ),
    # The signal is never amplified.
    "ScoreFunction[NVIL[network=None,variance=0.25,normalise=True]]": (1, score_function),
    "ScoreFunction[LeaveOneOut[2]]": (2, leave_one_out),
    "DARN[sample]": (1, darn),
    "DARN[half]": (1, partial(darn, half=True)),
    "MuProp": (1, muprop),
    "StraightThrough[mean]": (1, straight_through),
    "StraightThrough[identity]": (1, identity),
    "SlopeAnnealedStraightThrough[2.5]": (1, partial(steep, slope=2.5)),
    "SlopeAnnealedStraightThrough[2.5,hard_sigmoid]": (1, partial(steep_hard, slope=2.5)),
}
"""How many hard samples an estimator takes, and its gradient given these."""


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_hard(name, distribution):
    """Over every hard sample, or pair: the gradient is the definition's; so are its moments."""
    estimator = parse(name)
    draws, definition = DEFINITIONS[name]
    cls, logits = DISTRIBUTIONS[distribution]
    samples, chance = joint(cls(logits), draws)
    values, gradients = per_key(estimator, cls, logits, hard_keys(samples), coupled)
    defined = np.array([definition(World(cls, logits), z) for z in samples])
    np.testing.assert_allclose(gradients, defined, rtol=1e-11, atol=1e-11)

    value, gradient = exact(cls, logits, coupled)
    mean, variance = moments(chance, gradients)
    np.testing.assert_allclose(chance @ values, value, rtol=1e-12)
    np.testing.assert_allclose(variance, moments(chance, defined)[1], rtol=1e-10, atol=1e-12)
    if estimator.unbiased == "yes":
        np.testing.assert_allclose(mean, gradient, rtol=1e-11, atol=1e-12)
    elif estimator.unbiased == "up to scale":
        scale = np.vdot(mean, gradient) / np.vdot(gradient, gradient)
        np.testing.assert_allclose(mean, scale * gradient, rtol=1e-11, atol=1e-12)
    else:
        assert np.abs(mean - gradient).max() > 1e-2


def test_leave_one_out_of_three():
    logits = np.array([-1.5, 0.4])
    estimator = parse("ScoreFunction[LeaveOneOut[3]]")
    samples, chance = joint(Bernoulli(logits), 3)
    _, gradients = per_key(estimator, Bernoulli, logits, hard_keys(samples), coupled)
    defined = [leave_one_out(World(Bernoulli, logits), z) for z in samples]
    np.testing.assert_allclose(gradients, defined, rtol=1e-11, atol=1e-12)
    truth = exact(Bernoulli, logits, coupled)[1]
    np.testing.assert_allclose(chance @ gradients, truth, rtol=1e-11)


@pytest.mark.parametrize(
    ("inside", "draws"), [("ScoreFunction", 1), ("ScoreFunction[LeaveOneOut[2]]", 2), ("DARN", 1)]
)
def test_average(inside, draws):
    """The same mean, and one n-th of the variance, over every tuple of samples."""
    problem = Bernoulli, np.array([-1.5, 0.4]), coupled
    mean, variance = hard_moments(parse(inside), *problem, draws)
    # The second estimate's draws begin one further on, in scripted keys.
    averaged = hard_moments(Average(parse(inside), 2), *problem, 2 * draws + 1)
    np.testing.assert_allclose(averaged[0], mean, rtol=1e-12)
    np.testing.assert_allclose(averaged[1], variance / 2, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("distribution", ["Bernoulli", "Categorical"])
@pytest.mark.parametrize("cls", [GumbelSoftmax, StraightThroughGumbelSoftmax])
def test_relaxed(cls, distribution, temperature):
    """On one bit: gradients as defined, and their moments by quadrature over the noise."""
    logit, t = 0.7, 0.45

    def f(z):
        return (z.ravel()[0] - t) ** 2

    nodes, weights = logistic_panels(-logit, temperature)
    if distribution == "Bernoulli":
        keys, logits, kind = logistic_keys(nodes[:, None, None]), np.array([logit]), Bernoulli
    else:
        keys, logits, kind = two_class_keys(nodes[:, None]), np.array([logit, 0.0]), Categorical
    values, gradients = per_key(cls(temperature), kind, logits, keys, f)
    relaxed = sigmoid((logit + nodes) / temperature)
    point = relaxed if cls is GumbelSoftmax else (logit + nodes > 0).astype(float)
    defined = 2 * (point - t) * relaxed * (1 - relaxed) / temperature
    if kind is Categorical:
        defined = np.stack([defined, -defined], -1)
    else:
        defined = defined[:, None]
    # Noise out at 30 is a word with seven digits.
    np.testing.assert_allclose(values, (point - t) ** 2, rtol=1e-6)
    np.testing.assert_allclose(gradients, defined, rtol=1e-6, atol=1e-12)
    for got, wanted in zip(moments(weights, gradients), moments(weights, defined), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9)


def test_relaxed_closed_form():
    """At temperature 1 and logit 0 the relaxed bit is uniform, so moments are beta integrals."""
    nodes, weights = logistic_panels(0, 1)
    keys, zero, t = logistic_keys(nodes[:, None, None]), np.zeros(1), 0.45

    def linear(z):
        return z[0]

    def square(z):
        return (z[0] - t) ** 2

    for cls in (GumbelSoftmax, StraightThroughGumbelSoftmax):
        mean, variance = moments(weights, per_key(cls(1.0), Bernoulli, zero, keys, linear)[1])
        # E u (1 - u) and its variance; the truth is 1/4, so neither is exact even for linear f.
        np.testing.assert_allclose(mean, 1 / 6, rtol=1e-9)
        np.testing.assert_allclose(variance, 1 / 30 - 1 / 36, rtol=1e-9)
        mean, _ = moments(weights, per_key(cls(1.0), Bernoulli, zero, keys, square)[1])
        np.testing.assert_allclose(mean, (1 - 2 * t) / 6, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_gumbel_softmax_is_pathwise_on_the_relaxed_distribution(distribution, dtype):
    """To the bit, value and gradient."""
    cls, logits = DISTRIBUTIONS[distribution]

    def pathwise(logits, temperature, key):
        relaxed = cls(logits).relax(temperature)
        return Pathwise()(key, relaxed, lambda x: coupled(relaxed.squash(x)))

    def gumbel_softmax(logits, temperature, key):
        return GumbelSoftmax(temperature)(key, cls(logits), coupled)

    keys = jax.random.split(jax.random.key(3), 1000)
    for temperature in (0.1, 1.5):
        given = jnp.asarray(logits, dtype), jnp.asarray(temperature, dtype), keys
        results = [_batched(loss)(*given) for loss in (pathwise, gumbel_softmax)]
        jax.tree.map(np.testing.assert_array_equal, *results)


def _batched(loss):
    batched = jax.vmap(jax.value_and_grad(loss), (None, None, 0))
    return jax.jit(batched, compiler_options=FAST_TO_COMPILE)


@pytest.mark.parametrize("logit", [-4.0, 0.3, 4.0])
def test_one_bit(logit):
    """Mean and variance of one bit in closed form, from the two values of f alone."""
    s = sigmoid(logit)
    zero, one = 0.7, -1.9
    step = one - zero

    def f(z):
        return zero + step * z[0] ** 3

    truth = s * (1 - s) * step
    spread = s * (1 - s)
    closed = {
        # A gradient of two values differs by f(1) (1 - s) + f(0) s between them.
        ("ScoreFunction", 1): spread * (one * (1 - s) + zero * s) ** 2,
        # Half the step where the pair differs.
        ("ScoreFunction[LeaveOneOut[2]]", 2): 2 * spread * (step / 2) ** 2 - truth**2,
        # f is (z ** 3), so f(mu) and f'(mu) are s ** 3 and 3 s ** 2.
        ("MuProp", 1): spread
        * step**2
        * ((1 - s) * (1 - s**3 - 3 * s**2 * (1 - s)) + s * (-(s**3) + 3 * s**3)) ** 2,
    }
    for (name, draws), variance in closed.items():
        computed = hard_moments(parse(name), Bernoulli, np.array([logit]), f, draws)
        np.testing.assert_allclose(np.ravel(computed), [truth, variance], rtol=1e-10, err_msg=name)
