"""A results folder: tracks the files that estimax wrote, and performs all writes there.

Its subfolder `.estimax` holds a manifest of the files that estimax wrote, checkpoints, a lock and
unfinished files. A file belongs to estimax if the manifest lists it, and is unchanged if it has the
digest listed there. All other files are the user's, and are neither replaced nor removed.
"""

import contextlib
import fnmatch
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from analysis.files import read_plain, write_bytes
from experiments.system.errors import UsageError
from experiments.system.lock import Lock

OWN = ".estimax"

_VERSION = 1

# More than estimax ever writes; larger files are not from estimax, and are slow to read.
_MOST_BYTES = 2**32
_MOST_MANIFEST = 2**24

_LONGEST = 150
"""Maximum bytes of a name within a file name; file systems allow 255 with prefix and suffix."""


class Folder:
    """A results folder.

    Attributes:
        path: its path; it need not exist.
        renamed: new names of files that were changed since estimax wrote them, by old name.
    """

    def __init__(self, path: Path):
        """Set the path; nothing is read or written."""
        self.path = path
        self._lock: Lock | None = None
        self._begins_anew = False
        self.renamed: dict[str, str] = {}

    def __str__(self) -> str:
        """Return its path."""
        return str(self.path)

    @property
    def own(self) -> Path:
        """The subfolder of estimax's own files."""
        return self.path / OWN

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints of training runs."""
        return self.own / "checkpoints"

    @property
    def unfinished(self) -> Path:
        """The folder of the checkpoints of unfinished cells of a table."""
        return self.own / "unfinished"

    def check(self, names: Iterable[str], *, force: bool = False) -> None:
        """Check that a folder can be there, and that no file of the user would have to be replaced.

        Args:
            names: the names, or patterns of names, of the files that will be written.
            force: whether files that were changed since estimax wrote them may be renamed.

        Raises:
            UsageError: naming the files.
        """
        with self._writing():
            for place in (self.path, *self.path.parents):
                if os.path.lexists(place):
                    os.listdir(place)  # raises for a file
                    break
            if os.path.lexists(self.own) and (self.own.is_symlink() or not self.own.is_dir()):
                raise UsageError(f"{self.own} is not a folder of estimax; move it away")
            there = sorted(os.listdir(self.path)) if self.path.exists() else []
        wanted, listed = list(names), self._manifest()
        found = [one for one in there if any(fnmatch.fnmatchcase(one, name) for name in wanted)]
        if foreign := [name for name in found if name not in listed]:
            raise UsageError(
                f"{self} holds {_listing(foreign)}, which estimax did not write there; choose "
                "another --output, or move what is yours"
            )
        changed = [name for name in found if self._is_changed(name)]
        if changed and not force:
            raise UsageError(
                f"{self} holds {_listing(changed)}, changed or damaged since estimax wrote it; "
                "choose another --output, or --force to start over and keep it under another name"
            )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder, created if missing, against other processes while the block runs.

        Unfinished files of killed processes are removed, and so is the folder if it stays empty.

        Raises:
            UsageError: if another process holds the lock, or the folder cannot be written.
        """
        made = _missing(self.own)
        lock = Lock(self.own / "lock", str(self))
        try:
            with contextlib.ExitStack() as stack:
                with self._writing():
                    self.own.mkdir(parents=True, exist_ok=True)
                    stack.enter_context(lock.held())
                    shutil.rmtree(self._unwritten, ignore_errors=True)
                self._lock = lock
                try:
                    yield
                finally:
                    _remove_empty(self._unwritten, self.unfinished, self.checkpoints)
        finally:
            self._lock = None
            _remove_empty(*made)

    def begin_anew(self) -> None:
        """Remove checkpoints now, and files in the manifest once new ones are written.

        Files that were changed since estimax wrote them are renamed instead.
        """
        self._manifest()
        with self._writing():
            for folder in (self.checkpoints, self.unfinished):
                if folder.exists():
                    shutil.rmtree(folder)
        self._begins_anew = True

    def is_intact(self, name: str) -> bool:
        """Return whether a file exists unchanged since estimax wrote it."""
        return _digest(self.path / name) in self._manifest().get(name, [])

    def written(self, pattern: str) -> list[Path]:
        """Return the files that estimax wrote here whose names match a pattern."""
        names = fnmatch.filter(sorted(self._manifest()), pattern)
        return [self.path / name for name in names if (self.path / name).is_file()]

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield an empty folder; files written to it are moved here when the block ends.

        If the process is killed, each file is complete and in the manifest, or absent.

        Raises:
            UsageError: if a file cannot be written, or would replace a user's file.
        """
        if self._lock and not self._lock.is_mine:
            raise UsageError(f"another process has taken over {self}")
        with self._writing():
            self._unwritten.mkdir(parents=True, exist_ok=True)
            stage = Path(tempfile.mkdtemp(dir=self._unwritten))
            try:
                yield stage
                self._take(sorted(stage.iterdir()))
            finally:
                shutil.rmtree(stage, ignore_errors=True)

    def _take(self, files: list[Path]) -> None:
        listed = self._manifest()
        if self._begins_anew:
            for name in filter(self._is_changed, listed):
                self._set_aside(name)
        for file in files:
            before = _digest(self.path / file.name)
            known = listed.get(file.name, [])
            if before is not None and before not in known:
                raise UsageError(
                    f"{self.path / file.name} is not the file that estimax wrote; "
                    "move it away and run the command again"
                )
            # Keep both, since the process may be killed before the new file is in place.
            listed[file.name] = [one for one in (before, _digest(file)) if one is not None]
        self._write_manifest(listed)
        for file in files:
            file.replace(self.path / file.name)
        if self._begins_anew:
            for name in listed.keys() - {file.name for file in files}:
                (self.path / name).unlink(missing_ok=True)
            self._write_manifest({file.name: listed[file.name] for file in files})
            self._begins_anew = False

    def _is_changed(self, name: str) -> bool:
        return os.path.lexists(self.path / name) and not self.is_intact(name)

    def _set_aside(self, name: str) -> None:
        """Rename a file to an unused name."""
        path = self.path / name
        aside = (path.with_name(f"{name}.old{number}") for number in itertools.count(1))
        chosen = next(one for one in aside if not os.path.lexists(one))
        path.rename(chosen)
        self.renamed[name] = chosen.name

    def _manifest(self) -> dict[str, list[str]]:
        """Return the possible digests of the files that estimax wrote, by name."""
        try:
            text = read_plain(self._manifest_path, _MOST_MANIFEST).decode()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError):
            text = ""
        try:
            found = json.loads(text)
            if found["version"] != _VERSION:
                raise ValueError("another version")
            if any(name in ("", ".", "..") or "/" in name for name in found["files"]):
                raise ValueError("a name that points elsewhere")
            return {str(name): [*map(str, digests)] for name, digests in found["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(
                f"{self._manifest_path} cannot be read, so the files that estimax wrote are "
                f"unknown; choose another --output, or move {self} away"
            ) from error

    def _write_manifest(self, files: dict[str, list[str]]) -> None:
        text = json.dumps({"version": _VERSION, "files": files}, indent=1) + "\n"
        write_bytes(self._manifest_path, text.encode(), self._unwritten / "manifest.json")

    @property
    def _manifest_path(self) -> Path:
        return self.own / "manifest.json"

    @property
    def _unwritten(self) -> Path:
        return self.own / "unwritten"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(f"--output {self} cannot be written: {reason}") from error


def slug(name: str) -> str:
    """Return a name short enough for a file name; a long one is cut and its digest appended."""
    plain = "".join(c if c.isalnum() else "-" for c in name).strip("-")
    if len(plain.encode()) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST // 4]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _digest(path: Path) -> str | None:
    """Return the digest of a file, None if it is missing, "" if it is not a regular file."""
    if not os.path.lexists(path):
        return None
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _remove_empty(*folders: Path) -> None:
    """Remove folders that are empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _missing(folder: Path) -> list[Path]:
    """Return the missing folders among a folder and its parents, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


def _listing(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
