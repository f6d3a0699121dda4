"""Samples and means of a relaxed categorical variable at several temperatures."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.legend import framed, mark
from analysis.page import PAGE, Page
from analysis.rows import chosen
from analysis.style import COLOURS, paper

_COLUMNS = ("temperature", "kind", "number", "class", "value", "low", "high")


def data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plotted data: `temperature` (0: not relaxed), `kind`, `class`, `value`.

    Means have a 95 % interval, `low` and `high`.

    Raises:
        ValueError: if the table is empty or lacks a column.
    """
    return chosen(rows, _COLUMNS)


def draw(rows: pd.DataFrame, page: Page = PAGE) -> Figure:
    """Draw the mean, with samples below it, one column per temperature.

    Args:
        rows: the tidy table of `estimax figure relaxed-samples`.
        page: the layout.

    Raises:
        ValueError: as `data`.
    """
    points = data(rows)
    temperatures = sorted(points["temperature"].unique())
    shown = [("mean", 0), *(("sample", i) for i in sorted(points["number"].unique()))]
    with paper():
        figure = framed(
            page,
            "A categorical variable of seven classes and its relaxation",
            2.6,
            [mark("95 % interval of the mean", linestyle="-", color="black", linewidth=1)],
        )
        panels = figure.subplots(
            len(shown), len(temperatures), sharex=True, sharey=True, squeeze=False
        )
        for row, (kind, number) in zip(panels, shown, strict=True):
            for ax, temperature in zip(row, temperatures, strict=True):
                part = points[
                    (points["temperature"] == temperature)
                    & (points["kind"] == kind)
                    & (points["number"] == number)
                ]
                colour = COLOURS[0] if kind == "mean" else COLOURS[1]
                ax.bar(part["class"] + 1, part["value"], color=colour, width=0.8)
                if kind == "mean":
                    ax.vlines(part["class"] + 1, part["low"], part["high"], "black", linewidth=1)
                ax.set(ylim=(0, 1.02), xticks=[1, 4, 7])
            row[0].set_ylabel(kind if kind == "mean" else f"sample {number + 1}")
        for ax, temperature in zip(panels[0], temperatures, strict=True):
            title = rf"$\tau$ = {temperature:g}" if temperature else "categorical"
            ax.set_title(title)
        for ax in panels[-1]:
            ax.set_xlabel("class")
    return figure
