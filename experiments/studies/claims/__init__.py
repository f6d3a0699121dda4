"""Claims of papers and theorems, and the studies that test them."""

from experiments.studies.claims import (
    atlas,
    control_variates,
    counts,
    diffusion,
    experts,
    explanations,
    gates,
    groups,
    implicit_mle,
    memory,
    noise_given_samples,
    pruning,
    quantised,
    relaxations,
    rounding,
    score_functions,
    second_order,
    sequences,
    speed,
    straight_through,
    subset_laws,
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
    *experts.STUDIES,
    *quantised.STUDIES,
    *gates.STUDIES,
    *pruning.STUDIES,
    *explanations.STUDIES,
    *subsets.STUDIES,
    *subset_laws.STUDIES,
    *implicit_mle.STUDIES,
    *counts.STUDIES,
    *memory.STUDIES,
    *rounding.STUDIES,
    *atlas.STUDIES,
    *sequences.STUDIES,
    *training.STUDIES,
    *speed.STUDIES,
)
"""All studies, quick ones first."""
