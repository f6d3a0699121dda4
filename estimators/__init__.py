"""Gradient estimators for discrete random variables.

    loss = estimator(key, distribution, f)      # a scalar: an estimate of E[f(z)], z ~ distribution

`jax.grad` of that scalar is the gradient estimate.
"""

from typing import Any as _Any

from estimators.antithetic.arm import ARM as ARM
from estimators.antithetic.arms import ARMS as ARMS
from estimators.antithetic.arsm import ARSM as ARSM
from estimators.antithetic.carms import CARMS as CARMS
from estimators.antithetic.categorical_disarm import CategoricalDisARM as CategoricalDisARM
from estimators.antithetic.disarm import DisARM as DisARM
from estimators.bibliography import BIBLIOGRAPHY as BIBLIOGRAPHY
from estimators.bibliography import Paper as Paper
from estimators.bibliography import citation as citation
from estimators.bounds.local_disarm import LocalDisARM as LocalDisARM
from estimators.bounds.ovis import OVIS as OVIS
from estimators.bounds.vimco import VIMCO as VIMCO
from estimators.control_variates.double_cv import DoubleCV as DoubleCV
from estimators.control_variates.muprop import MuProp as MuProp
from estimators.control_variates.rebar import REBAR as REBAR
from estimators.control_variates.relax import RELAX as RELAX
from estimators.control_variates.rodeo import RODEO as RODEO
from estimators.core import identity as _identity
from estimators.core.attaching import NotLearning as NotLearning
from estimators.core.attaching import frozen as frozen
from estimators.core.contributions import mean_contributions as mean_contributions
from estimators.core.distribution import Continuous as Continuous
from estimators.core.distribution import Discrete as Discrete
from estimators.core.distribution import Distribution as Distribution
from estimators.core.distribution import Enumerable as Enumerable
from estimators.core.estimator import Estimator as Estimator
from estimators.core.estimator import Unbiased as Unbiased
from estimators.core.estimator import fact as fact
from estimators.core.gradients import attach_gradient as attach_gradient
from estimators.core.gradients import attach_tuning as attach_tuning
from estimators.core.gradients import replace_gradient as replace_gradient
from estimators.core.identity import stack as stack
from estimators.core.identity import unstack as unstack
from estimators.core.objective import BlackBox as BlackBox
from estimators.core.objective import ImportanceBound as ImportanceBound
from estimators.core.objective import Objective as Objective
from estimators.core.objective import WithContext as WithContext
from estimators.core.objective import black_box as black_box
from estimators.core.objective import with_context as with_context
from estimators.core.pytree import averaged as averaged
from estimators.core.pytree import counter as counter
from estimators.core.pytree import learned as learned
from estimators.core.pytree import pytree as pytree
from estimators.core.pytree import static as static
from estimators.core.sequence import sequence as sequence
from estimators.distributions.arrival_times import ArrivalTimes as ArrivalTimes
from estimators.distributions.autoregressive import Autoregressive as Autoregressive
from estimators.distributions.bernoulli import Bernoulli as Bernoulli
from estimators.distributions.bernoulli import RelaxedBernoulli as RelaxedBernoulli
from estimators.distributions.categorical import Categorical as Categorical
from estimators.distributions.categorical import RelaxedCategorical as RelaxedCategorical
from estimators.distributions.chain import Chain as Chain
from estimators.distributions.hard_concrete import HardConcrete as HardConcrete
from estimators.distributions.invertible_gaussian import InvertibleGaussian as InvertibleGaussian
from estimators.distributions.normal import Normal as Normal
from estimators.distributions.plackett_luce_subset import (
    PlackettLuceSubset as PlackettLuceSubset,
)
from estimators.distributions.poisson import Poisson as Poisson
from estimators.distributions.relaxed_count import RelaxedCount as RelaxedCount
from estimators.distributions.subset import Subset as Subset
from estimators.enumeration.exact import Exact as Exact
from estimators.enumeration.indecater import IndeCateR as IndeCateR
from estimators.enumeration.local_expectation import LocalExpectation as LocalExpectation
from estimators.enumeration.poisson_difference import PoissonDifference as PoissonDifference
from estimators.enumeration.sum_and_sample import SumAndSample as SumAndSample
from estimators.enumeration.unordered_set import UnorderedSet as UnorderedSet
from estimators.relaxations.decoupled_straight_through_gumbel_softmax import (
    DecoupledStraightThroughGumbelSoftmax as DecoupledStraightThroughGumbelSoftmax,
)
from estimators.relaxations.diffusion_relaxation import (
    DiffusionRelaxation as DiffusionRelaxation,
)
from estimators.relaxations.gapped_straight_through import (
    GappedStraightThrough as GappedStraightThrough,
)
from estimators.relaxations.gumbel_rao import GumbelRao as GumbelRao
from estimators.relaxations.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
from estimators.relaxations.pathwise import Pathwise as Pathwise
from estimators.relaxations.relaxed_top_k import RelaxedTopK as RelaxedTopK
from estimators.relaxations.straight_through_gumbel_softmax import (
    StraightThroughGumbelSoftmax as StraightThroughGumbelSoftmax,
)
from estimators.score_function.average import Average as Average
from estimators.score_function.baseline import Baseline as Baseline
from estimators.score_function.group_mean import GroupMean as GroupMean
from estimators.score_function.leave_one_out import LeaveOneOut as LeaveOneOut
from estimators.score_function.moving_average import MovingAverage as MovingAverage
from estimators.score_function.network import MLP as MLP
from estimators.score_function.nvil import NVIL as NVIL
from estimators.score_function.score_function import ScoreFunction as ScoreFunction
from estimators.straight_through.darn import DARN as DARN
from estimators.straight_through.implicit_mle import ImplicitMLE as ImplicitMLE
from estimators.straight_through.mve import MVE as MVE
from estimators.straight_through.radau_straight_through import (
    RadauStraightThrough as RadauStraightThrough,
)
from estimators.straight_through.reinmax import ReinMax as ReinMax
from estimators.straight_through.reinmax_cv import ReinMaxCV as ReinMaxCV
from estimators.straight_through.reinmax_rao import ReinMaxRao as ReinMaxRao
from estimators.straight_through.second_order_straight_through import (
    SecondOrderStraightThrough as SecondOrderStraightThrough,
)
from estimators.straight_through.simple import SIMPLE as SIMPLE
from estimators.straight_through.slope_annealed_straight_through import (
    SlopeAnnealedStraightThrough as SlopeAnnealedStraightThrough,
)
from estimators.straight_through.straight_through import StraightThrough as StraightThrough

