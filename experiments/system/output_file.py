"""An output file chosen by the user, written without harming existing files."""

import contextlib
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from analysis.files import write_bytes
from experiments.system import process
from experiments.system.errors import UsageError

_STREAM = re.compile(r"/dev/(?:stdout|stderr|fd/(\d+))|/proc/(?:self|thread-self|(\d+))/fd/(\d+)")
_MOST_LINKS = 40


class OutputFile:
    """An output file chosen by the user, written once at the end.

    A regular file is written atomically. Pipes and devices are written directly. A link is kept,
    and its target is written.
    """

    def __init__(
        self,
        path: Path,
        option: str,
        *,
        force: bool = False,
        ours: Callable[[bytes], bool] = lambda content: False,
    ):
        """Check that the file can be written; nothing is left behind.

        Args:
            path: the file.
            option: the option that named it, for messages.
            force: whether an existing file is replaced.
            ours: whether an existing file of this content is replaced without `force`.

        Raises:
            UsageError: if it cannot be written.
        """
        self._shown = f"{option} {path}"
        self._stream = None
        try:
            self._stream = _stream(path)
            # The target of a link, which is kept.
            named = self._stream is not None
            self._path = path if named else path.resolve()
            with contextlib.suppress(FileNotFoundError):
                os.lstat(self._path)  # raises if the name is invalid
            self.is_plain = not named and (self._path.is_file() or not os.path.lexists(self._path))
            if self._path.is_dir():
                raise UsageError(f"{self._shown} is a folder, not a file")
            if not self.is_plain:
                if not os.access(self._path, os.W_OK):
                    raise UsageError(f"{self._shown} cannot be written")
                return
            if not self._path.parent.is_dir():
                raise UsageError(f"{self._shown}: no such folder")
            if self._path.exists() and not (force or ours(self._path.read_bytes())):
                raise UsageError(f"{self._shown} exists (--force replaces it)")
            self._sweep()
            partial = self._partial()
            with partial.open("xb"):
                partial.unlink()
        except (OSError, RuntimeError, ValueError) as error:
            raise self._failed(error) from error

    def write(self, text: str) -> None:
        """Write the file.

        Raises:
            UsageError: if it cannot be written; an existing file is then unchanged.
        """
        content = text.encode()
        try:
            if self.is_plain:
                write_bytes(self._path, content, self._partial())
            else:
                sys.stdout.flush()
                if self._stream is None:
                    place = os.open(self._path, os.O_WRONLY)
                else:
                    place = os.dup(self._stream)
                with open(place, "wb") as file:
                    file.write(content)
        except OSError as error:
            raise self._failed(error) from error

    def _partial(self) -> Path:
        number = f"{os.getpid()}-{secrets.token_hex(4)}"
        return self._path.with_name(f"{self._prefix}{number}")

    @property
    def _prefix(self) -> str:
        """Prefix of the names of unfinished files, of processes of this system."""
        return f".estimax-{process.system_digest()}-"

    def _sweep(self) -> None:
        """Remove the unfinished files of killed processes."""
        for partial in self._path.parent.glob(f"{self._prefix}*"):
            number = partial.name.removeprefix(self._prefix).partition("-")[0]
            if number.isdigit() and not process.is_running(int(number)):
                with contextlib.suppress(OSError):
                    partial.unlink()

    def _failed(self, error: Exception) -> UsageError:
        reason = getattr(error, "strerror", None) or error
        return UsageError(f"{self._shown} cannot be written: {reason}")


def _stream(path: Path) -> int | None:
    """Return the open descriptor named by a path; reopening it would restart at its beginning."""
    for _ in range(_MOST_LINKS):
        if found := _STREAM.fullmatch(str(path)):
            device, process, number = found.groups()
            if process and int(process) != os.getpid():
                return None
            return int(device or number or {"stdout": 1, "stderr": 2}[path.name])
        if not path.is_symlink():
            break
        path = Path(os.path.normpath(path.parent / os.readlink(path)))
    return None
