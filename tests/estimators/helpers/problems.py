"""Problems: one distribution or two, and an f that is coupled, not quadratic, and parametric."""

import dataclasses
import functools
from collections.abc import Callable

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
    ImportanceBound,
    InvertibleGaussian,
    Normal,
    PlackettLuceSubset,
    Poisson,
    RelaxedBernoulli,
    RelaxedCategorical,
    RelaxedCount,
    Subset,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """An expectation to differentiate with respect to `parameters`.

    `distributions` holds one function per layer, from the parameters and the sample above to the
    layer's distribution; `objective` maps the parameters and every layer's sample to a scalar. With
    `bound`, it is the log-weight of one of several samples, and f is their bound.
    """

    name: str
    parameters: dict[str, np.ndarray]
    distributions: tuple[Callable, ...]
    objective: Callable
    extremes: tuple[dict[str, np.ndarray], ...] = ()
    bound: bool = False

    def __str__(self):
        return self.name

    @property
    def layers(self):
        return len(self.distributions)

    def arrays(self, dtype, **changes):
        """Return the parameters as arrays, some of them changed."""
        return jax.tree.map(lambda x: jax.device_put(x.astype(dtype)), self.parameters | changes)

    def layer(self, number, dtype=jnp.float32):
        """Return one layer's distribution, below a sample of zeros."""
        parameters = self.arrays(dtype)
        above = None
        for build in self.distributions[: number + 1]:
            distribution = build(parameters, above)
            above = np.zeros(distribution.event_shape, dtype)
        return distribution

    def loss(self, operators, keys, parameters):
        """Return the nested estimate, with one operator and one key per layer."""

        def descend(number, samples):
            above = samples[-1] if samples else None
            distribution = self.distributions[number](parameters, above)
            key = None if keys is None else keys[number]
            if number == self.layers - 1:
                below = self.f(parameters, *samples)
            else:
                below = lambda z: descend(number + 1, [*samples, z])  # noqa: E731
            return operators[number](key, distribution, below)

        return descend(0, [])

    def f(self, parameters, *samples, wrap=lambda f: f):
        """Return the last layer's f, given the samples of those above; `wrap` sees its calls."""
        one = wrap(lambda z: self.objective(parameters, *samples, z))
        return ImportanceBound(one) if self.bound else one

    def gradient(self, operators, keys, parameters):
        """Return `[value, *gradient]` as one vector; the gradient's order is the parameters'."""
        value, gradient = jax.value_and_grad(self.loss, 2)(operators, keys, parameters)
        return jnp.concatenate([value[None], *map(jnp.ravel, jax.tree.leaves(gradient))])

    @functools.cached_property
    def steeper(self):
        """The same problem with larger weights, where f is further from a cubic."""
        weights = {"weights": 3 * self.parameters["weights"]}
        return dataclasses.replace(
            self, name=f"{self.name}, steeper", parameters=self.parameters | weights
        )

    @functools.cached_property
    def sampling_only(self):
        """The same problem, whose gradient is the part through sampling alone."""

        def objective(parameters, *samples):
            return self.objective(jax.lax.stop_gradient(parameters), *samples)

        return dataclasses.replace(self, name=f"{self.name}, sampling only", objective=objective)


def _coupling(size):
    """Weights without pattern, so that no term cancels."""
    return np.cos(2.0 * np.arange(size) + 1)


def _corners(parameters, distribution, z):
    x = z.ravel()
    coupling = jnp.asarray(_coupling(x.size), x.dtype)
    # log q keeps the logits inside f: its ordinary gradient is part of the answer.
    return jnp.sin(parameters["weights"] @ x) + (coupling @ x) ** 3 + 0.3 * distribution.log_prob(z)


def _smooth(parameters, distribution, z):
    x = z.ravel()
    coupling = jnp.asarray(_coupling(x.size), x.dtype)
    return (
        jnp.sin(parameters["weights"] @ x)
        + 0.1 * (coupling @ x) ** 2
        + 0.3 * distribution.log_prob(z)
    )


