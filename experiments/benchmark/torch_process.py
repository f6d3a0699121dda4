"""PyTorch's process."""

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from experiments.benchmark import process
from experiments.benchmark.process import Process

MISSING = "PyTorch is not installed (the [torch] extra installs it); it is not timed"


def is_installed() -> bool:
    """Return whether PyTorch can be imported, without importing it."""
    return importlib.util.find_spec("torch") is not None


@contextlib.contextmanager
def start(
    estimators: Sequence[str], arrays: Sequence[np.ndarray], **options: Any
) -> Iterator[Process]:
    """Start PyTorch's process, which compiles while this one continues.

    Args:
        estimators: identities.
        arrays: the VAE's parameters (encoder weight and bias, decoder weight and bias, prior) and
            a minibatch.
        **options: `toy`, `threads`, `device` and `quick`, for the request to `torch_server`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "parameters.npz")
        np.savez(path, *arrays)
        request = {"estimators": list(estimators), "parameters": path, **options}
        command = [sys.executable, "-m", "experiments.benchmark.torch_server"]
        # The child imports the project from the same place as this process.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with process.start("PyTorch", command, environment, request) as torch:
            yield torch
