"""Columns, footnotes and sections of the readable table of claims."""

import pandas as pd

from analysis.claims import VERDICTS
from analysis.column import Column

_SHOWN = (
    Column("claim (source; study)", ("", "claim (source; study)"), "statement", "word"),
    Column("verdict", ("", "verdict"), "verdict", "word"),
    Column("measured", ("", "measured"), "value", "estimate"),
    Column("claimed", ("", "claimed"), "region", "word"),
    Column("power", ("", "power"), "seen", "power"),
    Column("quantity", ("", "quantity"), "metric", "word"),
)


def columns(table: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns."""
    del table
    return _SHOWN


def heading(table: pd.DataFrame) -> str:
    """Return a heading: the number of claims and studies, and the budget."""
    about = table.attrs
    studies = table["deciding"].nunique()
    parts = [f"{len(table)} claims decided by {studies} studies, budget {about['budget_name']}"]
    return ", ".join(parts + ([] if about["complete"] else ["run not complete"]))


def footnotes(table: pd.DataFrame) -> list[str]:
    """Return footnotes that explain the columns."""
    del table
    return [
        "Measured: the quantity with its own 95 % interval. A claim is reproduced if the quantity "
        "lies inside the claimed region, and not reproduced if it lies outside, by Student's "
        "t-tests. All p-values are adjusted together (Benjamini and Yekutieli), so that at most "
        "5 % of the verdicts are expected to be false.",
        "Power: the probability of a verdict if the quantity lies inside the region by the effect "
        "that the claim names. Undecided claims with less than 90 % are counted as underpowered.",
        "A bias is relative to the norm of the true gradient, a squared bias to its square.",
        "Claims, regions, effects and studies are defined in experiments/claims and were fixed "
        "before the run. MNIST is binarised at 1/2 unless the study says otherwise.",
    ]


def sections(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the number of claims with each verdict, and a line on each study."""
    counts = table["verdict"].value_counts()
    summary = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    weak = int(((table["verdict"] == "undecided") & (table["seen"] < table["power"])).sum())
    if weak:
        summary += f" ({weak} of them underpowered)"
    studies = table.drop_duplicates("deciding")
    width = max(map(len, studies["deciding"]))
    return {
        f"Verdicts: {summary}": [],
        "Studies": [
            f"{one['deciding']:<{width}}  {one['title']}{one['doubts'] and '; '}{one['doubts']}"
            for _, one in studies.iterrows()
        ],
    }
