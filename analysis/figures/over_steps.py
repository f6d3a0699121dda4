"""Bias, variance and error of estimators at the checkpoints of training runs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import step_panels, traces
from analysis.names import short_names
from analysis.page import PAGE, Page
from analysis.rows import families, places, shared, title
from analysis.tables.comparison import measurements

_PANELS = {
    "squared_bias": "squared bias",
    "variance": "variance (trace)",
    "mse": "mean squared error",
}
_FACTS = ["estimator", "short_name", "method", "unbiased", "evaluations", "samples"]


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `place`: the name of a curve over steps, by the training run and what else differs;
        `trained_with`: the run whose parameters are measured; `step`; `estimator`, `short_name`,
        `method`, `unbiased`, `evaluations`, `samples`; `squared_bias`, `variance` and `mse` with
        `_low` and `_high`; `truth_norm`: norm of the true gradient; `upper_limit`: whether the
        squared bias is not distinguishable from zero.

    Raises:
        ValueError: if the table is not one of a measurement with `--at`, or no value is finite.
    """
    if "trained_with" not in rows:
        raise ValueError("the result table lacks the column trained_with")
    columns = [metric + suffix for metric in _PANELS for suffix in ("", "_low", "_high")]
    found = []
    for place, run in places(rows, without=["step"]).items():
        for part in places(run).values():
            table = measurements(part)
            points = table.frame[_FACTS + columns].assign(truth_norm=table.settings["truth_norm"])
            points.insert(0, "step", table.context["step"])
            points.insert(0, "trained_with", table.context["trained_with"])
            points.insert(0, "place", place or f"trained with {table.context['trained_with']}")
            found.append(points)
    points = pd.concat(found, ignore_index=True).replace([np.inf, -np.inf], np.nan)
    if points[list(_PANELS)].isna().all(axis=None):
        raise ValueError("no finite value was measured")
    # The same at every place, also where an estimator of the same short name was skipped.
    points["short_name"] = points["estimator"].map(short_names(rows))
    points["truth_norm"] = points["truth_norm"].astype(float)
    return points.assign(upper_limit=traces.upper_limits(points))


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw squared bias, variance and error against the training step, as `step_panels.draw`.

    Errors are in squared units of the gradient.

    Args:
        rows: a tidy table of a measurement with `--at`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    text = title(rows, shared(rows))
    return step_panels.draw(points, _runs(points), _PANELS, families(rows), text, page)


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the mean squared error over the first run into axes; named estimators have a label.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    step_panels.panel(ax, points, _runs(points), "mse", families(rows))
    ax.set_ylabel(_PANELS["mse"])


def _runs(points: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(name): run for name, run in points.groupby("place", sort=False)}