def _continuous(parameters, distribution, z):
    """Of a law without a density, or with atoms, where its log-probability jumps."""
    x = z.ravel()
    coupling = jnp.asarray(_coupling(x.size), x.dtype)
    live = jax.tree.leaves(distribution)[0]
    return jnp.sin(parameters["weights"] @ x) + 0.1 * (coupling @ x) ** 2 + 0.3 * live @ x


def _one_layer(name, build, f, parameters, *extremes):
    size = int(np.prod(build(parameters).event_shape))
    parameters = parameters | {"weights": np.linspace(1.5, -1.0, size)}
    extremes = tuple(parameters | changes for changes in extremes)
    return Problem(
        name,
        parameters,
        (lambda p, above: build(p),),
        lambda p, z: f(p, build(p), z),
        extremes,
    )


_SATURATED = {"logits": np.array([50.0, -50.0, 50.0])}
_SATURATED_CLASSES = {"logits": np.array([[50.0, -50.0, 0.0], [-50.0, -50.0, 50.0]])}

BERNOULLI = _one_layer(
    "Bernoulli",
    lambda p: Bernoulli(p["logits"]),
    _corners,
    {"logits": np.array([-4.0, 0.7, 2.5])},
    _SATURATED,
)
CATEGORICAL = _one_layer(
    "Categorical",
    lambda p: Categorical(p["logits"]),
    _corners,
    {"logits": np.array([[4.0, 0.5, -1.0], [-0.5, 0.3, 1.5]])},
    _SATURATED_CLASSES,
)
POISSON = _one_layer(
    "Poisson",
    lambda p: Poisson(p["log_rate"], most=15),
    _corners,
    {"log_rate": np.array([0.5, -0.7])},
    {"log_rate": np.array([-50.0, -7.0])},
)
NORMAL = _one_layer(
    "Normal",
    lambda p: Normal(p["mean"], p["log_scale"]),
    _smooth,
    {"mean": np.array([0.5, -1.0]), "log_scale": np.array([-0.5, 0.3])},
    {"mean": np.array([50.0, -50.0]), "log_scale": np.array([-7.0, 7.0])},
)
RELAXED_BERNOULLI = _one_layer(
    "RelaxedBernoulli",
    lambda p: RelaxedBernoulli(p["logits"], p["temperature"]),
    _smooth,
    {"logits": np.array([-2.0, 0.7]), "temperature": np.array(0.8)},
    {"logits": np.array([50.0, -50.0]), "temperature": np.array(1e-3)},
    {"logits": np.array([50.0, -50.0]), "temperature": np.array(1e3)},
)
RELAXED_CATEGORICAL = _one_layer(
    "RelaxedCategorical",
    lambda p: RelaxedCategorical(p["logits"], p["temperature"]),
    _smooth,
    {"logits": np.array([[2.0, 0.3, -1.0]]), "temperature": np.array(0.8)},
    {"logits": np.array([[50.0, -50.0, 0.0]]), "temperature": np.array(1e-3)},
    {"logits": np.array([[50.0, -50.0, 0.0]]), "temperature": np.array(1e3)},
)
ARRIVAL_TIMES = _one_layer(
    "ArrivalTimes",
    lambda p: ArrivalTimes(p["log_rate"], p["temperature"], most=2),
    _continuous,
    {"log_rate": np.array([-1.9]), "temperature": np.array(0.8)},
    {"log_rate": np.array([-30.0]), "temperature": np.array(1e-3)},
    {"log_rate": np.array([-30.0]), "temperature": np.array(1e3)},
)
RELAXED_COUNT = _one_layer(
    "RelaxedCount",
    lambda p: RelaxedCount(p["log_rate"], p["temperature"], most=2),
    _continuous,
    {"log_rate": np.array([-1.9]), "temperature": np.array(0.8)},
    {"log_rate": np.array([-30.0]), "temperature": np.array(1e-3)},
    {"log_rate": np.array([-30.0]), "temperature": np.array(1e3)},
)
HARD_CONCRETE = _one_layer(
    "HardConcrete",
    lambda p: HardConcrete(p["log_alpha"], p["temperature"]),
    _continuous,
    {"log_alpha": np.array([-1.0, 0.7]), "temperature": np.array(0.7)},
    {"log_alpha": np.array([50.0, -50.0]), "temperature": np.array(1e-3)},
    {"log_alpha": np.array([50.0, -50.0]), "temperature": np.array(1e3)},
)
INVERTIBLE_GAUSSIAN = _one_layer(
    "InvertibleGaussian",
    lambda p: InvertibleGaussian(p["mean"], p["log_scale"], p["temperature"], 0.7),
    _smooth,
    {
        "mean": np.array([[0.5, -1.0]]),
        "log_scale": np.array([[-0.5, 0.3]]),
        "temperature": np.array(0.8),
    },
    {"mean": np.array([[50.0, -50.0]]), "temperature": np.array(1e-3)},
    {"mean": np.array([[50.0, -50.0]]), "temperature": np.array(1e3)},
)


