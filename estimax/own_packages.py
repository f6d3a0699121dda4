"""The packages that estimax consists of are its own, whatever else is on the path.

Research folders often hold packages called `experiments` or `analysis`, and Python looks in the
current folder or in PYTHONPATH first.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

NAMES = ("analysis", "estimators", "experiments")
ROOT = Path(__file__).resolve().parents[1]


class _Finder:
    """Finds the packages beside `estimax`."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        if name not in NAMES:
            return None
        folder = ROOT / name
        return importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def prefer() -> None:
    """Make Python import the packages from beside `estimax`.

    Raises:
        ImportError: if another package of such a name is imported already.
    """
    for name in NAMES:
        found = getattr(sys.modules.get(name), "__file__", None)
        if name in sys.modules and (not found or ROOT not in Path(found).resolve().parents):
            raise ImportError(
                f"estimax has a package called {name}, but another one is imported already, from "
                f"{found or 'a folder without __init__.py'}: import estimax first, or rename yours"
            )
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
