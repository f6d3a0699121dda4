"""Claims of unbiasedness and of identities bite: a broken estimator changes the verdict."""

import math

import pytest

from estimators import (
    ARM,
    ARMS,
    DARN,
    NVIL,
    REBAR,
    RELAX,
    VIMCO,
    Bernoulli,
    Categorical,
    DisARM,
    DoubleCV,
    GumbelRao,
    LeaveOneOut,
    MuProp,
    ReinMax,
    RelaxedCategorical,
    ScoreFunction,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    UnorderedSet,
)
from experiments.studies.claims import STUDIES
from tests.experiments.studies.claims.broken import (
    Mutant,
    as_another,
    beside,
    changed,
    check,
    free_noise,
    half_of_the_mean,
    middle_noise,
    of_normal_noise,
    own_deviation,
    plain_noise,
    rebar,
    relax,
    scaled,
    tepid,
    vimco_with_itself,
    warmer,
    without_correction,
)
from tests.experiments.studies.claims.mutants_exact import MUTANTS as EXACT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("claims")]


MUTANTS = [
    Mutant(
        "relaxed-mean",
        {(Categorical, "relax"): tepid(Categorical)},
        ("mean at temperature 0.05, less the probability", "mean at temperature 50, less 1/7"),
    ),
    Mutant(
        "concrete-rounding",
        {(RelaxedCategorical, "sample"): of_normal_noise},
        (
            "frequency of the likeliest class, less its probability",
            "mean distance from the middle class, less its expectation",
        ),
    ),
    Mutant(
        "concrete-convexity",
        {(RelaxedCategorical, "log_density"): warmer(RelaxedCategorical)},
        ("share of concave chords at temperature 1/2",),
    ),
    Mutant(
        "posterior-noise",
        {(Bernoulli, "perturb_given"): middle_noise},
        (
            "mean of the conditional variable, less the logit",
            "its variance over that of a logistic, less 1",
        ),
    ),
    Mutant(
        "posterior-noise",
        {(Bernoulli, "perturb_given"): free_noise},
        ("share on the side of the other bit",),
    ),
    Mutant(
        "posterior-noise",
        {(Bernoulli, "perturb_given"): plain_noise},
        ("share that is not finite at logits of 50",),
    ),
    Mutant(
        "gumbel-rao-law",
        {(Categorical, "perturb_given"): free_noise},
        ("difference of means along the truth",),
    ),
    Mutant(
        "gumbel-rao-law",
        {(GumbelRao, "estimate"): changed(GumbelRao, num_samples=lambda k: 10 * k)},
        ("log variance ratio, K = 1 over straight-through",),
    ),
    Mutant(
        "gumbel-rao-law",
        {(GumbelRao, "estimate"): changed(GumbelRao, num_samples=lambda k: max(k // 10, 1))},
        ("log of the variance at K = 10 over the law's",),
    ),
    Mutant(
        "straight-through-bias",
        {(StraightThrough, "estimate"): beside(StraightThrough, lambda _: ScoreFunction(), 0.1)},
        ("relative bias, linear f",),
    ),
    Mutant(
        "darn-readings",
        {(DARN, "estimate"): as_another(lambda _: StraightThrough())},
        ("relative bias at the sample, coupled", "relative bias at 1/2, separable"),
    ),
    Mutant(
        "darn-readings",
        {(DARN, "estimate"): scaled(DARN, 0.9)},
        ("relative bias at the sample, coupled", "relative bias at 1/2, separable"),
    ),
    Mutant(
        "reinmax-order",
        {(ReinMax, "estimate"): scaled(ReinMax, 0.9)},
        ("relative bias, quadratic f",),
    ),
    Mutant(
        "straight-through-identities",
        {
            (SlopeAnnealedStraightThrough, "estimate"): changed(
                SlopeAnnealedStraightThrough, slope=lambda slope: slope * 1.1
            ),
            (ReinMax, "estimate"): as_another(lambda _: StraightThrough()),
        },
        (
            "largest difference, slope 1 and straight-through",
            "largest difference, ReinMax and DARN on one bit",
        ),
    ),
    Mutant(
        "nvil-scale",
        {(NVIL, "signal"): own_deviation},
        ("1 less the cosine of the mean",),
    ),
    Mutant(
        "constant-shift",
        {
            (LeaveOneOut, "signal"): half_of_the_mean,
            (DisARM, "estimate"): beside(DisARM, lambda _: ScoreFunction(), 0.1),
        },
        ("largest change of leave-one-out", "largest change of DisARM"),
    ),
    Mutant(
        "arms-variance",
        {(ARMS, "estimate"): as_another(lambda self: ScoreFunction(LeaveOneOut(self.num_samples)))},
        ("log variance ratio of two samples over DisARM",),
    ),
    *(
        Mutant(
            study,
            {(UnorderedSet, "estimate"): beside(UnorderedSet, lambda _: ScoreFunction(), 1.0)},
            (
                "variance of all eight over the squared gradient",
                "log variance ratio over sum and sample",
            ),
        )
        for study in ("without-replacement-high", "without-replacement-low")
    ),
    Mutant("vimco-bound", {(VIMCO, "estimate"): vimco_with_itself}, ("relative bias",)),
    Mutant(
        "no-variance-on-linear-f",
        {
            (MuProp, "estimate"): beside(MuProp, lambda _: ScoreFunction(), 0.1),
            (DoubleCV, "estimate"): changed(DoubleCV, alpha=lambda alpha: 0.9 * alpha),
        },
        ("MuProp's variance over the squared gradient", "the variance of DoubleCV with alpha -1"),
    ),
    Mutant(
        "any-control-variate",
        {
            (REBAR, "estimate"): without_correction(rebar),
            (RELAX, "estimate"): without_correction(relax),
        },
        (
            "relative bias of REBAR, eta 3, temperature 0.1",
            "relative bias of REBAR, eta -1, temperature 5",
            "relative bias of RELAX",
        ),
    ),
    Mutant(
        "any-control-variate",
        {
            (REBAR, "estimate"): changed(REBAR, eta=lambda eta: eta + 0.5),
            (RELAX, "estimate"): scaled(RELAX, 0.9),
        },
        ("log variance ratio, eta 0 over the score function", "relative bias of RELAX"),
    ),
    Mutant(
        "arm-toy",
        {(ARM, "estimate"): as_another(lambda _: ScoreFunction())},
        (
            "share of ARM's runs at the wrong end",
            "distance of ARM's probability from the true gradient's",
        ),
    ),
]

COMPARISONS = {
    "ST-GS less ST",
    "DisARM less LOO",
    "REBAR less NVIL",
    "RELAX less NVIL",
    "REBAR less MuProp",
}
"""Of what training gives: no theorem says that they are zero."""


def says_a_number(claim):
    """Return whether the claim is that a quantity is a number: its region is the room for error."""
    return (
        math.isfinite(claim.region.low + claim.region.high)
        or claim.region.effect == claim.region.high
    )


def test_every_such_claim_has_a_mutant():
    wanted = {
        (study.name, claim.quantity)
        for study in STUDIES
        for claim in study.claims
        if says_a_number(claim) and claim.quantity not in COMPARISONS
    }
    both = [*MUTANTS, *EXACT]
    assert wanted <= {(mutant.study, name) for mutant in both for name in mutant.breaks}
    # What is said in words is there too.
    for study in STUDIES:
        for claim in study.claims:
            if any(word in claim.statement for word in ("unbiased", "exact", "zero variance")):
                assert (study.name, claim.quantity) in wanted, claim.statement


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_broken_estimator_is_seen(mutant, monkeypatch):
    check(mutant, monkeypatch)
