"""The time that the steps of a batch of runs take."""

import math
import time


class Clock:
    """Seconds and steps of training, of all processes.

    The steps of the call that compiles count with the mean time of those before them, or, of the
    first process, of those that follow.

    Attributes:
        seconds: those of the steps that count so far.
        steps: the number of these steps.
    """

    def __init__(self, seconds: float = 0.0, steps: int = 0, untimed: int = 0):
        """Continue from the seconds and steps of a checkpoint, and its steps that did not count."""
        self.seconds, self.steps = seconds, steps
        self._untimed = untimed
        self._has_compiled = False
        self._start = 0.0

    def start(self) -> None:
        """Begin a call."""
        self._start = time.perf_counter()

    def stop(self, num_steps: int) -> None:
        """End a call of some steps."""
        if self._has_compiled:
            self.seconds += time.perf_counter() - self._start
            self.steps += num_steps
        else:
            self._untimed += num_steps
            self._has_compiled = True
        if self.steps:
            self.seconds += self._untimed * self.seconds / self.steps
            self.steps += self._untimed
            self._untimed = 0

    @property
    def elapsed(self) -> float:
        """Seconds of all steps so far; NaN if none of them was timed."""
        return math.nan if self._untimed else self.seconds

    @property
    def speed(self) -> float:
        """Steps per second, a step of the whole batch counting as one."""
        return self.steps / self.seconds if self.seconds else math.nan
