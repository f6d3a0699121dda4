"""The table of the atlas: estimators ranked over problems, and which one to begin with."""

from collections.abc import Iterable

import pandas as pd

from analysis import atlas
from analysis.columns import WORD, Column, Form, Kind, estimate, number
from analysis.readable import ReadableTable
from analysis.rows import is_complete, without_skipped
from analysis.tables.comparison import ESTIMATOR

_SHARE = number(lambda value: "-" if pd.isna(value) else f"{100 * value:.0f} %")
_TAKES = Kind(lambda line, field, form: f"{line[field]} of {line['all_points']}", "number")
_FACTOR = number(
    lambda value: "-" if pd.isna(value) else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
)
_WITHIN = (
    "Within 2, 10: the share of its points where its error is within that factor of the best of "
    "its kind, unbiased or biased, or of all. Worst: its largest ratio to the best of its kind."
)
_POINTS = (
    "Points: those where it is compared, of all; a point is a problem at its start or after "
    "training."
)


def _rank(line: pd.Series, field: str, form: Form) -> str:
    value, low, high = estimate(line, field)
    return f"{value:.2f}" + ("" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]")


_COLUMNS = (
    Column("kind", ("", "kind"), "kind", WORD),
    ESTIMATOR,
    Column(
        "mean rank",
        ("mean", "rank"),
        "rank",
        Kind(_rank, "word"),
        "Rank: the share of its kind that is better at a point, 0 for the best and 1 for the last; "
        "mean over points, with 95 % intervals of a bootstrap over problems.",
    ),
    Column("within 2", ("within 2", "of kind"), "within_2", _SHARE, _WITHIN, True),
    Column("within 2 of all", ("within 2", "of all"), "within_2_of_all", _SHARE, _WITHIN, True),
    Column("points", ("", "points"), "points", _TAKES, _POINTS),
    Column("within 10", ("within 10", "of kind"), "within_10", _SHARE, _WITHIN, True),
    Column("worst", ("worst", "of kind"), "worst", _FACTOR, _WITHIN),
)
_NOTE = (
    "Error at equal cost: squared bias + variance × evaluations / budget. Those whose interval "
    "reaches zero, and those not distinguishable from the best (paired test), tie with it."
)


def atlas_table(rows: pd.DataFrame) -> ReadableTable:
    """Return the estimators of the atlas, ranked among the unbiased and among the biased.

    Args:
        rows: the tidy table of `estimax atlas`.

    Returns:
        The lines of `analysis.atlas.ranked`, with `note`.

    Raises:
        ValueError: as `analysis.atlas.cells`.
    """
    found = atlas.cells(rows)
    lines = atlas.ranked(found).assign(note="")
    points, problems = len(found.drop_duplicates(atlas.POINT)), found["problem"].nunique()
    _, skipped = without_skipped(rows)
    context = {"study": str(rows["study"].iloc[0])}
    exact = found[found["is_exact"]].groupby("short_name").size()
    unknown = found[~found["is_exact"] & found["ratio"].isna()].groupby("short_name").size()
    notes = [_NOTE]
    for counts, why in ((exact, "unbiased without variance"), (unknown, "without an interval")):
        if len(counts):
            each = ", ".join(f"{name} ({count})" for name, count in counts.items())
            notes.append(f"Left out, {why}, at so many points: {each}.")
    if len(skipped):
        notes.append(f"Skipped where they do not fit: {', '.join(_short(rows, skipped))}.")
    return ReadableTable(
        frame=lines,
        columns=_COLUMNS,
        heading=f"Atlas: {len(found)} cells, {points} points of {problems} problems"
        + ("" if is_complete(rows) else ", run not complete"),
        notes=notes,
        findings=answers(found),
        context=context,
        is_grouped=True,
    )


def _short(rows: pd.DataFrame, names: Iterable[str]) -> list[str]:
    own = rows[rows["estimator"].isin(list(names))]
    return list(own["short_name"].unique())


def answers(found: pd.DataFrame) -> list[str]:
    """Return which estimator to begin with, knowing nothing of a problem, or its law only.

    It is the one that is within a factor of 2 of the best at the most points, of all and of the
    unbiased; of several, the one with the least largest ratio. A point that it does not take counts
    against it.

    Args:
        found: the result of `analysis.atlas.cells`.
    """
    laws = dict(list(found.groupby("law", sort=False)))
    parts = {"any law": found, **laws} if len(laws) > 1 else laws
    said = ["Knowing nothing of a problem, or its law only, begin with:"]
    for law, own in parts.items():
        count = len(own.drop_duplicates(atlas.POINT))
        best = _safest(own, "ratio")
        unbiased = _safest(own[own["kind"] == "unbiased"], "ratio_of_kind")
        where = f"{law} ({count} point{'s' * (count != 1)})"
        if best == unbiased:
            said.append(f"{where}: {best}; it is unbiased." if best else f"{where}: none.")
        else:
            said.append(f"{where}: {best}; of the unbiased, {unbiased or 'none'}.")
    return said


def _safest(own: pd.DataFrame, ratio: str) -> str | None:
    known = own[own[ratio].notna()]
    if known.empty:
        return None
    groups = known.groupby("short_name")[ratio]
    order = pd.DataFrame(
        {"within": groups.agg(lambda one: (one <= 2).sum()), "worst": groups.max()}
    )
    order = order.sort_values(["within", "worst"], ascending=[False, True], kind="stable")
    (within, worst), size = order.iloc[0], groups.size()[order.index[0]]
    rest = f", at worst {worst:.2g} times it" if worst > 1 else ""
    return (
        f"{order.index[0]}, within a factor of 2 of the best at {within:.0f} of {size} that it "
        f"takes{rest}"
    )
