"""The studies that decide claims, as one study whose parts they are."""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.measurement.point import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale

STUDY = "claims"
TITLE = "Claims of papers and theorems"


@dataclasses.dataclass(frozen=True)
class Claims(Study[ClaimStudy]):
    """Studies that decide claims.

    Attributes:
        studies: all studies.
        chosen: the studies to run now.
        scale: "smoke" or "laptop".
    """

    studies: Sequence[ClaimStudy]
    chosen: Sequence[ClaimStudy]
    scale: str

    @property
    def name(self) -> str:
        """The kind of study and the scale."""
        return f"{STUDY}-{self.scale}"

    @property
    def parts(self) -> Mapping[str, ClaimStudy]:
        """The studies to run now."""
        return {one.name: one for one in self.chosen}

    @property
    def required(self) -> set[str]:
        """All studies."""
        return {one.name for one in self.studies}

    def configuration(self) -> dict[str, Any]:
        """Return the claims, their tests and the scale as plain values."""
        claims = {
            one.name: [one.title, *(_plain(claim) for claim in one.claims)] for one in self.studies
        }
        return {"study": STUDY, "title": TITLE, "budget": self.scale, "claims": claims}

    @property
    def modules(self) -> set[str]:
        """The names of this module, and of the package, which imports all studies."""
        return {__name__, __name__.rpartition(".")[0]}

    def done(self, rows: Sequence[Row]) -> set[str]:
        """Return the studies that have rows."""
        return {row["deciding"] for row in rows}

    def run(
        self, parts: Mapping[str, ClaimStudy], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        """Run studies; each yields a row for each of its claims."""
        del results
        scale = Scale(smoke=self.scale == "smoke", progress=progress)
        for name, one in parts.items():
            with progress.task(name):
                begun = time.perf_counter()
                rows = one.rows(scale)
                seconds = time.perf_counter() - begun
                shared = {"study": STUDY, "budget": self.scale, "seconds": seconds}
                yield [shared | row for row in rows]


def _plain(claim: Claim) -> dict[str, str]:
    return {name: str(value) for name, value in claim.row().items()}
