"""The papers whose tables are reproduced, one file a paper."""

from collections.abc import Callable

from estimators.naming import nearest
from experiments.data import Binarisation
from experiments.studies.reproduction.papers import (
    grathwohl2018,
    gu2016,
    jang2017,
    liu2023,
    maddison2017,
    paulus2021,
    toys,
    yin2019,
)
from experiments.studies.reproduction.table import Table
from experiments.system.errors import UsageError

TABLES: dict[str, Callable[[Binarisation], Table]] = {
    "jang2017-table1": jang2017.table1,
    "jang2017-table2": jang2017.table2,
    "jang2017-figure5a": jang2017.figure5a,
    "gu2016-table2": gu2016.table2,
    "gu2016-table3": gu2016.table3,
    "maddison2017-table1": maddison2017.table1,
    "maddison2017-table2": maddison2017.table2,
    "maddison2017-figure4": maddison2017.figure4,
    "yin2019-table2": yin2019.table2,
    "yin2019-table3": yin2019.table3,
    "grathwohl2018-table1": grathwohl2018.table1,
    "paulus2021-table2": paulus2021.table2,
    "liu2023-polynomial": liu2023.polynomial,
    "liu2023-vae": liu2023.vae,
    "toys": toys.toys,
}
"""Functions that build the tables, by name; building an estimator starts JAX, so not here."""


def build(name: str, binarisation: Binarisation = "fixed") -> Table:
    """Return a table.

    Args:
        name: its name.
        binarisation: "fixed" for the project's own, "published" for the papers' file.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in TABLES:
        known = ", ".join(TABLES)
        near = nearest(name, list(TABLES))
        raise UsageError(f"unknown table {name!r}; choose from {known}{near}")
    return TABLES[name](binarisation)
