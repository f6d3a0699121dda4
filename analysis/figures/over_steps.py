"""Bias, variance and error of estimators at the checkpoints of training runs."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import step_panels, traces
from analysis.rows import heading, is_complete, places
from analysis.tables.comparison import measurements

_PANELS = {
    "squared_bias": "squared bias",
    "variance": "variance (trace)",
    "mse": "mean squared error",
}
_FACTS = ["estimator", "method", "unbiased", "evaluations", "samples"]


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `trained_with`: the run whose parameters are measured; `step`; `estimator`, `method`,
        `unbiased`, `evaluations`, `samples`; `squared_bias`, `variance` and `mse` with `_low` and
        `_high`; `upper_limit`: whether the squared bias is not distinguishable from zero;
        `truth_norm`: norm of the true gradient.

    Raises:
        ValueError: if the table is not one of a measurement with `--at`, or no value is finite.
    """
    if "trained_with" not in rows:
        raise ValueError("the result table lacks the column trained_with")
    columns = [metric + suffix for metric in _PANELS for suffix in ("", "_low", "_high")]
    found = []
    for part in places(rows).values():
        table = measurements(part)
        points = table.frame[_FACTS + columns].assign(truth_norm=table.settings["truth_norm"])
        points.insert(0, "step", table.context["step"])
        points.insert(0, "trained_with", table.context["trained_with"])
        found.append(points)
    points = pd.concat(found, ignore_index=True).replace([np.inf, -np.inf], np.nan)
    if points[list(_PANELS)].isna().all(axis=None):
        raise ValueError("no finite value was measured")
    points["truth_norm"] = points["truth_norm"].astype(float)
    return points.assign(upper_limit=traces.upper_limits(points))


def draw(rows: pd.DataFrame) -> Figure:
    """Draw squared bias, variance and error against the training step, as `step_panels.draw`.

    Errors are in squared units of the gradient.

    Args:
        rows: a tidy table of a measurement with `--at`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    runs = {str(name): part for name, part in points.groupby("trained_with", sort=False)}
    first = rows.iloc[0]
    context = {name: first[name] for name in ("problem", "objective", "group")}
    if len(runs) == 1:
        context["trained_with"] = next(iter(runs))
    drawn = points.loc[points["method"] != "Exact", "samples"].dropna()
    seeds = rows["seed"].nunique()
    title = heading(
        context,
        complete=is_complete(rows),
        samples=(int(drawn.min()), int(drawn.max())) if len(drawn) else None,
        seeds=(seeds, seeds) if seeds > 1 else None,
    )
    return step_panels.draw(points, runs, "estimator", _PANELS, title)
