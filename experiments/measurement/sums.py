"""Sums of the deviations of gradient samples: computed on the devices, gathered on the host."""

import dataclasses
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments.statistics.blocks import NUM_BLOCKS, Blocks

# The centre moves to the mean where their squared distance exceeds this share of the variance.
_OFF_CENTRE = 0.05
# Deviations whose binary exponent is larger in magnitude are scaled before they are squared.
_EXPONENT = 24


@dataclasses.dataclass(frozen=True, eq=False)
class About:
    """What the sums of a view are about.

    Attributes:
        centre: what is subtracted from every sample, a pytree; None for zero.
        scale: deviations are multiplied by it before they are squared; of a stack, `[members]`.
        truth: the true gradient near one, for cosines; None without one.
    """

    centre: Any
    scale: np.ndarray
    truth: Any

    @classmethod
    def first(cls, truth: Any | None, members: int, stacked: bool) -> "About":
        """Return what is known before any sample; `truth` is a view's true gradient, or None."""
        scale = np.ones(members if stacked else ())
        if truth is None:
            return cls(None, scale, None)
        centre = jax.tree.map(lambda leaf: jnp.stack([leaf] * members), truth) if stacked else truth
        return cls(centre, scale, _near_one(truth))

    def better(self, probe: "Gathered", size: int, stacked: bool) -> "About":
        """Return it with a centre and a scale that suit the first blocks, or itself."""
        offset, scale = probe.off_centre(slice(4), size), probe.scale(slice(4), size)
        scale = scale.reshape(self.scale.shape)
        if offset is None and (scale == self.scale).all():
            return self
        if offset is None:
            return dataclasses.replace(self, scale=scale)
        # With a distant centre, rounding hides a small variance and its tail.
        moved = jax.tree.map(jnp.add, self.centre, _unflat(offset, self.centre, stacked))
        return dataclasses.replace(self, centre=moved, scale=scale)

    def vectors(self, shape: Any, members: int) -> np.ndarray:
        """Return the centre of each member, `[members, P]`."""
        if self.centre is None:
            return np.zeros((members, _num_coordinates(shape)))
        leaves = jax.tree.leaves(self.centre)
        return np.concatenate(
            [np.asarray(leaf, np.float64).reshape(members, -1) for leaf in leaves], -1
        )


def block_sums(gradient, views, operands, numbers, chunk):
    """Return the sums of the blocks of these numbers, each of several steps of `chunk` samples.

    For each view: sums of deviations from a centre, and their squares and powers, scaled.
    """
    estimator, centres, context, truths, key, steps = operands

    def one(index):
        parts = views(gradient(estimator, context, sample_key(key, index)))
        return [
            _terms(part, centre, truth, scale)
            for part, (centre, scale), truth in zip(parts, centres, truths, strict=True)
        ]

    def several(first):
        if chunk == 1:
            drawn = jax.tree.map(lambda x: x[None], one(first))
        else:
            drawn = jax.vmap(one)(first + jnp.arange(chunk, dtype=first.dtype))
        return [
            (jax.tree.map(lambda x: x.sum(0), terms), _powers(distances))
            for *terms, distances in drawn
        ]

    def zero(centre, truth):
        # Known without tracing the gradient again.
        terms = [centre, centre, _norm(truth)], (_norm(centre),) * 3
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), terms)

    def block(number):
        def step(i, carry):
            found = several((number * steps + i) * chunk)
            return [
                (jax.tree.map(jnp.add, sums, terms), _merged(powers, more))
                for (sums, powers), (terms, more) in zip(carry, found, strict=True)
            ]

        if truths[0] is None:
            shapes = jax.eval_shape(several, number)
            start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        else:
            start = [zero(one, truth) for (one, _), truth in zip(centres, truths, strict=True)]
        return jax.lax.fori_loop(jnp.zeros_like(steps), steps, step, start)

    return jax.lax.map(block, numbers)


def sample_key(key: jax.Array, index: jax.Array) -> jax.Array:
    """Return the key of one sample: a counter added to the hash of the measurement's key.

    Threefry's keys need only differ (Salmon et al. 2011). Hashing per sample would take half the
    time of a toy measurement.
    """
    hashed = jax.random.fold_in(key, 0)
    words = jax.random.key_data(hashed).at[-1].add(index.astype("uint32"))
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))


def _terms(gradient, centre, truth, scale):
    """Return the terms of one gradient: deviation, squares, cosine and squared distance."""
    import optax

    if truth is None:
        return gradient, jax.tree.map(jnp.square, gradient), None, None
    scaled = _times(gradient, scale)
    lengths = _norm(scaled) * _norm(truth)
    cosine = optax.tree.vdot(scaled, truth) / jnp.where(lengths > 0, lengths, 1)
    deviation = jax.tree.map(jnp.subtract, gradient, centre)
    squares = jax.tree.map(jnp.square, _times(deviation, scale))
    return deviation, squares, cosine, optax.tree.sum(squares)


