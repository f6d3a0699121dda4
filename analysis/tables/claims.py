"""The table of claims, with verdicts corrected for multiple testing."""

import numpy as np
import pandas as pd

from analysis.columns import ESTIMATE, WORD, Column, number
from analysis.readable import ReadableTable
from analysis.rows import check, configuration, is_complete
from analysis.statistics.student import quantile

COLUMNS = (
    "deciding",
    "title",
    "claim",
    "source",
    "metric",
    "region_low",
    "region_high",
    "effect",
    "confidence",
    "power",
    "value",
    "error",
    "degrees",
)
VERDICTS = ("reproduced", "not reproduced", "undecided")
_COLUMNS = (
    Column("claim (source; study)", ("", "claim (source; study)"), "statement", WORD),
    Column("verdict", ("", "verdict"), "verdict", WORD),
    Column("measured", ("", "measured"), "value", ESTIMATE),
    Column("claimed", ("", "claimed"), "region", WORD),
    Column("power", ("", "power"), "seen", number(lambda value: f"{value:.2f}")),
    Column("quantity", ("", "quantity"), "metric", WORD),
)
_NOTES = (
    "Measured: the quantity with its unadjusted 95 % interval. A claim is reproduced if the "
    "quantity lies inside the claimed region, and not reproduced if it lies outside, by Student's "
    "t-tests. All p-values are adjusted together (Benjamini and Yekutieli), so that at most "
    "5 % of the verdicts are expected to be false.",
    "Power: the probability of a verdict if the quantity lies inside the region by the "
    "claim's effect size. Undecided claims with less than 90 % are counted as underpowered.",
    "A bias is relative to the norm of the true gradient, a squared bias to its square.",
    "Claims, regions, effects and studies are defined in experiments/studies/claims and "
    "were fixed before the run. MNIST is binarised at 1/2 unless the study says otherwise.",
)


def claims_table(rows: pd.DataFrame) -> ReadableTable:
    r"""Return the claims with their verdicts, in the order of the studies.

    A quantity q with standard error s is tested against the region that the claim names, by
    Student's t-test: p_for is the p-value of "q lies outside", p_against that of "q lies inside"
    (two one-sided tests if the region has two ends). All p-values of a table are adjusted together
    (Benjamini and Yekutieli 2001, under any dependence), so that at a confidence of 95 % at most
    5 % of the verdicts are expected to be false. A claim is "reproduced" if the adjusted p_for is
    at most 5 %, "not reproduced" if the adjusted p_against is, and "undecided" otherwise. A study
    is underpowered if, for a quantity inside the region by the claim's `effect`, the probability of
    a verdict is below the claim's `power`.

    Args:
        rows: the tidy table of `estimax claims`.

    Returns:
        One line per claim: the columns of the rows, `value_low` and `value_high` (unadjusted 95 %
        interval), `p_for` and `p_against` (adjusted), `seen` (the power reached), `verdict`,
        `doubts` about its study, `statement`, `region` and `note`.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    lines = _judged(rows)
    count, budget = lines["deciding"].nunique(), configuration(rows).get("budget", "")
    heading = f"{len(lines)} claims decided by {count} studies, budget {budget}"
    return ReadableTable(
        frame=lines,
        columns=_COLUMNS,
        heading=heading + ("" if is_complete(rows) else ", run not complete"),
        notes=_NOTES,
        sections=_sections(lines),
        context={"study": "claims"},
    )


def _judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the lines for `claims_table`."""
    from scipy import stats

    check(rows, COLUMNS)
    lines = rows[list(COLUMNS)].reset_index(drop=True)
    lines["doubts"] = rows["doubts"].to_numpy() if "doubts" in rows else ""
    numbers = {name: lines[name].to_numpy(float) for name in COLUMNS[5:]}
    value, error, degrees = (numbers[name] for name in ("value", "error", "degrees"))
    low, high = numbers["region_low"], numbers["region_high"]
    # p-values of "not above the lower end" and of "not below the upper end".
    under = _tail(value - low, error, degrees)
    over = _tail(high - value, error, degrees)
    outside = np.maximum(under, over)
    ends = np.isfinite(low).astype(int) + np.isfinite(high)
    inside = np.minimum(1.0, ends * np.minimum(1 - under, 1 - over))
    known = np.isfinite(value)
    outside[~known], inside[~known] = 1.0, 1.0
    both = stats.false_discovery_control(np.concatenate([outside, inside]), method="by")
    lines["p_for"], lines["p_against"] = np.split(both, 2)
    level = 1 - numbers["confidence"]
    threshold = _threshold(np.concatenate([outside, inside]), both, float(level.max()))
    lines["seen"] = _power(numbers["effect"], error, degrees, threshold)
    lines["verdict"] = np.select(
        [lines["p_for"] <= level, lines["p_against"] <= level], VERDICTS[:2], VERDICTS[2]
    )
    half = quantile(degrees) * error
    lines["value_low"], lines["value_high"] = value - half, value + half
    lines["statement"] = [
        f"{claim} ({source}; {study})"
        for claim, source, study in zip(
            lines["claim"], lines["source"], lines["deciding"], strict=True
        )
    ]
    lines["region"] = [region(*ends) for ends in zip(low, high, strict=True)]
    noted = rows["note"].fillna("").to_numpy(str) if "note" in rows else np.full(len(rows), "")
    known |= noted != ""
    lines["note"] = np.where(
        known, noted, "not a number: a run diverged, or the values do not vary"
    )
    return lines


