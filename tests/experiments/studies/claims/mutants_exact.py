"""Mutants of the claims about subsets, counts, groups, gates and estimators of second order."""

import jax
import jax.numpy as jnp

from estimators import (
    ARSM,
    MVE,
    SIMPLE,
    ArrivalTimes,
    Categorical,
    DiffusionRelaxation,
    GroupMean,
    GumbelRao,
    GumbelSoftmax,
    HardConcrete,
    ImplicitMLE,
    InvertibleGaussian,
    LeaveOneOut,
    Pathwise,
    PlackettLuceSubset,
    PoissonDifference,
    RadauStraightThrough,
    ReinMax,
    RelaxedCount,
    RelaxedTopK,
    ScoreFunction,
    SecondOrderStraightThrough,
    StraightThrough,
    Subset,
)
from tests.experiments.studies.claims.broken import Mutant, as_another, changed, scaled
from tests.experiments.studies.claims.mutants_masks import MUTANTS as MASKS
from tests.experiments.studies.claims.mutants_memory import MUTANTS as MEMORY
from tests.experiments.studies.claims.mutants_problems import MUTANTS as PROBLEMS
from tests.experiments.studies.claims.mutants_rounding import MUTANTS as ROUNDING
from tests.experiments.studies.claims.mutants_sequences import MUTANTS as SEQUENCES

INFINITE = float("inf")


def times(cls, name, factor):
    """A method whose result has a wrong constant before it."""
    right = getattr(cls, name)
    return lambda self, *arguments: factor * right(self, *arguments)


def by_sigmoids(self, key, distribution, f):
    """Relaxed top k by a sigmoid each, whose sum is not k."""
    return f(jax.nn.sigmoid(distribution.perturb(key) / self.temperature))


def without_jacobian(self, sample):
    """The density of the invertible Gaussian without that of the map."""
    inverse = self.temperature * (sample[..., :-1] - sample[..., -1:])
    return self.normal.log_prob(inverse)


def even_marginals(self):
    """Marginals in proportion to the weights."""
    return self.k * jax.nn.softmax(self.logits)


def other_noise(noise):
    return {"gumbel": "sum_of_gamma", "sum_of_gamma": "gumbel"}[noise]


def other_direction(direction):
    return {"up": "down", "down": "up"}[direction]


def plain(_):
    return False


def estimate(study, cls, broken, *breaks):
    """A mutant whose estimate is broken."""
    return Mutant(study, {(cls, "estimate"): broken}, breaks)


def as_score_function(_):
    return ScoreFunction()


SECOND_ORDER = [
    estimate(
        "mve-penalty",
        MVE,
        changed(MVE, penalty=lambda t: t + 0.01),
        "largest difference, penalty 0 and straight-through",
    ),
    estimate(
        "mve-penalty",
        MVE,
        scaled(MVE, 0.9),
        "relative bias, linear f, penalty 3",
        "relative bias, quadratic f, infinite penalty",
    ),
    estimate(
        "mve-penalty",
        MVE,
        changed(MVE, penalty=lambda _: INFINITE),
        "relative bias, quadratic f, penalty 10",
        "log ratio of biases, penalty 200 over 2,000, less log 10",
    ),
    estimate(
        "mve-penalty",
        MVE,
        as_another(as_score_function),
        "relative bias, cubic f, infinite penalty",
        "largest change by a slope of 5",
    ),
    estimate(
        "mve-and-zgr",
        MVE,
        changed(MVE, penalty=lambda t: jnp.minimum(t, 0.5)),
        "largest difference, MVE and ReinMax on bits",
        "largest difference from the mixture, penalty 1.5",
    ),
    estimate(
        "mve-and-zgr",
        MVE,
        as_another(lambda _: ReinMax()),
        "largest difference, MVE and ReinMax on classes",
    ),
    estimate(
        "mve-and-zgr",
        MVE,
        scaled(MVE, 1.5),
        "log ratio of second moments, MVE over ReinMax",
    ),
    estimate(
        "mve-and-zgr",
        MVE,
        scaled(MVE, 0.5),
        "log variance ratio, MVE over ReinMax, an indicator",
    ),
    estimate(
        "mve-and-zgr",
        ReinMax,
        as_another(lambda _: StraightThrough()),
        "largest difference, ReinMax and the mean of two",
        "relative bias, linear f, temperature 1.5",
    ),
    estimate(
        "mve-numbers",
        MVE,
        changed(MVE, penalty=lambda t: jnp.minimum(t, 2.0)),
        "relative bias, infinite penalty",
        "largest difference on two classes, penalty 3",
    ),
    estimate(
        "mve-numbers",
        MVE,
        changed(MVE, penalty=lambda _: INFINITE),
        "relative bias, penalty 1",
    ),
]

