"""The rows of two result tables of a study, matched by what identifies them, and compared."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.rows import check
from analysis.schema import IDENTITY, METRICS, TIMES, names
from analysis.statistics.difference import Test, by_errors, by_seeds, facing_error, holm
from analysis.statistics.seeds import over_seeds
from analysis.statistics.student import quantile

LEVEL = 0.05
"""Chance that any row differs by its adjusted p-value, if none does."""
ROUNDING = 1e-4
"""Relative difference that float32's rounding explains, with what training makes of it: between
programs for SSE and AVX, on a VAE after 300 steps, it is 5e-6."""
_SAME_POINT = 1e-6
"""Relative difference of the norms of exact gradients at one point."""

WITHOUT_ERROR = ("unbiased_p_value", "truth_norm", "diverged")
"""Metrics that are not tested: evidence itself, the point itself, and a time of failure."""

_VALUES = ["value", "low", "high"]
_POINT = ["problem", "objective", "group", "step"]
# Another run of the same training ends elsewhere, by more than its evaluation is uncertain.
_TRAINED = ("train", "reproduce")
# What was chosen for a cell of a reproduced table is a result.
_CHOSEN = ("estimator", "optimiser", "learning_rate", "variant")
_TEXTS = names("text")
_SQUARED = [name for name, metric in METRICS.items() if metric.unit == "g²"]


class Matched(NamedTuple):
    """Two tables, matched.

    Attributes:
        lines: one line per comparison: what identifies it (`seed` is missing if the values are
            means over seeds); `a`, `a_low`, `a_high`, `b`, `b_low`, `b_high`; the `difference` b
            - a, its `error` (NaN if unknown), `z`, `p` and `p_adjusted`; `outcome`: "differs",
            "within" the errors, "equal" (to rounding), "time" or "untested".
        size: number of rows that both tables have, with the same seeds; without times and p-values.
        same: how many of them have the same numbers, to the bit.
        equal: how many of them have the same value, to rounding.
        largest: the largest relative difference among these rows.
        moved: the largest relative difference of the norms of true gradients among these rows.
        has_same_keys: whether all of these rows are of the same numbers of samples.
        only: the rows that only the first, and only the second table has, without times.
    """

    lines: pd.DataFrame
    size: int
    same: int
    equal: int
    largest: float
    moved: float
    has_same_keys: bool
    only: tuple[pd.DataFrame, pd.DataFrame]


@np.errstate(over="ignore", invalid="ignore")  # of damaged numbers
def matched(first: pd.DataFrame, second: pd.DataFrame, study: str) -> Matched:
    """Match the rows of two tables of a study, and compare them.

    Rows of the same seed are compared with each other. Rows of which the tables have no common seed
    are compared as means over seeds.

    The error of a difference is that of the two rows' intervals if both are at the same point: if
    the seeds are the same, or the norms of the true gradients equal. Otherwise, and of training,
    which ends elsewhere each time, it is that of the means over seeds (`by_seeds`); of one seed
    each, it is unknown. p-values are adjusted for the number of lines by Holm's method.

    Args:
        first: a tidy result table.
        second: another one of the same study.
        study: the name of the study.

    Raises:
        ValueError: if rows of the study have no identity, a table is empty, lacks a column, or has
            two rows of one identity.
    """
    if study not in IDENTITY:
        raise ValueError(f"the rows of {study} cannot be matched, only its data be compared")
    keys = list(IDENTITY[study])
    a, b = (
        side[~side["metric"].isin(["", "skipped"])]
        for side in (prepared(first, keys), prepared(second, keys))
    )
    if study == "reproduce":
        keys = [name for name in keys if name not in _CHOSEN]
        a, b = a[a["stage"] == "final"], b[b["stage"] == "final"]
    for side in (a, b):
        _check_unique(side, keys)
    pairs = a.merge(b, on=keys, suffixes=("_a", "_b"))
    judged = pairs[~pairs["metric"].isin([*TIMES, "unbiased_p_value"])]
    relative = _relative(judged)
    moved = relative[judged["metric"] == "truth_norm"].max()
    by = [name for name in keys if name != "seed"]
    if study in _TRAINED:
        a, b = _final(a, keys), _final(b, keys)
        lines = means = _of_means(a, b, keys, is_fixed=False)
    else:
        a, b = _without(a, pairs, keys), _without(b, pairs, keys)
        others = _without(a, pairs, by), _without(b, pairs, by)
        # Equal norms of all true gradients: the seeds share the point.
        means = _of_means(*others, keys, _is_fixed(first, second))
        lines = pd.concat([_of_pairs(pairs, keys, is_fixed=not moved > ROUNDING), means])
    only = [_without(side[~side["metric"].isin(TIMES)], means, by) for side in (a, b)]
    is_same = np.logical_and.reduce([_alike(judged, name) for name in _VALUES])
    return Matched(
        _judged(lines.reset_index(drop=True)),
        size=len(judged),
        same=int(np.sum(is_same)),
        equal=int((relative <= ROUNDING).sum()),
        largest=float(np.nan_to_num(relative.max())),
        moved=float(np.nan_to_num(moved)),
        has_same_keys=len(judged) > 0 and bool((judged["samples_a"] == judged["samples_b"]).all()),
        only=(only[0], only[1]),
    )


def prepared(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the columns that identify the rows of a table, without gaps, and their numbers.

    Args:
        rows: a tidy result table.
        keys: the columns that identify a row.

    Returns:
        One line per row, in their order: the keys (missing ones are "" and 0), `value`, `low`,
        `high`, `evaluations`, `samples` and `estimator`, and the `scale` to which the value is
        rounded.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    is_claim = "error" in rows
    check(rows, ["metric", "value", *(["error", "degrees"] if is_claim else ["low", "high"])])
    side = pd.DataFrame(index=rows.index)
    for name in keys:
        blank = "" if name in _TEXTS else 0.0
        # A column without any text is one of missing numbers.
        side[name] = rows[name].astype(object).fillna(blank) if name in rows else blank
        if name not in _TEXTS:
            side[name] = side[name].astype(float)
    side["value"] = rows["value"].astype(float)
    if is_claim:
        half = quantile(rows["degrees"].to_numpy(float)) * rows["error"].to_numpy(float)
        half = np.where(np.isfinite(half), half, np.nan)
        side["low"], side["high"] = side["value"] - half, side["value"] + half
    else:
        side["low"], side["high"] = rows["low"].astype(float), rows["high"].astype(float)
    for name in ("evaluations", "samples"):
        side[name] = rows[name].astype(float) if name in rows else 0.0
    if "estimator" not in side:
        side["estimator"] = rows["estimator"].fillna("") if "estimator" in rows else ""
    by = [side[name] for name in keys if name != "metric"]
    scale = side["value"].abs()
    # A squared error is a difference of sums, rounded to their size, not to its own.
    for metric, size in (("mse", lambda mse: mse), ("truth_norm", lambda norm: ROUNDING * norm**2)):
        found = side["value"].where(side["metric"] == metric).groupby(by).transform("max")
        found = size(found).where(side["metric"].isin(_SQUARED))
        scale = pd.concat([scale, found], axis=1).max(axis=1)
    side["scale"] = scale.where(~side["metric"].str.startswith("cosine"), 1.0)
    return side.reset_index(drop=True)


def _check_unique(side: pd.DataFrame, keys: Sequence[str]) -> None:
    repeated = side[side.duplicated(list(keys))]
    if len(repeated):
        first = repeated.iloc[0]
        about = ", ".join(str(first[name]) for name in keys if first[name] not in ("", 0.0))
        raise ValueError(f"the result table holds a row twice: {about}")


def _final(side: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the rows at the last step of training."""
    by = [name for name in keys if name not in ("step", "seed")]
    return side[side["step"] == side.groupby(by)["step"].transform("max")]


