"""Progress on the error stream: a bar on a terminal, lines in a log."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm

from experiments.system import hosts, signals
from experiments.system.text import printable

_LAYOUT = "{desc:<58.58}|{bar}| {n:.1f}/{total_fmt} {elapsed}"

SECONDS_BETWEEN_NOTES = 10.0
"""Interval at which a log shows the status of a task."""


class Progress:
    """Progress over tasks, which may each report the fraction done.

    In its context, a signal that asks the run to end raises `Interrupted` at the next report.
    """

    def __init__(self, num_tasks: int, *, silent: bool = False):
        """Start before the first of `num_tasks`; `silent` shows nothing, but checks for signals."""
        self._is_terminal = sys.stderr.isatty() and not silent
        self._is_log = not (self._is_terminal or silent)
        self._bar = tqdm(
            total=num_tasks, bar_format=_LAYOUT, leave=False, disable=not self._is_terminal
        )
        self._num_tasks = num_tasks
        self._num_started = 0
        self._task = ""
        self._noted = time.monotonic()
        self._deferring = signals.deferred()

    def __enter__(self) -> "Progress":
        """Handle signals."""
        self._deferring.__enter__()
        return self

    def __exit__(self, *error) -> None:
        """Restore the handling of signals, and remove the bar."""
        self._deferring.__exit__(*error)
        self._bar.close()

    def say(self, message: str) -> None:
        """Show a message between tasks."""
        hosts.check_signals()
        message = printable(message)
        self._bar.set_description_str(message)
        if self._is_log:
            print(message, file=sys.stderr, flush=True)

    def note(self, message: str) -> None:
        """Show the status of the task; in a log, at intervals."""
        hosts.check_signals()
        message = printable(message)
        self._bar.set_description_str(": ".join(filter(None, (printable(self._task), message))))
        if self._is_log and time.monotonic() - self._noted >= SECONDS_BETWEEN_NOTES:
            print(f"  {message}", file=sys.stderr, flush=True)
            self._noted = time.monotonic()

    def skip(self, name: str) -> None:
        """Count a task that was done in an earlier run."""
        with self.task(f"{name} (done before)"):
            pass

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[Callable[[float], None]]:
        """Show a task; yield a function that takes the fraction done."""
        self._num_started += 1
        self._task = name
        self.say(name if self._is_terminal else f"[{self._num_started}/{self._num_tasks}] {name}")
        start = self._bar.n

        def advance(fraction: float) -> None:
            self._bar.update(start + fraction - self._bar.n)
            hosts.check_signals()

        yield advance
        advance(1.0)