def _of_items(parameters, distribution, z):
    """Between the corners too, where the probability of a set is not defined."""
    x = z.ravel()
    coupling = jnp.asarray(_coupling(x.size), x.dtype)
    return (
        jnp.sin(parameters["weights"] @ x)
        + (coupling @ x) ** 3
        + 0.3 * distribution.logits.ravel() @ x
    )


_ITEMS = {"logits": np.array([1.5, -0.7, 0.3, -1.2, 0.8])}
_EXTREME_ITEMS = (
    {"logits": np.array([50.0, -50.0, 50.0, 0.0, -50.0])},
    {"logits": np.array([50.0, -50.0, -50.0, 0.3, 0.0])},
)

SUBSET = _one_layer("Subset", lambda p: Subset(p["logits"], 2), _corners, _ITEMS, *_EXTREME_ITEMS)
PLACKETT_LUCE_SUBSET = _one_layer(
    "PlackettLuceSubset",
    lambda p: PlackettLuceSubset(p["logits"], 2),
    _of_items,
    _ITEMS,
    *_EXTREME_ITEMS,
)


def _first_state(parameters):
    return parameters["start"]


def _step_of(parameters, state):
    return Bernoulli(state + parameters["bias"])


def _next_state(parameters, state, sample):
    return jnp.tanh(state + parameters["kernel"] * sample[0])


def _sequences(parameters):
    names = ("start", "bias", "kernel")
    own = {name: parameters[name] for name in names}
    return Autoregressive(own, _first_state, _step_of, _next_state, 3)


AUTOREGRESSIVE = Problem(
    "Autoregressive",
    {
        "start": np.array([0.4]),
        "bias": np.array([-0.6]),
        "kernel": np.array([1.5]),
        "weights": np.linspace(1.5, -1.0, 3),
    },
    (lambda p, above: _sequences(p),),
    lambda p, z: _corners(p, _sequences(p), z),
)


def _bound(name, family, logits, saturated):
    """The bound of three samples, whose log-weight holds log q, as every real one does."""

    def log_weight(parameters, z):
        return _corners(parameters, family(parameters["logits"]), z)

    saturated = {"logits": saturated}
    parameters = {"logits": logits, "weights": np.linspace(1.5, -1.0, logits.size)}
    return Problem(
        name,
        parameters,
        (lambda p, above: family(p["logits"]).independent(3),),
        log_weight,
        (parameters | saturated,),
        bound=True,
    )


def _second_layer(parameters, z):
    return Bernoulli(parameters["bias"] + parameters["kernel"] @ z)


def _paths(parameters, above=None):
    return Chain(Bernoulli(parameters["logits"]), parameters, (_second_layer,))


BOUND_OF_CHAIN = Problem(
    "bound of Chain",
    {
        "logits": np.array([-1.0, 0.6]),
        "bias": np.array([0.4]),
        "kernel": np.array([[1.5, -0.8]]),
        "weights": np.linspace(1.5, -1.0, 3),
    },
    (lambda p, above: _paths(p).independent(2),),
    lambda p, z: _corners(p, _paths(p), z),
    bound=True,
)
"""Two layers: each sample is a path."""

BOUNDS = {
    Bernoulli: _bound(
        "bound of Bernoulli", Bernoulli, np.array([-1.5, 0.7]), np.array([50.0, -50.0])
    ),
    Categorical: _bound(
        "bound of Categorical",
        Categorical,
        np.array([[1.5, 0.5, -1.0]]),
        np.array([[50.0, -50.0, 0.0]]),
    ),
    Chain: BOUND_OF_CHAIN,
}
"""Multi-sample bounds."""

