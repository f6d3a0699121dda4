"""The networks of the semi-supervised model, each of a tuple of inputs; flax nnx modules."""

import functools
import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.problems.flax_networks import FeedForward, pure
from experiments.problems.images import PIXELS
from experiments.problems.stochastic_network import Network, square

# Convolutional networks: channels and side lengths of the layers, and kernel size.
_CHANNELS = 1, 16, 32, 64
_SIDES = 28, 14, 7, 4
_KERNEL = 3


class _Dense(nnx.Module):
    """Dense layers on several inputs, concatenated."""

    def __init__(self, sizes: tuple[int, ...], *, rngs: nnx.Rngs):
        self.layers = FeedForward(sizes, jax.nn.relu, rngs=rngs)

    def __call__(self, inputs: tuple[jax.Array, ...]) -> jax.Array:
        return self.layers(jnp.concatenate(inputs, -1))


class _Recognition(nnx.Module):
    """Convolutions of an image `[..., 784]`, and a linear map to `[..., outputs]`.

    With classes, the second input y `[classes]` acts as a bias of the last convolution, so the
    convolutions are computed once for all y.
    """

    def __init__(self, classes: int, outputs: int, *, rngs: nnx.Rngs):
        pairs = zip(_CHANNELS[:-1], _CHANNELS[1:], strict=True)
        self.kernels = nnx.List([nnx.Linear(_KERNEL**2 * a, b, rngs=rngs) for a, b in pairs])
        if classes:
            self.of_class = nnx.Linear(classes, _CHANNELS[-1], use_bias=False, rngs=rngs)
        self.last = nnx.Linear(_SIDES[-1] ** 2 * _CHANNELS[-1], outputs, rngs=rngs)

    def __call__(self, inputs: tuple[jax.Array, ...]) -> jax.Array:
        image, *classes = inputs
        x = square(image)[..., None]
        *first, last = self.kernels
        for kernel in first:
            x = jax.nn.relu(kernel(_patches(x)))
        x = last(_patches(x))
        for y in classes:
            x += jnp.broadcast_to(self.of_class(y), x.shape)
        return self.last(jax.nn.relu(x).reshape(*x.shape[:-3], -1))


class _Generation(nnx.Module):
    """Four transposed convolutions of y and z, from one pixel to `[..., 784]`: 1, 4, 7, 14, 28."""

    def __init__(self, inputs: int, *, rngs: nnx.Rngs):
        # On a single pixel, a transposed convolution is a linear map.
        self.first = nnx.Linear(inputs, _SIDES[-1] ** 2 * _CHANNELS[-1], rngs=rngs)
        pairs = zip(_CHANNELS[:0:-1], _CHANNELS[-2::-1], strict=True)
        self.kernels = nnx.List(
            [nnx.Linear(a, _KERNEL**2 * b, use_bias=False, rngs=rngs) for a, b in pairs]
        )
        self.biases = nnx.List([nnx.Param(jnp.zeros(b)) for b in _CHANNELS[-2::-1]])

    def __call__(self, inputs: tuple[jax.Array, ...]) -> jax.Array:
        x = self.first(jnp.concatenate(inputs, -1))
        x = x.reshape(*x.shape[:-1], _SIDES[-1], _SIDES[-1], _CHANNELS[-1])
        for kernel, bias, side in zip(self.kernels, self.biases, _SIDES[-2::-1], strict=True):
            x = _overlapped(kernel(jax.nn.relu(x)), side)
            x += jnp.broadcast_to(bias[...], x.shape)
        return x.reshape(*x.shape[:-3], PIXELS)


def _patches(images: jax.Array) -> jax.Array:
    """Return the 3 x 3 patches at stride 2 of images `[..., side, side, C]`: the last axis is 9 C.

    A convolution is their product with a matrix. XLA's convolution takes 7 times as long in a scan
    on a CPU, and when vmapped over runs it becomes a slow grouped convolution.
    """
    *batch, side, _, _ = images.shape
    count = -(-side // 2)
    span = 2 * count - 1  # from the first patch's position to the last's, inclusive
    border = span + _KERNEL - 1 - side
    widths = border // 2, border - border // 2
    padded = jnp.pad(images, [(0, 0)] * len(batch) + [widths, widths, (0, 0)])
    offsets = itertools.product(range(_KERNEL), repeat=2)
    parts = [padded[..., i : i + span : 2, j : j + span : 2, :] for i, j in offsets]
    return jnp.concatenate(parts, -1)


def _overlapped(patches: jax.Array, side: int) -> jax.Array:
    """Return images `[..., side, side, C]` as sums of their patches: the transposed map."""
    *batch, _, _, channels = patches.shape
    shape = *batch, side, side, channels // _KERNEL**2
    images = jax.ShapeDtypeStruct(shape, patches.dtype)
    return jax.linear_transpose(_patches, images)(patches)[0]


@functools.cache
def networks(kind: str, hidden: tuple[int, ...], classes: int, size: int) -> dict[str, Network]:
    """Return the networks of q(y|x), q(z|x,y) and p(x|y,z), each of a tuple of inputs."""
    if kind == "dense":
        shapes = {
            "classifier": (PIXELS, *hidden, classes),
            "encoder": (PIXELS + classes, *hidden, 2 * size),
            "decoder": (classes + size, *reversed(hidden), PIXELS),
        }
        return {name: pure(functools.partial(_Dense, sizes)) for name, sizes in shapes.items()}
    return {
        "classifier": pure(functools.partial(_Recognition, 0, classes)),
        "encoder": pure(functools.partial(_Recognition, classes, 2 * size)),
        "decoder": pure(functools.partial(_Generation, classes + size)),
    }
