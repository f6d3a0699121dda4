"""The papers behind the estimators, in `references.bib`, and how to cite them."""

import dataclasses
import importlib.resources
import re
from collections.abc import Iterator

from estimators.core.part import Part


@dataclasses.dataclass(frozen=True)
class Paper:
    """A paper.

    Attributes:
        bibtex: its entry in `references.bib`.
    """

    bibtex: str

    def field(self, name: str) -> str:
        """Return a field of the entry without braces, or an empty string."""
        found = re.search(rf"^  {name} = \{{(.*)\}},$", self.bibtex, re.MULTILINE)
        return found[1] if found else ""

    @property
    def link(self) -> str:
        """URL of the paper, or an empty string."""
        return self.field("url")

    @property
    def short(self) -> str:
        """Authors and year, as shown in tables."""
        last = [name.split(",")[0] for name in self.field("author").split(" and ")]
        shown = {1: last[0], 2: " and ".join(last)}.get(len(last), f"{last[0]} et al.")
        return f"{shown} {self.field('year')}"


def _papers() -> dict[str, Paper]:
    text = importlib.resources.files("estimators").joinpath("references.bib").read_text("utf-8")
    entries = re.findall(r"^@\w+\{(\w+),$.*?^\}$", text, re.MULTILINE | re.DOTALL)
    return dict(zip(entries, map(Paper, text.strip().split("\n\n")), strict=True))


BIBLIOGRAPHY = _papers()
"""The papers by their keys."""


def citation(*estimators: Part) -> str:
    """Return the BibTeX entries of estimators and their components, without duplicates.

    Example:
        `print(citation(GumbelSoftmax(0.5), ScoreFunction(LeaveOneOut(4))))`

    Args:
        *estimators: estimators, or components such as baselines.

    Raises:
        TypeError: for other types, such as a class.
        ValueError: if an estimator names a paper that is not in `BIBLIOGRAPHY`.
    """
    for estimator in estimators:
        if not isinstance(estimator, Part):
            raise TypeError(f"citation takes estimators, not {estimator!r}")
    keys = dict.fromkeys(key for part in estimators for key in _cited(part) if key)
    for key in keys:
        if key not in BIBLIOGRAPHY:
            raise ValueError(f"no paper {key!r} in BIBLIOGRAPHY")
    return "\n\n".join(BIBLIOGRAPHY[key].bibtex for key in keys)


def _cited(part: Part) -> Iterator[str]:
    yield part.paper
    for field in dataclasses.fields(part):
        inner = getattr(part, field.name)
        if isinstance(inner, Part):
            yield from _cited(inner)
            if field.default is None:
                # Include the class's own paper even if `paper` is that of an optional component.
                yield from _cited(dataclasses.replace(part, **{field.name: None}))
