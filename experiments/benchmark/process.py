"""The client of another process: starts it, waits for its preparation, requests rounds."""

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from experiments.system.errors import UsageError


class Ended(UsageError):
    """The process ended early, or was ended; the message says why."""


class Process:
    """A process that runs the same work with other libraries.

    It reads a request in JSON on the first line of stdin. It answers in JSON on stdout: `preparing`
    while it prepares, then one line with the available `tasks`. Each task number on stdin is
    answered by one round of that task, until stdin ends.
    """

    def __init__(self, process: subprocess.Popen, errors: Any, name: str, patience: float | None):
        """Wrap a running process; `start` starts one."""
        self._process = process
        self._errors = errors
        self._name = name
        self._patience = patience
        self._is_late = False
        self._tasks: dict[tuple[str, str, str], int] = {}

    @property
    def tasks(self) -> list[tuple[str, str, str]]:
        """The tasks, after `wait`: kind of work, estimator and variant."""
        return list(self._tasks)

    def wait(self, report: Callable[[str], None]) -> dict[str, Any]:
        """Wait until it has prepared; return what it says of itself, and its failures.

        Args:
            report: called with progress messages.

        Raises:
            Ended: if the process ends first.
        """
        while "tasks" not in (answer := self._read()):
            report(f"preparing {self._name}: {answer['preparing']}")
        self._tasks = {tuple(task): number for number, task in enumerate(answer.pop("tasks"))}
        return answer

    def variants(self, kind: str, estimator: str) -> list[str]:
        """Return the variants of a kind of work for an estimator; empty if there are none."""
        return [v for k, name, v in self._tasks if (k, name) == (kind, estimator)]

    def round(self, kind: str, estimator: str, variant: str) -> dict[str, Any]:
        """Return the `value` of one round, with what it measured besides.

        Raises:
            Ended: if the process ends first.
        """
        self._write(str(self._tasks[kind, estimator, variant]))
        return self._read()

    def _write(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # `_read` raises with the reason
            print(line, file=self._process.stdin, flush=True)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        with self._ended_if_late():
            line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        if self._is_late:
            raise Ended(f"{self._name} did not answer within {self._patience:g} s")
        self._errors.seek(0)
        last = (
            self._errors.read().strip() or f"exit status {self._process.returncode}"
        ).splitlines()
        raise Ended(f"{self._name}'s process ended: {last[-1][:200]}")

    @contextlib.contextmanager
    def _ended_if_late(self) -> Iterator[None]:
        if self._patience is None:
            yield
            return

        def end() -> None:
            self._is_late = True
            self._process.kill()

        timer = threading.Timer(self._patience, end)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@contextlib.contextmanager
def start(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    request: Mapping[str, Any],
    patience: float | None = None,
) -> Iterator[Process]:
    """Start a process, which prepares while this one continues; end it afterwards.

    Args:
        name: its name in messages.
        command: what starts it.
        environment: its environment variables.
        request: its first line.
        patience: seconds to wait for an answer; None for any.
    """
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
        other = Process(process, errors, name, patience)
        try:
            other._write(json.dumps(request))
            yield other
        finally:
            process.kill()
            process.communicate()