GROUPS = [
    Mutant(
        "group-mean",
        {
            (GroupMean, "signal"): times(GroupMean, "signal", 0.9),
            (LeaveOneOut, "signal"): times(LeaveOneOut, "signal", 0.8),
        },
        (
            "relative bias of 4/3 times the gradient",
            "relative bias of 8/7 times the gradient",
            "largest difference from 3/4 of leave-one-out",
            "relative bias of leave-one-out of 4",
            "relative bias of leave-one-out of 8",
        ),
    ),
    Mutant(
        "group-mean",
        {(GroupMean, "signal"): changed(GroupMean, "signal", normalise=plain)},
        (
            "1 less the cosine, groups of 4, four arms",
            "1 less the cosine, groups of 8, four arms",
            "largest change, rewards times 3 less 2",
        ),
    ),
    Mutant(
        "group-deviation",
        {(GroupMean, "signal"): changed(GroupMean, "signal", normalise=plain)},
        (
            "1 less the cosine, groups of 8, two contexts",
            "factor less 1.690, 4 samples, probability 0.1",
            "factor less 1.616, 4 samples, probability 0.5",
            "factor less 2.328, 8 samples, probability 0.1",
            "factor less 1.856, 8 samples, probability 0.5",
            "factor less 1, 2 samples",
        ),
    ),
    Mutant(
        "group-deviation",
        {(GroupMean, "signal"): changed(GroupMean, "signal", normalise=lambda _: True)},
        ("1 less the cosine, groups of 8, two contexts, no deviation",),
    ),
    Mutant(
        "group-deviation",
        {(GroupMean, "signal"): lambda self, values, parameters: 1 - values},
        (
            "1 less the cosine, groups of 4, one context",
            "mass of groups of gradient zero, less that of equal rewards",
        ),
    ),
]

NOISE = [
    Mutant(
        "perturbed-arg-max",
        {(Categorical, "noise"): times(Categorical, "noise", 0.1)},
        (
            "mean given the first class, less the score",
            "second moment of perturbation less that of the score function",
        ),
    ),
    estimate(
        "gumbel-rao-limit",
        GumbelRao,
        scaled(GumbelRao, 2.0),
        "length along ReinMax at temperature 0.03, less 1",
        "length along ReinMax at temperature 1, less 1",
    ),
    estimate(
        "radau-order",
        RadauStraightThrough,
        scaled(RadauStraightThrough, 0.9),
        "relative bias of Radau's rule, cubic f",
        "largest difference from the score function of f less f(0)",
    ),
    Mutant(
        "radau-order",
        {
            (ReinMax, "estimate"): as_another(as_score_function),
            (RadauStraightThrough, "estimate"): as_another(as_score_function),
        },
        ("relative bias of ReinMax, cubic f", "relative bias of Radau's rule, quartic f"),
    ),
    estimate(
        "swaps-of-two",
        ARSM,
        scaled(ARSM, 0.8),
        "log variance ratio, ARSM over ARM",
        "log variance ratio, ARSM over DisARM",
    ),
    estimate(
        "swaps-of-three",
        ARSM,
        scaled(ARSM, 2.0),
        "relative bias of ARSM",
        "log variance ratio, ARSM over the score function",
    ),
]