def _sections(lines: pd.DataFrame) -> dict[str, list[str]]:
    """Return the number of claims per verdict, and one line per study."""
    counts = lines["verdict"].value_counts()
    summary = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    weak = int(((lines["verdict"] == "undecided") & (lines["seen"] < lines["power"])).sum())
    if weak:
        summary += f" ({weak} of them underpowered)"
    studies = lines.drop_duplicates("deciding")
    width = max(map(len, studies["deciding"]))
    return {
        f"Verdicts: {summary}": [],
        "Studies": [
            f"{one['deciding']:<{width}}  {one['title']}{one['doubts'] and '; '}{one['doubts']}"
            for _, one in studies.iterrows()
        ],
    }


def _tail(distance: np.ndarray, error: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Return the p-value of "the distance is not positive"; 0 or 1 if the error is zero."""
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        chance = stats.t.sf(distance / error, degrees)
    # The distance to a missing end is infinite; the error may be infinite too.
    random = (error > 0) & np.isfinite(distance)
    return np.where(random, chance, np.where(distance >= 0, 0.0, 1.0))


def _threshold(values: np.ndarray, adjusted: np.ndarray, level: float) -> float:
    """Return the largest p-value that led to a verdict, or the smallest threshold if none did."""
    called = values[adjusted <= level]
    return float(called.max()) if called.any() else level / len(values)


def _power(
    effect: np.ndarray, error: np.ndarray, degrees: np.ndarray, threshold: float
) -> np.ndarray:
    """Return the probability of a p-value below the threshold if the effect is real."""
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        power = stats.nct.sf(stats.t.isf(threshold, degrees), degrees, effect / error)
        normal = stats.norm.sf(stats.norm.isf(threshold), effect / error)
    # scipy's noncentral t fails for infinite degrees of freedom and far in the tail.
    large = np.isinf(degrees) | (effect / np.maximum(error, 1e-300) > 30)
    return np.where(error > 0, np.where(large, normal, power), 1.0)


def region(low: float, high: float) -> str:
    """Return a region of a number in words; its ends have the digits that tell them apart."""
    if np.isfinite(low) and np.isfinite(high):
        ends = [(f"{low:.{digits}g}", f"{high:.{digits}g}") for digits in range(3, 17)]
        return " to ".join(next((pair for pair in ends if pair[0] != pair[1]), ends[0]))
    return f"above {low:.3g}" if np.isfinite(low) else f"below {high:.3g}"
