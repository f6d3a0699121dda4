"""The rounding of a compressed image's latent vector: bits that choose between two integers."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Distribution, Estimator
from estimators.checks import check_at_most, check_count, check_positive
from experiments import data as data_sets
from experiments.data import Split
from experiments.optimisers import Adam
from experiments.problems.images import PIXELS
from experiments.problems.networks import feed_forward
from experiments.problems.problem import Params, Problem

_HIDDEN, _BATCH, _STEPS, _RATE = 64, 100, 1500, 2e-3
_IMAGES = 10_000  # of MNIST's test set
_EDGE = 1e-5
"""Distances to an integer are at most this much below one, as in Yang et al.'s code."""


class Cost(NamedTuple):
    """What an image costs.

    Attributes:
        rate: of its latent vector, in bits.
        distortion: the sum of the squared errors of its pixels, which are in [0, 1].
    """

    rate: jax.Array
    distortion: jax.Array


@dataclasses.dataclass(frozen=True)
class Rounding(Problem):
    r"""Rounding a compressed image's latent vector (Yang et al. 2020, arXiv:2006.04240).

    A compressor 784-64-D-64-784, trained once on MNIST's training images with additive uniform
    noise (Balle et al. 2017), is fixed. Of each test image, the latent vector y is refined to
    minimise the cost of the integers that it is rounded to,

    $$f(k) = -\sum_i \log_2 \left[\Phi(\tfrac{k_i + 1/2 - m_i}{s_i}) -
    \Phi(\tfrac{k_i - 1/2 - m_i}{s_i})\right] + w |x - g(k)|^2,$$

    with the decoder g and the learned m and s. The rounding is random: $k = \lfloor y \rfloor + b$
    with bits of the logits $(\mathrm{atanh}\, d - \mathrm{atanh}(1 - d)) / T$ at the
    distance $d = y - \lfloor y \rfloor$, which go to the nearest integer as T goes to 0. The
    objective is the mean of f over bits, and over images. Stochastic Gumbel annealing is
    `GumbelSoftmax[T]`, with both temperatures falling. Only the bits' probabilities have a
    derivative in y.

    Args:
        latents: D, at most 784.
        images: the number of test images, which are independent; at most 10,000.
        temperature: T.
        weight: w, in bits.
    """

    group: ClassVar[str] = "latent"
    default_samples: ClassVar[int] = 1024

    latents: int = 10
    images: int = 1
    temperature: float = 0.5
    weight: float = 4.0

    @property
    def about_data(self) -> str:
        """The data set and its grey values."""
        return data_sets.describe("MNIST", "real")

    def data(self, split: Split = "train") -> Any:
        """Return the images to be compressed, `[images, 784]` in [0, 1], the same in all splits."""
        pixels = data_sets.pixels("MNIST", "test", "real")
        return jnp.asarray(pixels[: self.images], jnp.float32) / 255

    @property
    def compressor(self) -> Params:
        """The fixed parameters of the compressor; it is trained on first use."""
        return _trained(self.latents, self.weight)

    def initial(self, key: jax.Array) -> Params:
        """Return the latent vectors that the encoder gives, `[images, D]`; nothing is random."""
        _, encode = _encoder(self.latents)
        return {"latent": encode(self.compressor["encoder"], self.data())}

    def bits(self, latent: jax.Array) -> Bernoulli:
        """Return the bits that round a latent vector up."""
        up = jnp.minimum(latent - jnp.floor(latent), 1 - _EDGE)
        down = jnp.minimum(1 - up, 1 - _EDGE)
        return Bernoulli((jnp.arctanh(up) - jnp.arctanh(down)) / self.temperature)

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the bits of the first image."""
        return self.bits(params["latent"][0])

    def cost(self, code: jax.Array, image: jax.Array) -> Cost:
        """Return what an image costs with a code, of integers or between them."""
        return _cost(self.compressor, code, image)

    def f(self, code: jax.Array, image: jax.Array) -> jax.Array:
        """Return the rate plus the weighted distortion, in bits."""
        cost = self.cost(code, image)
        return cost.rate + self.weight * cost.distortion

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean estimate over the images, in bits; `key` is consumed."""

        def one(key: jax.Array, latent: jax.Array, image: jax.Array) -> jax.Array:
            below = jnp.floor(latent)
            return estimator(key, self.bits(latent), lambda bits: self.f(below + bits, image))

        keys = jax.random.split(key, self.images)
        return jax.vmap(one)(keys, params["latent"], batch).mean()

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return the mean cost of the nearest integers, and its parts."""
        cost = jax.vmap(self.cost)(jnp.round(params["latent"]), data)
        rate, distortion = cost.rate.mean(), cost.distortion.mean()
        total = rate + self.weight * distortion
        return {"rate_distortion": total, "rate": rate, "distortion": distortion}

    def best(self, latents: jax.Array, images: jax.Array) -> jax.Array:
        """Return the least cost of all $2^D$ roundings of each latent vector, `[images]`."""
        states = Bernoulli(jnp.zeros(self.latents)).states()

        def one(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
            latent, image = pair
            return jax.vmap(lambda bits: self.f(jnp.floor(latent) + bits, image))(states).min()

        return jax.lax.map(one, (latents, images))

    def check(self) -> None:
        """Raise for a number out of range."""
        check_count("Rounding latents", self.latents, 1)
        check_at_most("Rounding latents", self.latents, PIXELS)
        check_count("Rounding images", self.images, 1)
        check_at_most("Rounding images", self.images, _IMAGES)
        check_positive("Rounding temperature", self.temperature)
        check_positive("Rounding weight", self.weight)


def _encoder(latents: int) -> tuple[Callable, Callable]:
    return feed_forward((PIXELS, _HIDDEN, latents), "relu")


def _decoder(latents: int) -> tuple[Callable, Callable]:
    return feed_forward((latents, _HIDDEN, PIXELS), "relu")


def _cost(params: Params, code: jax.Array, image: jax.Array) -> Cost:
    _, decode = _decoder(len(params["mean"]))
    above, below = (
        jax.scipy.stats.norm.cdf((code + half - params["mean"]) * jnp.exp(-params["log_scale"]))
        for half in (0.5, -0.5)
    )
    # No code is impossible: gradients stay finite far in the tails.
    rate = -jnp.log2(jnp.maximum(above - below, 1e-9)).sum()
    decoded = jax.nn.sigmoid(decode(params["decoder"], code))
    return Cost(rate, jnp.sum((decoded - image) ** 2))


@functools.lru_cache(maxsize=4)
def _trained(latents: int, weight: float) -> Params:
    """Return a compressor that was trained with uniform noise in place of rounding."""
    import optax

    pixels = data_sets.pixels("MNIST", "train", "real")
    encoder, encode = _encoder(latents)
    decoder, _ = _decoder(latents)
    optimiser = Adam().make(_RATE)

    def loss(params: Params, key: jax.Array, images: jax.Array) -> jax.Array:
        code = encode(params["encoder"], images)
        noise = jax.random.uniform(key, code.shape, minval=-0.5, maxval=0.5)
        cost = jax.vmap(functools.partial(_cost, params))(code + noise, images)
        return (cost.rate + weight * cost.distortion).mean()

    def step(state: Any, keys: jax.Array) -> tuple[Any, None]:
        params, moments = state
        rows = jax.random.randint(keys[0], (_BATCH,), 0, len(images))
        slope = jax.grad(loss)(params, keys[1], images[rows].astype(jnp.float32) / 255)
        update, moments = optimiser.update(slope, moments, params)
        return (optax.apply_updates(params, update), moments), None

    with jax.ensure_compile_time_eval():  # it may be needed first while another function is traced
        images = jnp.asarray(pixels)
        first, second, rest = jax.random.split(jax.random.key(0), 3)
        params = {"encoder": encoder(first), "decoder": decoder(second)}
        params |= {name: jnp.zeros(latents) for name in ("mean", "log_scale")}
        keys = jax.random.split(rest, (_STEPS, 2))
        start = params, optimiser.init(params)
        (params, _), _ = jax.jit(functools.partial(jax.lax.scan, step))(start, keys)
        return jax.tree.map(np.asarray, params)