_CLASSES = [value for value in list(globals().values()) if isinstance(value, type)]

FAMILIES: dict[str, tuple[type[Estimator[_Any, _Any]], ...]] = {
    family: tuple(
        cls
        for cls in _CLASSES
        if f"estimators.{family}." in cls.__module__ and issubclass(cls, Estimator)
    )
    for family in (
        "score_function",
        "antithetic",
        "control_variates",
        "enumeration",
        "bounds",
        "straight_through",
        "relaxations",
    )
}
"""Every estimator class, by family: the folder of its file."""

ALL: tuple[type[Estimator[_Any, _Any]], ...] = tuple(
    cls for family in FAMILIES.values() for cls in family
)
"""Every estimator class."""

PARTS: tuple[type, ...] = (MovingAverage, LeaveOneOut, GroupMean, NVIL, MLP)
"""Components of estimators that `parse` also accepts."""


def parse(text: str, *more: type[Estimator[_Any, _Any]]) -> Estimator[_Any, _Any]:
    """Build an estimator from its name: the inverse of `str(estimator)`.

    Example:
        `parse("GumbelSoftmax[temperature=0.5]")`,
        `parse("ScoreFunction[baseline=LeaveOneOut[4]]")`.

    Args:
        text: `Name`, `Name[value]` or `Name[field=value,...]`; values may be nested names.
        *more: additional classes, such as user-defined ones.

    Raises:
        ValueError: for an unknown name or field, suggesting the nearest, or a value out of range.
    """
    value = _identity.parse(text, {cls.__name__: cls for cls in (*ALL, *PARTS, *more)})
    if not isinstance(value, Estimator):
        raise ValueError(f"{text!r} is a component, not an estimator")
    return value
