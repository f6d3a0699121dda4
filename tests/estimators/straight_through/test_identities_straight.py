"""Identities of the straight-through estimators and of local expectations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    DARN,
    Bernoulli,
    Categorical,
    DecoupledStraightThroughGumbelSoftmax,
    GappedStraightThrough,
    GumbelRao,
    IndeCateR,
    LocalExpectation,
    ReinMax,
    ReinMaxCV,
    ReinMaxRao,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from tests.estimators.helpers.enumeration import (
    exact,
    hard_moments,
    joint,
    logistic_panels,
    moments,
    per_key,
)
from tests.estimators.helpers.scripted import hard_keys, logistic_keys, two_class_keys
from tests.estimators.test_identities import (
    BIASED,
    BITS,
    CLASSES,
    EXACT,
    LEFT,
    RIGHT,
    bias,
    coupled_cubic,
    coupled_quadratic,
    linear,
    multilinear,
    separable_quadratic,
)

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

WORLDS = {"Bernoulli": (Bernoulli, BITS), "Categorical": (Categorical, CLASSES)}
FIVE_CLASSES = np.array([[1.0, -2.0, 0.3, 0.0, 0.7]])


def coupled_linear(z):
    """For an event of any size."""
    return (z.ravel() @ np.cos(2.0 * np.arange(z.size) + 1)) ** 3


def of_five(z):
    x = z.ravel()
    return (LEFT[:5] @ x) * (RIGHT[:5] @ x) + 0.3 * x[1] ** 2 - x[4]


@pytest.mark.first_cases(4)
@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize(
    ("estimator", "f", "is_exact"),
    [
        (ReinMax(1.0), linear, True),
        (ReinMax(1.0), separable_quadratic, True),
        (ReinMax(1.0), coupled_quadratic, True),
        (ReinMax(1.0), coupled_cubic, False),
        (ReinMax(2.0), linear, False),
        (ReinMaxCV(control="slope"), coupled_quadratic, True),
        (ReinMaxCV(scale=0.3, control="slope"), coupled_quadratic, True),
        (ReinMaxCV(control="slope"), coupled_cubic, False),
        (StraightThrough(), coupled_quadratic, False),
    ],
    ids=lambda x: getattr(x, "__name__", None) or str(x),
)
def test_exact(estimator, f, is_exact, name):
    found = bias(estimator, *WORLDS[name], f)
    assert found < EXACT if is_exact else found > BIASED


def test_reinmax_is_exact_for_quadratics_of_five_classes():
    assert bias(ReinMax(), Categorical, FIVE_CLASSES, of_five) < EXACT
    assert bias(StraightThrough(), Categorical, FIVE_CLASSES, of_five) > BIASED


def test_reinmax_is_exact_for_multilinear_f_of_bits():
    assert bias(ReinMax(), Bernoulli, BITS, multilinear) < EXACT


@pytest.mark.parametrize("f", [coupled_cubic, multilinear])
def test_reinmax_of_bits_is_darn(f):
    """Sample by sample, at temperature 1."""
    keys = jax.random.split(jax.random.key(0), 100)
    results = [per_key(member, Bernoulli, BITS, keys, f) for member in (ReinMax(), DARN("sample"))]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_reinmax_of_two_classes_is_darn_and_of_three_is_not():
    keys = jax.random.split(jax.random.key(0), 100)
    for logits, same in ((CLASSES[:, :2], True), (CLASSES, False)):
        one, other = (
            per_key(member, Categorical, logits, keys, coupled_cubic)[1]
            for member in (ReinMax(), DARN("sample"))
        )
        assert (np.abs(one - other).max() < 1e-12) == same


LOGIT, TEMPERATURES = 0.7, [0.3, 1.0, 2.0]


def one_bit(z):
    """On the first class or the only bit: f' differs between the corners."""
    return (z.ravel()[0] + 0.3) ** 3


def over_noise(estimator, name, draws, order=12):
    """Return gradients of one bit by quadrature over its noise: weights, and the hard samples.

    The first draw is the hard sample itself, and the others are integrated over.
    """
    nodes, weights = logistic_panels(0, 1, order)
    chance = 1 / (1 + np.exp(-LOGIT))
    grids = np.meshgrid(*[nodes] * draws, indexing="ij")
    rest = np.stack([grid.ravel() for grid in grids], -1)
    weight = np.prod(np.stack(np.meshgrid(*[weights] * draws, indexing="ij")), 0).ravel()
    found = []
    for first in (25.0, -25.0):
        noise = np.concatenate([np.full((len(rest), 1), first), rest], 1)
        if name == "Bernoulli":
            keys, logits, cls = logistic_keys(noise[..., None]), np.array([LOGIT]), Bernoulli
        else:
            keys, logits, cls = two_class_keys(noise), np.array([LOGIT, 0.0]), Categorical
        found.append(per_key(estimator, cls, logits, keys, one_bit)[1][:, 0])
    return np.array([chance, 1 - chance]), weight, np.array(found)


