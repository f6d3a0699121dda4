"""The problems that estimators are measured on and trained with."""

from experiments.problems.problem import EvaluatedProblem as EvaluatedProblem
from experiments.problems.problem import Measurable as Measurable
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
"""The problem classes that the command line knows by name."""
