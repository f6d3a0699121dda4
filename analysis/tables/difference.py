"""The table of the rows in which two results of a study differ, and the verdict."""

import dataclasses
import textwrap
from collections.abc import Iterator

import pandas as pd

from analysis import formats
from analysis.columns import NAME, WORD, Column, Form, Kind, number
from analysis.matching import LEVEL, ROUNDING, WITHOUT_ERROR, Matched, matched
from analysis.metadata import differing
from analysis.names import short_names
from analysis.readable import ReadableTable
from analysis.render.html import to_html
from analysis.render.text import to_text
from analysis.rows import configuration, is_complete
from analysis.schema import IDENTITY

_MOST_NAMES = 4
_NAMES = {"claims": ("deciding", "study"), "reproduce": ("cell", "cell")}
_ESTIMATOR = ("estimator", "estimator")
"""The column that names a line, and its title."""


def _p_value(line: pd.Series, field: str, _: Form) -> str:
    if pd.isna(line[field]):
        return "time" if line["outcome"] == "time" else "-"
    return formats.plain(line[field], 2)


_COLUMNS = (
    Column("A", ("", "A"), "a", number(formats.plain)),
    Column("B", ("", "B"), "b", number(formats.plain)),
    Column(
        "standard error",
        ("standard", "error"),
        "error",
        number(lambda value: formats.scientific(value, 2)),
        "Standard error of B - A: from the sides of the intervals that face each other, or over "
        "seeds.",
    ),
    Column("z", ("", "z"), "z", number(lambda z: "-" if pd.isna(z) else f"{z:+.1f}")),
    Column(
        "adjusted p-value",
        ("adj.", "p"),
        "p_adjusted",
        Kind(_p_value, "number"),
        "z: B - A in standard errors. Adjusted p: by Holm's method, for all compared rows.",
    ),
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Difference:
    """What two results of a study differ in.

    Attributes:
        table: all compared rows, those that differ most first.
        about: what differs in settings, versions and machine, one line each.
        verdict: one sentence.
        agree: whether the results are the same, or equal within their errors.
    """

    table: ReadableTable
    about: list[str]
    verdict: str
    agree: bool

    @property
    def frame(self) -> pd.DataFrame:
        """The compared rows, with the columns of `analysis.matching.Matched.lines`."""
        return self.table.frame

    def __repr__(self) -> str:
        """Return it as text."""
        return self.text().rstrip()

    def _repr_html_(self) -> str:
        return to_html(self.table)

    def text(self, width: int = 120, rows: int = 20) -> str:
        """Return, as text, what differs besides the numbers, the rows that are not equal, verdict.

        Args:
            width: line width in characters, 60 or more.
            rows: the most rows, those that differ most.
        """
        said = textwrap.wrap(self.table.heading, width, break_on_hyphens=False)
        for title, lines in self.table.sections.items():
            said += ["", f"{title}:"]
            for line in lines:
                said += textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ")
        lines = self.frame[self.frame["outcome"].isin(["differs", "within"])]
        lines = pd.concat([lines, _untested(self.frame)])
        if lines.empty or not rows:
            findings = (textwrap.fill(one, width) for one in self.table.findings)
            return "\n".join([*said, "", *findings]) + "\n"
        more = len(lines) - rows
        left = [f"Rows that differ less, not shown: {more:,}."] if more > 0 else []
        table = dataclasses.replace(
            self.table,
            frame=lines.head(rows),
            heading="",
            notes=[*left, *self.table.notes],
            sections={},
        )
        return "\n".join(said) + "\n" + to_text(table, width)


def difference(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str] = ("A", "B")
) -> Difference:
    """Return what two results of a study differ in, and whether by more than their errors.

    A row differs if its p-value, adjusted for the number of rows, is at most 5 %. So among results
    that differ in their random seeds alone, at most one pair in 20 is called different.

    Args:
        first: the tidy results A, with the results file's metadata in `attrs`.
        second: the results B of the same study.
        names: what A and B are called.

    Raises:
        ValueError: if the results are of different studies, of a figure, or have no row in common,
            or as `analysis.matching.matched`.
    """
    studies = [str(configuration(rows).get("study")) for rows in (first, second)]
    if studies[0] != studies[1]:
        raise ValueError(f"the first results are of {studies[0]}, the second of {studies[1]}")
    about = differing(dict(first.attrs), dict(second.attrs))
    found = matched(first, second, studies[0])
    if found.lines.empty:
        raise ValueError(f"they have no row in common{_why(about)}")
    lines = _named(found.lines, pd.concat([first, second]), studies[0])
    verdict, agree = _verdict(found, lines)
    unfinished = [
        f", {side} not complete"
        for side, rows in (("A", first), ("B", second))
        if not is_complete(rows)
    ]
    over_seeds = "seed" in lines and lines["seed"].isna().any()
    table = ReadableTable(
        frame=lines,
        columns=_columns(lines, studies[0]),
        heading=f"{studies[0]}: A is {names[0]}, B is {names[1]}{''.join(unfinished)}",
        notes=["Without a seed: means over seeds."] if over_seeds else [],
        sections={"Settings, versions and machines that differ": about} if about else {},
        findings=[*_findings(found, lines, first, second), verdict],
        context={"study": studies[0]},
    )
    return Difference(table, about, table.findings[-1], agree)