DIFFUSION = [
    estimate(
        "diffusion-law",
        DiffusionRelaxation,
        scaled(DiffusionRelaxation, 0.9),
        "largest difference, one step and straight-through",
        "largest difference, one step and f at the mean",
    ),
    estimate(
        "diffusion-law",
        DiffusionRelaxation,
        changed(DiffusionRelaxation, num_steps=lambda n: min(n, 3)),
        "likeliest entry less its probability, 100 steps",
        "1 less the largest entry, 100 steps",
    ),
    estimate(
        "diffusion-law",
        DiffusionRelaxation,
        as_another(lambda _: GumbelSoftmax(0.5)),
        "likeliest entry less its probability, 5 steps",
        "frequency of the likeliest class less its probability, 3 steps",
    ),
    estimate(
        "diffusion-trade-off",
        DiffusionRelaxation,
        changed(DiffusionRelaxation, num_steps=lambda n: 7 - n),
        "log variance ratio, 5 steps over 2",
        "squared bias at 2 steps, less that at 5",
    ),
]

LAWS = [
    Mutant(
        "hard-concrete",
        {
            (HardConcrete, "sample"): changed(HardConcrete, "sample", log_alpha=lambda a: a + 0.3),
            (Pathwise, "estimate"): scaled(Pathwise, 0.5),
        },
        (
            "share of zeros, less its probability",
            "share of ones, less its probability",
            "share that is not zero, less the penalty",
            "gate less the mean",
            "mean less the probability at temperature 0.01",
            "mean difference of derivatives of a square",
        ),
    ),
    Mutant(
        "hard-concrete",
        {
            (HardConcrete, "sample"): changed(
                HardConcrete, "sample", temperature=lambda t: jnp.maximum(t, 0.3)
            )
        },
        ("share between 0 and 1 at temperature 0.01",),
    ),
    Mutant(
        "invertible-gaussian",
        {
            (InvertibleGaussian, "sample"): changed(
                InvertibleGaussian, "sample", log_scale=lambda s: s + 0.5
            ),
            (InvertibleGaussian, "log_prob"): without_jacobian,
        },
        (
            "frequency of the first of two, less its probability",
            "frequency of the last of four, less the product",
            "largest difference of log-densities",
        ),
    ),
    Mutant(
        "invertible-gaussian",
        {
            (InvertibleGaussian, "kl"): times(InvertibleGaussian, "kl", 0.5),
            (InvertibleGaussian, "class_probs"): times(InvertibleGaussian, "class_probs", 0.9),
        },
        (
            "mean log-ratio less the divergence",
            "frequency of the first of four, less the quadrature",
        ),
    ),
]

