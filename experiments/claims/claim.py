"""What a claim is: a quantity that papers or theorems say lies in a region, and its test."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from experiments.measurement import Row
from experiments.progress import Progress

CONFIDENCE = 0.95
"""Of the verdicts that a table gives, at most 5 % are expected to be false, however many."""

POWER = 0.9
"""The chance that a study should have of seeing an effect of the size that its claim names."""


class Quantity(NamedTuple):
    """What a study found, as a claim's test takes it.

    Attributes:
        value: the estimate.
        error: its standard error; zero for what is computed without chance.
        degrees: degrees of freedom of the error, for Student's law.
        note: why nothing is known of the error, which is then infinite.
    """

    value: float
    error: float = 0.0
    degrees: float = math.inf
    note: str = ""


Found = Quantity | Callable[[float], Quantity]
"""A quantity, or what gives it for the test against an end of a region, where its error depends on
the value that is supposed."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of a paper or a theorem, and the test that decides it, written before the run.

    It is "reproduced" where the quantity lies inside the region, "not reproduced" where it lies
    outside, each with the confidence that is asked of the whole table, and else "undecided".

    Attributes:
        statement: what is claimed, in a sentence.
        source: the paper or the theorem, and where in it.
        quantity: the name of the quantity of the study that decides.
        low: the lower end of the region.
        high: the upper end of the region.
        effect: how far inside the region the quantity must be for the study to see it with the
            stated power; by default the middle of a region that has two ends.
        confidence: of the verdict, among all of the table.
        power: the chance of a verdict where the effect is of that size.
    """

    statement: str
    source: str
    quantity: str
    low: float = -math.inf
    high: float = math.inf
    effect: float | None = None
    confidence: float = CONFIDENCE
    power: float = POWER

    def __post_init__(self):
        """Refuse what could not be decided.

        Raises:
            ValueError: for a region without an end, or one end without an effect.
        """
        ends = math.isfinite(self.low) + math.isfinite(self.high)
        if not ends or not self.low < self.high:
            raise ValueError(f"{self.statement}: the region has no end, or nothing in it")
        if self.effect is None:
            if ends < 2:
                raise ValueError(f"{self.statement}: a region with one end needs an effect")
            object.__setattr__(self, "effect", (self.high - self.low) / 2)

    def about(self, found: Found) -> Quantity:
        """Return the quantity as this claim tests it, against the one end of its region.

        Raises:
            ValueError: where the error depends on the end, and there are two.
        """
        if isinstance(found, Quantity):
            return found
        ends = [end for end in (self.low, self.high) if math.isfinite(end)]
        if len(ends) > 1:
            raise ValueError(f"{self.statement}: the quantity needs a region with one end")
        return found(ends[0])

    def row(self) -> Row:
        """Return the claim as columns of the result table."""
        return {
            "claim": self.statement,
            "source": self.source,
            "metric": self.quantity,
            "region_low": self.low,
            "region_high": self.high,
            "effect": self.effect,
            "confidence": self.confidence,
            "power": self.power,
        }


class Effort:
    """How much a study may spend, and whom it tells how it goes."""

    def __init__(self, *, smoke: bool, progress: Progress | None = None):
        """Take the whole effort, or at `smoke` just enough to run through."""
        self.smoke = smoke
        self._progress = progress
        self._doubts: list[str] = []

    def draws(self, most: int) -> int:
        """Return the samples to draw."""
        return min(most, 256) if self.smoke else most

    def steps(self, most: int) -> int:
        """Return the training steps to take."""
        return min(most, 20) if self.smoke else most

    def seeds(self, most: int) -> int:
        """Return the runs to train."""
        return min(most, 3) if self.smoke else most

    def doubt(self, message: str) -> None:
        """Say what the table should say of the study that is running."""
        self._doubts.append(message)

    def doubts(self) -> str:
        """Return what the study that ends should say, once."""
        said, self._doubts = "; ".join(self._doubts), []
        return said

    def note(self, message: str) -> None:
        """Say what is going on; raises KeyboardInterrupt where the user wants to stop."""
        if self._progress:
            self._progress.note(message)


@dataclasses.dataclass(frozen=True)
class Deciding:
    """A study and the claims that it decides.

    Attributes:
        name: names it on the command line.
        title: what is measured or trained, at which settings.
        run: returns the quantities by name.
        claims: the claims.
    """

    name: str
    title: str
    run: Callable[[Effort], Mapping[str, Found]]
    claims: tuple[Claim, ...]

    def rows(self, effort: Effort) -> list[Row]:
        """Run the study and return a row for each claim."""
        found, doubts = self.run(effort), effort.doubts()
        return [
            {"deciding": self.name, "title": self.title, "doubts": doubts}
            | claim.row()
            | claim.about(found[claim.quantity])._asdict()
            for claim in self.claims
        ]