def of_straight_through_gumbel_softmax(temperature, power):
    """Return a raw moment of its gradient, by quadrature over the noise that also draws the bit."""
    nodes, weights = logistic_panels(-LOGIT, temperature)
    keys = logistic_keys(nodes[:, None, None])
    estimator = StraightThroughGumbelSoftmax(temperature)
    _, gradients = per_key(estimator, Bernoulli, np.array([LOGIT]), keys, one_bit)
    return weights @ gradients[:, 0] ** power


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", WORLDS)
def test_gumbel_rao_of_one_sample_is_straight_through_gumbel_softmax_in_law(name, temperature):
    """The same mean, variance, skewness and kurtosis."""
    chance, weight, found = over_noise(GumbelRao(temperature, 1), name, 1)
    for power in (1, 2, 3, 4):
        wanted = of_straight_through_gumbel_softmax(temperature, power)
        np.testing.assert_allclose(chance @ (found**power @ weight), wanted, rtol=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("cls", [GumbelRao, ReinMaxRao])
def test_variance_over_the_noise_given_the_sample(cls, temperature):
    """That noise is averaged away, one n-th of it is left, and only that; the mean stays."""
    chance, weight, found = over_noise(cls(temperature, 1), "Bernoulli", 1)
    given = found @ weight
    within = chance @ ((found - given[:, None]) ** 2 @ weight)
    mean = chance @ given
    between = chance @ (given - mean) ** 2
    for draws in (1, 2):
        chance, weight, found = over_noise(cls(temperature, draws), "Bernoulli", draws, 6)
        np.testing.assert_allclose(chance @ (found @ weight), mean, rtol=1e-5)
        variance = chance @ ((found - mean) ** 2 @ weight)
        np.testing.assert_allclose(variance, within / draws + between, rtol=1e-5)
    assert within > 1e-4


@pytest.mark.parametrize("name", WORLDS)
def test_reinmax_with_the_slope_at_the_mean(name):
    """The mean of ReinMax for every f; without variance for linear f."""
    cls, logits = WORLDS[name]
    controlled = ReinMaxCV(control="slope")
    for f in (coupled_cubic, multilinear) if cls is Bernoulli else (coupled_cubic,):
        with_control, plain = (
            hard_moments(member, cls, logits, f)[0] for member in (controlled, ReinMax())
        )
        np.testing.assert_allclose(with_control, plain, rtol=1e-11, atol=1e-13)
    assert hard_moments(controlled, cls, logits, linear)[1].max() < 1e-28
    assert hard_moments(ReinMax(), cls, logits, linear)[1].max() > 1e-2


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("control", ["gumbel", "slope"])
@pytest.mark.parametrize("name", WORLDS)
def test_reinmax_cv_of_scale_zero_is_reinmax(name, control):
    cls, logits = WORLDS[name]
    keys = jax.random.split(jax.random.key(0), 100)
    zero, plain = (
        per_key(member, cls, logits, keys, coupled_cubic)
        for member in (ReinMaxCV(scale=0, control=control), ReinMax())
    )
    for one, other in zip(zero, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def square(z):
    return (z.ravel()[0] - 0.2) ** 2


@pytest.mark.parametrize("f", [linear, square])
def test_reinmax_rao_and_its_published_control_variate_are_not_exact(f):
    """By quadrature over the noise that draws the bit, and the noise given it."""
    (nodes, weights), (others, rest) = logistic_panels(-LOGIT, 1, 8), logistic_panels(0, 1, 8)
    noise = np.stack([grid.ravel() for grid in np.meshgrid(nodes, others, indexing="ij")], -1)
    keys, weight = logistic_keys(noise[..., None]), np.outer(weights, rest).ravel()
    truth = exact(Bernoulli, np.array([LOGIT]), f)[1]
    results = {
        str(member): per_key(member, Bernoulli, np.array([LOGIT]), keys, f)[1]
        for member in (ReinMax(), ReinMaxRao(1.0, 1), ReinMaxCV(num_samples=1))
    }
    found = {name: abs(weight @ result - truth)[0] for name, result in results.items()}
    assert found.pop("ReinMax") < 1e-8
    assert min(found.values()) > 1e-3, found


@pytest.mark.parametrize("name", WORLDS)
def test_local_expectation_of_a_sum_over_variables_has_no_variance(name):
    cls, logits = WORLDS[name]

    def separable(z):
        return separable_quadratic(z) + (RIGHT[: z.size] * z.ravel() ** 3).sum()

    mean, variance = hard_moments(LocalExpectation(), cls, logits, separable)
    np.testing.assert_allclose(mean, exact(cls, logits, separable)[1], rtol=1e-11, atol=1e-14)
    assert variance.max() < 1e-26


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("f", [coupled_cubic, coupled_quadratic])
def test_local_expectation_is_the_score_function_given_the_others(name, f):
    """So its mean is the same, and no coordinate has more variance."""
    cls, logits = WORLDS[name]
    mean, variance = hard_moments(LocalExpectation(), cls, logits, f)
    plain_mean, plain = hard_moments(ScoreFunction(), cls, logits, f)
    np.testing.assert_allclose(mean, plain_mean, rtol=1e-10, atol=1e-12)
    assert np.all(variance <= plain * (1 + 1e-10)) and variance.sum() < 0.9 * plain.sum()


@pytest.mark.parametrize("name", WORLDS)
def test_indecater_is_local_expectation_without_correlation(name):
    """The same variance in every coordinate, one n-th for n samples; none between variables."""
    cls = WORLDS[name][0]
    logits = {"Bernoulli": BITS[1:3], "Categorical": CLASSES}[name]
    samples, chance = joint(cls(logits), 2)
    _, gradients = per_key(IndeCateR(1), cls, logits, hard_keys(samples), coupled_cubic)
    mean, variance = moments(chance, gradients)
    wanted = hard_moments(LocalExpectation(), cls, logits, coupled_cubic)
    np.testing.assert_allclose(mean, wanted[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(variance, wanted[1], rtol=1e-10, atol=1e-12)
    first, second = (gradients - mean)[:, 0], (gradients - mean)[:, 1]
    between = np.einsum("n,n...->...", chance, first * second)
    assert np.abs(between).max() < 1e-12
    if name == "Bernoulli":
        halved = hard_moments(IndeCateR(2), cls, logits, coupled_cubic, draws=4)[1]
        np.testing.assert_allclose(halved, variance / 2, rtol=1e-10)


def test_gap_p_is_the_mean_lead_in_gumbel_noise():
    """Given that a class wins against another, by quadrature over the posterior noise."""
    nodes, weights = logistic_panels(0, 1)
    for logit in (-3.0, 0.4, 3.0):
        lead = np.log1p(np.exp(nodes + np.log1p(np.exp(logit))))
        chance = 1 / (1 + np.exp(-logit))
        np.testing.assert_allclose(weights @ lead, -np.log1p(-chance) / chance, rtol=1e-9)
        logits = np.array([logit, 0.0])
        key = hard_keys(np.array([[[1.0, 0.0]]]))
        by_gap, by_number = (
            per_key(GappedStraightThrough(0.8, gap), Categorical, logits, key, one_bit)[1]
            for gap in (None, float(weights @ lead))
        )
        np.testing.assert_allclose(by_gap, by_number, rtol=1e-8)


def test_gapped_straight_through_of_a_class_that_leads_is_straight_through():
    logits = np.array([[2.0, 0.5, -1.0]])
    key = hard_keys(np.array([[[[1.0, 0.0, 0.0]]]]))
    gapped, plain = (
        per_key(member, Categorical, logits, key, coupled_cubic)
        for member in (GappedStraightThrough(1.0, 1.5), StraightThrough())
    )
    for one, other in zip(gapped, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("name", WORLDS)
def test_decoupled_at_one_is_straight_through_gumbel_softmax(name):
    cls, logits = WORLDS[name]
    keys = jax.random.split(jax.random.key(0), 100)
    decoupled, plain = (
        per_key(member, cls, logits, keys, coupled_cubic)
        for member in (
            DecoupledStraightThroughGumbelSoftmax(1.0, 1.0),
            StraightThroughGumbelSoftmax(1.0),
        )
    )
    for one, other in zip(decoupled, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("name", WORLDS)
def test_decoupled_samples_at_the_forward_temperature(name):
    """One temperature for both is the plain one of tempered logits, by the chain rule."""
    cls, logits = WORLDS[name]
    keys = jax.random.split(jax.random.key(0), 100)
    estimator = DecoupledStraightThroughGumbelSoftmax(0.4, 0.4)
    values, gradients = per_key(estimator, cls, logits, keys, coupled_cubic)
    tempered = per_key(StraightThroughGumbelSoftmax(1.0), cls, logits / 0.4, keys, coupled_cubic)
    np.testing.assert_allclose(values, tempered[0], rtol=1e-12)
    # Small ones are differences of large ones.
    scale = np.abs(gradients).max()
    np.testing.assert_allclose(gradients, tempered[1] / 0.4, rtol=1e-12, atol=1e-13 * scale)
    samples, chance = joint(cls(logits / 0.4), 1)
    # Noise as extreme as it gets draws any sample, whatever the temperature.
    values, _ = per_key(estimator, cls, logits, hard_keys(samples), coupled_cubic)
    np.testing.assert_allclose(chance @ values, exact(cls, logits / 0.4, coupled_cubic)[0])


@pytest.mark.parametrize("temperature", [1e-3, 1e3])
@pytest.mark.parametrize("name", WORLDS)
def test_decoupled_is_finite_at_extreme_temperatures(name, temperature):
    cls = WORLDS[name][0]
    logits = np.array([[50.0, -50.0, 0.0, 1.0]], np.float32)
    keys = jax.random.split(jax.random.key(0), 100)

    def f(z):
        return (z.ravel() @ jnp.arange(4, dtype=z.dtype)) ** 3

    for pair in ((temperature, 1 / temperature), (1.0, temperature), (temperature, temperature)):
        estimator = DecoupledStraightThroughGumbelSoftmax(*pair)
        results = per_key(estimator, cls, logits, keys, f)
        assert all(np.isfinite(result).all() for result in results)


SHAPES = [
    (Bernoulli, ()),
    (Bernoulli, (2, 3)),
    (Categorical, (3,)),
    (Categorical, (2, 2, 3)),
]


@pytest.mark.first_cases(4)
@pytest.mark.parametrize(("cls", "shape"), SHAPES, ids=str)
@pytest.mark.parametrize("estimator", [LocalExpectation(), IndeCateR(2)], ids=str)
def test_any_event_shape(estimator, cls, shape):
    """The shape does not matter: the same as for a row of variables."""
    logits = np.linspace(-1.0, 1.5, int(np.prod(shape))).reshape(shape)
    row = logits.reshape(-1) if cls is Bernoulli else logits.reshape(-1, shape[-1])
    keys = jax.random.split(jax.random.key(0), 20)
    shaped, plain = (per_key(estimator, cls, each, keys, coupled_linear) for each in (logits, row))
    np.testing.assert_allclose(shaped[0], plain[0], rtol=1e-12)
    np.testing.assert_allclose(shaped[1].reshape(plain[1].shape), plain[1], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (ReinMax(0), ValueError, "ReinMax temperature must be above zero"),
        (GumbelRao(-1, 1), ValueError, "GumbelRao temperature must be above zero"),
        (GumbelRao(1, 0), ValueError, "num_samples must be at least 1"),
        (ReinMaxRao(1, 1.5), TypeError, "num_samples must be an integer"),
        (ReinMaxCV(scale=np.inf), ValueError, "scale must be finite"),
        (ReinMaxCV(control="none"), ValueError, "control must be one of gumbel, slope"),
        (IndeCateR(0), ValueError, "num_samples must be at least 1"),
        (GappedStraightThrough(1, -0.1), ValueError, "gap must be at least 0"),
        (GappedStraightThrough(1, "p"), TypeError, "gap must be a number"),
        (DecoupledStraightThroughGumbelSoftmax(0, 1), ValueError, "forward_temperature must be"),
        (DecoupledStraightThroughGumbelSoftmax(1, 0), ValueError, "backward_temperature must be"),
    ],
    ids=str,
)
def test_refuses(estimator, error, message):
    with pytest.raises(error, match=message):
        estimator(jax.random.key(0), Categorical(jnp.zeros((1, 3))), jnp.sum)


@pytest.mark.parametrize("estimator", [LocalExpectation(), IndeCateR(1), IndeCateR(3)], ids=str)
@pytest.mark.parametrize("name", WORLDS)
def test_one_variable_is_exact(name, estimator):
    """Value and gradient, whatever is drawn."""
    cls, logits = {"Bernoulli": (Bernoulli, BITS[:1]), "Categorical": (Categorical, FIVE_CLASSES)}[
        name
    ]
    keys = jax.random.split(jax.random.key(0), 50)
    value, gradient = exact(cls, logits, coupled_linear)
    values, gradients = per_key(estimator, cls, logits, keys, coupled_linear)
    np.testing.assert_allclose(values, value, rtol=1e-12)
    np.testing.assert_allclose(gradients, np.broadcast_to(gradient, gradients.shape), rtol=1e-11)
