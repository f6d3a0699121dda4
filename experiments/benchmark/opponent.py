"""PyTorch's process, seen from this side: start it, wait until it has compiled, ask for rounds."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from experiments.system.errors import UsageError

MISSING = "PyTorch is not installed (the [torch] extra installs it): nothing to compare with"


class Lost(UsageError):
    """PyTorch's process ended; the message is its last line."""


def is_installed() -> bool:
    """Return whether PyTorch can be imported, without importing it."""
    return importlib.util.find_spec("torch") is not None


class Opponent:
    """PyTorch's process."""

    def __init__(self, process: subprocess.Popen, errors: Any):
        """Speak to a process; `start` makes one."""
        self._process = process
        self._errors = errors
        self._tasks: dict[tuple[str, str, str], int] = {}

    def wait(self, report: Callable[[str], None]) -> dict[str, Any]:
        """Return what it is, once it has compiled: version, threads, device, what failed.

        Args:
            report: is told what it prepares.

        Raises:
            Lost: where it ended instead.
        """
        while "tasks" not in (answer := self._read()):
            report(f"preparing PyTorch: {answer['preparing']}")
        self._tasks = {tuple(task): number for number, task in enumerate(answer.pop("tasks"))}
        return answer

    def variants(self, kind: str, estimator: str) -> list[str]:
        """Return the ways in which it does a kind of work with an estimator; none without one."""
        return [v for k, name, v in self._tasks if (k, name) == (kind, estimator)]

    def round(self, kind: str, estimator: str, variant: str) -> dict[str, float]:
        """Return the `value` of one round, with the moments it measured.

        Raises:
            Lost: where it ended instead.
        """
        self._write(str(self._tasks[kind, estimator, variant]))
        return self._read()

    def _write(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # reading says why
            print(line, file=self._process.stdin, flush=True)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        last = (
            self._errors.read().strip() or f"exit status {self._process.returncode}"
        ).splitlines()
        raise Lost(f"PyTorch's process ended: {last[-1][:200]}")


@contextlib.contextmanager
def start(
    estimators: Sequence[str], arrays: Sequence[np.ndarray], **options: Any
) -> Iterator[Opponent]:
    """Start PyTorch's process; it prepares while this one goes on.

    Args:
        estimators: identities.
        arrays: the VAE's parameters (encoder weight and bias, decoder weight and bias, prior) and
            a minibatch.
        **options: `toy`, `threads`, `device` and `quick`, as `torch_opponent` wants them.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        path = os.path.join(folder, "parameters.npz")
        np.savez(path, *arrays)
        request = {"estimators": list(estimators), "parameters": path, **options}
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.benchmark.torch_opponent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # It finds the project wherever this process found it.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        opponent = Opponent(process, errors)
        try:
            opponent._write(json.dumps(request))
            yield opponent
        finally:
            process.kill()
            process.communicate()
