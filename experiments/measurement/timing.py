"""Time per gradient: sequential, on one device, with no shared computation."""

import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Estimator
from experiments.measurement.moments import Gradient, sample_key
from experiments.system import hosts
from experiments.system.device import PRECISION

_ROUNDS = 9
_SECONDS = 0.005
_MOST = 2**20


class Timer:
    """Times gradients; compiled once per estimator structure."""

    def __init__(self, gradient: Gradient, device: Any = None):
        """Prepare to time; nothing is computed yet.

        Args:
            gradient: `gradient(estimator, context, key)` returns one gradient, a pytree.
            device: the device; by default, JAX's first.
        """
        self._gradient = gradient
        self._device = device
        self.run = jax.jit(self._several)

    def __call__(
        self, estimator: Estimator, context: Any, like: Any, key: jax.Array, count: int
    ) -> float:
        """Return the mean seconds per gradient; the first call compiles.

        Dispatch, the time of a call that draws no gradient, is subtracted.

        Args:
            estimator: the first argument of `gradient`.
            context: the second.
            like: a pytree like a gradient.
            key: a typed random key, consumed.
            count: the number of gradients.
        """
        arguments = jax.device_put((estimator, context), self._device), like, key
        whole, idle = self._call(*arguments, count), self._call(*arguments, 0)
        # An interrupted idle call can take longer than the other.
        return (whole - idle if whole > idle else whole) / count

    def compile(self, estimator: Estimator, context: Any, like: Any) -> None:
        """Compile what is timed with arguments of these shapes and types; may run in a thread."""
        operands = jax.device_put((estimator, context), self._device)
        with jax.default_matmul_precision(PRECISION):
            self.run.lower(operands, like, jax.random.key(0), np.int32(1)).compile()

    def rounds(self, estimator: Estimator, context: Any, like: Any) -> np.ndarray:
        """Return the seconds of a gradient in each of several rounds, of about 5 ms each."""
        arguments = estimator, context, like, jax.random.key(0)
        self(*arguments, 1)
        count = 1
        while (taken := count * self(*arguments, count)) < _SECONDS / 2 and count < _MOST:
            # A short call poorly predicts how many gradients fill a round.
            more = _SECONDS / taken if taken > _SECONDS / 10 else 10
            count = min(math.ceil(count * more), _MOST)
        while True:
            times = np.empty(_ROUNDS)
            for number in range(_ROUNDS):
                hosts.check_signals()
                times[number] = self(*arguments, count)
            shortest = count * float(times.min())
            if shortest >= _SECONDS / 4 or count == _MOST:
                return times
            # Something else ran during the calls above, which took long for their count.
            count = min(math.ceil(count * _SECONDS / shortest), _MOST)

    def _call(self, operands, like, key, count: int) -> float:
        """Return the seconds of one call that draws `count` gradients."""
        number = np.int32(count)
        start = time.perf_counter()
        with jax.default_matmul_precision(PRECISION):
            jax.block_until_ready(self.run(operands, like, key, number))
        return time.perf_counter() - start

    def _several(self, operands, like, key, count):
        """Return the sum of `count` gradients at `operands`, an estimator and a context."""

        def one(number, state):
            (estimator, context), total = state
            slope = self._gradient(estimator, context, sample_key(key, number))
            # The barrier makes the next gradient depend on this one; otherwise the compiler hoists
            # everything that does not depend on the noise out of the loop.
            total = jax.tree.map(jnp.add, total, slope)
            return jax.lax.optimization_barrier(((estimator, context), total))

        zero = jax.tree.map(jnp.zeros_like, like)
        return jax.lax.fori_loop(0, count, one, (operands, zero))[1]
