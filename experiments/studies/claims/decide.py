"""Running the studies that decide claims."""

import time
from collections.abc import Sequence
from typing import Any

from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale

STUDY = "claims"


def configuration(studies: Sequence[ClaimStudy], budget: str) -> dict[str, Any]:
    """Return what identifies a run: the claims, their tests and the budget."""
    claims = {one.name: [one.title, *(_plain(claim) for claim in one.claims)] for one in studies}
    about = {"study": STUDY, "title": "Claims of papers and theorems"}
    return about | {"budget": budget, "claims": claims}


def decide(
    studies: Sequence[ClaimStudy],
    chosen: Sequence[ClaimStudy],
    budget: str,
    results: Results,
    progress: Progress,
) -> None:
    """Run studies, adding the rows of each to the results when it ends.

    A study whose rows are there is not run again. The results are complete when all are there.

    Args:
        studies: all studies.
        chosen: those to run now.
        budget: "smoke" or "laptop".
        results: receives the rows.
        progress: reports progress.
    """
    scale = Scale(smoke=budget == "smoke", progress=progress)
    for one in chosen:
        if one.name in _done(results):
            progress.skip(one.name)
            continue
        with progress.task(one.name):
            begun = time.perf_counter()
            rows = one.rows(scale)
            spent = {"study": STUDY, "budget": budget, "seconds": time.perf_counter() - begun}
            results.add([spent | row for row in rows])
    if _done(results) >= {one.name for one in studies}:
        results.finish()


def _plain(claim: Claim) -> dict[str, str]:
    return {name: str(value) for name, value in claim.row().items()}


def _done(results: Results) -> set[str]:
    return {row["deciding"] for row in results.rows}
