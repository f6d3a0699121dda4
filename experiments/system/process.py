"""This process, as another one can recognise it, and whether another one has gone."""

import dataclasses
import functools
import hashlib
import os
import platform
import subprocess
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Process:
    """A process.

    Attributes:
        host: where it runs; only there is its number its own.
        system: the boot and the namespace in which numbers of processes are given.
        number: its number.
        start: when it began, so that another process of the same number is another.
    """

    host: str
    system: str
    number: int
    start: str

    @property
    def is_here(self) -> bool:
        """Whether this process can see the other, if it is alive."""
        return (self.host, self.system) == _system()

    @property
    def has_gone(self) -> bool:
        """Whether the process is known to have ended; one elsewhere is not."""
        return self.is_here and _start(self.number) != self.start

    def __str__(self) -> str:
        """Return what a user looks for."""
        return f"process {self.number} on {self.host}"


def this() -> Process:
    """Return this process."""
    number = os.getpid()
    return Process(*_system(), number, _start(number) or "")


def system_digest() -> str:
    """Return what names the system in which numbers of processes are given, in few letters."""
    return hashlib.sha256(" ".join(_system()).encode()).hexdigest()[:8]


def is_running(number: int) -> bool:
    """Return whether a process of this system has a number."""
    return _start(number) is not None


@functools.cache
def _system() -> tuple[str, str]:
    # Containers of one host may share all but the namespace.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        return platform.node(), platform.system()
    return platform.node(), f"{boot} {space}"


def _start(number: int) -> str | None:
    """Return when a process of this host began, None where there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{number}/stat").read_text()
        except OSError:
            return None
        # After the name, which may hold anything: the state is the third field, the start the 22nd.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    command = ["ps", "-o", "lstart=", "-p", str(number)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
