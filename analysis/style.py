"""Style and saving of figures."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from tueplots import axes, figsizes, fontsizes

from analysis.files import atomic, write_text
from analysis.names import natural

# Okabe and Ito's colours without yellow, which prints too light; two of Tol's; a grey.
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#882255",
    "#999933",
    "#707070",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "h", ">", "d", "*")
FILLS = ("full", "left", "bottom", "right", "top")
LINES = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1, 1)), (0, (2, 1, 1, 1, 1, 1)))
# A method's index gives its colour and marker; pairs are unique, as 9 and 13 are coprime.
_PLACES = (
    "ScoreFunction",
    "GumbelSoftmax",
    "GumbelRao",
    "REBAR",
    "StraightThroughGumbelSoftmax",
    "StraightThrough",
    "RELAX",
    "ReinMax",
    "DisARM",
    "DARN",
    "MuProp",
    "ARMS",
    "DoubleCV",
    "ARM",
    "UnorderedSet",
    "CARMS",
    "SumAndSample",
    "RODEO",
    "GappedStraightThrough",
    "VIMCO",
    "LAX",
    "NVIL",
    "SlopeAnnealedStraightThrough",
    "Pathwise",
    "IndeCateR",
    "LocalExpectation",
    "ReinMaxRao",
    "ReinMaxCV",
    "DecoupledStraightThroughGumbelSoftmax",
    "LocalDisARM",
    "CategoricalDisARM",
    "Average",
    "OVIS",
)
_RESERVED = 40  # fixed, so that new names do not change the colours of user methods
_BLACK = "#000000"
DPI = 200


class Look(NamedTuple):
    """The style of one estimator; `colour` and `marker` are those of its method."""

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


def method_look(method: str) -> Look:
    """Return the colour and marker of a method, which are the same in every figure."""
    if method == "Exact":
        return Look(_BLACK, "*")
    if method in _PLACES:
        place = _PLACES.index(method)
    else:
        # Python's string hash differs between runs.
        digest = hashlib.sha256(method.encode()).digest()
        free = len(COLOURS) * len(MARKERS) - _RESERVED
        place = _RESERVED + int.from_bytes(digest[:8], "big") % free
    colour = COLOURS[place % len(COLOURS)]
    return Look(colour, MARKERS[place % len(MARKERS)])


def looks(methods: Mapping[str, str]) -> dict[str, Look]:
    """Return the styles of a figure's estimators, in the order of its legend.

    Estimators of one method share its colour and marker and differ in marker fill (halves, then
    lighter tints). Estimators of the same colour differ in line style.

    Args:
        methods: the method of each estimator or family.
    """
    result, seen, lines = {}, {}, {}
    for name in sorted(methods, key=lambda name: (methods[name] != "Exact", natural(name))):
        look = method_look(methods[name])
        # Counted by style, since two unknown names may share one.
        variant = seen[look] = seen.get(look, -1) + 1
        line = lines[look.colour] = lines.get(look.colour, -1) + 1
        tint = 0.5 ** (variant // len(FILLS))  # never white: hollow markers have a meaning
        result[name] = look._replace(
            fill=FILLS[variant % len(FILLS)],
            face=_tint(look.colour, tint),
            line=LINES[line % len(LINES)],
        )
    return result


def looks_of(lines: pd.DataFrame, names: str) -> dict[str, Look]:
    """Return the styles of the names in a column; the table needs a column `method`."""
    return looks(dict(zip(lines[names].map(str), lines["method"], strict=True)))


def _tint(colour: str, strength: float) -> str:
    red, green, blue = (1 - strength * (1 - channel) for channel in to_rgb(colour))
    return to_hex((red, green, blue))


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
        "pdf.fonttype": 42,  # embed TrueType; some venues refuse Type 3
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


def width() -> float:
    """Return the width of a page's text in inches."""
    return figsizes.neurips2024()["figure.figsize"][0]


def save_figure(
    figure: Figure, stem: str | os.PathLike, data: pd.DataFrame | None = None
) -> list[Path]:
    """Save a figure as `<stem>.pdf` and `<stem>.png` (200 dpi), and its data as `<stem>.csv`.

    Files are written atomically, and equal figures give equal bytes.

    Args:
        figure: from the `draw` of a module in `analysis.figures`.
        stem: path without a suffix; missing folders are created.
        data: from the `data` of the same module; None for a grid of pictures, which has no CSV
            file.
    """
    # No dates, so that equal results give equal files.
    plain = {"pdf": {"CreationDate": None}, "png": {"Software": None}}
    paths = [Path(f"{stem}.{ending}") for ending in plain]
    with paper():
        # Laid out once: it takes half of the time of drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for path, kind in zip(paths, plain, strict=True):
            with atomic(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=DPI, metadata=plain[kind])
    if data is not None:
        csv = data.to_csv(index=False, lineterminator="\n")
        paths.append(write_text(f"{stem}.csv", csv))
    return paths
