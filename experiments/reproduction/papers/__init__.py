"""The papers whose tables are reproduced, one file a paper."""

from collections.abc import Callable

from estimators.core.identity import nearest
from experiments.data import Binarisation
from experiments.errors import UsageError
from experiments.reproduction.papers import gu2016, jang2017
from experiments.reproduction.table import Table

TABLES: dict[str, Callable[[Binarisation], Table]] = {
    "jang2017-table1": jang2017.table1,
    "gu2016-table2": gu2016.table2,
    "gu2016-table3": gu2016.table3,
}
"""What makes each table, by its name. Not made at once: to build an estimator is to start JAX."""


def build(name: str, binarisation: Binarisation = "fixed") -> Table:
    """Return a table.

    Args:
        name: its name.
        binarisation: "fixed", the project's own, or "published", the papers' file.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in TABLES:
        known = ", ".join(TABLES)
        raise UsageError(f"no table {name!r}{nearest(name, list(TABLES))}; there are: {known}")
    return TABLES[name](binarisation)
