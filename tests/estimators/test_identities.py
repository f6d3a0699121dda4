"""Identities: when estimators agree, when they are exact, and when they are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    DARN,
    Bernoulli,
    Categorical,
    GumbelSoftmax,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
    SlopeAnnealedStraightThrough,
    StraightThrough,
)
from tests.estimators.helpers.enumeration import (
    exact,
    hard_moments,
    joint,
    logistic_panels,
    moments,
    per_key,
)
from tests.estimators.helpers.examples import EXAMPLES, parameters
from tests.estimators.helpers.scripted import hard_keys, logistic_keys, two_class_keys

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

BITS = np.array([-4.0, -1.0, 0.3, 1.2, 2.5])
CLASSES = np.array([[4.0, 0.5, -1.0], [-0.5, 0.3, 0.2]])
LEFT = np.cos(2.0 * np.arange(6) + 1)
RIGHT = np.sin(3.0 * np.arange(6) + 1)


def linear(z):
    return LEFT[: z.size] @ z.ravel() + 0.7


def separable_quadratic(z):
    x = z.ravel()
    return LEFT[: z.size] @ x**2 + RIGHT[: z.size] @ x


def coupled_quadratic(z):
    x = z.ravel()
    return (LEFT[: z.size] @ x) * (RIGHT[: z.size] @ x) + 0.7 * x[0]


def multilinear(z):
    x = z.ravel()
    return x[0] * x[1] * x[2] * x[3] - 2 * x[1] * x[3] * x[4] + x[0] * x[2] + x[4]


def coupled_cubic(z):
    return (RIGHT[: z.size] @ z.ravel()) ** 3


def bias(estimator, cls, logits, f):
    return np.abs(hard_moments(estimator, cls, logits, f)[0] - exact(cls, logits, f)[1]).max()


EXACT, BIASED = 1e-12, 1e-2


@pytest.mark.parametrize(
    ("estimator", "f", "is_exact"),
    [
        (DARN("sample"), separable_quadratic, True),
        (DARN("sample"), coupled_quadratic, True),
        (DARN("sample"), multilinear, True),
        (DARN("sample"), coupled_cubic, False),
        (DARN("half"), separable_quadratic, True),
        (DARN("half"), coupled_quadratic, False),
        (DARN("half"), multilinear, False),
        (StraightThrough("mean"), linear, True),
        (StraightThrough("mean"), separable_quadratic, False),
        (StraightThrough("identity"), linear, False),
        (SlopeAnnealedStraightThrough(2), linear, False),
    ],
    ids=lambda x: getattr(x, "__name__", None) or str(x),
)
def test_exact_on_bits(estimator, f, is_exact):
    found = bias(estimator, Bernoulli, BITS, f)
    assert found < EXACT if is_exact else found > BIASED


def test_straight_through_is_exact_for_linear_f_of_classes():
    assert bias(StraightThrough(), Categorical, CLASSES, linear) < EXACT
    assert bias(StraightThrough(), Categorical, CLASSES, separable_quadratic) > BIASED


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_gumbel_softmax_is_not_exact_for_linear_f(temperature):
    """The relaxed sample's mean is not p, at any temperature."""
    nodes, weights = logistic_panels(-0.7, temperature)
    keys = logistic_keys(nodes[:, None, None])
    logits = np.array([0.7])
    mean, _ = moments(
        weights, per_key(GumbelSoftmax(temperature), Bernoulli, logits, keys, linear)[1]
    )
    assert abs(mean - exact(Bernoulli, logits, linear)[1]) > 1e-4


def test_leave_one_out_of_two_is_half_the_product_of_differences():
    samples, _ = joint(Bernoulli(BITS), 2)
    _, gradients = per_key(
        ScoreFunction(LeaveOneOut(2)), Bernoulli, BITS, hard_keys(samples), coupled_cubic
    )
    first, second = samples[:, 0], samples[:, 1]
    values = np.asarray(jax.vmap(jax.vmap(coupled_cubic))(jnp.asarray(samples)))
    step = values[:, 0] - values[:, 1]
    np.testing.assert_allclose(
        gradients, step[:, None] * (first - second) / 2, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
def test_slope_one_is_straight_through(name):
    cls, logits = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}[name]
    keys = jax.random.split(jax.random.key(0), 100)
    slope_one, plain = (
        per_key(estimator, cls, logits, keys, coupled_cubic)
        for estimator in (SlopeAnnealedStraightThrough(1.0), StraightThrough())
    )
    jax.tree.map(np.testing.assert_array_equal, slope_one, plain)


