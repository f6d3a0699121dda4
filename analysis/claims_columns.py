"""What the readable table of claims shows: columns, and what they mean."""

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
    """Return how many claims and studies there are, and at which budget."""
    about = table.attrs
    studies = table["deciding"].nunique()
    parts = [f"{len(table)} claims decided by {studies} studies, budget {about['budget_name']}"]
    return ", ".join(parts + ([] if about["complete"] else ["run not complete"]))


def footnotes(table: pd.DataFrame) -> list[str]:
    """Return what the columns mean."""
    del table
    return [
        "Measured: the quantity with its own 95 % interval. A claim is reproduced where it lies in "
        "the region that is claimed, not reproduced where it lies outside, by Student's tests "
        "whose p-values are adjusted together (Benjamini and Yekutieli): of the verdicts at most "
        "5 % are expected to be false.",
        "Power: the chance of a verdict where the quantity is inside by the effect that the claim "
        "names; undecided below 90 % is underpowered.",
        "A bias is over the norm of the true gradient, a squared bias over its square.",
        "Claims, regions, effects and studies stand in experiments/claims and were written before "
        "the run. MNIST is cut at one half unless the study says otherwise.",
    ]


def sections(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return how many claims have which verdict, and what the studies are."""
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
