"""The law of gamma variables, also in the tails, for small and for large concentrations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from estimators.core import noise

pytestmark = [pytest.mark.usefixtures("strict_dtypes"), pytest.mark.many_samples]

LEAST_P_VALUE = 1e-4
CONCENTRATIONS = [0.1, 0.5, 1.0, 3.7, 1e4]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield np.dtype(request.param)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def draw(key, concentration, count, dtype):
    return noise.gamma(key, concentration, (count,), dtype)


@pytest.mark.first_cases(3)
@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_law(concentration, dtype):
    draws = draw(jax.random.key(0), concentration, 2**18, dtype)
    assert draws.dtype == dtype
    law = scipy.stats.gamma(concentration)
    assert scipy.stats.kstest(np.asarray(draws), law.cdf).pvalue > LEAST_P_VALUE


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_tails(concentration, dtype):
    """The counts between quantiles of 1e-5 to 1e-2 on either side, by the chi-square test."""
    law = scipy.stats.gamma(concentration)
    probabilities = np.array([1e-5, 1e-4, 1e-3, 1e-2])
    edges = np.concatenate([law.ppf(probabilities), law.isf(probabilities)[::-1]])
    edges = edges[edges > np.finfo(dtype).tiny]
    chances = np.diff([0, *law.cdf(edges[edges < law.median()])])
    chances = np.concatenate([chances, -np.diff([*law.sf(edges[edges > law.median()]), 0])])
    counts = np.zeros(len(edges) + 1, int)
    for key in jax.random.split(jax.random.key(1), 16):
        cells = np.searchsorted(edges, np.asarray(draw(key, concentration, 2**18, dtype)))
        counts += np.bincount(cells, minlength=len(counts))
    middle = np.searchsorted(edges, law.median())
    chances = np.insert(chances, middle, 1 - chances.sum())
    expected = counts.sum() * chances
    assert expected.min() > 30
    assert scipy.stats.chisquare(counts, expected).pvalue > LEAST_P_VALUE


def test_all_rounds_reject_once_in_1e12(monkeypatch):
    shapes, normal = [], noise.normal

    def recorded(key, shape, dtype):
        shapes.append(shape)
        return normal(key, shape, dtype)

    monkeypatch.setattr(noise, "normal", recorded)
    noise.gamma(jax.random.key(0), 1.0, (3,), jnp.float32)
    ((rounds, _),) = shapes
    # The proposal's density times this is at least that of the accepted variable.
    a = np.geomspace(1, 1e4, 1000)
    d = a - 1 / 3
    log_factor = np.log(np.sqrt(2 * np.pi)) - d + (a - 0.5) * np.log(d) - scipy.special.gammaln(a)
    assert (1 - np.exp(-log_factor)).max() ** rounds < 1e-12


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("concentration", [0.1, 3.7])
def test_shapes_and_transformations(concentration, dtype):
    key = jax.random.key(3)
    for shape in [(), (0,), (2, 3, 4)]:
        found = jax.eval_shape(lambda s=shape: noise.gamma(key, concentration, s, dtype))
        assert found.shape == shape and found.dtype == dtype
    keys = jax.random.split(key, 8)
    sampler = functools.partial(noise.gamma, concentration=concentration, shape=(3,), dtype=dtype)
    looped = jnp.stack(list(map(jax.jit(sampler), keys)))
    mapped = jax.jit(jax.vmap(sampler))(keys)
    rtol = 64 * float(jnp.finfo(dtype).eps) * max(1, 1 / concentration)
    np.testing.assert_allclose(mapped, looped, rtol=rtol)
    assert len(np.unique(mapped)) == mapped.size
    for kind in AxisType.Auto, AxisType.Explicit:
        mesh = jax.make_mesh((4,), ("x",), (kind,))
        with jax.set_mesh(mesh):
            placed = jax.device_put(keys, NamedSharding(mesh, P("x")))
            spread = jax.jit(jax.vmap(sampler))(placed)
        np.testing.assert_allclose(spread, looped, rtol=rtol)
