"""A self-contained HTML page of results folders."""

import base64
import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import jinja2

from analysis.files import FILE as RESULTS
from analysis.images import read_png
from analysis.reading import OWN, read
from analysis.report_tables import Table, on_page, tables_of
from analysis.rows import is_complete
from analysis.text import printable
from analysis.unfinished import CONTINUES, begun, is_begun
from analysis.units import Against

# Limits for untrusted folders: the search stays fast and a browser can open the page.
_DEEPEST = 16
MAX_FOLDERS = 1000
MAX_FILES = 200
_MOST_PICTURES = 2**28  # bytes on the page
_FILES = {RESULTS: "parquet", "table.csv": "CSV", "table.tex": "LaTeX", "table.md": "Markdown"}
CAPTIONS = {
    "bias_variance": "Squared bias and variance of each estimator",
    "error_cost": "Error against cost",
    "temperature": "Bias, variance and error by temperature",
    "training": "Training curves",
    "rank": "Rank over training",
    "along_training": "Bias and variance along training",
    "coordinates": "Standard deviation of the coordinates of the gradient",
    "by_group": "Relative bias, variance and error by group of parameters",
    "over_steps": "Bias, variance and error at checkpoints of training",
    "reproduction": "Published numbers and ours",
    "atlas_map": "Error over the best at every point",
    "atlas_profiles": "Share of points within a factor of the best",
    "atlas_ranks": "Mean rank over points",
}
"""Captions of the figures of studies."""


class Section(NamedTuple):
    """The part of a page for one results folder.

    Attributes:
        anchor: its address in the page.
        title: its heading, unlike that of any other.
        date: the day when the results were written.
        files: names and addresses of files of the folder.
        tables: its tables.
        provenance: how the results were computed.
        unfinished: what is missing, and how to continue; "" for a finished run.
        pictures: captions and base64 PNG files.
    """

    anchor: str
    title: str
    date: str
    files: list[tuple[str, str]]
    tables: list[Table]
    provenance: dict[str, str]
    unfinished: str
    pictures: list[tuple[str, str]]


class Page(NamedTuple):
    """A page, and one line per omission."""

    text: str
    left_out: list[str]


def find(folder: str | os.PathLike) -> list[Path]:
    """Return the results folders below a folder, including itself, sorted by name.

    Those of training runs count from their first checkpoint. Links to folders are not followed.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if there are too many.
    """
    found = []
    for place, inside, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        if depth == _DEEPEST:
            inside.clear()
        if OWN in inside:  # its files are unfinished
            inside.remove(OWN)
        if RESULTS in files or RESULTS in inside or is_begun(Path(place)):
            found.append(Path(place))
        if len(found) > MAX_FOLDERS:
            raise ValueError(f"it contains more than {MAX_FOLDERS:,} results")
    if not found:
        raise FileNotFoundError(f"{os.fspath(folder)} contains no {RESULTS}")
    return sorted(found)


def report(
    folders: Sequence[str | os.PathLike],
    title: str = "estimax results",
    place: str | os.PathLike | None = None,
    against: Against = "steps",
    pictures: Mapping[Path, Mapping[str, bytes | None]] = {},
) -> Page:
    """Return one self-contained HTML page: tables that sort and filter, figures, provenance.

    The folders may be untrusted. Files that are not regular, are damaged or too large are left out
    and listed. Only https links to papers, and links to the folders' own tables, are kept; the page
    runs only its own script and loads nothing.

    Args:
        folders: results folders, each with its `results.parquet` and figures as PNG.
        title: title of the page.
        place: the folder of the page, from which it links to tables; None for no links.
        against: what training runs are compared against.
        pictures: PNG files by folder and name that take the place of those in the folder; None for
            no picture of that name.

    Raises:
        ValueError: if no folder has results that can be shown; the message names the first.
    """
    left_out, sections = [], []
    titles: set[str] = set()
    room = _MOST_PICTURES
    for number, folder in enumerate(map(Path, folders)):
        try:
            section = _section(number, folder, place, against)
        except (OSError, ValueError) as error:
            left_out.append(_reason(error))
            continue
        kept = {path.stem: path for path in _picture_files(folder, left_out)}
        for name, picture in sorted({**kept, **pictures.get(folder, {})}.items()):
            if picture is None:
                continue
            try:
                content = picture if isinstance(picture, bytes) else read_png(picture)
                if (room := room - len(content)) < 0:
                    raise ValueError(f"{folder / name}: the page already has too many pictures")
            except (OSError, ValueError) as error:
                left_out.append(_reason(error))
            else:
                caption = CAPTIONS.get(name, name.replace("_", " "))
                section.pictures.append((printable(caption), _encoded(content)))
        if section.title in titles:
            section = section._replace(title=f"{section.title} ({printable(folder.name)})")
        if section.title in titles:
            section = section._replace(title=f"{section.title}, {number + 1}")
        titles.add(section.title)
        sections.append(section)
    if not sections:
        raise ValueError(left_out[0] if left_out else "there are no results to show")
    return Page(_rendered(title, sections), left_out)


