"""Generators of strings: how much of the language they learn, by gradient estimator."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import traces
from analysis.figures.legend import entry, framed, mark
from analysis.figures.planes import ERRORS, plane, relative
from analysis.page import PAGE, Page
from analysis.rows import check, families, without_predictions
from analysis.style import Look, looks_in_order, paper

_COLUMNS = ("name", "method", "panel", "seed", "step", "metric", "value", "number", "text")
_ARMS = {"none": "no pretraining", "likelihood": "200 steps of likelihood"}
_LEAST = 1e-4  # of an axis of probabilities
_SHOWN = 5  # strings of each generator


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data.

    Returns:
        `panel`: "none" or "likelihood", the pretraining of a generator, or "gradients"; `name` of
        the line; of a generator each `metric` at each `step`, its `value` from each `seed`, and the
        `text` of strings with their `number`; of gradients, `squared_bias` and `variance` relative
        to the squared norm of the true gradient, with `_low` and `_high`, and `upper_limit`:
        whether the squared bias is not distinguishable from zero.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    check(rows, _COLUMNS)
    rows = without_predictions(rows)
    is_gradient = rows["panel"] == "gradients"
    gradients = relative(rows[is_gradient], ["panel", "name", "method"])
    return pd.concat([rows.loc[~is_gradient, [*_COLUMNS]], gradients], ignore_index=True)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw mass on the language along training, the last divergence, gradients, and strings.

    Args:
        rows: the tidy table of `estimax figure sequence-gan`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    lines = data(rows)
    looks = looks_in_order(lines, families(rows))
    mosaic = "AB;CD;EE" if page.columns(2) == 2 else "A;B;C;D;E"
    gradients = lines[lines["panel"] == "gradients"]
    strings = 0.14 * len(looks) + 0.3
    with paper():
        figure = framed(
            page,
            "Generators of strings of a grammar",
            (4.0 if mosaic == "AB;CD;EE" else 8.0) + strings,
            [entry(look, name, line=True) for name, look in looks.items()],
            [
                mark("lines: mean of the seeds, thin: each"),
                mark("gradients: relative to the squared norm of the true one"),
                *traces.marks(gradients, ERRORS)[1:],
            ],
        )
        panels = 2 if mosaic == "AB;CD;EE" else 4
        axes = figure.subplot_mosaic(mosaic, height_ratios=[2.0] * panels + [strings])
        for name, arm in zip("AB", _ARMS, strict=True):
            _mass(axes[name], lines[lines["panel"] == arm], looks)
            axes[name].set_title(_ARMS[arm])
        axes["B"].tick_params(labelleft=mosaic == "A;B;C;D;E")
        axes["A"].set_ylabel("probability of sentences")
        _divergence(axes["C"], lines, looks)
        plane(axes["D"], gradients, looks)
        axes["D"].set_title("gradient at 4 characters")
        _strings(axes["E"], lines, looks)
    return figure


def panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the mass without pretraining into axes; lines have a label, for `ax.legend()`.

    Args:
        ax: the axes.
        rows: as for `draw`.

    Raises:
        ValueError: as `data`.
    """
    lines = data(rows)
    _mass(ax, lines[lines["panel"] == "none"], looks_in_order(lines, families(rows)))
    ax.set_ylabel("probability of sentences")


def _mass(ax: Axes, lines: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Draw the probability of sentences along training."""
    own = lines[lines["metric"] == "mass"]
    for name, look in looks.items():
        wide = own[own["name"] == name].pivot(index="step", columns="seed", values="value")
        if wide.empty:
            continue
        style = {"color": look.colour, "linestyle": look.line}
        ax.plot(wide.index, wide.clip(_LEAST), linewidth=0.4, alpha=0.5, **style)
        every = max(len(wide) // 6, 1)
        ax.plot(
            wide.index,
            wide.mean(axis=1).clip(_LEAST),
            **look.marks(linestyle=look.line, markersize=3, markevery=every, label=name),
        )
    ax.set(yscale="log", ylim=(_LEAST * 0.8, 1.4), xlabel="step")
    ax.set_xlim(0, max(own["step"].max(), 1))


def _divergence(ax: Axes, lines: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Draw the last divergence of each generator, hollow without pretraining."""
    own = lines[lines["metric"] == "divergence"]
    own = own[own["step"] == own["step"].max()]
    means = own.groupby(["panel", "name"])["value"].mean()
    for place, name in enumerate(reversed(list(looks))):
        look = looks[name]
        for arm in _ARMS:
            if (arm, name) in means.index:
                shown = look.hollow if arm == "none" else look
                ax.plot(means[arm, name], place, **shown.marks(linestyle="none", markersize=4.5))
    ax.set(xscale="log", yticks=[], ylim=(-0.7, len(looks) - 0.3))
    ax.set_xlabel("last divergence (nats); hollow: no pretraining")


def _strings(ax: Axes, lines: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Write strings of each generator, without and with pretraining."""
    ax.axis("off")
    drawn = lines[lines["metric"] == "string"]
    length = max(map(len, drawn["text"]), default=0)
    columns = np.array([0.0, 0.34, 0.68])
    titles = ("strings of the last step", *_ARMS.values())
    for x, title in zip(columns, titles, strict=True):
        ax.text(x, 1.0, title, va="top", fontsize=6, weight="bold", transform=ax.transAxes)
    shown = max(1, min(_SHOWN, 40 // (length + 1)))
    for place, (name, look) in enumerate(looks.items(), 1):
        y = 1 - place / (len(looks) + 1)
        ax.text(0, y, name, va="top", fontsize=6, color=look.colour, transform=ax.transAxes)
        for x, arm in zip(columns[1:], _ARMS, strict=True):
            own = drawn[(drawn["name"] == name) & (drawn["panel"] == arm)].sort_values("number")
            text = "  ".join(one.replace(" ", "_") for one in own["text"][:shown])
            ax.text(
                x, y, text.replace("$", r"\$"), va="top", family="monospace", fontsize=5,
                transform=ax.transAxes,
            )  # fmt: skip