def test_hard_sigmoid_has_half_the_slope_inside_and_none_outside():
    slope = 2.5
    logits = np.array([-0.41, -0.39, 0.0, 0.39, 0.41])  # |slope * logit| = 1 at 0.4
    estimator = SlopeAnnealedStraightThrough(slope, "hard_sigmoid")
    _, gradients = per_key(
        estimator, Bernoulli, logits, jax.random.split(jax.random.key(0), 9), linear
    )
    inside = np.array([0, 1, 1, 1, 0])
    np.testing.assert_allclose(
        gradients, np.tile(LEFT[:5] * inside * slope / 2, (9, 1)), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
def test_muprop_of_linear_f_has_no_variance(name):
    cls, logits = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}[name]
    mean, variance = hard_moments(MuProp(), cls, logits, linear)
    np.testing.assert_allclose(mean, exact(cls, logits, linear)[1], rtol=1e-12, atol=1e-15)
    assert variance.max() < 1e-28


def test_muprop_is_the_score_function_where_f_and_its_slope_vanish_at_the_mean():
    mean = 1 / (1 + np.exp(-BITS))

    def f(z):
        return (RIGHT[:5] @ (z - mean)) ** 2

    keys = hard_keys(joint(Bernoulli(BITS), 1)[0])
    muprop, plain = (
        per_key(estimator, Bernoulli, BITS, keys, f)[1] for estimator in (MuProp(), ScoreFunction())
    )
    np.testing.assert_allclose(muprop, plain, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
@pytest.mark.parametrize(
    ("estimator", "invariant"),
    [(ScoreFunction(LeaveOneOut(2)), True), (MuProp(), True), (ScoreFunction(), False)],
    ids=str,
)
def test_constant_added_to_f(estimator, invariant, name):
    """Leaves control variates unchanged, sample by sample; and only them."""
    cls, logits = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}[name]
    keys = jax.random.split(jax.random.key(0), 100)
    _, plain = per_key(estimator, cls, logits, keys, coupled_cubic)
    _, shifted = per_key(estimator, cls, logits, keys, lambda z: coupled_cubic(z) + 100)
    assert (np.abs(shifted - plain).max() < 1e-11) == invariant


ON_CLASSES = parameters(
    [e for e in EXAMPLES if Categorical in e.distributions and not e.needs_bound]
)


@pytest.mark.first_cases(6)
@pytest.mark.parametrize("example", ON_CLASSES)
def test_shift_of_categorical_logits(example):
    """Only differences of logits matter, sample by sample."""
    # Networks start as zero, so what they see does not matter.
    example = example.initialise(jax.random.key(1), Categorical(jnp.asarray(CLASSES)))
    keys = jax.random.split(jax.random.key(0), 100)
    shift = np.array([[3.0], [-2.0]])
    plain, shifted = (
        per_key(example, Categorical, logits, keys, coupled_cubic)
        for logits in (CLASSES, CLASSES + shift)
    )
    for one, other in zip(plain, shifted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.first_cases(8)
@pytest.mark.parametrize("example", ON_CLASSES)
def test_two_classes_are_one_bit(example):
    """Noise by noise: the logit is the difference of the two, its noise that of two Gumbels."""
    if Bernoulli not in example.distributions:
        pytest.skip("distributions: no Bernoulli")
    logit = np.array([0.7])
    logits = np.array([[0.9, 0.2]])

    def of_bit(b):
        return coupled_cubic(jnp.concatenate([b, 1 - b]))

    bit, classes = (
        example.initialise(jax.random.key(1), distribution)
        for distribution in (Bernoulli(jnp.asarray(logit)), Categorical(jnp.asarray(logits)))
    )
    # Three draws: as many as any of the examples looks at.
    noise = np.random.default_rng(0).logistic(size=(200, 3))
    values, gradients = per_key(bit, Bernoulli, logit, logistic_keys(noise[..., None]), of_bit)
    values_two, gradients_two = per_key(
        classes, Categorical, logits, two_class_keys(noise), coupled_cubic
    )
    np.testing.assert_allclose(values, values_two, rtol=1e-9)
    first, second = gradients_two[:, 0, 0], gradients_two[:, 0, 1]
    if example.__class__ is StraightThrough and example.derivative == "identity":
        # The logits stand in for the sample: two of them move f twice.
        np.testing.assert_allclose(gradients[:, 0], first - second, rtol=1e-9)
    else:
        np.testing.assert_allclose(first, -second, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(gradients[:, 0], first, rtol=1e-9, atol=1e-12)
