"""A results folder: which of its files estimax wrote, and the only way that it writes there.

What estimax keeps for itself is in `.estimax`: a manifest of the files that it wrote, checkpoints,
a lock, and files that are not whole yet. A file beside it is estimax's where the manifest names it,
and it is as it was written while it has the digest that stands there. Everything else is the
user's: it is neither replaced nor removed.
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

from analysis.files import read_plain
from experiments.system.errors import UsageError
from experiments.system.lock import Lock

OWN = ".estimax"

_VERSION = 1

# More than estimax ever writes: what is larger is not its own, and takes long to read.
_MOST_BYTES = 2**32
_MOST_MANIFEST = 2**24

_LONGEST = 150
"""Bytes of a name that are kept whole: file systems take 255, and more is put around it."""


class Folder:
    """A results folder.

    Attributes:
        path: where it is; it need not be there yet.
        renamed: new names of files that were changed since estimax wrote them, by name.
    """

    def __init__(self, path: Path):
        """Name a folder; nothing is read or written."""
        self.path = path
        self._lock: Lock | None = None
        self._begins_anew = False
        self.renamed: dict[str, str] = {}

    def __str__(self) -> str:
        """Return its path."""
        return str(self.path)

    @property
    def own(self) -> Path:
        """What estimax keeps for itself: nobody else's files are there."""
        return self.path / OWN

    @property
    def checkpoints(self) -> Path:
        """Where batches of training runs keep their checkpoints."""
        return self.own / "checkpoints"

    @property
    def unfinished(self) -> Path:
        """Where unfinished cells of a table keep theirs."""
        return self.own / "unfinished"

    def check(self, names: Iterable[str], *, force: bool = False) -> None:
        """Refuse a folder in which a file would have to be replaced that is not estimax's.

        Args:
            names: the names, or patterns of names, of the files that will be written.
            force: whether a file that was changed since estimax wrote it may be renamed.

        Raises:
            UsageError: naming the files.
        """
        with self._writing():
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
                "choose another --output, or --force to begin anew and keep it under another name"
            )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, made where it is missing, against other processes while the block runs.

        What a process that was killed had not finished writing is removed; so is the folder, where
        nothing was written into it.

        Raises:
            UsageError: where another process works there, or nothing can be written.
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
        """Remove checkpoints now, and the files that the manifest names once there are new ones.

        Those that were changed since estimax wrote them are then renamed instead.
        """
        self._manifest()
        with self._writing():
            for folder in (self.checkpoints, self.unfinished):
                if folder.exists():
                    shutil.rmtree(folder)
        self._begins_anew = True

    def is_intact(self, name: str) -> bool:
        """Return whether a file is there as estimax wrote it."""
        return _digest(self.path / name) in self._manifest().get(name, [])

    def written(self, pattern: str) -> list[Path]:
        """Return the files that estimax wrote here whose names fit a pattern."""
        names = fnmatch.filter(sorted(self._manifest()), pattern)
        return [self.path / name for name in names if (self.path / name).is_file()]

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield an empty folder; what is written there takes its place here when the block ends.

        Each file is whole or absent, and the manifest names it, whenever the process is killed.

        Raises:
            UsageError: where a file cannot be written, or would replace one that is not estimax's.
        """
        if self._lock and not self._lock.is_mine:
            raise UsageError(f"another process has taken {self} over")
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
                    f"{self.path / file.name} is not as estimax wrote it, and is left as it is; "
                    "move it away and run the command again"
                )
            # Both, since the process may be killed before the new one is in place.
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
        """Give a file another name, that nothing has."""
        path = self.path / name
        aside = (path.with_name(f"{name}.old{number}") for number in itertools.count(1))
        chosen = next(one for one in aside if not os.path.lexists(one))
        path.rename(chosen)
        self.renamed[name] = chosen.name

    def _manifest(self) -> dict[str, list[str]]:
        """Return the digests of the files that estimax wrote, by name: a file may have any."""
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
                raise ValueError("a name that leads elsewhere")
            return {str(name): [*map(str, digests)] for name, digests in found["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(
                f"{self._manifest_path} cannot be read, which says what estimax wrote; choose "
                f"another --output, or move {self} away"
            ) from error

    def _write_manifest(self, files: dict[str, list[str]]) -> None:
        partial = self._unwritten / "manifest.json"
        text = json.dumps({"version": _VERSION, "files": files}, indent=1)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self._manifest_path)

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
    """Return a name as part of that of a file; a long one is cut, and its digest added."""
    plain = "".join(c if c.isalnum() else "-" for c in name).strip("-")
    if len(plain.encode()) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST // 4]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _digest(path: Path) -> str | None:
    """Return the digest of a file; None where nothing is there, "" for what is no plain file."""
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
    """Remove folders in which nothing is."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _missing(folder: Path) -> list[Path]:
    """Return the folders that are not there yet, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


def _listing(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
