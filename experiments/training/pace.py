"""Chunks of steps, between which signals are checked and progress is reported."""

import contextlib
import time
from collections.abc import Iterator

from experiments.system import hosts

_SECONDS = 0.5


class Pace:
    """Sizes chunks of steps so that each takes about half a second.

    Attributes:
        size: number of steps of the next chunk.
        most: maximum number of steps of a chunk.
    """

    def __init__(self, most: int, size: int = 1):
        """Start with chunks of `size` steps."""
        self.most = most
        self.size = size

    @contextlib.contextmanager
    def timed(self, num_steps: int) -> Iterator[None]:
        """Time a chunk, and choose the size of the next one accordingly."""
        start = time.monotonic()
        yield
        seconds = max(time.monotonic() - start, 1e-9)
        # At most doubled, since the first chunk's time includes compilation.
        self.size = max(1, min(2 * self.size, int(num_steps * _SECONDS / seconds), self.most))

    def chunks(self, num_steps: int) -> Iterator[tuple[int, int]]:
        """Yield each chunk's first step and the step after its last; check signals between chunks.

        Raises:
            Interrupted: if a signal asked the process to end.
        """
        first = 0
        while first < num_steps:
            last = min(first + self.size, num_steps)
            with self.timed(last - first):
                yield first, last
            hosts.check_signals()
            first = last
