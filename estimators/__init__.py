"""Gradient estimators for discrete random variables.

    loss = estimator(key, distribution, f)      # a scalar: an estimate of E[f(z)], z ~ distribution

`jax.grad` of that scalar is the gradient estimate.
"""

from estimators.arm import ARM
from estimators.arms import ARMS
from estimators.average import Average
from estimators.baselines.leave_one_out import LeaveOneOut
from estimators.baselines.moving_average import MovingAverage
from estimators.baselines.nvil import NVIL
from estimators.carms import CARMS
from estimators.categorical_disarm import CategoricalDisARM
from estimators.core import identity as _identity
from estimators.core.baseline import Baseline
from estimators.core.bibliography import BIBLIOGRAPHY, Paper, citation
from estimators.core.contributions import mean_contributions
from estimators.core.distribution import Continuous, Discrete, Distribution
from estimators.core.estimator import Estimator
from estimators.core.gradients import attach_gradient, attach_tuning, replace_gradient
from estimators.core.identity import stack, unstack
from estimators.core.network import MLP
from estimators.core.objective import BlackBox, ImportanceBound, black_box
from estimators.core.pytree import averaged, counter, learned, pytree, static
from estimators.darn import DARN
from estimators.decoupled_straight_through_gumbel_softmax import (
    DecoupledStraightThroughGumbelSoftmax,
)
from estimators.disarm import DisARM
from estimators.distributions.bernoulli import Bernoulli, RelaxedBernoulli
from estimators.distributions.categorical import Categorical, RelaxedCategorical
from estimators.distributions.chain import Chain
from estimators.distributions.normal import Normal
from estimators.double_cv import DoubleCV
from estimators.exact import Exact
from estimators.gapped_straight_through import GappedStraightThrough
from estimators.gumbel_rao import GumbelRao
from estimators.gumbel_softmax import GumbelSoftmax
from estimators.indecater import IndeCateR
from estimators.local_disarm import LocalDisARM
from estimators.local_expectation import LocalExpectation
from estimators.muprop import MuProp
from estimators.ovis import OVIS
from estimators.pathwise import Pathwise
from estimators.rebar import REBAR
from estimators.reinmax import ReinMax
from estimators.reinmax_cv import ReinMaxCV
from estimators.reinmax_rao import ReinMaxRao
from estimators.relax import RELAX
from estimators.rodeo import RODEO
from estimators.score_function import ScoreFunction
from estimators.slope_annealed_straight_through import SlopeAnnealedStraightThrough
from estimators.straight_through import StraightThrough
from estimators.straight_through_gumbel_softmax import StraightThroughGumbelSoftmax
from estimators.sum_and_sample import SumAndSample
from estimators.unordered_set import UnorderedSet
from estimators.vimco import VIMCO

ALL: tuple[type[Estimator], ...] = (
    Exact,
    Pathwise,
    ScoreFunction,
    MuProp,
    REBAR,
    RELAX,
    DARN,
    StraightThrough,
    SlopeAnnealedStraightThrough,
    GumbelSoftmax,
    StraightThroughGumbelSoftmax,
    GumbelRao,
    GappedStraightThrough,
    DecoupledStraightThroughGumbelSoftmax,
    ReinMax,
    ReinMaxRao,
    ReinMaxCV,
    LocalExpectation,
    IndeCateR,
    Average,
    UnorderedSet,
    SumAndSample,
    VIMCO,
    ARM,
    DisARM,
    ARMS,
    LocalDisARM,
    OVIS,
    DoubleCV,
    RODEO,
    CARMS,
    CategoricalDisARM,
)
"""Every estimator class."""

PARTS: tuple[type, ...] = (MovingAverage, LeaveOneOut, NVIL, MLP)
"""What estimators are built of, and `parse` knows as well."""


def parse(text: str, *more: type[Estimator]) -> Estimator:
    """Build the estimator that a text names: the inverse of `str(estimator)`.

    Example:
        `parse("GumbelSoftmax[temperature=0.5]")`,
        `parse("ScoreFunction[baseline=LeaveOneOut[4]]")`.

    Args:
        text: `Name`, `Name[value]` or `Name[field=value,...]`, nested at will.
        *more: further classes that may be named, such as a user's own.

    Raises:
        ValueError: for an unknown name or field (with the nearest one), or a value out of range.
    """
    value = _identity.parse(text, {cls.__name__: cls for cls in (*ALL, *PARTS, *more)})
    if not isinstance(value, Estimator):
        raise ValueError(f"{text!r} is no estimator, but a part of one")
    return value


__all__ = [
    "ALL",
    "ARM",
    "ARMS",
    "BIBLIOGRAPHY",
    "CARMS",
    "DARN",
    "MLP",
    "NVIL",
    "OVIS",
    "PARTS",
    "REBAR",
    "RELAX",
    "RODEO",
    "VIMCO",
    "Average",
    "Baseline",
    "Bernoulli",
    "BlackBox",
    "Categorical",
    "CategoricalDisARM",
    "Chain",
    "Continuous",
    "DisARM",
    "DecoupledStraightThroughGumbelSoftmax",
    "Discrete",
    "Distribution",
    "DoubleCV",
    "Estimator",
    "Exact",
    "GappedStraightThrough",
    "GumbelRao",
    "GumbelSoftmax",
    "ImportanceBound",
    "IndeCateR",
    "LeaveOneOut",
    "LocalDisARM",
    "LocalExpectation",
    "MovingAverage",
    "MuProp",
    "Normal",
    "Paper",
    "Pathwise",
    "ReinMax",
    "ReinMaxCV",
    "ReinMaxRao",
    "RelaxedBernoulli",
    "RelaxedCategorical",
    "ScoreFunction",
    "SlopeAnnealedStraightThrough",
    "StraightThrough",
    "StraightThroughGumbelSoftmax",
    "SumAndSample",
    "UnorderedSet",
    "attach_gradient",
    "attach_tuning",
    "averaged",
    "black_box",
    "citation",
    "counter",
    "learned",
    "mean_contributions",
    "parse",
    "pytree",
    "stack",
    "static",
    "replace_gradient",
    "unstack",
]
