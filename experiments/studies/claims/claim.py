"""Claims of papers and theorems that a quantity lies in a region, and their studies."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from experiments.measurement.rows import Row
from experiments.running.progress import Progress
from experiments.statistics import Estimate

CONFIDENCE = 0.95
"""At most 5% of a table's verdicts are expected to be false, regardless of their number."""

POWER = 0.9
"""The probability with which a study should detect an effect of the size of its claim."""

Found = Estimate | Callable[[float], Estimate]
"""An estimate, or a function of a region's end if the error depends on the tested value."""


class Region(NamedTuple):
    """The region that a claim predicts for its quantity: see `below`, `above` and `between`.

    Attributes:
        low: the lower end, or minus infinity.
        high: the upper end, or infinity.
        effect: the distance inside the region at which a study should have the stated power.
    """

    low: float
    high: float
    effect: float


def below(high: float, effect: float) -> Region:
    """Return the region below an end."""
    return Region(-math.inf, high, effect)


def above(low: float, effect: float) -> Region:
    """Return the region above an end."""
    return Region(low, math.inf, effect)


def between(low: float, high: float) -> Region:
    """Return the region between two ends; the effect is half of its width.

    Raises:
        ValueError: if the region is empty.
    """
    if not low < high:
        raise ValueError(f"the region from {low} to {high} is empty")
    return Region(low, high, (high - low) / 2)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of a paper or a theorem, and the test that decides it, fixed before the run.

    It is "reproduced" if the quantity lies inside the region, "not reproduced" if it lies outside,
    each at the confidence of the whole table, and "undecided" otherwise.

    Attributes:
        statement: the claim, in one sentence.
        source: the paper, and the place in it.
        quantity: the name of the tested quantity.
        estimate: computes the quantity from the study's `prepare` result.
        region: the region predicted for it.
        confidence: confidence of the verdicts of the whole table.
        power: the probability of a verdict for an effect of the region's size.
    """

    statement: str
    source: str
    quantity: str
    estimate: Callable[..., Found]
    region: Region
    confidence: float = CONFIDENCE
    power: float = POWER

    def about(self, found: Found) -> Estimate:
        """Return the estimate, with its error at the region's end if the error depends on it.

        Raises:
            ValueError: if the error depends on the end and the region has two.
        """
        if isinstance(found, Estimate):
            return found
        ends = [end for end in self.region[:2] if math.isfinite(end)]
        if len(ends) > 1:
            raise ValueError(f"{self.statement}: the quantity needs a region with one end")
        return found(ends[0])

    def row(self) -> Row:
        """Return the claim as columns of the result table."""
        return {
            "claim": self.statement,
            "source": self.source,
            "metric": self.quantity,
            "region_low": self.region.low,
            "region_high": self.region.high,
            "effect": self.region.effect,
            "confidence": self.confidence,
            "power": self.power,
        }


class Scale:
    """The size of a run of claim studies, and its progress reports and caveats."""

    def __init__(self, *, smoke: bool, progress: Progress | None = None):
        """Use the full size, or with `smoke` the smallest possible."""
        self.smoke = smoke
        self._progress = progress
        self._caveats: list[str] = []

    def samples(self, most: int) -> int:
        """Return the number of samples to draw."""
        return min(most, 256) if self.smoke else most

    def steps(self, most: int) -> int:
        """Return the number of training steps."""
        return min(most, 20) if self.smoke else most

    def seeds(self, most: int) -> int:
        """Return the number of training runs."""
        return min(most, 3) if self.smoke else most

    def caveat(self, message: str) -> None:
        """Add a caveat on the running study, to be shown with the table."""
        self._caveats.append(message)

    def take_caveats(self) -> str:
        """Return and clear the caveats of the study that has just ended."""
        taken, self._caveats = "; ".join(self._caveats), []
        return taken

    def note(self, message: str) -> None:
        """Report progress; raises KeyboardInterrupt if the user wants to stop."""
        if self._progress:
            self._progress.note(message)

    def advance(self, about: str) -> Callable[[float], None]:
        """Return a function that reports the fraction done."""
        return lambda done: self.note(f"{about}, {done:.0%}")


@dataclasses.dataclass(frozen=True)
class ClaimStudy:
    """A study and the claims that it decides.

    Attributes:
        name: its name on the command line.
        title: description of the measurement or training, with its settings.
        prepare: measures or trains; the quantities of the claims are computed from its result.
        claims: the claims.
    """

    name: str
    title: str
    prepare: Callable[[Scale], object]
    claims: tuple[Claim, ...]

    def rows(self, scale: Scale) -> list[Row]:
        """Run the study and return a row for each claim."""
        prepared = self.prepare(scale)
        found = [claim.about(claim.estimate(prepared)) for claim in self.claims]
        shared = {"deciding": self.name, "title": self.title, "doubts": scale.take_caveats()}
        return [
            shared | claim.row() | one.test() for claim, one in zip(self.claims, found, strict=True)
        ]