SUBSETS = [
    Mutant(
        "subset-order",
        {(Subset, "mean"): property(even_marginals)},
        ("largest difference from enumerated marginals", "relative bias of SIMPLE, linear f"),
    ),
    estimate(
        "subset-order",
        SIMPLE,
        as_another(lambda _: SecondOrderStraightThrough()),
        "variance of SIMPLE over the squared gradient, linear f",
        "relative bias of SIMPLE on its toy",
    ),
    estimate(
        "subset-order",
        SecondOrderStraightThrough,
        as_another(lambda _: SIMPLE()),
        "relative bias of second order, quadratic f",
        "largest difference from the mean of the two",
    ),
    estimate(
        "subset-order",
        SecondOrderStraightThrough,
        as_another(as_score_function),
        "relative bias of second order, cubic f",
    ),
    estimate(
        "subset-order",
        SecondOrderStraightThrough,
        scaled(SecondOrderStraightThrough, 0.1),
        "log variance ratio, second order over SIMPLE",
    ),
    estimate(
        "subset-order",
        SecondOrderStraightThrough,
        scaled(SecondOrderStraightThrough, 10.0),
        "log variance ratio, second order over the score function",
    ),
    Mutant(
        "subsets-of-one",
        {
            (StraightThrough, "estimate"): scaled(StraightThrough, 0.9),
            (ReinMax, "estimate"): scaled(ReinMax, 0.9),
        },
        (
            "largest difference, SIMPLE and straight-through",
            "largest difference, second order and ReinMax",
        ),
    ),
    Mutant(
        "subset-laws",
        {(PlackettLuceSubset, "log_prob"): lambda law, z: Subset(law.logits, law.k).log_prob(z)},
        ("total variation, k = 3", "total variation, k = 6"),
    ),
    Mutant(
        "subset-laws",
        {(PlackettLuceSubset, "log_prob"): times(PlackettLuceSubset, "log_prob", 2.0)},
        ("total variation, k = 1", "total variation, equal logits"),
    ),
    estimate(
        "relaxed-top-k",
        RelaxedTopK,
        by_sigmoids,
        "largest difference of the sum from 3",
        "share of samples with an entry above 1.01",
        "mean of the first item, less its Plackett-Luce marginal",
    ),
    Mutant(
        "relaxed-top-k",
        {
            (PlackettLuceSubset, "perturb"): changed(
                PlackettLuceSubset, "perturb", logits=lambda a: a / 3
            )
        },
        (
            "mean of the first item, less its conditional Bernoulli marginal",
            "mean of the first item, straight-through, less its marginal",
        ),
    ),
    Mutant(
        "implicit-mle",
        {
            (SIMPLE, "estimate"): scaled(SIMPLE, 0.9),
            (ImplicitMLE, "estimate"): changed(
                ImplicitMLE, step=lambda s: 100 * s, noise=other_noise
            ),
        },
        (
            "largest difference from SIMPLE at lambda 0.01",
            "share of zero gradients at lambda 0.01",
            "error of the marginals, sum of gamma less Gumbel",
        ),
    ),
    estimate(
        "implicit-mle",
        ImplicitMLE,
        scaled(ImplicitMLE, 5.0),
        "1 less the length along the truth, lambda 10",
    ),
]

COUNTS = [
    Mutant(
        "count-order",
        {
            (PoissonDifference, "estimate"): scaled(PoissonDifference, 10.0),
            (StraightThrough, "estimate"): scaled(StraightThrough, 0.9),
            (SecondOrderStraightThrough, "estimate"): scaled(SecondOrderStraightThrough, 0.9),
        },
        (
            "relative bias of differences up, a wave",
            "relative bias of differences down, a wave",
            "log variance ratio, down over the score function",
            "relative bias of straight-through, linear f",
            "bias over rate and half the curvature, plus 1",
            "relative bias of the trapezoid, quadratic f",
            "largest difference, trapezoid and both differences",
        ),
    ),
    Mutant(
        "count-order",
        {
            (PoissonDifference, "estimate"): changed(PoissonDifference, direction=other_direction),
            (SecondOrderStraightThrough, "estimate"): as_another(as_score_function),
        },
        ("log variance ratio, down over up", "relative bias of the trapezoid, cubic f"),
    ),
    Mutant(
        "arrival-times",
        {(ArrivalTimes, "sample"): changed(ArrivalTimes, "sample", temperature=lambda t: 2 * t)},
        (
            "mean over the rate, less 1, cubic, temperature 1",
            "mean over the rate, less 1.3133, sigmoid, temperature 1",
            "variance over the rate, less 1 - 9/70, cubic, temperature 0.5",
            "variance over the rate, less 5/6, hard sigmoid, temperature 0.5",
            "error of the derivative over the rate, plus 9/70, temperature 0.5",
        ),
    ),
    Mutant(
        "relaxed-count",
        {(RelaxedCount, "sample"): changed(RelaxedCount, "sample", temperature=lambda t: 0.02 / t)},
        (
            "variance over the rate at temperature 1",
            "mean less the rate at temperature 1",
            "mean less the rate at temperature 0.02",
            "variance over the rate, less 1, at temperature 0.02",
        ),
    ),
]

MUTANTS = [
    *(*GROUPS, *NOISE, *SECOND_ORDER, *DIFFUSION, *LAWS, *SUBSETS, *COUNTS),
    *(*PROBLEMS, *MASKS, *MEMORY, *ROUNDING, *SEQUENCES),
]
