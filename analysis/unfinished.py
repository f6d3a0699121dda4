"""What a run has left in its folder that has not finished."""

import itertools
import re
from pathlib import Path

from analysis.files import FILE as RESULTS
from analysis.reading import OWN
from analysis.text import printable

_CHECKPOINTS = Path(OWN, "checkpoints")
_MOST = 20
CONTINUES = "To continue, run the same command again."


def is_begun(folder: Path) -> bool:
    """Return whether a folder holds checkpoints of training runs, but no results yet."""
    place = folder / _CHECKPOINTS
    is_plain = place.is_dir() and not (place.is_symlink() or place.parent.is_symlink())
    return is_plain and not (folder / RESULTS).exists()


def begun(folder: Path) -> str:
    """Return what a run without results has so far: the last steps of its checkpoints.

    Args:
        folder: the folder, of which `is_begun` is true; its names may be untrusted.
    """
    batches = sorted(path for path in (folder / _CHECKPOINTS).iterdir() if _is_folder(path))
    found = [
        f"{path.name} at step {max(steps):,}" for path in batches[:_MOST] if (steps := _steps(path))
    ]
    kept = f" Checkpoints: {', '.join(found)}." if found else ""
    return printable(f"No part of this run is finished.{kept} {CONTINUES}")


def _steps(batch: Path) -> list[int]:
    names = (path.name for path in itertools.islice(batch.iterdir(), 1000) if _is_folder(path))
    return [int(name) for name in names if re.fullmatch(r"[0-9]{1,12}", name)]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
