"""Performance profiles of the atlas: on how many points an estimator is near the best."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import atlas
from analysis.figures.legend import MOST_NAMED, entry, framed, mark, others_mark
from analysis.page import PAGE, Page
from analysis.rows import families, is_complete
from analysis.statistics.profiles import profile
from analysis.style import GREY, Look, looks_of, paper

_MOST = MOST_NAMED // 2  # of each kind
_FACTORS = np.logspace(0, 2, 201)
_HEIGHT = 2.2  # inches


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the profiles (Dolan and More 2002).

    Returns:
        `kind`, `estimator`, `short_name`, `method`, `points` of it and `all_points`; `factor`, and
        `share`, that of its points where its error is within the factor of the best of its kind. A
        line at each factor where the share rises, from 1.

    Raises:
        ValueError: as `analysis.atlas.cells`.
    """
    found = atlas.cells(rows)
    parts = []
    for line in atlas.ranked(found).itertuples():
        own = found[(found["estimator"] == line.estimator) & found["ratio_of_kind"].notna()]
        factors = np.unique([1.0, *own["ratio_of_kind"]])
        curve = profile(own[["ratio_of_kind"]], factors)["ratio_of_kind"]
        about = {name: getattr(line, name) for name in _ABOUT}
        parts.append(pd.DataFrame(about | {"factor": curve.index, "share": curve.to_numpy()}))
    return pd.concat(parts, ignore_index=True)


_ABOUT = ("kind", "estimator", "short_name", "method", "points", "all_points")


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the share of points within a factor of the best, of unbiased and biased ones apart.

    The six of each kind with the best mean ranks are named; the others are grey.

    Args:
        rows: the tidy table of `estimax atlas`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    curves = data(rows)
    kinds = [kind for kind in atlas.KINDS if (curves["kind"] == kind).any()]
    looks = _looks(curves, rows)
    beside = page.columns(len(kinds))
    others = curves["short_name"].nunique() - len(looks)
    counts = curves.drop_duplicates("short_name").set_index("short_name")
    every = int(curves["all_points"].iloc[0])
    with paper():
        title = "" if is_complete(rows) else "run not complete: "
        title += "Share of points where the error at equal cost is within a factor of the best"
        names = [
            entry(look, name, line=True, note=f"{counts['points'][name]} of {every} points")
            for name, look in looks.items()
        ]
        marks = [
            mark("shares are of the points that an estimator takes"),
            *others_mark(others, "the best mean ranks"),
        ]
        figure = framed(page, title, _HEIGHT * (len(kinds) // beside), names, marks)
        axes = figure.subplots(len(kinds) // beside, beside, sharey=True, squeeze=False)
        for kind, ax in zip(kinds, axes.flat, strict=True):
            _draw(ax, curves[curves["kind"] == kind], looks)
            ax.set_title(kind)
        for ax in axes[-1]:
            ax.set_xlabel("factor of the best of its kind")
        for ax in axes[:, 0]:
            ax.set_ylabel("share of points")
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the profiles of the unbiased estimators into axes; lines have labels.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    curves = data(rows)
    kind = curves["kind"].iloc[0]
    _draw(ax, curves[curves["kind"] == kind], _looks(curves, rows))
    ax.set(xlabel="factor of the best of its kind", ylabel="share of points")


def _looks(curves: pd.DataFrame, rows: pd.DataFrame) -> dict[str, Look]:
    """Return the styles of those that are named, in the order of their ranks."""
    lines = curves.drop_duplicates("short_name")
    named = lines.groupby("kind", sort=False).head(_MOST)
    looks = looks_of(named, "short_name", families(rows))
    return {name: looks[name] for name in named["short_name"]}


def _draw(ax: Axes, curves: pd.DataFrame, looks: dict[str, Look]) -> None:
    # The best on top.
    for name, own in reversed(list(curves.groupby("short_name", sort=False))):
        places = np.searchsorted(own["factor"].to_numpy(), _FACTORS, side="right") - 1
        shares = own["share"].to_numpy()[places]
        if name in looks:
            look = looks[str(name)]
            style = look.marks(markevery=(0, 40), markersize=3.5, label=str(name))
            ax.step(_FACTORS, shares, where="post", linestyle=look.line, **style)
        else:
            ax.step(_FACTORS, shares, where="post", color=GREY, linewidth=0.6, label="_", zorder=1)
    ax.set(xscale="log", xlim=(_FACTORS[0], _FACTORS[-1]), ylim=(-0.02, 1.02))
    ax.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    ax.minorticks_off()
