"""What one gradient takes: gradients one after another on one device, nothing shared by them."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Estimator
from experiments.device import PRECISION
from experiments.moments import Gradient, sample_key

_ROUNDS = 9
_SECONDS = 0.01
_MOST = 10_000


class Timer:
    """Times gradients, compiled once for each structure of estimator."""

    def __init__(self, gradient: Gradient, device: Any = None):
        """Prepare to time; nothing is computed yet.

        Args:
            gradient: `gradient(estimator, context, key)` returns one gradient, a pytree.
            device: the device, JAX's first unless given.
        """
        self._gradient = gradient
        self._device = device
        self._run = jax.jit(self._several)

    def __call__(
        self, estimator: Estimator, context: Any, like: Any, key: jax.Array, count: int
    ) -> float:
        """Return the seconds that each of several gradients took; the first call compiles.

        Args:
            estimator: the first argument of `gradient`.
            context: the second.
            like: a pytree like a gradient.
            key: a typed random key, consumed.
            count: the number of gradients.
        """
        operands, number = jax.device_put((estimator, context), self._device), np.int32(count)
        start = time.perf_counter()
        with jax.default_matmul_precision(PRECISION):
            jax.block_until_ready(self._run(operands, like, key, number))
        return (time.perf_counter() - start) / count

    def rounds(self, estimator: Estimator, context: Any, like: Any) -> np.ndarray:
        """Return the seconds of a gradient in each of several rounds, of about 10 ms each."""
        key = jax.random.key(0)
        self(estimator, context, like, key, 1)
        once = self(estimator, context, like, key, 1)
        count = min(max(round(_SECONDS / once), 1), _MOST)
        return np.array([self(estimator, context, like, key, count) for _ in range(_ROUNDS)])

    def _several(self, operands, like, key, count):
        """Return the sum of `count` gradients at `operands`, an estimator and a context."""

        def one(number, state):
            (estimator, context), total = state
            slope = self._gradient(estimator, context, sample_key(key, number))
            # To the compiler the next gradient is at an estimator and parameters that depend on
            # this one, else it takes what does not depend on the noise out of the loop.
            total = jax.tree.map(jnp.add, total, slope)
            return jax.lax.optimization_barrier(((estimator, context), total))

        zero = jax.tree.map(jnp.zeros_like, like)
        return jax.lax.fori_loop(0, count, one, (operands, zero))[1]
