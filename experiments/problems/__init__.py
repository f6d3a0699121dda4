"""The problems that estimators are measured on and trained with."""

import inspect

from experiments.problems.bandits import Bandit as Bandit
from experiments.problems.bandits import TwoContexts as TwoContexts
from experiments.problems.counts import Counts as Counts
from experiments.problems.experts import Experts as Experts
from experiments.problems.explain import Explain as Explain
from experiments.problems.gates import Gates as Gates
from experiments.problems.memory import Memory as Memory
from experiments.problems.policy import Policy as Policy
from experiments.problems.problem import EvaluatedProblem as EvaluatedProblem
from experiments.problems.problem import Measurable as Measurable
from experiments.problems.problem import Params as Params
from experiments.problems.problem import Problem as Problem
from experiments.problems.problem import Turn as Turn
from experiments.problems.problem import joined as joined
from experiments.problems.quantised import VectorQuantised as VectorQuantised
from experiments.problems.rounding import Rounding as Rounding
from experiments.problems.semi_supervised import SemiSupervised as SemiSupervised
from experiments.problems.sequence_gan import SequenceGAN as SequenceGAN
from experiments.problems.structured_prediction import StructuredPrediction as StructuredPrediction
from experiments.problems.toy import Coupled as Coupled
from experiments.problems.toy import FourValues as FourValues
from experiments.problems.toy import Polynomial as Polynomial
from experiments.problems.toy import Quadratic as Quadratic
from experiments.problems.toy import SharedLogit as SharedLogit
from experiments.problems.toy import SimplexQuadratic as SimplexQuadratic
from experiments.problems.toy import Subsets as Subsets
from experiments.problems.vae import VAE as VAE
from experiments.problems.world_model import WorldModel as WorldModel

ALL: tuple[type[Problem], ...] = tuple(
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Problem) and not inspect.isabstract(value)
)
"""The problem classes that the command line knows by name."""
