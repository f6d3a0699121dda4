"""A lock file that names the process working in a folder."""

import contextlib
import dataclasses
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from analysis.files import read_plain
from experiments.system import process
from experiments.system.errors import UsageError
from experiments.system.process import Process

_MOST_BYTES = 2**16

BEAT = 10.0
"""Seconds between two touches of a lock by its owner."""

ABANDONED = 90.0
"""Seconds after which other hosts regard a lock as abandoned if it was not touched."""

_ATTEMPTS, _PAUSE = 20, 0.05


class Lock:
    """The right to write in a folder, held by one process at a time.

    It relies on an atomic operation that network file systems have too: creating a hard link. A
    lock whose owner has ended is taken over: immediately if its process ran on this host, otherwise
    once it has not been touched for a while.
    """

    def __init__(self, path: Path, what: str):
        """Set the lock file and the locked resource; nothing is written."""
        self.path = path
        self.what = what
        self._mine = ""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock while the block runs.

        Raises:
            UsageError: if another process holds it; the message names the process.
        """
        self._take()
        done = threading.Event()
        beating = threading.Thread(target=self._beat, args=(done,), daemon=True)
        beating.start()
        try:
            yield
        finally:
            done.set()
            beating.join()
            if self.is_mine:
                self.path.unlink(missing_ok=True)
            self._mine = ""

    @property
    def is_mine(self) -> bool:
        """Whether this process still holds the lock; another host may have taken it over."""
        return bool(self._mine) and _read(self.path) == self._mine

    def _take(self) -> None:
        mine = json.dumps(dataclasses.asdict(process.this()) | {"token": secrets.token_hex(8)})
        own = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}")
        own.write_text(mine)
        try:
            for _ in range(_ATTEMPTS):
                if _link(own, self.path):
                    self._mine = mine
                    self._sweep(own)
                    return
                self._remove_abandoned(own)
            raise UsageError(f"several processes are starting in {self.what}")
        finally:
            own.unlink(missing_ok=True)

    def _remove_abandoned(self, own: Path) -> None:
        """Remove the lock of a process that has ended; `own` is a new file of this process."""
        found = _read(self.path)
        owner = _owner(found)
        try:
            os.utime(own)  # by the file system's clock, which all hosts share
            silent = own.stat().st_mtime - self.path.stat().st_mtime
        except FileNotFoundError:
            return
        silent_too_long = silent > ABANDONED and not (owner and owner.is_here)
        if not (silent_too_long or (owner and owner.has_gone)):
            raise UsageError(
                f"{owner or 'another process'} is working in {self.what}; wait for it, or choose "
                "another --output"
            )
        guard = self.path.with_name(f"{self.path.name}.guard")
        if _link(own, guard):
            try:
                # Only the holder of the guard removes another's lock, so it is not replaced
                # meanwhile.
                if _read(self.path) == found:
                    self.path.unlink(missing_ok=True)
            finally:
                guard.unlink(missing_ok=True)
        elif not _is_left(guard, own):
            time.sleep(_PAUSE)
        else:
            guard.unlink(missing_ok=True)

    def _sweep(self, own: Path) -> None:
        """Remove the files of ended processes next to the lock."""
        for path in self.path.parent.glob(f"{self.path.name}.*"):
            if path != own and _is_left(path, own):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(BEAT):
            with contextlib.suppress(OSError):
                if self.is_mine:
                    os.utime(self.path)


def _link(file: Path, name: Path) -> bool:
    """Link a file to a second name unless that exists; return whether it has the name."""
    try:
        os.link(file, name)
    except FileExistsError:
        return file.stat().st_nlink > 1  # a network may repeat a request that succeeded
    except OSError:  # a file system without hard links
        try:
            with name.open("x") as copy:
                copy.write(file.read_text())
        except FileExistsError:
            return False
    return True


def _is_left(path: Path, own: Path) -> bool:
    """Return whether a file next to a lock belongs to an ended process; `own` is a new file."""
    owner = _owner(_read(path))
    if owner and owner.is_here:
        return owner.has_gone
    try:
        return own.stat().st_mtime - path.stat().st_mtime > ABANDONED
    except FileNotFoundError:
        return False


def _read(path: Path) -> str:
    try:
        return read_plain(path, _MOST_BYTES).decode()
    except (OSError, ValueError):
        return ""


def _owner(text: str) -> Process | None:
    try:
        found = json.loads(text)
        return Process(*(found[field.name] for field in dataclasses.fields(Process)))
    except (ValueError, TypeError, KeyError):
        return None
