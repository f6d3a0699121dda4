"""The virtual environments of other libraries, in the cache folder."""

import csv
import dataclasses
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from experiments.system.errors import UsageError
from experiments.system.paths import cache

_DONE = "installed"


class CannotInstall(UsageError):
    """A library cannot be installed; the message says why, in a few words."""


@dataclasses.dataclass(frozen=True)
class Library:
    """A library whose gradients are compared with ours.

    Attributes:
        name: its name.
        adapter: the module of this package that calls it; "" if none could be tried.
        python: the lowest version of Python that it installs on.
        requirements: what is installed, with versions; the library itself is the first.
    """

    name: str
    adapter: str
    python: str
    requirements: tuple[str, ...]

    @property
    def package(self) -> str:
        """The name of the library's distribution."""
        return self.requirements[0].partition("==")[0]


def _read() -> dict[str, Library]:
    with (Path(__file__).parent / "libraries.csv").open(newline="") as file:
        found = [
            Library(row["library"], row["adapter"], row["python"], (*row["requirements"].split(),))
            for row in csv.DictReader(file)
        ]
    return {library.name: library for library in found}


LIBRARIES = _read()
"""All libraries by name."""


def python_of(library: Library, report: Callable[[str], None]) -> Path:
    """Return the Python of a library's environment, which is created if it does not exist.

    Args:
        library: the library.
        report: called with progress messages.

    Raises:
        CannotInstall: if it cannot be created.
    """
    interpreter = _interpreter(library.python)
    wanted = "\n".join([str(interpreter), *library.requirements])
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    folder = cache() / "opponents" / f"{library.package}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / _DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted run
        report(f"installing {library.name}: {' '.join(library.requirements)}")
        _run([interpreter, "-m", "venv", folder])
        _run([python, "-m", "pip", "install", "--no-input", "-q", *library.requirements])
        (folder / _DONE).write_text(wanted)
    return python


def _interpreter(least: str) -> Path:
    """Return a Python of at least a version: this one, or one on the path."""
    if sys.version_info >= tuple(map(int, least.split("."))):
        return Path(sys.executable)
    found = shutil.which(f"python{least}")
    # A shim of pyenv is there even if the version is not.
    if found and subprocess.run([found, "-V"], capture_output=True).returncode == 0:
        return Path(found)
    raise CannotInstall(f"needs Python {least}, which is not on the path")


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CannotInstall(_reason(done.stderr.strip() or f"exit status {done.returncode}"))


def _reason(text: str) -> str:
    """Return what pip says, in a few words."""
    if found := re.search(r"No matching distribution found for (\S+)", text):
        return f"{found[1]} is not on the package index, or not for this Python"
    errors = [line for line in text.splitlines() if line.startswith("ERROR")]
    return (errors or text.splitlines())[-1].removeprefix("ERROR: ")[:100]
