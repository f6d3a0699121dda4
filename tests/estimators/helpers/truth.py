"""The truth, computed without the library: an operator like an estimator, that nests."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    ArrivalTimes,
    Autoregressive,
    Bernoulli,
    Categorical,
    Chain,
    HardConcrete,
    InvertibleGaussian,
    Normal,
    PlackettLuceSubset,
    Poisson,
    RelaxedBernoulli,
    RelaxedCategorical,
    RelaxedCount,
    Subset,
)

# The trapezoidal rule in logistic noise. Integrands are analytic within pi * temperature of the
# real line (temperatures of 0.7 and up here), so its error is below exp(-2 pi * 2.2 / 0.5) = 1e-12,
# and so is the mass that it leaves out.
_NOISE = np.arange(-30, 30.25, 0.5)
_COUNTS = 30
"""Of rates up to three; what is left out has a probability of 1e-19."""


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


def _exponential_nodes(dimensions):
    """Exponential noise by the trapezoidal rule in its logarithm."""
    logarithms = np.arange(-32, 4.6, 0.25)
    grid = _grid(logarithms, dimensions)
    return np.exp(grid), 0.25**dimensions * np.exp(grid - np.exp(grid)).prod(-1)


def _gate_nodes(log_alpha, gates):
    """Both atoms of a hard concrete gate, and Gauss's nodes between them times the density."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    inside, low, high = (1 + nodes) / 2, gates.low, gates.high
    beta = gates.temperature

    def below(z):
        return jax.nn.sigmoid(beta * np.log((z - low) / (high - z)) - log_alpha)

    density = (
        below(inside) * (1 - below(inside)) * beta * (1 / (inside - low) + 1 / (high - inside))
    )
    chances = [below(0.0)[None], weights / 2 * density, 1 - below(1.0)[None]]
    return np.concatenate([[0.0], inside, [1.0]]), jnp.concatenate(chances)


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
    elif isinstance(distribution, Autoregressive):
        points = _grid([0.0, 1.0], size).reshape(-1, *shape)
        weights = jnp.stack([_sequence_chance(distribution, z) for z in points])
    elif isinstance(distribution, Poisson):
        points = _grid(np.arange(_COUNTS), size).reshape(-1, *shape)
        factorial = np.array([math.factorial(k) for k in range(_COUNTS)], np.float64)
        rate = jnp.exp(distribution.log_rate)[None]
        chance = rate**points * jnp.exp(-rate) / factorial[points.astype(int)]
        weights = chance.reshape(len(points), -1).prod(-1)
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
    elif isinstance(distribution, ArrivalTimes):
        assert size == 1 and distribution.indicator == "sigmoid"
        gaps, weights = _exponential_nodes(distribution.most)
        times = gaps.cumsum(-1) / jnp.exp(distribution.log_rate)[None]
        points = jax.nn.sigmoid((1 - times) / distribution.temperature).sum(-1, keepdims=True)
    elif isinstance(distribution, RelaxedCount):
        assert size == 1 and distribution.most == 2
        noise, weights = _gumbel_nodes(3)
        rate = jnp.exp(distribution.log_rate)
        first = jnp.concatenate([jnp.exp(-rate), rate * jnp.exp(-rate)])
        logits = jnp.log(jnp.concatenate([first, 1 - first.sum(keepdims=True)]))
        power = jnp.exp((logits[None] + noise) / distribution.temperature)
        points = power @ np.arange(3.0) / power.sum(-1)
        points = points[:, None]
    elif isinstance(distribution, HardConcrete):
        gates = [_gate_nodes(log_alpha, distribution) for log_alpha in distribution.log_alpha]
        nodes, weights = zip(*gates, strict=True)
        points = jnp.stack(jnp.meshgrid(*nodes, indexing="ij"), -1).reshape(-1, *shape)
        weights = functools.reduce(jnp.multiply.outer, weights).ravel()
    elif isinstance(distribution, InvertibleGaussian):
        noise, weights = _normal_nodes(size - 1)
        scaled = distribution.mean[None] + jnp.exp(distribution.log_scale)[None] * noise[:, None]
        power = jnp.exp(scaled / distribution.temperature)
        total = distribution.delta + power.sum(-1, keepdims=True)
        points = jnp.concatenate([power, jnp.full_like(total, distribution.delta)], -1)
        points = jnp.log(points / total)
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


def _sequence_chance(sequences, bits):
    """Return the probability of a sequence of bits, step by step."""
    p = sequences.parameters
    chance, state = 1.0, sequences.start(p)
    for bit in bits:
        one = jax.nn.sigmoid(sequences.conditional(p, state).logits)
        chance *= (bit * one + (1 - bit) * (1 - one)).prod()
        state = sequences.advance(p, state, bit)
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