def _powers(distances):
    """Return the largest distance, and sums of squares and cubes of all distances divided by it."""
    if distances is None:
        return None
    largest = distances.max()
    # Divided by the largest, so that no power leaves float32's range.
    shares = distances / jnp.where(largest > 0, largest, 1)
    return largest, jnp.sum(shares**2), jnp.sum(shares**3)


def _merged(first, second):
    """Merge the powers of two groups of samples."""
    if first is None:
        return None
    largest = jnp.maximum(first[0], second[0])
    over = jnp.where(largest > 0, largest, 1)
    shares = first[0] / over, second[0] / over
    return largest, *(
        a * shares[0] ** power + b * shares[1] ** power
        for power, a, b in zip((2, 3), first[1:], second[1:], strict=True)
    )


@dataclasses.dataclass(frozen=True)
class Gathered:
    """The arrays of `Blocks`, each with a leading axis of the members of a stack."""

    sums: np.ndarray
    squares: np.ndarray
    distances: np.ndarray
    cosines: np.ndarray
    powers: np.ndarray

    @classmethod
    def empty(cls, shape: Any, members: int) -> "Gathered":
        """Return the sums of no block; `shape` is one gradient, or its shapes and types."""
        size = members, NUM_BLOCKS, _num_coordinates(shape)
        # Most of the memory of a measurement: kept in the type used on the devices.
        sums = np.empty(size, np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(shape))))
        rows = size[:2]
        nothing = np.full(rows, np.nan), np.full((*rows, 3), np.nan)
        return cls(sums, np.zeros((members, size[2])), np.zeros(rows), *nothing)

    def place(self, rows: slice, terms, powers, *, scale: Any = 1.0) -> None:
        """Store blocks whose squares are of scaled deviations; one scale, or `[members]`."""
        sums, squares, cosines = terms
        area = np.reshape(scale, (-1, 1)) ** 2.0
        start, part = 0, self.distances[:, rows]
        leaves = jax.tree.leaves(sums), jax.tree.leaves(squares)
        for pair in zip(*leaves, strict=True):
            total, square = (np.asarray(leaf).reshape(*part.shape, -1) for leaf in pair)
            columns = slice(start, start := start + total.shape[-1])
            self.sums[:, rows, columns] = total
            self.squares[:, columns] += square.sum(1, dtype=np.float64) / area
            part += square.sum(2, dtype=np.float64) / area
        if cosines is not None:
            self.cosines[:, rows] = cosines
            self.powers[:, rows] = np.stack(powers, -1)
            self.powers[:, rows, 0] /= area

    def off_centre(self, rows: slice, size: int) -> np.ndarray | None:
        """Return the offsets of these blocks if one is far from its member's centre, else None."""
        count = size * self.sums[:, rows].shape[1]
        offset = self.sums[:, rows].sum(1, dtype=np.float64) / count
        apart = np.sum(offset**2, -1)
        spread = self.distances[:, rows].sum(1) / count - apart
        if not np.isfinite(apart).all() or (apart <= _OFF_CENTRE * spread).all():
            return None
        return offset

    def scale(self, rows: slice, size: int) -> np.ndarray:
        """Return the powers of two, `[members]`, that keep squares within the type's range."""
        means = np.abs(self.sums[:, rows]).max((1, 2)).astype(np.float64) / size
        return _scale(means, self.sums.dtype)

    def blocks(self, centres, size) -> list[Blocks]:
        """Return the `Blocks` of each member, given their centres and the size of a block."""
        parts = self.sums, self.squares, self.distances, self.cosines, self.powers
        members = zip(centres, *parts, strict=True)
        return [Blocks(*member, size=size) for member in members]


def flat(tree: Any) -> np.ndarray:
    """Return a pytree of arrays as one float64 vector."""
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def _unflat(vectors: np.ndarray, like: Any, stacked: bool) -> Any:
    """Return vectors `[members, P]` with the structure of a pytree, stacked or single."""
    vector, unravel = ravel_pytree(jax.tree.map(operator.itemgetter(0), like) if stacked else like)
    rows = jnp.asarray(vectors, vector.dtype)
    return jax.vmap(unravel)(rows) if stacked else unravel(rows[0])


def _near_one(tree: Any) -> Any:
    """Return a vector scaled by a power of two if its square could leave the type's range."""
    dtype = jnp.result_type(*jax.tree.leaves(tree))
    return _times(tree, _scale(np.abs(flat(tree)).max(initial=0), dtype))


def _scale(lengths: Any, dtype: Any) -> np.ndarray:
    """Return the powers of two that bring lengths near one; 1 if their squares are safe."""
    _, exponents = np.frexp(np.where(np.isfinite(lengths), lengths, 1.0))
    most = min(96, jnp.finfo(dtype).maxexp * 3 // 4)  # the scale itself must stay in range
    safe = np.abs(exponents) <= _EXPONENT
    return np.exp2(-np.where(safe, 0.0, np.clip(exponents, -most, most)))


def _times(tree: Any, scale: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf * jnp.asarray(scale, leaf.dtype), tree)


def _norm(tree):
    import optax

    return jnp.sqrt(optax.tree.vdot(tree, tree))


def _num_coordinates(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))  # optax's needs arrays, not shapes
