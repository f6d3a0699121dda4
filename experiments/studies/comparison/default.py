"""The estimators that are compared by default: those of the papers that everybody knows."""

import jax

from experiments.problems import Problem
from experiments.running.user_code import Chosen, parse_estimators

NAMES = (
    "Exact",
    "ScoreFunction",
    "ScoreFunction[LeaveOneOut[2]]",
    "ScoreFunction[NVIL]",
    "MuProp",
    "REBAR[0.5]",
    "RELAX",
    "DisARM",
    "CategoricalDisARM",
    "ARMS[4]",
    "CARMS[4]",
    "VIMCO",
    "OVIS",
    "LocalExpectation",
    "StraightThrough",
    "SlopeAnnealedStraightThrough[2.0]",
    "GumbelSoftmax[0.5]",
    "StraightThroughGumbelSoftmax[0.5]",
    "GumbelRao[0.5]",
    "ReinMax",
    "PoissonDifference",
    "SecondOrderStraightThrough",
    "Pathwise",
)


def default_estimators(problem: Problem) -> Chosen:
    """Return those of the default estimators that are for a problem's distribution and bound."""
    key, data = jax.random.key(0), problem.data()

    def distribution():
        batch = problem.batch(key, data)
        return problem.distribution(problem.measured_params(problem.initial(key), batch), batch)

    latent = jax.eval_shape(distribution)
    return Chosen(
        [
            one
            for one in parse_estimators(NAMES).estimators
            if isinstance(latent, one.distributions)
            and not (one.needs_bound and problem.refusal(one, latent))
        ]
    )
