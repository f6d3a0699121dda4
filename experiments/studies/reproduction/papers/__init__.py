"""The papers whose tables are reproduced, one file per paper.

A paper's module has `TABLES`: functions from a binarisation of MNIST to a table, by its name.
"""

import importlib
import pkgutil
from collections.abc import Callable

from experiments.data import Binarisation
from experiments.running.user_code import named
from experiments.studies.reproduction.table import Table

_PAPERS = [
    importlib.import_module(f"{__name__}.{paper.name}") for paper in pkgutil.iter_modules(__path__)
]

TABLES: dict[str, Callable[[Binarisation], Table]] = {
    name: table for paper in _PAPERS for name, table in paper.TABLES.items()
}
"""Functions that build the tables, by name: called late, since building an estimator starts JAX."""


def build(name: str, binarisation: Binarisation = "fixed") -> Table:
    """Return a table.

    Args:
        name: its name.
        binarisation: "fixed" for the project's own, "published" for the papers' file.

    Raises:
        UsageError: for an unknown name.
    """
    return named("table", name, TABLES)(binarisation)
