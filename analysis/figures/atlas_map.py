"""The map of the atlas: problems by estimators, coloured by the error over the best."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import atlas
from analysis.figures.legend import framed, mark
from analysis.page import PAGE, Page
from analysis.rows import is_complete
from analysis.style import paper

_ENDS = (1.0, 2.0, 5.0, 10.0, 100.0)
_COLOURS = ("#313695", "#74add1", "#e0f3f8", "#fee090", "#f46d43", "#a50026")
"""Blue to red, of ratios from 1 to above 100; legible to the colour-blind."""

_LABELS = ("ties with the best", "within 2", "within 5", "within 10", "within 100", "above")
_ROW, _NARROW_ROW = 0.125, 0.1  # inches
_LETTER = 0.05  # of a name above a column
_NARROWEST = 4.5  # inches for two panels beside each other
_COLUMNS = (
    *("problem", "step", "law", "trained_with", "kind", "estimator", "short_name", "unbiased"),
    *("evaluations", "samples", "truth_norm", "error", "error_low", "error_high", "squared_bias"),
    *("squared_bias_low", "squared_bias_high", "variance", "variance_low", "variance_high"),
    *("is_exact", "ratio", "ratio_of_kind", "tied", "tied_of_kind"),
)


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the map, as `analysis.atlas.cells`.

    Raises:
        ValueError: as `analysis.atlas.cells`.
    """
    return atlas.cells(rows)[[*_COLUMNS]]


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the error of each estimator over the best at each point, a column for each estimator.

    The unbiased ones and the others are apart, each in the order of their mean ranks. Points are in
    blocks of one law. A cell is blank where the estimator does not take the problem, and has a dot
    where it is unbiased without variance, so that nothing is compared.

    Args:
        rows: the tidy table of `estimax atlas`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    found = atlas.cells(rows)
    points = _points(found)
    columns = _columns(found)
    beside = page.width >= _NARROWEST and len(columns) > 1
    above = [_LETTER * max(map(len, names)) for names in columns.values()]
    row = _ROW if beside else _NARROW_ROW
    heights = [row * len(points) + room + 0.15 for room in above]
    whole = max(heights) if beside else sum(heights)
    with paper():
        title = "" if is_complete(rows) else "run not complete: "
        title += "Error at equal cost over the best of these estimators at the point"
        figure = framed(page, title, whole, _entries(), _marks(found))
        shape = (1, len(columns)) if beside else (len(columns), 1)
        widths = [len(names) for names in columns.values()] if beside else None
        axes = figure.subplots(*shape, squeeze=False, width_ratios=widths).flat
        for number, (ax, (kind, names)) in enumerate(zip(axes, columns.items(), strict=True)):
            _draw(ax, found, points, names)
            ax.set_xlabel(kind, fontsize=7)
            if beside and number:
                ax.tick_params(labelleft=False)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the map of all estimators into axes.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    found = atlas.cells(rows)
    names = [name for each in _columns(found).values() for name in each]
    _draw(ax, found, _points(found), names)


def _points(found: pd.DataFrame) -> pd.DataFrame:
    """Return the points in blocks of one law, in the order of the rows."""
    points = found.drop_duplicates(atlas.POINT)[[*atlas.POINT, "law"]]
    laws = {law: number for number, law in enumerate(points["law"].unique())}
    return points.sort_values("law", key=lambda law: law.map(laws), kind="stable")


def _columns(found: pd.DataFrame) -> dict[str, Sequence[str]]:
    """Return the names of each kind in the order of their ranks, those that are exact first."""
    order = atlas.ranked(found)
    columns = {}
    for kind in atlas.KINDS:
        own = found[found["kind"] == kind]["short_name"].unique()
        known = list(order.loc[order["kind"] == kind, "short_name"])
        columns[kind] = [name for name in own if name not in known] + known
    return {kind: names for kind, names in columns.items() if names}


def _draw(ax: Axes, found: pd.DataFrame, points: pd.DataFrame, names: Sequence[str]) -> None:
    index = pd.MultiIndex.from_frame(points[atlas.POINT])
    wide = found.pivot(index=atlas.POINT, columns="short_name")
    ratio = wide["ratio"].reindex(index)[[*names]]
    exact = wide["is_exact"].reindex(index)[[*names]].eq(True).to_numpy()
    # The first colour is for ties alone.
    ends = [0.0, np.nextafter(1.0, 2.0), *_ENDS[1:], np.inf]
    bins = np.digitize(ratio.to_numpy(float), ends) - 1.0
    bins[ratio.isna().to_numpy()] = np.nan
    size = len(_COLOURS)
    norm = BoundaryNorm(np.arange(size + 1) - 0.5, size)
    ax.pcolormesh(
        np.arange(len(names) + 1) - 0.5,
        np.arange(len(points) + 1) - 0.5,
        np.ma.masked_invalid(bins),
        cmap=ListedColormap(_COLOURS),
        norm=norm,
        edgecolors="white",
        linewidth=0.4,
    )
    down, across = np.nonzero(exact)
    ax.plot(across, down, ".", color="0.3", markersize=2.5)
    labels = [
        f"{problem}, {step}" if step else str(problem)
        for problem, step in zip(points["problem"], points["step"], strict=True)
    ]
    ax.set_yticks(range(len(points)), [text.replace("$", r"\$") for text in labels], fontsize=5.5)
    ax.set_xticks(range(len(names)), [text.replace("$", r"\$") for text in names], fontsize=5.5)
    ax.tick_params(axis="x", rotation=90, labeltop=True, labelbottom=False)
    ax.tick_params(length=0, pad=1.5)
    ax.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(points) - 0.5, -0.5))
    for spine in ax.spines.values():
        spine.set_visible(False)
    laws = points["law"].to_numpy()
    for place in np.flatnonzero(laws[1:] != laws[:-1]):
        ax.axhline(place + 0.5, color="0.2", linewidth=0.6)


def _entries() -> list[Line2D]:
    return [
        mark(label, color=colour, marker="s", markersize=6)
        for label, colour in zip(_LABELS, _COLOURS, strict=True)
    ]


def _marks(found: pd.DataFrame) -> list[Line2D]:
    marks = [mark("blank: the estimator does not take the problem")]
    laws = list(_points(found)["law"].unique())
    if len(laws) > 1:
        marks.append(mark(f"lines part the laws: {', '.join(laws)}"))
    if found["is_exact"].any():
        marks.append(mark("unbiased without variance: not compared", marker=".", markersize=4))
    if (found["step"] > 0).any():
        marks.append(mark("a number after the name: training steps"))
    if (found["ratio"].isna() & ~found["is_exact"]).any():
        marks.append(mark("blank, too: no interval (too few events)"))
    return marks
