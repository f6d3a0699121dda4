"""Claims of papers and theorems, and the studies that test them."""

from experiments.studies.claims import (
    control_variates,
    counts,
    diffusion,
    gates,
    groups,
    memory,
    noise_given_samples,
    relaxations,
    rounding,
    score_functions,
    second_order,
    speed,
    straight_through,
    subsets,
    training,
)
from experiments.studies.claims.claim import Claim as Claim
from experiments.studies.claims.claim import ClaimStudy as ClaimStudy
from experiments.studies.claims.claim import Scale as Scale

SCALES = ("smoke", "laptop")
"""`smoke` only checks that everything runs; `laptop` decides the claims."""

STUDIES: tuple[ClaimStudy, ...] = (
    *relaxations.STUDIES,
    *straight_through.STUDIES,
    *score_functions.STUDIES,
    *control_variates.STUDIES,
    *second_order.STUDIES,
    *noise_given_samples.STUDIES,
    *groups.STUDIES,
    *diffusion.STUDIES,
    *gates.STUDIES,
    *subsets.STUDIES,
    *counts.STUDIES,
    *memory.STUDIES,
    *rounding.STUDIES,
    *training.STUDIES,
    *speed.STUDIES,
)
"""All studies, quick ones first."""
