"""The client of PyTorch's process: starts it, waits for compilation, requests rounds."""

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

MISSING = "PyTorch is not installed (the [torch] extra installs it); it is not timed"


class TorchEnded(UsageError):
    """PyTorch's process ended early; the message is its last line."""


def is_installed() -> bool:
    """Return whether PyTorch can be imported, without importing it."""
    return importlib.util.find_spec("torch") is not None


class TorchProcess:
    """The process that runs the same work in PyTorch."""

    def __init__(self, process: subprocess.Popen, errors: Any):
        """Wrap a running process; `start` starts one."""
        self._process = process
        self._errors = errors
        self._tasks: dict[tuple[str, str, str], int] = {}

    def wait(self, report: Callable[[str], None]) -> dict[str, Any]:
        """Wait until it has compiled; return its version, threads, device and failures.

        Args:
            report: called with progress messages.

        Raises:
            TorchEnded: if the process ends first.
        """
        while "tasks" not in (answer := self._read()):
            report(f"preparing PyTorch: {answer['preparing']}")
        self._tasks = {tuple(task): number for number, task in enumerate(answer.pop("tasks"))}
        return answer

    def variants(self, kind: str, estimator: str) -> list[str]:
        """Return the variants of a kind of work for an estimator; empty if there are none."""
        return [v for k, name, v in self._tasks if (k, name) == (kind, estimator)]

    def round(self, kind: str, estimator: str, variant: str) -> dict[str, float]:
        """Return the `value` of one round, with the moments it measured.

        Raises:
            TorchEnded: if the process ends first.
        """
        self._write(str(self._tasks[kind, estimator, variant]))
        return self._read()

    def _write(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # `_read` raises with the reason
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
        raise TorchEnded(f"PyTorch's process ended: {last[-1][:200]}")


@contextlib.contextmanager
def start(
    estimators: Sequence[str], arrays: Sequence[np.ndarray], **options: Any
) -> Iterator[TorchProcess]:
    """Start PyTorch's process, which compiles while this one continues.

    Args:
        estimators: identities.
        arrays: the VAE's parameters (encoder weight and bias, decoder weight and bias, prior) and
            a minibatch.
        **options: `toy`, `threads`, `device` and `quick`, for the request to `torch_server`.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        path = os.path.join(folder, "parameters.npz")
        np.savez(path, *arrays)
        request = {"estimators": list(estimators), "parameters": path, **options}
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.benchmark.torch_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # The child imports the project from the same place as this process.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        torch = TorchProcess(process, errors)
        try:
            torch._write(json.dumps(request))
            yield torch
        finally:
            process.kill()
            process.communicate()