def _columns(lines: pd.DataFrame, study: str) -> list[Column]:
    _, title = _NAMES.get(study, _ESTIMATOR)
    name = Column(title, ("", title), "name", NAME if title == "estimator" else WORD)
    if study == "claims":  # whose quantities are sentences
        return [name, *_COLUMNS, Column("quantity", ("", "quantity"), "metric", WORD)]
    place = [Column("at", ("", "at"), "place", WORD)] if (lines["place"] != "").any() else []
    return [name, Column("metric", ("", "metric"), "metric", WORD), *place, *_COLUMNS]


def _why(about: list[str]) -> str:
    places = ("problem", "group", "train steps", "steps", "estimators", "table", "budget")
    found = [line for line in about if line.partition(":")[0] in places]
    return f" ({'; '.join(found)})" if found else ""


def _named(lines: pd.DataFrame, both: pd.DataFrame, study: str) -> pd.DataFrame:
    """Return the lines with `name`, `place` (what else identifies them) and `note`."""
    field, _ = _NAMES.get(study, _ESTIMATOR)
    names = lines[field]
    if field == "estimator":
        short = short_names(both[both["estimator"].notna()])
        names = names.map(short).fillna(names)
    places = [
        column
        for column in (*IDENTITY[study], "seed")
        if column in lines
        and column not in (field, "metric", "estimator")
        and lines[column].nunique(dropna=False) > 1
    ]
    texts = [_place(line, places) for _, line in lines.iterrows()]
    evaluations = [lines[f"evaluations_{side}"].fillna(0) for side in "ab"]
    notes = [
        "" if a == b else f"evaluations of f: {a:.0f} in A, {b:.0f} in B"
        for a, b in zip(*evaluations, strict=True)
    ]
    lines = lines.drop(columns=[column for column in ("name", "place", "note") if column in lines])
    lines.insert(0, "name", names.to_numpy())
    lines.insert(1, "place", texts)
    return lines.assign(note=notes)


def _place(line: pd.Series, places: list[str]) -> str:
    found = []
    for name in dict.fromkeys(places):
        value = line[name]
        if isinstance(value, str):
            found += [value] if value else []
        elif pd.notna(value):
            found.append(f"{name.replace('_', ' ')} {value:g}")
    return ", ".join(found)


def _findings(
    found: Matched, lines: pd.DataFrame, first: pd.DataFrame, second: pd.DataFrame
) -> Iterator[str]:
    study = configuration(first)["study"]
    # The rows of a diagnosis do not have its seed.
    seeds = [
        configuration(rows).get("seed") if study == "diagnose" else 0 for rows in (first, second)
    ]
    if found.has_same_keys and seeds[0] == seeds[1] and found.equal < found.size:
        yield (
            "Seeds and numbers of samples are the same, but the numbers are not: "
            f"{found.size - found.equal:,} of {found.size:,} rows are apart by more than rounding. "
            "If the random keys are shared, the samples depend on each other, and the tests are "
            "conservative."
        )
    if found.moved > ROUNDING:
        yield (
            f"The norms of the true gradients are apart by up to {100 * found.moved:.2g} %: the "
            "points of measurement are not quite the same."
        )
    times = lines[(lines["outcome"] == "time") & (lines["a"] > 0) & (lines["b"] > 0)]
    if len(times):
        ratios = times["b"] / times["a"]
        least, middle, most = (f"{ratios.quantile(q):.2g}" for q in (0, 0.5, 1))
        span = middle if least == most else f"{least} to {most} (median {middle})"
        yield f"Times and speeds, which are not part of the verdict: B's are {span} times A's."
    for side, rows in zip("AB", found.only, strict=True):
        if len(rows):
            names = dict.fromkeys(rows[_NAMES.get(study, _ESTIMATOR)[0]])
            yield f"Only in {side}: {len(rows):,} rows ({_listed(list(names))})."
    if untested := len(_untested(lines)):
        one = "; one seed on each side has no error over seeds: measure several (--seeds)"
        lacks = lines["seed"].isna().any() if "seed" in lines else False
        yield f"Not compared, for lack of an error: {untested:,} rows{one if lacks else ''}."


def _untested(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that could be estimates, but have no error."""
    return lines[(lines["outcome"] == "untested") & ~lines["metric"].isin(WITHOUT_ERROR)]


def _verdict(found: Matched, lines: pd.DataFrame) -> tuple[str, bool]:
    """Return the last sentence, and whether the two results agree."""
    tested = lines[lines["p_adjusted"].notna()]
    differs = tested[tested["outcome"] == "differs"]
    untested = _untested(lines)
    smallest = formats.plain(float(tested["p_adjusted"].min()), 2) if len(tested) else ""
    if len(differs):
        rows = [f"{line.metric} of {line.name}" for line in differs.itertuples(index=False)]
        return (
            f"Differ: {len(differs):,} of {len(tested):,} rows, by more than their errors at a "
            f"level of {100 * LEVEL:g} % (smallest adjusted p = {smallest}): {_listed(rows)}.",
            False,
        )
    is_equal = (tested["outcome"] == "equal").all() and untested.empty
    if is_equal and found.equal == found.size:
        if found.size and found.same == found.size:
            return f"The same: {found.size:,} rows have the same numbers, to the bit.", True
        count, largest = found.size or len(tested), formats.scientific(found.largest, 2)
        return f"The same to rounding: {count:,} rows (largest difference {largest}).", True
    if (tested["outcome"] == "equal").all() and (tested.empty or len(untested)):
        return (
            f"Undecided: {len(untested) or found.size - found.equal:,} rows are not the same, and "
            "have no error to compare them by.",
            False,
        )
    return (
        f"Equal within their errors ({len(tested):,} rows; smallest adjusted p = {smallest}).",
        True,
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