def _is_fixed(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Return whether the true gradients of all rows of a point have the same norm."""
    rows = pd.concat([first, second])
    if not {*_POINT} <= {*rows}:
        return False
    norms = rows[rows["metric"] == "truth_norm"].groupby(_POINT, dropna=False)["value"]
    return len(norms) > 0 and bool((norms.max() - norms.min() <= _SAME_POINT * norms.max()).all())


def _without(side: pd.DataFrame, lines: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the rows that are not among the lines."""
    known = pd.MultiIndex.from_frame(lines[list(by)])
    return side[~pd.MultiIndex.from_frame(side[list(by)]).isin(known)]


def _relative(pairs: pd.DataFrame) -> pd.Series:
    """Return how far pairs of values are apart, relative to what they are rounded to."""
    apart = (pairs["value_b"] - pairs["value_a"]).abs()
    scale = pairs[["scale_a", "scale_b"]].max(axis=1)
    return (apart / scale.where(scale > 0)).mask(_alike(pairs, "value"), 0.0)


def _alike(pairs: pd.DataFrame, name: str) -> pd.Series:
    a, b = pairs[f"{name}_a"], pairs[f"{name}_b"]
    return (a == b) | (a.isna() & b.isna())


def _of_pairs(pairs: pd.DataFrame, keys: Sequence[str], is_fixed: bool) -> pd.DataFrame:
    """Return the lines of rows of the same seed, with the errors of their intervals."""
    rises = (pairs["value_b"] > pairs["value_a"]).to_numpy()
    a, b = (_errors(pairs, f"_{side}", rises == (side == "a")) for side in "ab")
    error = np.hypot(a, b)
    if not is_fixed:  # exact, but of other points
        error[error == 0] = np.nan
    return _lines(pairs, keys, by_errors(_beyond_rounding(pairs), error))


def _of_means(
    a: pd.DataFrame, b: pd.DataFrame, keys: Sequence[str], is_fixed: bool
) -> pd.DataFrame:
    """Return the lines of means over seeds.

    Args:
        a: rows of the first table.
        b: rows of the second table.
        keys: what identifies a row.
        is_fixed: whether the rows' intervals hold for other seeds too.
    """
    by = [name for name in keys if name != "seed"]
    means = [_means(side, by) for side in (a, b)]
    pairs = means[0].merge(means[1], on=by, suffixes=("_a", "_b"))
    beyond = _beyond_rounding(pairs)
    if is_fixed:
        rises = pairs[by].assign(rises=pairs["value_b"] > pairs["value_a"])
        squares = [_squared_errors(a, rises, by, True), _squared_errors(b, rises, by, False)]
        test = by_errors(beyond, np.sqrt(squares[0] + squares[1]))
    else:
        variances = [pairs[f"var_{side}"].to_numpy(float) for side in "ab"]
        sizes = [pairs[f"seeds_{side}"].to_numpy(float) for side in "ab"]
        test = by_seeds(beyond, variances, sizes)
    return _lines(pairs.assign(seed=np.nan), keys, test)


def _means(side: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    groups = side.groupby(list(by), sort=False)
    facts = groups[["scale", "evaluations", "samples"]].max()
    facts["var"] = groups["value"].var(skipna=False)
    if "estimator" not in by:
        facts["estimator"] = groups["estimator"].first()
    return over_seeds(side, by).join(facts).reset_index()


def _squared_errors(
    side: pd.DataFrame, rises: pd.DataFrame, by: Sequence[str], is_first: bool
) -> np.ndarray:
    """Return the squared errors of means, from the intervals of their rows."""
    rows = rises.merge(side, on=list(by))
    error = _errors(rows, "", (rows["rises"] == is_first).to_numpy())
    groups = rows.assign(squared=error**2).groupby(list(by), sort=False)["squared"]
    size = groups.size().to_numpy()
    return groups.sum(min_count=1).where(groups.count() == size).to_numpy() / size**2


def _errors(rows: pd.DataFrame, suffix: str, rises: np.ndarray) -> np.ndarray:
    value, low, high = (rows[f"{name}{suffix}"].to_numpy(float) for name in _VALUES)
    error = facing_error(value, low, high, rises)
    return np.where(rows["metric"].isin([*TIMES, *WITHOUT_ERROR]), np.nan, error)


def _beyond_rounding(pairs: pd.DataFrame) -> np.ndarray:
    """Return the part of every difference that rounding does not explain."""
    difference = pairs["value_b"] - pairs["value_a"]
    return difference.mask(_relative(pairs) <= ROUNDING, 0.0).to_numpy(float)


def _lines(pairs: pd.DataFrame, keys: Sequence[str], test: Test) -> pd.DataFrame:
    own = [name for name in ("estimator", "estimator_a") if name in pairs]
    lines = pairs[list(dict.fromkeys([*keys, own[0]]))].rename(columns={own[0]: "estimator"})
    for side in "ab":
        for name, suffix in zip(_VALUES, ("", "_low", "_high"), strict=True):
            lines[f"{side}{suffix}"] = pairs[f"{name}_{side}"]
        lines[f"evaluations_{side}"] = pairs[f"evaluations_{side}"]
    lines["difference"] = lines["b"] - lines["a"]
    untested = lines["metric"].isin([*TIMES, *WITHOUT_ERROR])
    for name, found in test._asdict().items():
        lines[name] = pd.Series(found, index=lines.index).mask(untested)
    lines["is_equal"] = _relative(pairs) <= ROUNDING
    return lines


def _judged(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the lines with adjusted p-values and outcomes, those that differ most first."""
    lines = lines.assign(p_adjusted=holm(lines["p"].to_numpy(float)))
    lines["outcome"] = np.select(
        [
            lines["metric"].isin(TIMES),
            lines.pop("is_equal").astype(bool),
            lines["p_adjusted"].isna(),
            lines["p_adjusted"] <= LEVEL,
        ],
        ["time", "equal", "untested", "differs"],
        "within",
    )
    order = lines["outcome"].map({"time": 3, "equal": 2, "untested": 1}).fillna(0)
    lines = lines.assign(order=order, size=-lines["z"].abs())
    lines = lines.sort_values(["order", "p", "size"], kind="stable", ignore_index=True)
    return lines.drop(columns=["order", "size"])
