"""The table of other libraries' gradients compared with ours."""

import math

import pandas as pd

from analysis import formats
from analysis.columns import NAME, WORD, Column, Form, Kind, estimate, number
from analysis.readable import ReadableTable
from analysis.rows import check, is_complete

COLUMNS = (
    *("study", "opponent", "version", "problem", "call", "estimator", "short_name", "unbiased"),
    *("metric", "value", "note"),
)

LEVEL = 5.0
"""A z-score beyond which means differ: one in 10,000 tables of 60 lines is wrong by chance."""

VERDICTS = {
    "wrong": "the mean is not the gradient, although the estimator is unbiased",
    "other mean": "the mean differs from ours, of an estimator that is biased",
    "wrong value": "the mean of the returned losses is not E f, of an estimator whose loss is",
    "other variance": "the means agree, the variances do not",
    "agrees": "value, mean and variance",
    "fails": "the call raises an error",
    "not run": "the library could not be installed or run",
}
"""What a line concludes, the worst first, and what it means."""


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _variance(line: pd.Series, field: str, form: Form) -> str:
    del form
    value, low, high = estimate(line, field)
    return _ratio(value) + (f" ±{100 * (high / value - 1):.0f}%" if low < high else "")


_COLUMNS = (
    Column("library", ("", "library"), "opponent", NAME),
    Column("call, variable", ("", "call, variable"), "line", NAME),
    Column("verdict", ("", "verdict"), "verdict", WORD),
    Column(
        *("mean (z)", ("mean", "z"), "mean_z", number(_score)),
        about="Mean z: difference of the mean gradients, theirs minus ours, over its standard "
        "error, at the coordinate where it is largest.",
    ),
    Column(
        *("truth (z)", ("truth", "z"), "truth_z", number(_score)),
        about="Truth z: likewise, theirs minus the enumerated gradient, which biased estimators "
        "miss by design.",
    ),
    Column(
        *("variance ratio", ("variance", "ratio"), "variance_ratio", Kind(_variance, "word")),
        about="Variance ratio: trace of the covariance of one gradient, theirs over ours, with "
        "the longer side of its 95 % interval; - if neither varies.",
    ),
    Column(
        *("time ratio", ("time", "ratio"), "time_ratio", number(_ratio)),
        about="Time ratio: median over alternating rounds of their time per gradient over ours; "
        "above 1, estimax is faster. Those in JAX are mapped and compiled as ours are, reinmax "
        "takes a batch, and Storchastic, whose costs are global, one gradient after another.",
    ),
    Column("our estimator", ("", "our estimator"), "short_name", WORD),
)
_BESIDE = "Each call has our estimator that it is compared with beside it, or below."
_MORE = (
    Column("value (z)", ("value", "z"), "loss_z", number(_score)),
    Column("ours, truth (z)", ("ours,", "truth z"), "own_truth_z", number(_score)),
    Column("time", ("", "time"), "seconds", number(formats.duration)),
)


def opponents_table(rows: pd.DataFrame) -> ReadableTable:
    """Return the calls of other libraries with a verdict each, by library.

    Args:
        rows: the tidy table of `estimax benchmark --opponents`.

    Returns:
        A line for each call and variable: the metrics of the rows, `variance_ratio_low` and
        `variance_ratio_high`, and the `verdict`. Libraries that could not be run are skipped.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, COLUMNS)
    # A run in which every call fails has no intervals.
    if (rows["metric"] == "variance_ratio").any():
        check(rows, ("low", "high"))
    absent = rows[rows["call"] == ""]
    lines = [
        _line(part) for _, part in rows.drop(absent.index).groupby(["opponent", "problem", "call"])
    ]
    lines += [_absent(row) for _, row in absent.iterrows()]
    frame = pd.DataFrame(lines)
    frame = frame.sort_values("opponent", key=lambda names: names.str.lower(), kind="stable")
    count = frame["verdict"].value_counts()
    found = ", ".join(f"{count[name]} {name}" for name in VERDICTS if name in count)
    versions = dict(zip(rows["opponent"], rows["version"], strict=True))
    said = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    means = "; ".join(f"{name}: {text}" for name, text in VERDICTS.items() if name in count)
    return ReadableTable(
        frame=frame.reset_index(drop=True),
        columns=_COLUMNS,
        more_columns=_MORE,
        heading=f"Gradients of f(z) = (w . z - c)^2 by other libraries: {said}"
        + ("" if is_complete(rows) else ", run not complete"),
        notes=(f"{means}. Means differ if |z| > {LEVEL:g}.", _BESIDE),
        findings=(f"Verdicts: {found}.",),
        context={"study": "opponents"},
        is_grouped=True,
    )


def _line(rows: pd.DataFrame) -> dict:
    """Return the line of a call's rows."""
    first = rows.iloc[0]
    facts = {name: first[name] for name in ("opponent", "version", "problem", "call")}
    facts |= {name: first[name] for name in ("estimator", "short_name", "unbiased")}
    facts |= {"line": f"{first['call']}, {first['problem']}"}
    values = dict.fromkeys(
        ("loss_z", "mean_z", "truth_z", "own_truth_z", "variance_ratio", "time_ratio", "seconds"),
        math.nan,
    )
    values |= {"variance_ratio_low": math.nan, "variance_ratio_high": math.nan}
    values |= dict(zip(rows["metric"], rows["value"], strict=True))
    for _, row in rows[rows["metric"] == "variance_ratio"].iterrows():
        values |= {"variance_ratio_low": row["low"], "variance_ratio_high": row["high"]}
    note = "; ".join(text for text in rows["note"].dropna().unique() if text)
    line = facts | values | {"note": note}
    return line | {"verdict": _verdict(line, bool(first.get("relaxes", False)))}


def _verdict(line: dict, relaxes: bool) -> str:
    if "skipped" in line:
        return "fails"
    if line["unbiased"] == "yes" and abs(line["truth_z"]) > LEVEL:
        return "wrong"
    if abs(line["mean_z"]) > LEVEL:
        return "other mean"
    if not relaxes and abs(line["loss_z"]) > LEVEL:
        return "wrong value"
    ratio, low, high = (line[f"variance_ratio{end}"] for end in ("", "_low", "_high"))
    if math.isnan(ratio):
        return "agrees"
    # The interval is of 95 %; as for means, LEVEL standard errors make a difference.
    if ratio in (0, math.inf) or abs(math.log(ratio)) > LEVEL / 1.96 * math.log(high / low) / 2:
        return "other variance"
    return "agrees"


def _absent(row: pd.Series) -> dict:
    names = ("loss_z", "mean_z", "truth_z", "own_truth_z", "variance_ratio", "time_ratio")
    facts = {"opponent": row["opponent"], "version": row["version"], "line": "-", "call": ""}
    facts |= dict.fromkeys(
        (*names, "variance_ratio_low", "variance_ratio_high", "seconds"), math.nan
    )
    facts |= {"problem": "", "estimator": "", "short_name": "", "unbiased": ""}
    return facts | {"verdict": "not run", "note": row["note"]}
