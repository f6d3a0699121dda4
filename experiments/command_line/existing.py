"""Reading of existing results, of which there may be several."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.running.results import FILE
from experiments.system.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def read(path: Path) -> "pd.DataFrame":
    """Return the table of a results folder, or of a results file, with its metadata in `attrs`.

    Raises:
        UsageError: if there is none, or it cannot be read.
    """
    if not os.path.lexists(path):
        raise UsageError(f"no results in {path}: there is no such folder")
    from analysis import reading

    try:
        return reading.read(path / FILE if path.is_dir() else path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UsageError(f"no results in {path}: {reason or error}") from error
