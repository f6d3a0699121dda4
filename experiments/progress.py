"""Progress on the error stream, so that tables can be piped: a bar, or lines in a log."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from tqdm import tqdm

_LAYOUT = "{desc:<58.58}|{bar}| {n:.1f}/{total_fmt} {elapsed}"


class Progress:
    """Progress over tasks; each task may report the fraction of it that is done."""

    def __init__(self, num_tasks: int):
        """Start at no task of `num_tasks`."""
        self._is_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=num_tasks, bar_format=_LAYOUT, leave=False, disable=not self._is_terminal
        )
        self._num_tasks = num_tasks
        self._num_started = 0

    def say(self, message: str) -> None:
        """Show what is going on before the next task."""
        self._bar.set_description_str(message)
        if not self._is_terminal:
            print(message, file=sys.stderr, flush=True)

    def skip(self, name: str) -> None:
        """Count a task that was done before."""
        with self.task(f"{name} (done before)"):
            pass

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[Callable[[float], None]]:
        """Show a task; yields a function that takes the fraction of it that is done."""
        self._num_started += 1
        self.say(name if self._is_terminal else f"[{self._num_started}/{self._num_tasks}] {name}")
        start = self._bar.n

        def advance(fraction: float) -> None:
            self._bar.update(start + fraction - self._bar.n)

        yield advance
        advance(1.0)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
