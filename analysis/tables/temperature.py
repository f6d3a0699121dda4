"""The table of estimators measured at several temperatures."""

import dataclasses

import pandas as pd

from analysis.columns import NAME, SETTING, Column
from analysis.names import natural, without
from analysis.readable import ReadableTable
from analysis.tables.comparison import MEASURED, measurements

_COLUMNS = (
    Column("estimator", ("", "estimator"), "family", NAME),
    Column("temperature", ("temper-", "ature"), "temperature", SETTING),
    *MEASURED,
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
    lines.insert(0, "family", [without("temperature", name) for name in lines["estimator"]])
    lines.insert(1, "temperature", lines.pop("p_temperature"))
    tempered = lines["temperature"].notna()
    order = sorted(
        lines.index,
        key=lambda i: (not tempered[i], natural(lines["family"][i]), lines["temperature"][i]),
    )
    frame = lines.loc[order].reset_index(drop=True)
    return dataclasses.replace(table, frame=frame, columns=_COLUMNS, is_grouped=True)
