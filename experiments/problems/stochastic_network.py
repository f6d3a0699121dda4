"""Base class of problems with layers of stochastic units."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import jax
import jax.numpy as jnp

from estimators import Chain, Discrete, Distribution, Estimator, Normal
from estimators.checks import check_choice, check_count
from experiments.problems.images import SIDE, ImageProblem
from experiments.problems.latent import Coding, Family, Layer, evaluations
from experiments.problems.networks import (
    ACTIVATIONS,
    Initialisation,
    feed_forward,
    hidden_sizes,
)
from experiments.problems.problem import Params

Network = tuple[Callable, Callable]

_MOST_NESTED = 24
"""Maximum depth: tracing a gradient takes seconds, and a few more layers overflow the stack."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StochasticNetwork(ImageProblem):
    r"""Layers of stochastic units, each sampled given the previous one; $z_1$ given the image.

    With one sample, every layer is a nested call of the estimator; in a multi-sample bound, each
    sample is one joint path, a `Chain`.

    Args:
        coding: how a categorical sample enters a network: "one-hot", or as one of the "corners" of
            a hypercube, K classes as log2 K numbers (Maddison et al. 2017), or as the "number" of
            its class, from 0, divided by K - 1 (Hooper and Shekhovtsov 2026).
        initialisation: of the networks, "lecun" or "torch", PyTorch's default.
    """

    group = "encoder"  # where estimators differ

    latent: Family
    size: int
    classes: int
    depth: int
    hidden: str | int
    activation: str
    num_samples: int
    coding: Coding = "one-hot"
    initialisation: Initialisation = "lecun"

    @abc.abstractmethod
    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the first layer's logits for images `[..., 784]`."""

    @abc.abstractmethod
    def following(self, params: Params, level: int, sample: jax.Array) -> Any:
        """Return the distribution of z_{l+1} given z_l, l = `level`, counted from 1."""

    @property
    def layer(self) -> Layer:
        """The layer of stochastic units; all have the same size and family."""
        return Layer(self.latent, self.size, self.classes, self.coding)

    def network(self, inputs: int, outputs: int, *, reverse: bool = False) -> Network:
        """Return a network with the hidden layers between its inputs and outputs."""
        hidden = hidden_sizes(self.hidden)
        return feed_forward(
            (inputs, *(reversed(hidden) if reverse else hidden), outputs),
            self.activation,
            self.initialisation,
        )

    def with_output_bias(self, network: Params, bias: jax.Array) -> Params:
        """Return a network's parameters with a different output bias."""
        last = len(hidden_sizes(self.hidden))
        layers = network["layers"]
        return network | {"layers": layers | {last: layers[last] | {"bias": bias}}}

    def measured_params(self, params: Params, batch: Any) -> Params:
        """Add `logits`: zeros added to the first layer's logits for each image of the batch.

        Those of the layers above, if there are any, are `logits_2` and so on.
        """
        names = ("logits", *map(_logits, range(1, self.depth)))
        zeros = jnp.zeros((len(batch), self.layer.num_logits))
        return params | dict.fromkeys(names, zeros)

    def groups(self, params: Params) -> dict[str, Params]:
        """Add `logits_1`, the first layer's, if there are several; `all` has those alone."""
        above = set(map(_logits, range(1, self.depth)))
        every = {name: part for name, part in params.items() if name not in above}
        found = super().groups(every)
        if self.depth > 1 and "logits" in found:
            found["logits_1"] = found["logits"]
        found |= {name: {name: params[name]} for name in params if name in above}
        return {name: part for name, part in found.items() if name != "all"} | {"all": every}

    def above(self, params: Params) -> Params:
        """Return what `measured_params` adds to the logits of the layers above the first."""
        names = map(_logits, range(1, self.depth))
        return {name: params[name] for name in names if name in params}

    def added(self, params: Params, level: int, logits: jax.Array) -> jax.Array:
        """Return the logits of layer `level`, from 0, of an image with what is added to them."""
        return logits + params[name] if (name := _logits(level)) in params else logits

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the first layer's distribution for the first image; for a bound, its paths'."""
        names = {*map(_logits, range(self.depth))}
        without = {name: part for name, part in params.items() if name not in names}
        first = self.layer.distribution(self.encode(without, batch[0]))
        return first if self.num_samples == 1 else self.paths(without, first)

    def path(self, params: Params, first: Discrete | Normal) -> Distribution:
        """Return the distribution of one path, with layers concatenated on the first axis."""
        if self.depth == 1 or isinstance(first, Normal):  # a Normal has one layer
            return first

        def conditional(level):
            return lambda params, sample: self.following(params, level, sample)

        return Chain(first, params, tuple(conditional(level) for level in range(1, self.depth)))

    def paths(self, params: Params, first: Discrete | Normal) -> Distribution:
        """Return the distribution of `num_samples` independent paths."""
        return self.path(params, first).independent(self.num_samples)

    def layers(self, path: jax.Array) -> list[jax.Array]:
        """Return the samples of the layers along a path."""
        return jnp.split(path, self.depth)

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit: distributions, bound, number of states."""
        if self.num_samples > 1:
            return estimator.refusal(distribution)
        if reason := super().refusal(estimator, distribution):
            return reason
        if not estimator.enumerates or not isinstance(distribution, Discrete):
            return None
        size, *classes = distribution.event_shape
        every_layer = jnp.zeros((self.depth * size, *classes), distribution.dtype)
        return distribution.with_logits(every_layer).too_large()

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the number of evaluations of f; for a bound, those of its log-weight."""
        if self.num_samples > 1:
            count = estimator.evaluations(distribution)
            return count if estimator.needs_bound else count * self.num_samples
        return evaluations(estimator, distribution, self.depth)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        name = type(self).__name__
        check_choice(f"{name} activation", self.activation, tuple(ACTIVATIONS))
        hidden_sizes(self.hidden, f"{name} hidden")
        for field, least in (("size", 1), ("classes", 2), ("depth", 1), ("num_samples", 1)):
            check_count(f"{name} {field}", getattr(self, field), least)
        if self.num_samples == 1 and self.depth > _MOST_NESTED:
            raise ValueError(
                f"{name} depth must be at most {_MOST_NESTED}, not {self.depth}: each layer is a "
                "nested call of the estimator"
            )
        check_choice(f"{name} coding", self.coding, get_args(Coding))
        check_choice(f"{name} initialisation", self.initialisation, get_args(Initialisation))
        if self.coding == "corners" and self.classes.bit_count() > 1:
            raise ValueError(
                f"{name} coding=corners needs a power of two of classes, not {self.classes}"
            )


def _logits(level: int) -> str:
    """Return the name of what is added to the logits of a layer, from 0."""
    return f"logits_{level + 1}" if level else "logits"


def square(pixels: jax.Array) -> jax.Array:
    """Return images `[..., 784]` as `[..., 28, 28]`."""
    return pixels.reshape(*pixels.shape[:-1], SIDE, SIDE)


def softplus(x: jax.Array) -> jax.Array:
    """Return log(1 + e^x) with the absolute error of one rounding, which suffices in a sum.

    `jax.nn.softplus` has small relative error, but needs log1p, also in its derivative.
    """
    return jnp.maximum(x, 0) + jnp.log(1 + jnp.exp(-jnp.abs(x)))


def cross_entropy(logits: jax.Array, pixels: jax.Array) -> jax.Array:
    """Return -log p(pixels) of independent Bernoulli pixels in nats, a scalar."""
    # Split so that terms independent of the image are computed once under vmap over images.
    return softplus(logits).sum() - pixels @ logits
