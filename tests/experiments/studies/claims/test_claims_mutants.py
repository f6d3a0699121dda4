"""Claims of unbiasedness and of identities bite: a broken estimator changes the verdict."""

import contextlib
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import pandas as pd
import pytest

import analysis
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
    ImportanceBound,
    LeaveOneOut,
    MuProp,
    ReinMax,
    RelaxedCategorical,
    ScoreFunction,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    UnorderedSet,
    attach_gradient,
)
from experiments.studies.claims import STUDIES, Scale

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("claims")]


# Broken estimators, each written with what the library exports --------------------------------


def score(distribution, sample, value, signal):
    """The score function, its signal given."""
    fixed, signal = jax.lax.stop_gradient((distribution, signal))
    gradient = jax.grad(lambda q: signal * q.log_prob(sample))(fixed)
    return attach_gradient(value, distribution, gradient)


def without_correction(control):
    """REBAR and RELAX, whose control variate is subtracted and not given back."""

    def estimate(self, key, distribution, f):
        fixed = jax.lax.stop_gradient(distribution)
        sample = fixed.sample(key)
        given = fixed.posterior(jax.random.fold_in(key, 1), sample)
        value = f(sample)
        return score(distribution, sample, value, value - control(self, fixed, f, given))

    return estimate


def rebar(self, distribution, f, perturbed):
    return self.eta * f(distribution.relaxed(perturbed, self.temperature))


def relax(self, distribution, f, perturbed):
    del f
    return self.control_variate(distribution.relaxed(perturbed, self.temperature).ravel())


def as_another(make):
    """The estimate of another estimator, made of this one."""
    return lambda self, key, distribution, f: make(self).estimate(key, distribution, f)


def beside(cls, make, share):
    """The estimate with a share of another's gradient added."""
    right = cls.estimate

    def estimate(self, key, distribution, f):
        other = make(self).estimate(key, distribution, f)
        return right(self, key, distribution, f) + share * (other - jax.lax.stop_gradient(other))

    return estimate


def scaled(cls, factor):
    """The estimate with a wrong constant before its gradient."""
    right = cls.estimate

    def estimate(self, key, distribution, f):
        value = right(self, key, distribution, f)
        return factor * value + (1 - factor) * jax.lax.stop_gradient(value)

    return estimate


def changed(cls, **by):
    """The estimate at other hyperparameters than it was given."""
    right = cls.estimate

    def estimate(self, *arguments):
        new = {name: change(getattr(self, name)) for name, change in by.items()}
        return right(dataclasses.replace(self, **new), *arguments)

    return estimate


def vimco_with_itself(self, key, distribution, f):
    """VIMCO whose baseline of a sample is the bound, halfway: it depends on the sample."""
    assert isinstance(f, ImportanceBound)
    sample = distribution.sample(key)
    weights = jax.lax.stop_gradient(f.log_weights(sample))
    bound = f.reduce(weights)
    others = (weights.sum() - weights) / (len(weights) - 1)
    replaced = jax.vmap(lambda i: f.reduce(weights.at[i].set((others[i] + weights[i]) / 2)))
    signal = bound - replaced(jnp.arange(len(weights)))

    def weighted(q):
        return signal @ q.log_probs(sample).reshape(len(weights), -1).sum(-1)

    gradient = jax.grad(weighted)(jax.lax.stop_gradient(distribution))
    return attach_gradient(f(sample), distribution, gradient)


def own_deviation(self, values, parameters):
    """NVIL's signal over the deviation of the sample at hand, not of the past."""
    residual = values - self.prediction(parameters)
    return residual / jnp.maximum(1, jnp.abs(residual))


def half_of_the_mean(self, values, parameters):
    """Leave-one-out, half of the baseline subtracted."""
    return values - (values.sum() - values) / (self.num_samples - 1) / 2


# Broken distributions ----------------------------------------------------------------------------


def of_normal_noise(self, key):
    """A Concrete variable whose noise is normal."""
    return (self.logits + jax.random.normal(key, self.logits.shape)) / self.temperature


def free_noise(self, noise, sample):
    """Noise given the sample that forgets the sample."""
    return self.perturb(noise)


def middle_noise(self, noise, sample):
    """Noise given the bit as if its logit were zero."""
    sign = 2 * sample - 1
    return sign * jax.nn.softplus(sign * noise)


def plain_noise(self, noise, sample):
    """Noise given the bit as the paper writes it, 1 less a chance that is 1 in float32."""
    u, chance = jax.nn.sigmoid(noise), jax.nn.sigmoid(self.logits)
    above = jnp.log(u / ((1 - u) * (1 - chance)) + 1)
    return jnp.where(sample > 0, above, -jnp.log(u / ((1 - u) * chance) + 1))


def tepid(cls):
    """Relaxations no warmer than 2 and no colder than 1/2."""
    right = cls.relax
    return lambda self, temperature: right(self, min(max(temperature, 0.5), 2.0))


def warmer(cls):
    """The density at four times the temperature."""
    right = cls.log_density
    return lambda self, sample: right(type(self)(self.logits, 4 * self.temperature), sample)


# Which claims each of them breaks ----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Mutant:
    """What is put in place of methods, and the quantities of a study whose claims then break."""

    study: str
    replaced: dict
    breaks: tuple[str, ...]

    def __str__(self):
        replaced = (f"{cls.__name__}.{name}" for cls, name in self.replaced)
        return f"{self.study}: {' and '.join(replaced)}"


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
    assert wanted == {(mutant.study, name) for mutant in MUTANTS for name in mutant.breaks}
    # What is said in words is there too.
    for study in STUDIES:
        for claim in study.claims:
            if any(word in claim.statement for word in ("unbiased", "exact", "zero variance")):
                assert (study.name, claim.quantity) in wanted, claim.statement


@contextlib.contextmanager
def fresh():
    """Nothing that was compiled with other methods is used."""
    jax.clear_caches()
    yield
    jax.clear_caches()


def verdicts(study):
    """Return the verdict on every claim of a study, by its quantity, at the sizes that decide."""
    (study,) = (one for one in STUDIES if one.name == study)
    with fresh():
        table = analysis.claims_table(pd.DataFrame(study.rows(Scale(smoke=False)))).frame
    # Among all the claims there are, the tests are about so much stricter.
    sure = table[["p_for", "p_against"]].min(axis=1) < 1e-3
    return dict(zip(table["metric"], table["verdict"].where(sure, "undecided"), strict=True))


@functools.cache
def right(study):
    return verdicts(study)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_broken_estimator_is_seen(mutant, monkeypatch):
    before = right(mutant.study)
    for (cls, name), broken in mutant.replaced.items():
        monkeypatch.setattr(cls, name, broken)
    after = verdicts(mutant.study)
    assert {name: (before[name], after[name]) for name in mutant.breaks} == dict.fromkeys(
        mutant.breaks, ("reproduced", "not reproduced")
    )
