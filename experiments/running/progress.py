"""Progress on the error stream: a bar on a terminal, sparse lines in a log."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tqdm import tqdm

from experiments.measurement.rows import Row
from experiments.system import hosts, signals
from experiments.system.text import printable

SECONDS_BETWEEN_NOTES = 30.0
"""Interval at which a log shows the status of a task."""

_LONGEST_NAME = 58
_LEAST_BAR = 10
_NARROWEST, _WIDEST = 40, 200
_LEAST_DONE = 0.05
"""Fraction of a run, or one part if that is less, after which the time left is estimated."""

_ESTIMATED = 0.1
"""Fraction of a run after which a log says how long it takes: its first parts may be slow."""


class Lines(NamedTuple):
    """Lines that show finished tasks, in at most a number of columns if that is not None.

    Attributes:
        title: returns the line above those of the first rows, "" for none.
        of: returns the lines of a task's rows.
    """

    title: Callable[[Sequence[Row], int | None], str] = lambda rows, width: ""
    of: Callable[[Sequence[Row], int | None], list[str]] = lambda rows, width: []


class Progress:
    """Progress over tasks, which may each report the fraction done, and lines on finished ones.

    On a terminal, a bar below the lines shows the task, the elapsed time, and the time that is left
    by the pace so far. Elsewhere, as in a log, each task has one line, printed when it finishes,
    and its status at intervals; one line says how long a long run will take, once that is known.

    In its context, a signal that asks the run to end raises `Interrupted` at the next report.
    """

    def __init__(self, num_tasks: int, *, silent: bool = False, lines: Lines | None = None):
        """Start before the first task.

        Args:
            num_tasks: the number of tasks.
            silent: whether to show nothing, but check for signals.
            lines: the lines that show finished tasks; none by default.
        """
        self._is_terminal = sys.stderr.isatty() and not silent
        self._is_log = not (self._is_terminal or silent)
        self._bar = tqdm(
            total=num_tasks, bar_format="{desc}", leave=False, disable=not self._is_terminal
        )
        self._lines = lines or Lines()
        self._is_titled = False
        self._num_tasks = num_tasks
        self._num_started = 0
        self._num_skipped = 0
        self._done = 0.0
        self._task = ""
        self._pending = ""  # the line of a task that a log does not show yet
        self._is_estimated = not self._is_log  # whether a log says how long the run takes
        self._begun: float | None = None
        self._advanced = self._noted = time.monotonic()
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
        self._describe(message)
        if self._is_log:
            self._print(message)

    def announce(self, message: str) -> None:
        """Show a message that stays on a terminal too."""
        if self._is_terminal or self._is_log:
            self._bar.clear()
            self._print(message)
            self._bar.refresh()

    def note(self, message: str) -> None:
        """Show the status of the task; in a log, at intervals."""
        hosts.check_signals()
        self._describe(": ".join(filter(None, (self._task, message))))
        if self._is_log and self._is_due():
            self._show_pending()
            self._print(f"  {message}{self._left(', ')}")
            self._noted = time.monotonic()

    def finished(self, rows: Sequence[Row]) -> None:
        """Show the rows of the current task, which has finished."""
        width = _width() if self._is_terminal else None
        if not (self._is_terminal or self._is_log) or not (lines := self._lines.of(rows, width)):
            return
        self._bar.clear()
        place = self._place() if self._is_log else ""
        if not self._is_titled and (title := self._lines.title(rows, width)):
            self._print(" " * len(place) + title)
        self._is_titled = True
        if self._pending and len(lines) == 1:
            self._print(place + lines[0])
            self._pending = ""
        else:
            self._show_pending()
            for line in lines:
                self._print(" " * len(place) + line)
        self._bar.refresh()

    def skip(self, name: str) -> None:
        """Count a task that was done in an earlier run."""
        self._num_skipped += 1
        with self._task_of(f"{name} (done before)"):
            pass

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[Callable[[float], None]]:
        """Show a task; yield a function that takes the fraction done."""
        if self._begun is None:
            self._begun = self._advanced = time.monotonic()
        with self._task_of(name) as advance:
            yield advance

    @contextlib.contextmanager
    def _task_of(self, name: str) -> Iterator[Callable[[float], None]]:
        hosts.check_signals()
        self._num_started += 1
        self._task = name
        self._pending = f"{self._place()}{name}" if self._is_log else ""
        self._describe(name)
        start, self._noted = self._done, time.monotonic()

        def advance(fraction: float) -> None:
            self._done = start + fraction
            self._advanced = time.monotonic()
            self._describe(name, at_once=False)
            self._bar.update(self._done - self._bar.n)
            if self._is_log and self._is_due():
                self._show_pending()
            hosts.check_signals()

        try:
            yield advance
        finally:
            self._show_pending()
        advance(1.0)
        self._estimate()

    def _describe(self, message: str, *, at_once: bool = True) -> None:
        """Show a message beside the bar, as far as the terminal's width allows."""
        if not self._is_terminal:
            return
        width = _width()
        numbers = f" {self._done:.1f}/{self._num_tasks} {{elapsed}}{self._left(', ')}"
        room = width - len(numbers) - _LEAST_BAR
        room = max(min(room, _LONGEST_NAME), 1)
        self._bar.ncols = width
        self._bar.bar_format = f"{{desc:<{room}.{room}}}|{{bar}}|{numbers}"
        self._bar.set_description_str(printable(message), refresh=at_once)

    def _estimate(self) -> None:
        """Say in a log how long the run will take, once, if that is known and long."""
        done, total = self._done - self._num_skipped, self._num_tasks - self._num_skipped
        if self._is_estimated or done < _ESTIMATED * total:
            return
        self._is_estimated = True
        seconds = self._seconds_left()
        if seconds is not None and seconds >= SECONDS_BETWEEN_NOTES:
            self._print(f"about {tqdm.format_interval(seconds)} left")

    def _left(self, before: str) -> str:
        """Return the time that is left by the pace so far, "" as long as that is unknown."""
        seconds = self._seconds_left()
        return "" if seconds is None else f"{before}{tqdm.format_interval(seconds)} left"

    def _seconds_left(self) -> float | None:
        done = self._done - self._num_skipped
        total = self._num_tasks - self._num_skipped
        if self._begun is None or done < min(1, _LEAST_DONE * total) or done >= total:
            return None
        ends = self._advanced + (self._advanced - self._begun) / done * (total - done)
        return max(ends - time.monotonic(), 0)

    def _is_due(self) -> bool:
        return time.monotonic() - self._noted >= SECONDS_BETWEEN_NOTES

    def _show_pending(self) -> None:
        if self._pending:
            self._print(self._pending)
        self._pending = ""

    def _place(self) -> str:
        """Return `[ 3/17] ` of the current task."""
        return f"[{self._num_started:>{len(str(self._num_tasks))}}/{self._num_tasks}] "

    def _print(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)


def _width() -> int:
    """Return the width of the terminal that the error stream is."""
    width = shutil.get_terminal_size().columns
    if not os.environ.get("COLUMNS"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            width = os.get_terminal_size(sys.stderr.fileno()).columns
    return min(max(width, _NARROWEST), _WIDEST)
