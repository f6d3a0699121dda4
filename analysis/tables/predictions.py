"""The table of a figure's predictions, with what became of them."""

import numpy as np
import pandas as pd

from analysis.columns import ESTIMATE, WORD, Column
from analysis.readable import ReadableTable
from analysis.rows import check, configuration, is_complete, predictions
from analysis.tables.claims import region

COLUMNS = ("claim", "source", "metric", "value", "low", "high", "region_low", "region_high")
_COLUMNS = (
    Column("prediction (source)", ("", "prediction (source)"), "statement", WORD),
    Column("verdict", ("", "verdict"), "verdict", WORD),
    Column("measured", ("", "measured"), "value", ESTIMATE),
    Column("predicted", ("", "predicted"), "region", WORD),
)
_NOTE = (
    "Predictions were declared before the study was run. One holds if the 95 % interval of the "
    "quantity lies in the predicted region, and broke if it lies outside; each is judged alone."
)


def predictions_table(rows: pd.DataFrame) -> ReadableTable:
    """Return the predictions of a study, in the order of their declaration.

    Args:
        rows: the tidy table of `estimax figure NAME`, or the decided predictions of the atlas.

    Returns:
        One line per prediction: `claim`, `source`, the quantity's `value`, `value_low` and
        `value_high`, `region_low` and `region_high`, and the `verdict`: "held", "broke" or
        "undecided".

    Raises:
        ValueError: if the table is empty, lacks a column, or has no predictions.
    """
    lines = predictions(rows)
    if lines.empty:
        raise ValueError("the results are those of a figure without predictions: no table")
    check(lines, COLUMNS)
    noted = lines["note"].fillna("") if "note" in lines else ""
    lines = lines[[*COLUMNS]].assign(note=noted).reset_index(drop=True)
    lines = lines.rename(columns={"low": "value_low", "high": "value_high"})
    low, high, least, most = (
        lines[name].to_numpy(float)
        for name in ("value_low", "value_high", "region_low", "region_high")
    )
    held, broke = (least < low) & (high < most), (high <= least) | (most <= low)
    lines["verdict"] = np.select([held, broke], ["held", "broke"], "undecided")
    lines["region"] = [region(*ends) for ends in zip(least, most, strict=True)]
    lines["statement"] = lines["claim"] + " (" + lines["source"] + ")"
    about = configuration(rows)
    figure = about.get("figure")
    title = f"Predictions of the {f'figure {figure}' if figure else about.get('study', 'study')}"
    return ReadableTable(
        frame=lines,
        columns=_COLUMNS,
        heading=title + ("" if is_complete(rows) else ", run not complete"),
        notes=[_NOTE],
        context={"study": about.get("study", "figure")},
    )
