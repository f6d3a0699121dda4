"""The truth, computed without the library: an operator like an estimator, that nests."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    Bernoulli,
    Categorical,
    Chain,
    Normal,
    PlackettLuceSubset,
    RelaxedBernoulli,
    RelaxedCategorical,
    Subset,
)

# The trapezoidal rule in logistic noise. Integrands are analytic within pi * temperature of the
# real line (temperatures of 0.7 and up here), so its error is below exp(-2 pi * 2.2 / 0.5) = 1e-12,
# and so is the mass that it leaves out.
_NOISE = np.arange(-30, 30.25, 0.5)


def _grid(nodes, dimensions):
    return np.array(list(itertools.product(nodes, repeat=dimensions)), np.float64)


def _normal_nodes(dimensions):
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    weights = weights / weights.sum()
    return _grid(nodes, dimensions), _grid(weights, dimensions).prod(-1)


def _logistic_nodes(dimensions):
    grid = _grid(_NOISE, dimensions)
    return grid, (0.25 / (1 + np.cosh(grid))).prod(-1)  # density times step, 0.5


def _gumbel_nodes(classes):
    """Differences of Gumbel noise to the last class's, and their joint density times the step."""
    grid = _grid(_NOISE, classes - 1)
    density = np.prod(np.arange(1, classes)) * np.exp(-grid.sum(-1))
    density /= (1 + np.exp(-grid).sum(-1)) ** classes
    return np.concatenate([grid, np.zeros((len(grid), 1))], -1), density * 0.5 ** (classes - 1)


def expectation(key, distribution, f):
    """Return E[f(z)], summed over all states or integrated over the noise."""
    del key
    shape = distribution.event_shape
    size = int(np.prod(shape))
    if isinstance(distribution, Bernoulli):
        points = _grid([0.0, 1.0], size)
        chance = jax.nn.sigmoid(distribution.logits).reshape(1, size)
        weights = jnp.where(points > 0, chance, 1 - chance).prod(-1)
        points = points.reshape(-1, *shape)
    elif isinstance(distribution, Categorical):
        choices = list(itertools.product(np.eye(shape[-1]), repeat=size // shape[-1]))
        points = np.array(choices).reshape(-1, *shape)
        power = jnp.exp(distribution.logits)
        chance = power / power.sum(-1, keepdims=True)
        weights = (points * chance[None]).sum(-1).reshape(len(points), -1).prod(-1)
    elif isinstance(distribution, Chain):
        points = _grid([0.0, 1.0], size).reshape(-1, *shape)
        weights = jax.vmap(jax.vmap(functools.partial(_path_chance, distribution)))(points).prod(-1)
    elif isinstance(distribution, (Subset, PlackettLuceSubset)):
        choices = [
            z for z in itertools.product([0.0, 1.0], repeat=size) if _is_subset(z, distribution)
        ]
        points = np.array(choices).reshape(-1, *shape)
        weights = jnp.stack([chances_of_subsets(distribution, z) for z in points])
    elif isinstance(distribution, Normal):
        noise, weights = _normal_nodes(size)
        scale = jnp.exp(distribution.log_scale)
        points = distribution.mean[None] + scale[None] * noise.reshape(-1, *shape)
    elif isinstance(distribution, RelaxedBernoulli):
        noise, weights = _logistic_nodes(size)
        points = (distribution.logits[None] + noise.reshape(-1, *shape)) / distribution.temperature
    else:
        assert isinstance(distribution, RelaxedCategorical) and size == shape[-1]
        noise, weights = _gumbel_nodes(size)
        points = (distribution.logits[None] + noise.reshape(-1, *shape)) / distribution.temperature
        points = points - jnp.log(jnp.exp(points).sum(-1, keepdims=True))
    return jnp.vdot(weights, jax.vmap(f)(jnp.asarray(points, distribution.dtype)))


def _is_subset(z, distribution):
    rows = np.reshape(z, distribution.event_shape).sum(-1)
    return np.all(rows == distribution.k)


def chances_of_subsets(distribution, z):
    """Return the probability of subsets, one in each row: from the definition of their law."""
    chance = 1.0
    for chosen, logits in zip(
        np.reshape(z, (-1, z.shape[-1])), distribution.logits.reshape(-1, z.shape[-1]), strict=True
    ):
        power = jnp.exp(logits - jnp.max(logits))
        items = itertools.combinations(range(len(chosen)), distribution.k)
        if isinstance(distribution, Subset):
            every = sum(jnp.prod(power[np.array(one)]) for one in items)
            chance *= jnp.prod(power[np.flatnonzero(chosen)]) / every
        else:
            chance *= sum(
                map(
                    functools.partial(_in_order, power),
                    itertools.permutations(np.flatnonzero(chosen)),
                )
            )
    return chance


def _in_order(power, order):
    """Return the probability of draws without replacement, in this order."""
    chance, left = 1.0, power.sum()
    for item in order:
        chance, left = chance * power[item] / left, left - power[item]
    return chance


def _path_chance(chain, path):
    """Return the probability of a path of bits."""
    chance, logits, start = 1.0, chain.first.logits, 0
    for conditional in (*chain.conditionals, None):
        bits = path[start : start + len(logits)]
        chance *= jnp.where(bits > 0, jax.nn.sigmoid(logits), jax.nn.sigmoid(-logits)).prod()
        start += len(logits)
        logits = conditional and conditional(chain.parameters, bits).logits
    return chance


@functools.cache
def true_gradient(problem):
    """Return `[value, *gradient]` of a problem's loss in float64."""
    with jax.enable_x64(True):
        gradient = functools.partial(problem.gradient, (expectation,) * problem.layers, None)
        return np.asarray(jax.jit(gradient)(problem.arrays(jnp.float64)))
