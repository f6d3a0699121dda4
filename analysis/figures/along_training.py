"""Bias and variance of estimators during training."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import formats
from analysis.figures import step_panels, traces
from analysis.rows import TRAINING_CONTEXT, heading, is_complete, only_context, without_skipped
from analysis.runs import RUN, read

_PANELS = {"variance": "variance (trace)", "squared_bias": "squared bias"}
_SUFFIXES = {"value": "", "low": "_low", "high": "_high"}


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        The run: `estimator`, `optimiser`, `learning_rate`, `seed`. The measurement at the run's
        parameters: `measured`, `method` (of the measured estimator), `step`; `variance` and
        `squared_bias` with `_low` and `_high`; `upper_limit`: whether the squared bias is not
        distinguishable from zero; `truth_norm`: norm of the true gradient.

    Raises:
        ValueError: if the table is not one for `analysis.training_table`, or has no finite
            measurement during training.
    """
    rows = read(rows)
    measured, _ = without_skipped(rows[rows["measured"] != ""])
    if measured.empty:
        raise ValueError("nothing was measured during training")
    keys = [*RUN, "measured", "step"]
    wide = measured.pivot(index=keys, columns="metric", values=list(_SUFFIXES))
    points = pd.DataFrame(index=wide.index)
    for metric in _PANELS:
        for kind, suffix in _SUFFIXES.items():
            known = (kind, metric) in wide
            points[metric + suffix] = wide[kind, metric].astype(float) if known else np.nan
    norm = ("value", "truth_norm")
    points["truth_norm"] = wide[norm].astype(float) if norm in wide else np.nan
    points = points.replace([np.inf, -np.inf], np.nan).reset_index()
    if points[list(_PANELS)].isna().all(axis=None):
        raise ValueError("no finite value was measured during training")
    points.insert(len(RUN) + 1, "method", points["measured"].str.partition("[")[0])
    points["upper_limit"] = traces.upper_limits(points)
    return points


def _heading(rows: pd.DataFrame) -> str:
    measured, _ = without_skipped(rows[rows["measured"].fillna("") != ""])
    context = only_context(rows, TRAINING_CONTEXT)
    if "group" in measured and measured["group"].nunique() == 1:
        context["group"] = measured["group"].iloc[0]
    drawn = measured.reindex(columns=["measured", "samples"]).dropna()
    drawn = drawn.loc[drawn["measured"] != "Exact", "samples"]
    samples = (int(drawn.min()), int(drawn.max())) if len(drawn) else None
    return heading(context, complete=is_complete(rows), samples=samples)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw variance and squared bias against the training step, as `step_panels.draw`.

    Errors are in squared units of the gradient.

    Args:
        rows: a tidy table of training runs of one context, with rows in which `measured` is set.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    runs = dict(_runs(points))
    title = _heading(rows)
    if len(runs) == 1:
        title += f", during training with {next(iter(runs))}"
    return step_panels.draw(points, runs, "measured", _PANELS, title)


def _runs(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for _, run in points.groupby(list(RUN), sort=False):
        first = run.iloc[0]
        rate = formats.setting(first["learning_rate"])
        name = f"{first['estimator']}, {first['optimiser']}, learning rate {rate}"
        yield f"{name}, seed {first['seed']}", run