ONE_BIT = _one_layer(
    "one bit",
    lambda p: Bernoulli(p["logits"]),
    lambda p, distribution, z: (z[0] + 0.5) ** 3,
    {"logits": np.array([0.8])},
)

PROBLEMS = {
    Bernoulli: BERNOULLI,
    Categorical: CATEGORICAL,
    Normal: NORMAL,
    Poisson: POISSON,
    RelaxedBernoulli: RELAXED_BERNOULLI,
    RelaxedCategorical: RELAXED_CATEGORICAL,
    ArrivalTimes: ARRIVAL_TIMES,
    RelaxedCount: RELAXED_COUNT,
    HardConcrete: HARD_CONCRETE,
    InvertibleGaussian: INVERTIBLE_GAUSSIAN,
    Subset: SUBSET,
    PlackettLuceSubset: PLACKETT_LUCE_SUBSET,
    Autoregressive: AUTOREGRESSIVE,
}
"""One for every type of distribution."""


def _two_layers(name, first, second, size, sizes):
    """Layer two's parameters depend on layer one's sample, and f on both samples."""
    parameters = {
        "first": np.linspace(-1.2, 1.0, size),
        "second": np.linspace(0.8, -0.5, sizes),
        "between": np.sin(3.0 * np.arange(size * sizes)).reshape(size, sizes),
        "weights": np.linspace(1.5, -1.0, size + sizes),
    }

    def below(p, z):
        return second(p["second"] + z.ravel() @ p["between"])

    def objective(p, z1, z2):
        x = jnp.concatenate([z1.ravel(), z2.ravel()])
        coupling = jnp.asarray(_coupling(size + sizes), x.dtype)
        return jnp.sin(p["weights"] @ x) + (coupling @ x) ** 2 * jnp.cos(x[0]) + 0.5 * x[0] * x[-1]

    return Problem(name, parameters, (lambda p, above: first(p["first"]), below), objective)


def _bits(logits):
    return Bernoulli(logits)


def _classes(logits):
    return Categorical(logits.reshape(1, -1))


def _normals(mean):
    return Normal(mean, jnp.full_like(mean, -0.5))


def _counts(log_rate):
    return Poisson(jnp.tanh(log_rate), most=15)


def _relaxed_bits(logits):
    return RelaxedBernoulli(logits, jnp.full_like(logits[0], 0.8))


def _relaxed_classes(logits):
    return RelaxedCategorical(logits.reshape(1, -1), jnp.full_like(logits[0], 0.8))


def _subsets(logits):
    return Subset(logits, 1 + len(logits) // 3)


def _plackett_luce_subsets(logits):
    return PlackettLuceSubset(logits, 1 + len(logits) // 3)


NESTED = (
    _two_layers("Bernoulli over Categorical", _bits, _classes, 2, 3),
    _two_layers("Normal over RelaxedCategorical", _normals, _relaxed_classes, 1, 2),
)
"""Two layers for one estimator."""

MORE_NESTED = (
    _two_layers("Bernoulli over Bernoulli", _bits, _bits, 2, 2),
    _two_layers("Categorical over Categorical", _classes, _classes, 3, 3),
    _two_layers("RelaxedBernoulli over Normal", _relaxed_bits, _normals, 1, 1),
    _two_layers("Poisson over Poisson", _counts, _counts, 1, 2),
    _two_layers("Subset over Subset", _subsets, _subsets, 3, 3),
    _two_layers(
        "PlackettLuceSubset over PlackettLuceSubset",
        _plackett_luce_subsets,
        _plackett_luce_subsets,
        3,
        3,
    ),
)

MIXED = (
    _two_layers("Categorical over Bernoulli", _classes, _bits, 3, 2),
    _two_layers("Categorical over Normal", _classes, _normals, 3, 1),
    _two_layers("Normal over Bernoulli", _normals, _bits, 1, 2),
    _two_layers("Poisson over Bernoulli", _counts, _bits, 2, 2),
    _two_layers("Bernoulli over Poisson", _bits, _counts, 2, 1),
)
"""Two layers for two estimators."""
