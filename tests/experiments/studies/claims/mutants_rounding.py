"""Mutants of the claims about rounding a compressed image's latent vector."""

import jax
import jax.numpy as jnp

from estimators import ScoreFunction, StraightThrough
from experiments.problems import Rounding
from tests.experiments.studies.claims.broken import Mutant, as_another, changed

STUDY = "rounding-of-latents"


def of_nearest(self, latents, images):
    """The cost of nearest integers as that of the best."""
    return jax.vmap(self.f)(jnp.round(latents), images)


MUTANTS = [
    Mutant(
        STUDY,
        {(Rounding, "best"): of_nearest},
        ("bits above the best rounding, nearest integers",),
    ),
    Mutant(
        STUDY,
        {(Rounding, "bits"): changed(Rounding, "bits", temperature=lambda _: 1.0)},
        (
            "probability of rounding 0.3 up at temperature 0.02",
            "probability of rounding 0.3 up at temperature 0.5",
            "bits at temperature 0.5, less those at 0.1",
        ),
    ),
    Mutant(
        STUDY,
        {(StraightThrough, "estimate"): as_another(lambda _: ScoreFunction())},
        ("relative bias of straight-through, roundings",),
    ),
]
