"""The table of estimators measured at several temperatures."""

import dataclasses

import pandas as pd

from analysis.columns import NAME, SETTING, Column
from analysis.names import natural, without
from analysis.readable import ReadableTable
from analysis.tables.comparison import measurements

_KEYS = (
    Column("estimator", ("", "estimator"), "family", NAME),
    Column("temperature", ("temper-", "ature"), "temperature", SETTING),
)


def temperature_table(rows: pd.DataFrame) -> ReadableTable:
    """Return the estimators of a temperature study, sorted by family, then temperature.

    Args:
        rows: a tidy result table of one context, with the column `p_temperature` (NaN for
            estimators without one, which come last).

    Returns:
        The columns of `comparison_table`, with `family` (the estimator without its temperature) and
        `temperature` in front.

    Raises:
        ValueError: as for `comparison_table`, or if `p_temperature` is missing.
    """
    table = measurements(rows)
    lines = table.frame
    if "p_temperature" not in lines:
        raise ValueError("the result table lacks the column p_temperature")
    tempered = lines["p_temperature"].notna()
    families = [
        without("temperature", name) if has_one else short
        for name, short, has_one in zip(
            lines["estimator"], lines["short_name"], tempered, strict=True
        )
    ]
    lines.insert(0, "family", families)
    lines.insert(1, "temperature", lines.pop("p_temperature"))
    order = sorted(
        lines.index,
        key=lambda i: (not tempered[i], natural(lines["family"][i]), lines["temperature"][i]),
    )
    columns = (*_KEYS, *table.columns[1:])
    frame = lines.loc[order].reset_index(drop=True)
    return dataclasses.replace(table, frame=frame, columns=columns, is_grouped=True)
