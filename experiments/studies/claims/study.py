"""The claim studies, as one study with a part for each."""

import functools
import time
from collections.abc import Iterator, Mapping, Sequence

from experiments.measurement.rows import Row
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study, found_in
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale

STUDY = "claims"
TITLE = "Claims of papers and theorems"


def claims_study(
    studies: Sequence[ClaimStudy], chosen: Sequence[ClaimStudy], scale: str
) -> Study[ClaimStudy]:
    """Return the study that consists of claim studies.

    Args:
        studies: all studies.
        chosen: the studies to run now.
        scale: "smoke" or "laptop".
    """
    claims = {one.name: [one.title, *(_plain(claim) for claim in one.claims)] for one in studies}
    return Study(
        f"{STUDY}-{scale}",
        {"study": STUDY, "title": TITLE, "budget": scale, "claims": claims},
        {__name__, __name__.rpartition(".")[0]},  # the package imports all studies
        {one.name: one for one in chosen},
        functools.partial(_rows, scale),
        found_in("deciding"),
        {one.name for one in studies},
    )


def _rows(
    scale: str, parts: Mapping[str, ClaimStudy], results: Results, progress: Progress
) -> Iterator[list[Row]]:
    """Run studies; each yields one row per claim."""
    size = Scale(smoke=scale == "smoke", progress=progress)
    for name, one in parts.items():
        with progress.task(name):
            begun = time.perf_counter()
            rows = one.rows(size)
            seconds = time.perf_counter() - begun
            shared = {"study": STUDY, "budget": scale, "seconds": seconds}
            yield [shared | row for row in rows]


def _plain(claim: Claim) -> dict[str, str]:
    return {name: str(value) for name, value in claim.row().items()}
