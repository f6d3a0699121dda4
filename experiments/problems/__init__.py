"""The problems that estimators are measured on and trained with."""

from experiments.problems.problem import Params as Params
from experiments.problems.problem import Problem as Problem
from experiments.problems.semi_supervised import SemiSupervised
from experiments.problems.structured_prediction import StructuredPrediction
from experiments.problems.toy import Coupled, Polynomial, Quadratic, SharedLogit, SimplexQuadratic
from experiments.problems.vae import VAE

ALL: tuple[type[Problem], ...] = (
    VAE,
    StructuredPrediction,
    SemiSupervised,
    Quadratic,
    SharedLogit,
    Coupled,
    SimplexQuadratic,
    Polynomial,
)
"""Every problem class that the command line knows by name."""
