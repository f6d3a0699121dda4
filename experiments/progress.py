"""Progress on the terminal's error stream, so that tables can be piped."""

import contextlib
from collections.abc import Callable, Iterator

from tqdm import tqdm


class Progress:
    """A bar over tasks; each task may report the fraction of it that is done."""

    def __init__(self, num_tasks: int):
        """Start a bar over `num_tasks` tasks."""
        layout = "{desc:<58.58}|{bar}| {n:.1f}/{total_fmt} {elapsed}"
        self._bar = tqdm(total=num_tasks, bar_format=layout, leave=False)

    def say(self, message: str) -> None:
        """Show what is going on before the next task."""
        self._bar.set_description_str(message)

    def skip(self, name: str) -> None:
        """Count a task as done before."""
        self._bar.set_description_str(name)
        self._bar.update(1)

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[Callable[[float], None]]:
        """Show a task; yields a function that takes the fraction of it that is done."""
        self._bar.set_description_str(name)
        start = self._bar.n

        def advance(fraction: float) -> None:
            self._bar.update(start + fraction - self._bar.n)

        yield advance
        advance(1.0)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
