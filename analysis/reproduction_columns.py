"""Columns, footnotes and sections of the readable table of a reproduction."""

from collections.abc import Iterator

import pandas as pd

from analysis.column import Column
from analysis.reproduction import VERDICTS

_COLUMNS = (
    Column("part of the table", ("", "part of the table"), "block", "word"),
    Column("estimator", ("", "estimator"), "label", "word"),
    Column("published", ("", "published"), "published", "known"),
    Column("ours", ("", "ours"), "ours", "estimate"),
    Column("difference", ("differ-", "ence"), "difference", "difference"),
    Column("learning rate", ("learning", "rate"), "learning_rate", "setting"),
    Column("tried: candidates x steps", ("tried:", "each steps"), "tried", "tried"),
    Column("seeds", ("", "seeds"), "seeds", "count"),
)


def columns(table: pd.DataFrame) -> Iterator[Column]:
    """Yield the columns of a reproduction that are not empty."""
    for column in _COLUMNS:
        values = table[column.field]
        if (
            column.field in ("block", "label", "published", "ours", "difference")
            or (values.notna() & (values != "")).any()
        ):
            yield column


def heading(table: pd.DataFrame) -> str:
    """Return the title, budget and cost of a reproduction."""
    about = table.attrs
    parts = [about["title"], f"budget {about['budget']}", *about["spent"]]
    if not about["complete"]:
        parts.append("run not complete")
    return ", ".join(parts)


def footnotes(table: pd.DataFrame) -> list[str]:
    """Return footnotes that explain the columns and how the paper was read."""
    lines = [
        "Published: as printed. Ours: the mean over seeds with its 95 % interval (Student's; of a "
        "single seed, that of its evaluation)."
    ]
    if table["tried"].notna().any():
        lines.append(
            "Tried: the number of candidates (learning rates and schedules) compared on validation "
            "images, and the training steps of each."
        )
    return lines + table.attrs["notes"]


def sections(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the sections printed below the table, by title: rank agreement, and verdicts."""
    found: dict[str, list[str]] = {}
    order = {
        name: one
        for name, one in table.attrs["order"].items()
        if one.size > 2 and one.tau == one.tau
    }
    if order:
        width = max(map(len, order))
        title = "Order of the estimators: Kendall's tau with the published one, 95 % interval"
        found[title] = [
            f"{block:<{width}}  {one.tau:.2f} [{one.low:.2f}, {one.high:.2f}]  "
            f"({one.size} estimators)"
            for block, one in order.items()
        ]
    if table.attrs["known"]:
        agreed, count = table.attrs["known"]
        found[f"Known answers: {agreed} of {count} within four standard errors"] = []
    predictions = table.attrs["predictions"]
    if len(predictions):
        counts = predictions["verdict"].value_counts()
        summary = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
        width = max(map(len, VERDICTS))
        found[f"Predictions, written down before the run: {summary}"] = [
            f"{line['verdict']:<{width}}  {line['statement']}" for _, line in predictions.iterrows()
        ]
    return found
