"""Claims: quantities that papers or theorems place in a region, and their tests."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from experiments.measurement.point import Row
from experiments.running.progress import Progress

CONFIDENCE = 0.95
"""At most 5 % of the verdicts of a table are expected to be false, however many there are."""

POWER = 0.9
"""The probability with which a study should detect an effect of the size its claim names."""


class Quantity(NamedTuple):
    """An estimate with its standard error, as a claim tests it.

    Attributes:
        value: the estimate.
        error: its standard error; zero if there is no randomness.
        degrees: degrees of freedom of the error, for Student's t-test.
        note: why the error is unknown; it is then infinite.
    """

    value: float
    error: float = 0.0
    degrees: float = math.inf
    note: str = ""


Found = Quantity | Callable[[float], Quantity]
"""A quantity, or a function that returns it for an end of a region, if its error depends on the
value under test."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of a paper or a theorem, and the test that decides it, fixed before the run.

    It is "reproduced" if the quantity lies inside the region, "not reproduced" if it lies outside,
    each at the confidence of the whole table, and "undecided" otherwise.

    Attributes:
        statement: the claim, in one sentence.
        source: the paper or theorem, and the place in it.
        quantity: the name of the quantity that decides, among those of the study.
        low: the lower end of the region.
        high: the upper end of the region.
        effect: the distance inside the region at which the study should have the stated power; by
            default half the width of a region with two ends.
        confidence: of the verdicts of the whole table.
        power: the probability of a verdict for an effect of that size.
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
        """Check that the claim can be decided.

        Raises:
            ValueError: if the region has no end or is empty, or has one end and no effect is given.
        """
        ends = math.isfinite(self.low) + math.isfinite(self.high)
        if not ends or not self.low < self.high:
            raise ValueError(f"{self.statement}: the region has no end, or nothing in it")
        if self.effect is None:
            if ends < 2:
                raise ValueError(f"{self.statement}: a region with one end needs an effect")
            object.__setattr__(self, "effect", (self.high - self.low) / 2)

    def about(self, found: Found) -> Quantity:
        """Return the quantity, with its error at the end of the region if it depends on that.

        Raises:
            ValueError: if the error depends on the end and the region has two.
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
    """The budget of a study, and its progress reports."""

    def __init__(self, *, smoke: bool, progress: Progress | None = None):
        """Use the full budget, or with `smoke` just enough to run through."""
        self.smoke = smoke
        self._progress = progress
        self._doubts: list[str] = []

    def draws(self, most: int) -> int:
        """Return the number of samples to draw."""
        return min(most, 256) if self.smoke else most

    def steps(self, most: int) -> int:
        """Return the number of training steps."""
        return min(most, 20) if self.smoke else most

    def seeds(self, most: int) -> int:
        """Return the number of training runs."""
        return min(most, 3) if self.smoke else most

    def doubt(self, message: str) -> None:
        """Add a caveat on the running study, to be shown with the table."""
        self._doubts.append(message)

    def doubts(self) -> str:
        """Return the caveats of the study that has just ended, and clear them."""
        said, self._doubts = "; ".join(self._doubts), []
        return said

    def note(self, message: str) -> None:
        """Report progress; raises KeyboardInterrupt if the user wants to stop."""
        if self._progress:
            self._progress.note(message)


@dataclasses.dataclass(frozen=True)
class Deciding:
    """A study and the claims that it decides.

    Attributes:
        name: its name on the command line.
        title: what is measured or trained, with the settings.
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
