"""The package `estimax`: its command, its version, and what importing it imports."""

import subprocess
import sys
from importlib import metadata

import pytest

import estimax


def test_the_package_runs_the_command():
    command = [sys.executable, "-m", "estimax", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"estimax {estimax.__version__}\n"
    assert estimax.__version__ == metadata.version("estimax")


def test_an_unknown_name():
    name = "nothing"
    with pytest.raises(AttributeError, match="'estimax' has no attribute 'nothing'"):
        getattr(estimax, name)
