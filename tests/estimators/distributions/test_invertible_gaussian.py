"""The invertible Gaussian: its density, its divergence, and the law of its largest entry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from estimators import InvertibleGaussian, Normal
from tests.estimators.helpers.laws import LEAST_P_VALUE, Compiled, repeat

pytestmark = pytest.mark.usefixtures("strict_dtypes")

KEY = jax.random.key(33)
MEAN, LOG_SCALE = np.array([0.5, -1.0, 0.2]), np.array([-0.5, 0.3, 0.0])


def build(temperature=0.8, delta=1.0, mean=MEAN, log_scale=LOG_SCALE):
    return InvertibleGaussian(jnp.asarray(mean), jnp.asarray(log_scale), temperature, delta)


@pytest.mark.parametrize("delta", [1.0, 0.3])
@pytest.mark.parametrize("temperature", [0.1, 0.8, 3.0])
def test_density_is_that_of_the_map(float64, temperature, delta):
    """By the Jacobian of the map, in the logarithm and on the simplex."""
    q = build(temperature, delta)
    noise = jax.random.normal(KEY, 3)
    kappa = q.mean + jnp.exp(q.log_scale) * noise

    def simplex(kappa):
        power = jnp.exp(kappa / temperature)
        return power / (power.sum() + delta)

    first = simplex(kappa)
    y = jnp.append(first, 1 - first.sum())
    normal = scipy.stats.norm(MEAN, np.exp(LOG_SCALE)).logpdf(kappa).sum()
    for function, found in (
        (simplex, q.log_density(y)),
        (lambda kappa: jnp.log(simplex(kappa)), q.log_prob(jnp.log(y))),
    ):
        _, determinant = np.linalg.slogdet(jax.jacobian(function)(kappa))
        np.testing.assert_allclose(found, normal - determinant, rtol=1e-7)


def test_with_delta_one_it_is_a_softmax_with_a_zero(float64):
    q = build()
    x = q.sample(KEY)
    kappa = Normal(q.mean, q.log_scale).sample(KEY)
    wanted = jax.nn.softmax(jnp.append(kappa, 0.0) / 0.8)
    np.testing.assert_allclose(q.squash(x), wanted, rtol=1e-12)


@pytest.mark.parametrize("mean", [-90.0, 0.0, 90.0])
def test_far_from_the_corners_and_in_them(dtype, mean):
    """Samples and densities are finite where entries round to 0 or 1, and kappa comes back."""
    q = build(0.1, 1.0, np.full(3, mean, dtype), np.zeros(3, dtype))
    x = q.sample(KEY)
    assert x.dtype == dtype and np.isfinite(x).all()
    wanted = Normal(q.mean, q.log_scale).log_prob(0.1 * (x[:3] - x[3])) + 3 * np.log(0.1) - x[3]
    np.testing.assert_allclose(q.log_prob(x), wanted, rtol=1e-5)
    np.testing.assert_allclose(q.squash(x).sum(), 1, rtol=1e-5)
    slopes = jax.tree.leaves(q.score(x))
    assert all(np.isfinite(leaf).all() for leaf in slopes)


def test_divergence_is_that_of_densities():
    one = build(0.8, 1.0, MEAN.astype("f"), LOG_SCALE.astype("f"))
    other = build(0.8, 1.0, MEAN.astype("f") + 0.5, LOG_SCALE.astype("f") - 0.2)

    def ratio(key):
        x = one.sample(key)
        return one.log_prob(x) - other.log_prob(x)

    ratios = np.asarray(jax.jit(jax.vmap(ratio))(jax.random.split(KEY, 2**15)), float)
    error = ratios.std() / np.sqrt(len(ratios))
    assert abs(ratios.mean() - one.kl(other)) < 4.5 * error < 0.1
    assert one.kl(one) == 0
    for changed in (build(0.7), build(0.8, 0.5)):
        with pytest.raises(ValueError, match="one temperature and one delta"):
            one.kl(changed)
    jax.jit(lambda t: build(t).kl(build(t)))(0.5)


@pytest.mark.parametrize("delta", [1.0, 3.0])
def test_law_of_the_largest_entry(float64, delta):
    q = build(0.8, delta)
    chances = np.asarray(Compiled(q).class_probs())
    np.testing.assert_allclose(chances.sum(), 1, rtol=1e-10)
    last = scipy.stats.norm.cdf((0.8 * np.log(delta) - MEAN) / np.exp(LOG_SCALE)).prod()
    np.testing.assert_allclose(chances[-1], last, rtol=1e-12)
    count = 2**16
    many = InvertibleGaussian(*(repeat(one, count, "d") for one in (MEAN, LOG_SCALE)), 0.8, delta)
    drawn = np.asarray(Compiled(many).sample(KEY)).argmax(-1)
    hits = np.bincount(drawn, minlength=4)
    assert scipy.stats.chisquare(hits, chances * count).pvalue > LEAST_P_VALUE


def test_two_classes_are_a_probit(dtype):
    for ratio in -6.0, -0.4, 2.0:
        q = build(0.5, 1.0, np.array([ratio], dtype), np.zeros(1, dtype))
        found = np.asarray(q.class_probs(), np.float64)
        wanted = scipy.stats.norm.cdf([ratio, -ratio])
        np.testing.assert_allclose(found, wanted, rtol=1e-4 if dtype == np.float32 else 1e-10)


def test_classes_far_apart(float64):
    """Of several variables; and one class that is never the largest."""
    mean = np.array([[0.0, -30.0], [40.0, 1.0]])
    q = build(0.5, 1.0, mean, np.zeros((2, 2)))
    chances = np.asarray(q.class_probs())
    np.testing.assert_allclose(chances.sum(-1), 1, rtol=1e-9)
    np.testing.assert_allclose(chances[0], [0.5, 0, 0.5], atol=1e-12)
    np.testing.assert_allclose(chances[1], [1, 0, 0], atol=1e-12)
    assert q.event_shape == (2, 3) and np.isfinite(q.log_prob(q.sample(KEY)))


def test_cold_samples_are_the_largest_class(float64):
    x = build(1e-4).sample(KEY)
    y = np.asarray(build().squash(x))
    np.testing.assert_allclose(np.sort(y), [0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("q", "error", "message"),
    [
        (build(mean=np.zeros(3, int)), TypeError, "mean must be float32"),
        (build(mean=np.zeros(2, "f"), log_scale=np.zeros(3, "f")), ValueError, "one shape"),
        (build(mean=np.zeros((), "f")), ValueError, "InvertibleGaussian mean must have an axis"),
        (build(-1.0), ValueError, "InvertibleGaussian temperature must be above zero"),
        (build(np.ones(3, "f")), ValueError, r"temperature must be a scalar or of shape \(1,\)"),
        (build(delta=0.0), ValueError, "InvertibleGaussian delta must be above zero"),
    ],
)
def test_check_refuses(q, error, message):
    with pytest.raises(error, match=message):
        q.check()
