"""Claims of papers and theorems, and the studies that test them."""

from experiments.studies.claims import (
    control_variates,
    relaxations,
    score_functions,
    speed,
    straight_through,
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
    *training.STUDIES,
    *speed.STUDIES,
)
"""All studies, quick ones first."""
