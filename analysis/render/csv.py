"""Tables as CSV."""

import pandas as pd

from analysis.readable import ReadableTable
from analysis.text import printable

_COUNTS = [
    "evaluations",
    "samples",
    "tried",
    "seeds",
    "diverged",
    "diverged_first",
    "diverged_last",
]


def to_csv(table: ReadableTable) -> str:
    """Return all columns of a table in full precision, including skipped estimators.

    Text that a spreadsheet would read as a formula is not escaped.
    """
    skips = pd.DataFrame(
        [{"estimator": name, "note": f"skipped: {why}"} for name, why in table.skipped.items()],
        columns=["estimator", "note"],
    )
    frame = table.frame.reset_index(drop=True)
    full = pd.concat([frame, skips], ignore_index=True)[frame.columns]
    for position, (name, value) in enumerate(table.context.items()):
        full.insert(position, name, value)
    full = full.assign(**table.settings)
    full = full.map(lambda value: printable(value) if isinstance(value, str) else value)
    for name in full.columns.intersection(_COUNTS):
        full[name] = full[name].astype("Int64")
    return full.to_csv(index=False, lineterminator="\n")