def _rendered(title: str, sections: list[Section]) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["breakable"] = lambda name: re.split(r"(?<=[\[,=])", name)
    parts = resources.files("analysis")
    page, style, script = (
        (parts / f"report.{ending}").read_text(encoding="utf-8")
        for ending in ("html.j2", "css", "js")
    )
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return environment.from_string(page).render(
        title=printable(title),
        date=_day(time.time()),
        sections=sections,
        policy="; ".join(" ".join(rule) for rule in policy.items()),
        style=style,
        script=script,
    )


def _hash(source: str) -> str:
    """Return the content-security-policy source that allows only this script or style."""
    return f"'sha256-{_encoded(hashlib.sha256(source.encode()).digest())}'"


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _picture_files(folder: Path, left_out: list[str]) -> list[Path]:
    found = sorted(folder.glob("*.png"))
    if len(found) > MAX_FILES:
        left_out.append(f"{folder}: {len(found) - MAX_FILES:,} of {len(found):,} pictures")
    return found[:MAX_FILES]


def _section(
    number: int, folder: Path, place: str | os.PathLike | None, against: Against
) -> Section:
    if is_begun(folder):
        return _begun(number, folder)
    rows = read(folder / RESULTS)
    configuration = rows.attrs["configuration"]
    study = configuration["study"]
    try:
        found = [
            on_page(f"table-{number}-{i}", one) for i, one in enumerate(tables_of(rows, against))
        ]
    except ValueError as error:
        raise ValueError(f"{folder / RESULTS}: {error}") from error
    problem = configuration.get("problem", "")
    problem = _listed(problem) if isinstance(problem, list) else problem
    named = configuration.get("title") or f"{study} {problem}".strip()
    return Section(
        anchor=f"results-{number}",
        title=printable(named or folder.name),
        date=_day((folder / RESULTS).stat().st_mtime),
        files=[] if place is None else _files(folder, Path(place)),
        tables=found,
        provenance=_provenance(rows.attrs["provenance"]),
        unfinished="" if is_complete(rows) else f"This run is not finished. {CONTINUES}",
        pictures=[],
    )


def _listed(problems: Sequence[str]) -> str:
    """Return the names of problems, or their number if they are many."""
    return ", ".join(problems) if len(problems) < 4 else f"of {len(problems)} problems"


def _begun(number: int, folder: Path) -> Section:
    """Return the section of a run without results."""
    day = _day(folder.stat().st_mtime)
    title = printable(folder.resolve().name)
    return Section(f"results-{number}", title, day, [], [], {}, begun(folder), [])


def _files(folder: Path, place: Path) -> list[tuple[str, str]]:
    """Return the tables of a folder, with their addresses from the folder of the page."""
    return [
        (kind, quote(Path(os.path.relpath(folder / name, place)).as_posix()))
        for name, kind in _FILES.items()
        if (folder / name).is_file() and not (folder / name).is_symlink()
    ]


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _provenance(about: Mapping[str, object]) -> dict[str, str]:
    """Return the command, versions and device as text."""
    found = {}
    for name, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items() if one)
        if value not in ("", None):
            found[printable(name.replace("_", " "))] = printable(str(value))
    return found
