"""What follows from a comparison: its closing sentences, and warnings about single estimators."""

import numpy as np
import pandas as pd

from analysis import formats
from analysis.columns import estimate
from analysis.text import listed

_LEVEL = 1e-3
"""What is declared unbiased is mostly proved so: one false alarm in a thousand tables."""
_ALIKE = 1e-5
"""Relative difference of two measurements below which their gradients count as equal: float32's
rounding of sums, far below what other gradients would differ by."""


def conclusion(lines: pd.DataFrame, error: str, truth_norm: float | None) -> list[str]:
    """Return the sentences that conclude a comparison.

    They say which estimators have the least error at equal cost (the smallest, and those not
    distinguishable from it), which of these are unbiased, and which are worse than a zero
    gradient, whose squared error is the squared norm of the true gradient.

    Args:
        lines: the frame of `analysis.comparison_table`.
        error: the column of the errors that are compared.
        truth_norm: norm of the true gradient, if known.
    """
    lines = lines.assign(is_unbiased=(lines["unbiased"] == "yes") & ~_contradicted(lines))
    finite = lines[np.isfinite(lines[error])]
    free = finite[finite[error] == 0]
    noisy = finite[finite[error] > 0]
    in_order = ranked(lines, error)
    said = []
    if len(free):
        each = [f"{line.short_name} ({line.evaluations:.0f})" for line in free.itertuples()]
        said.append(f"No error: {listed(each)}, with evaluations of f per gradient in brackets.")
    if len(in_order):
        least = f"{'Of the others, l' if len(free) else 'L'}east"
        said.append(_least(in_order, error, least, at_equal(error)))
    if len(unranked := noisy.drop(in_order.index)):
        said.append(f"Not ranked, for lack of an interval: {listed(unranked['short_name'])}.")
    if truth_norm is not None and np.isfinite(truth_norm) and len(finite):
        zero = truth_norm**2
        worse = finite[finite[f"{error}_low"].fillna(0) > zero].sort_values(error, kind="stable")
        if len(worse):
            found = f"; worse, at this budget, than not moving: {listed(worse['short_name'])}"
        elif len(unranked) == len(finite):
            found = ""
        else:
            found = f"; no {'ranked ' if len(unranked) else ''}estimator is worse"
        said.append(
            f"A zero gradient would score {formats.scientific(zero)} (the squared norm of the true "
            f"gradient){found}."
        )
    return said


def ranked(lines: pd.DataFrame, error: str) -> pd.DataFrame:
    """Return the lines with an error and its interval, the least error first."""
    noisy = lines[(lines[error] > 0) & np.isfinite(lines[error])]
    has_interval = np.isfinite(noisy[f"{error}_high"]) & np.isfinite(noisy[f"{error}_low"])
    return noisy[has_interval].sort_values(error, kind="stable")


def at_equal(error: str) -> str:
    """Return what errors in a column are compared at."""
    return f"at equal {'time' if error == 'equal_time_error' else 'cost'}"


def _least(ranked: pd.DataFrame, error: str, least: str, at: str) -> str:
    """Return the sentences on the least error; the estimators are in its order."""
    best = ranked.iloc[0]
    is_tied, how = ranked[f"{error}_tied"], "not distinguishable from it"
    if not is_tied.any():  # the results lack what a paired test needs
        is_tied = ranked[f"{error}_low"] <= best[f"{error}_high"]
        how = "with overlapping intervals"
    tied = ranked[is_tied]
    value = _interval(best, error)
    said = f"{least} error {at}: {best['short_name']}, {value}"
    if len(tied) > 1:
        said += f"; {how}: {listed(tied['short_name'][1:])}"
    unbiased = tied[tied["is_unbiased"]]
    several = len(tied) > 1
    if len(unbiased) == len(tied):
        return f"{said}. {'All of these are' if several else 'It is'} unbiased."
    if len(unbiased):
        return f"{said}. Of these, unbiased: {listed(unbiased['short_name'])}."
    said += f". {'All of these are' if several else 'It is'} biased"
    others = ranked[ranked["is_unbiased"]]
    if len(others):
        first = others.iloc[0]
        said += (
            f"; the best unbiased estimator is {first['short_name']}, with "
            f"{first[error] / best[error]:.3g} times the error"
        )
    return f"{said}."


def with_warnings(lines: pd.DataFrame, notes: pd.Series) -> pd.Series:
    """Return the notes of a comparison's lines with warnings added.

    A warning says that an estimator declared unbiased was measured to be biased (by the p-value of
    no bias, Bonferroni's correction over these estimators, 0.1 %), that its mean points away from
    the true gradient, or that it draws the same gradients as another under the same keys.

    Args:
        lines: the frame of `analysis.comparison_table`.
        notes: the notes of its lines.
    """
    found = {place: [note] if note else [] for place, note in notes.items()}
    for place in lines.index[_contradicted(lines)]:
        bias = _interval(lines.loc[place], "squared_bias")
        chance = formats.scientific(float(lines["unbiased_p_value"][place]), 2)
        found[place].append(f"declared unbiased, but its squared bias is {bias} (p = {chance})")
    for place in lines.index[lines["cosine_mean_high"] < 0]:
        cosine = "{:.3f} [{:.3f}, {:.3f}]".format(*estimate(lines.loc[place], "cosine_mean"))
        found[place].append(f"its mean points away from the true gradient: cosine {cosine}")
    for group in _alike(lines):
        names = ", ".join(lines.loc[group, "short_name"])
        for place in group:
            found[place].append(f"the same gradients under the same keys: {names}")
    return pd.Series({place: "; ".join(texts) for place, texts in found.items()}, dtype=object)


def _contradicted(lines: pd.DataFrame) -> pd.Series:
    """Return which estimators are declared unbiased, but were measured to be biased."""
    declared = (lines["unbiased"] == "yes") & lines["unbiased_p_value"].notna()
    return declared & (lines["unbiased_p_value"] * declared.sum() < _LEVEL)


def _alike(lines: pd.DataFrame) -> list[list]:
    """Return groups of lines whose measurements agree up to rounding, so their gradients do."""
    drawn = lines[(lines["variance"] > 0) & np.isfinite(lines["mse"])].sort_values("variance")
    groups: list[list] = []
    for place, line in drawn.iterrows():
        if groups and _is_alike(drawn.loc[groups[-1][0]], line):
            groups[-1].append(place)
        else:
            groups.append([place])
    return [group for group in groups if len(group) > 1]


def _is_alike(first: pd.Series, second: pd.Series) -> bool:
    if first["samples"] != second["samples"]:
        return False
    for name in ("squared_bias", "variance", "mse", "cosine_mean", "cosine_sample"):
        scale = 1.0 if name.startswith("cosine") else first["mse"]
        apart = abs(first[name] - second[name])
        if not (apart <= _ALIKE * scale or (np.isnan(first[name]) and np.isnan(second[name]))):
            return False
    return True


def _interval(line: pd.Series, field: str) -> str:
    return formats.bracketed(*estimate(line, field))
