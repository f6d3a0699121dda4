"""Bias and variance of estimators during training."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import formats
from analysis.figures import small_multiples, step_panels, traces
from analysis.names import short_names
from analysis.page import PAGE, Page
from analysis.rows import families, shared, title, without_skipped
from analysis.runs import RUN, read

_PANELS = {"variance": "variance (trace)", "squared_bias": "squared bias"}
_SUFFIXES = {"value": "", "low": "_low", "high": "_high"}


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        The run: `estimator`, `optimiser`, `learning_rate`, `seed`. The measurement at the run's
        parameters: `group` (of parameters; "" if unknown), `measured`, `short_name` and `method`
        (of the measured estimator), `step`; `variance` and `squared_bias` with `_low` and `_high`;
        `upper_limit`: whether the squared bias is not distinguishable from zero; `truth_norm`: norm
        of the true gradient. In front, if the runs are of several problems: `place`.

    Raises:
        ValueError: if the table is not one for `analysis.training_table`, or has no finite
            measurement during training.
    """
    points = small_multiples.joined(small_multiples.each_place(rows, _data))
    along = rows[rows["measured"].fillna("") != ""]
    # The same at every place.
    points["short_name"] = points["measured"].map(short_names(along, "measured"))
    return points


def _data(rows: pd.DataFrame) -> pd.DataFrame:
    rows = read(rows)
    measured, _ = without_skipped(rows[rows["measured"] != ""])
    if measured.empty:
        raise ValueError("nothing was measured during training")
    keys = [*RUN, "group", "measured", "step"]
    groups = pd.Categorical(measured["group"], measured["group"].unique())  # in their order
    wide = measured.assign(group=groups).pivot(index=keys, columns="metric", values=list(_SUFFIXES))
    points = pd.DataFrame(index=wide.index)
    for metric in _PANELS:
        for kind, suffix in _SUFFIXES.items():
            known = (kind, metric) in wide
            points[metric + suffix] = wide[kind, metric].astype(float) if known else np.nan
    norm = ("value", "truth_norm")
    points["truth_norm"] = wide[norm].astype(float) if norm in wide else np.nan
    points = points.replace([np.inf, -np.inf], np.nan).reset_index().astype({"group": str})
    if points[list(_PANELS)].isna().all(axis=None):
        raise ValueError("no finite value was measured during training")
    short = short_names(rows[rows["measured"] != ""], "measured")
    at = len(RUN) + 2
    points.insert(at, "short_name", points["measured"].map(short))
    points.insert(at + 1, "method", points["measured"].str.partition("[")[0])
    points["upper_limit"] = traces.upper_limits(points)
    return points


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw variance and squared bias against the training step, as `step_panels.draw`.

    Each group of parameters of a run has its own row of panels. Errors are in squared units of the
    gradient.

    Args:
        rows: a tidy table of training runs, with rows in which `measured` is set.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    groups = {"group": points["group"][0]} if points["group"].nunique() == 1 else {}
    text = title(rows, shared(rows) | groups)
    return step_panels.draw(points, dict(_runs(points)), _PANELS, families(rows), text, page)


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the variance along the first run into axes; named estimators have a label.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    step_panels.panel(ax, points, dict(_runs(points)), "variance", families(rows))
    ax.set_ylabel(_PANELS["variance"])


def _runs(points: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    several = points["group"].nunique() > 1
    for place, own in small_multiples.by_place(points).items():
        problem = f"{place}, " if place else ""
        for _, run in own.groupby([*RUN, "group"], sort=False):
            first = run.iloc[0]
            rate = formats.setting(first["learning_rate"])
            name = f"trained with {first['estimator']}, {first['optimiser']}, learning rate {rate}"
            group = f", group {first['group']}" if several else ""
            yield f"{problem}{name}, seed {first['seed']}{group}", run
