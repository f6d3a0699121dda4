"""Claims about estimators over problems, decided by the cells of the kept atlas."""

import math

from analysis import kept_atlas
from experiments.studies.atlas.predictions import PREDICTIONS
from experiments.studies.atlas.quantities import Cells, LogRatio
from experiments.studies.claims.claim import Claim, ClaimStudy, Region, Scale
from experiments.studies.figures.predictions import Prediction

_TWICE, _FIFTH = math.log(2), 0.2
"""The effects: a factor of two in an error, and a fifth of the problems."""


def _claim(prediction: Prediction) -> Claim:
    """Return the claim that a prediction of the atlas holds."""
    effect = _TWICE if isinstance(prediction.of, LogRatio) else _FIFTH
    return Claim(
        prediction.text,
        prediction.source,
        str(prediction.of),
        prediction.of,
        Region(prediction.low, prediction.high, effect),
    )


def studies(cells: Cells) -> tuple[ClaimStudy, ...]:
    """Return the study of the claims that cells decide; none without cells."""

    def prepare(scale: Scale) -> Cells:
        del scale
        return cells

    if not cells:
        return ()
    problems = {cell["problem"] for cell in cells}
    title = f"The kept atlas: {len(cells)} cells of {len(problems)} problems (`estimax atlas`)"
    return (ClaimStudy("atlas", title, prepare, tuple(map(_claim, PREDICTIONS["laptop"]))),)


STUDIES = studies(kept_atlas.cells())
