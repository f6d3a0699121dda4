"""Where data files are: a folder that the user names, else a cache that is filled by download."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiments.data.download import Bounded
from experiments.data.errors import DataError
from experiments.system import paths
from experiments.system.errors import UsageError

VARIABLE = "ESTIMAX_DATA"
"""The environment variable that names a folder of data files."""

BY_FOLDER = f"name the folder that holds it with --data DIR or the environment variable {VARIABLE}"


def use_folder(path: str | Path) -> None:
    """Look for data files in a folder, this process and those that it starts.

    Raises:
        UsageError: There is no such folder.
    """
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise UsageError(f"--data {path}: there is no such folder")
    os.environ[VARIABLE] = str(folder)


def in_folder(dataset: str, names: Iterable[str]) -> Path | None:
    """Return the first file of these names in the folder that the user named, None without one.

    Data sets share names of files, so the folder's own `dataset` folder comes first, as torchvision
    lays it out.

    Raises:
        DataError: The environment variable names no folder.
    """
    if not (named := os.environ.get(VARIABLE)):
        return None
    folder = paths.named(named)
    if not folder.is_dir():
        raise DataError(f"{VARIABLE} names {named}, but there is no such folder")
    names = list(names)
    places = folder / dataset / "raw", folder / dataset, folder
    found = (place / name for place in places for name in names)
    return next((path for path in found if path.is_file()), None)


def locate(dataset: str, names: Iterable[str], url: str, checksum: str) -> Path:
    """Return where a file is: in the user's folder under any of `names`, else downloaded.

    Args:
        dataset: The data set: the name of its folder.
        names: What the file may be called; the first is what the download is called.
        url: Where to download it.
        checksum: Of the download, `algorithm:hexadecimal`.

    Raises:
        DataError: It is in no folder, and cannot be downloaded.
    """
    name, *others = names
    if found := in_folder(dataset, [name, *others]):
        return found
    import pooch

    kept = cache() / dataset / name
    if kept.exists() and not kept.is_file():
        raise DataError(f"{dataset}: {kept} is not a file; move it away")
    try:
        downloader: Any = Bounded()  # pooch's type is that of a hook after the download
        path = pooch.retrieve(url, checksum, name, kept.parent, downloader=downloader)
    except (OSError, ValueError) as error:  # a RequestException is an OSError
        folder = os.environ.get(VARIABLE)
        missing = f"is not in {folder} and" if folder else "is needed, but"
        raise DataError(
            f"{dataset}: {name} {missing} cannot be downloaded from {url} ({_reason(error)}); "
            f"{BY_FOLDER}, or run where there is a network"
        ) from error
    return Path(path)


def cache() -> Path:
    """Return the folder in which estimax keeps data files."""
    import pooch

    return pooch.os_cache("estimax")


def _reason(error: Exception) -> str:
    import requests

    # What these say is long and says little: a chain of the classes that were passed through.
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return f"no connection: {type(error).__name__}"
    return " ".join(str(error).split())
