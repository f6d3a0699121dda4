"""Style and saving of figures."""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from tueplots import axes, fontsizes

from analysis.files import atomic, write_text
from analysis.names import natural
from analysis.page import DEFAULT_FORMATS

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#882255")
"""Okabe and Ito's colours without yellow, which prints too light, and one of Tol's."""

HUES = {
    "score_function": "#0072B2",
    "antithetic": "#009E73",
    "control_variates": "#D55E00",
    "enumeration": "#882255",
    "bounds": "#5B3FA0",
    "straight_through": "#E69F00",
    "relaxations": "#CC79A7",
    "": "#56B4E9",
}
"""The hue of each family of estimators; the last one is for classes of the user's own."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "h", ">", "d")
FILLS = ("full", "left", "bottom", "right", "top")
LINES = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
DOTS = (0, (1, 1))
"""The line of what must not be compared with the other lines of a panel."""

_SHADES = (1.0, 0.82, 0.66)  # of a hue: darker ones only, since lighter ones print too light
_SALT = 409
"""Of the hash that chooses markers; with this one, no two estimators of a family agree."""

GREY = "0.72"
DPI = 200


class Look(NamedTuple):
    """The style of one estimator."""

    colour: str
    marker: str
    fill: str = "full"
    face: str = ""
    line: str | tuple = "-"

    @property
    def hollow(self) -> "Look":
        """The same style with a hollow marker."""
        return self._replace(fill="full", face="white")

    def marks(self, **more: Any) -> dict[str, Any]:
        """Return the marker style, and `more`, as keyword arguments for matplotlib's lines."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "fillstyle": self.fill,
            "markerfacecolor": self.face or self.colour,
            "markerfacecoloralt": "white",
            "markeredgecolor": self.colour,
            **more,
        }


GREY_LOOK = Look(GREY, "o")
"""The style of estimators that a figure does not name."""


def looks(methods: Mapping[str, str], families: Mapping[str, str]) -> dict[str, Look]:
    """Return the styles of a figure's estimators, in the order of its legend.

    No two of them share both colour and marker with its fill. Estimators of a family share a hue.
    Those of a method share a marker, which is the same in every figure, unless another method of
    its family with the same first choice comes before it; they differ in shade and fill. Estimators
    of the same colour differ in line style.

    Args:
        methods: the method of each estimator, by its name.
        families: the family of each method; one that is missing is the user's own.
    """
    result: dict[str, Look] = {}
    lines: Counter[str] = Counter()
    markers: dict[str, dict[str, int]] = {}
    used: dict[str, set[Look]] = {}
    for name in sorted(methods, key=lambda name: (methods[name] != "Exact", natural(name))):
        method = methods[name]
        if method == "Exact":
            result[name] = Look("#000000", "*")
            continue
        hue = HUES.get(families.get(method, ""), HUES[""])
        taken = markers.setdefault(hue, {})
        if method not in taken:
            taken[method] = next(
                (place for place in _places(method) if place not in taken.values()),
                next(_places(method)),
            )
        known = used.setdefault(hue, set())
        cells = _cells(hue, taken[method], _number(method) % len(_SHADES))
        look = next((cell for cell in cells if cell not in known), GREY_LOOK)
        known.add(look)
        line = LINES[lines[look.colour] % len(LINES)]
        lines[look.colour] += 1
        result[name] = look._replace(line=line)
    return result


def looks_of(lines: pd.DataFrame, names: str, families: Mapping[str, str]) -> dict[str, Look]:
    """Return the styles of the names in a column; the table needs a column `method`."""
    return looks(dict(zip(lines[names].map(str), lines["method"], strict=True)), families)


def looks_in_order(lines: pd.DataFrame, families: Mapping[str, str]) -> dict[str, Look]:
    """Return the styles of the column `name`, in the order of the lines."""
    found = looks_of(lines, "name", families)
    return {str(name): found[str(name)] for name in lines["name"].unique()}


def _number(method: str) -> int:
    # Python's string hash differs between runs.
    digest = hashlib.sha256(f"{_SALT}{method}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _places(method: str) -> Iterator[int]:
    """Yield the places of markers in a method's order of preference."""
    first = _number(method) // len(_SHADES)
    return ((first + step) % len(MARKERS) for step in range(len(MARKERS)))


def _cells(hue: str, marker: int, shade: int) -> Iterator[Look]:
    """Yield the styles of a hue: first those of the marker, which differ in shade and in fill."""
    for step in range(len(MARKERS)):
        shape = MARKERS[(marker + step) % len(MARKERS)]
        # All pairs of shade and fill, as their numbers are coprime.
        for one in range(len(_SHADES) * len(FILLS)):
            strength = _SHADES[(shade + one) % len(_SHADES)]
            red, green, blue = (strength * channel for channel in to_rgb(hue))
            colour = to_hex((red, green, blue))
            yield Look(colour, shape, FILLS[one % len(FILLS)])


@contextlib.contextmanager
def paper() -> Iterator[None]:
    """Use a style for papers: NeurIPS sizes and matplotlib's own fonts."""
    settings: dict[Any, Any] = {
        **fontsizes.neurips2024(),
        **axes.lines(),
        "figure.constrained_layout.use": True,
        # Bundled with matplotlib, so that files are the same on every machine.
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "text.hinting": "none",  # as wide at the resolution of a file as in the layout
        "pdf.fonttype": 42,  # embed TrueType; some venues refuse Type 3
        "svg.hashsalt": "estimax",  # otherwise random
        "axes.labelsize": 8,
        "axes.titlesize": 8,
        "figure.titlesize": 7,
        "legend.frameon": False,
        "legend.labelspacing": 0.35,
        "legend.handlelength": 2.6,
        "lines.markersize": 4.5,
        "lines.markeredgewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings):
        yield


def lay_out(figure: Figure) -> None:
    """Give the axes of a figure their places, as drawing it does first."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)


def save_figure(
    figure: Figure,
    stem: str | os.PathLike,
    data: pd.DataFrame | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
) -> list[Path]:
    """Save a figure as `<stem>.<format>`, a PNG with 200 dpi, and its data as `<stem>.csv`.

    Files are written atomically, and equal figures give equal bytes.

    Args:
        figure: from the `draw` of a module in `analysis.figures`.
        stem: path without a suffix; missing folders are created.
        data: from the `data` of the same module; None for a grid of pictures, which has no CSV
            file.
        formats: some of `analysis.page.FORMATS`.
    """
    paths = [Path(f"{stem}.{ending}") for ending in formats]
    with paper():
        # Laid out once: it takes half of the time of drawing.
        lay_out(figure)
        figure.set_layout_engine("none")
        for path, kind in zip(paths, formats, strict=True):
            with atomic(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=DPI, metadata=_UNDATED[kind])
    if data is not None:
        csv = data.to_csv(index=False, lineterminator="\n")
        paths.append(write_text(f"{stem}.csv", csv))
    return paths


# No dates, so that equal results give equal files.
_UNDATED = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}
