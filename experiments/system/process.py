"""Identification of processes, and whether a process has ended."""

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
        host: the host that it runs on.
        system: the boot and the PID namespace within which its number is unique.
        number: its PID.
        start: its start time, which distinguishes it from other processes with the same PID.
    """

    host: str
    system: str
    number: int
    start: str

    @property
    def is_here(self) -> bool:
        """Whether this process could see the other one if it were running."""
        return (self.host, self.system) == _system()

    @property
    def has_gone(self) -> bool:
        """Whether the process is known to have ended; False if it ran elsewhere."""
        return self.is_here and _start(self.number) != self.start

    def __str__(self) -> str:
        """Return the PID and the host."""
        return f"process {self.number} on {self.host}"


def this() -> Process:
    """Return the identity of this process."""
    number = os.getpid()
    return Process(*_system(), number, _start(number) or "")


def system_digest() -> str:
    """Return a short digest of the system within which PIDs are unique."""
    return hashlib.sha256(" ".join(_system()).encode()).hexdigest()[:8]


def is_running(number: int) -> bool:
    """Return whether a process of this system has a PID."""
    return _start(number) is not None


@functools.cache
def _system() -> tuple[str, str]:
    # Containers on one host may share everything except the namespace.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        return platform.node(), platform.system()
    return platform.node(), f"{boot} {space}"


def _start(number: int) -> str | None:
    """Return the start time of a process on this host, None if there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{number}/stat").read_text()
        except OSError:
            return None
        # Split after the name, which may contain anything: state is field 3, start field 22.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    command = ["ps", "-o", "lstart=", "-p", str(number)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
