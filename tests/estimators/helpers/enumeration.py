"""Exact moments of estimators: sums over hard samples, integrals over noise, in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Exact
from estimators.distributions.subset import SubsetLaw
from tests.estimators.helpers.scripted import hard_keys
from tests.estimators.helpers.truth import chances_of_subsets

FAST_TO_COMPILE = {"xla_backend_optimization_level": "0"}
"""Compiling takes longer than running, so the compiler is told to hurry."""


def joint(distribution, draws):
    """Return every tuple of hard samples `[N, draws, *event]` and its probability `[N]`."""
    logits = np.asarray(distribution.logits, np.float64)
    if isinstance(distribution, Bernoulli):
        states = np.array(list(itertools.product([0.0, 1.0], repeat=logits.size)))
        chance = (1 / (1 + np.exp((1 - 2 * states) * logits.ravel()))).prod(-1)
    elif isinstance(distribution, SubsetLaw):
        states = np.asarray(distribution.states())
        chance = np.array([chances_of_subsets(distribution, state) for state in states])
    else:
        variables = logits.size // logits.shape[-1]
        choices = itertools.product(np.eye(logits.shape[-1]), repeat=variables)
        states = np.array(list(choices)).reshape(-1, *logits.shape)
        power = np.exp(logits)
        each = (states * power / power.sum(-1, keepdims=True)).sum(-1)
        chance = each.reshape(len(states), -1).prod(-1)
    picks = np.array(list(itertools.product(range(len(states)), repeat=draws)))
    return states.reshape(-1, *logits.shape)[picks], chance[picks].prod(-1)


def logistic_panels(threshold, width, order=20):
    """Return nodes and weights `[N]` that integrate over logistic noise in float64.

    Gauss-Legendre on panels that grow geometrically away from a threshold, so that integrands that
    jump there, or vary over `width`, are smooth on each panel. The mass left out is 2e-13.
    """
    edges = width * 2.0 ** np.arange(-4, np.ceil(np.log2(64 / width)))
    edges = np.concatenate([threshold - edges[::-1], [threshold], threshold + edges])
    edges = np.unique(np.clip(edges, -30, 30))
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half + half * nodes).ravel()
    return x, (half * weights).ravel() * 0.5 / (1 + np.cosh(x))


def antithetic_cells(logits, order=1):
    """Return logistic noise `[N, *event]` and weights `[N]` that integrate over antithetic pairs.

    Between the thresholds of a bit and of its antithetic one nothing changes but the noise itself;
    so Gauss-Legendre in the uniform number is exact for polynomials in it of degree below twice the
    order. With order 1 the number is its mean in each cell.
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    axes = []
    for chance in 1 / (1 + np.exp(-np.ravel(logits))):
        edges = np.array([0.0, min(chance, 1 - chance), max(chance, 1 - chance), 1.0])
        half = np.diff(edges)[:, None] / 2
        u = (edges[:-1, None] + half * (1 + nodes)).ravel()
        axes.append(np.stack([np.log(u / (1 - u)), (half * weights).ravel()], -1))
    cells = np.array(list(itertools.product(*axes)))
    return cells[..., 0].reshape(-1, *np.shape(logits)), cells[..., 1].prod(-1)


@functools.partial(jax.jit, static_argnums=(1, 4), compiler_options=FAST_TO_COMPILE)
def _per_key(estimator, cls, logits, keys, f):
    def loss(logits, key):
        return estimator(key, cls(logits), f)

    return jax.vmap(jax.value_and_grad(loss), (None, 0))(logits, keys)


def per_key(estimator, cls, logits, keys, f):
    """Return the value and the gradient in the logits for each of the keys."""
    return tuple(map(np.asarray, _per_key(estimator, cls, jnp.asarray(logits), keys, f)))


def exact(cls, logits, f):
    """Return the true value and gradient in the logits."""
    value, gradient = per_key(Exact(), cls, logits, jax.random.key(0)[None], f)
    return value[0], gradient[0]


def moments(chance, gradients):
    """Return the mean and the variance of gradients that have the given probabilities."""
    mean = np.tensordot(chance, gradients, 1)
    return mean, np.tensordot(chance, (gradients - mean) ** 2, 1)


def hard_moments(estimator, cls, logits, f, draws=1):
    """Return an estimator's mean and variance over every tuple of hard samples."""
    samples, chance = joint(cls(jnp.asarray(logits)), draws)
    return moments(chance, per_key(estimator, cls, logits, hard_keys(samples), f)[1])
