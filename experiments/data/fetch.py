"""Location of data files: the user's folder, or a download cache."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from experiments.data.download import Bounded
from experiments.data.errors import DataError
from experiments.system import paths
from experiments.system.errors import UsageError

VARIABLE = "ESTIMAX_DATA"
"""The environment variable that names the user's folder of data files."""

BY_FOLDER = f"name the folder that holds it with --data DIR or the environment variable {VARIABLE}"


class Source(NamedTuple):
    """A file of a data set, and its download.

    Attributes:
        dataset: Name of the data set, and of its folder.
        names: Accepted names of the file; a download gets the first.
        url: Address of the download.
        checksum: Checksum of the download, `algorithm:hexadecimal`.
    """

    dataset: str
    names: tuple[str, ...]
    url: str
    checksum: str


def use_folder(path: str | Path) -> None:
    """Set the folder of data files of this process and its children.

    Raises:
        UsageError: The folder does not exist.
    """
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise UsageError(f"--data {path}: there is no such folder")
    os.environ[VARIABLE] = str(folder)


def in_folder(dataset: str, names: Iterable[str]) -> Path | None:
    """Return the first file of these names in the user's folder, or None.

    Data sets share file names, so `DATASET/raw` and `DATASET`, torchvision's layout, are searched
    before the folder itself.

    Raises:
        DataError: The environment variable does not name a folder.
    """
    if (folder := _folder()) is None:
        return None
    names = list(names)
    places = folder / dataset / "raw", folder / dataset, folder
    found = (place / name for place in places for name in names)
    return next((path for path in found if path.is_file()), None)


def locate(source: Source) -> Path:
    """Return the path of a file, in the user's folder or downloaded to the cache.

    Raises:
        DataError: The file is not in the user's folder, and cannot be downloaded.
    """
    if found := in_folder(source.dataset, source.names):
        return found
    return _retrieved(source, paths.cache())[0]


def bring(source: Source) -> tuple[Path, int]:
    """Return the path of a file, and the number of bytes that were downloaded for it.

    It is downloaded to the user's folder, or to the cache if there is none; 0 bytes if it is there.

    Raises:
        DataError: The file is not there, and cannot be downloaded.
    """
    if found := in_folder(source.dataset, source.names):
        return found, 0
    return _retrieved(source, _folder() or paths.cache())


def _folder() -> Path | None:
    """Return the user's folder, if the environment variable names one."""
    if not (named := os.environ.get(VARIABLE)):
        return None
    folder = paths.named(named)
    if not folder.is_dir():
        raise DataError(f"{VARIABLE} names {named}, but there is no such folder")
    return folder


def _retrieved(source: Source, folder: Path) -> tuple[Path, int]:
    """Return the path of a file below a folder, and the number of bytes downloaded."""
    import pooch

    dataset, (name, *_), url, checksum = source
    kept = folder / dataset / name
    if kept.exists() and not kept.is_file():
        raise DataError(f"{dataset}: {kept} is not a file; move it away")
    bounded = Bounded()
    downloader: Any = bounded  # pooch annotates it as a processor
    try:
        path = pooch.retrieve(url, checksum, name, kept.parent, downloader=downloader)
    except (OSError, ValueError) as error:  # a RequestException is an OSError
        named = os.environ.get(VARIABLE)
        missing = f"is not in {named} and" if named else "is needed, but"
        raise DataError(
            f"{dataset}: {name} {missing} cannot be downloaded from {url} ({_reason(error)}); "
            f"{BY_FOLDER}, or connect to a network"
        ) from error
    return Path(path), bounded.num_bytes


def _reason(error: Exception) -> str:
    import requests

    # Their messages are long chains of nested exceptions.
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return f"no connection: {type(error).__name__}"
    return " ".join(str(error).split())
