"""Broken estimators and distributions, and what the claims of a study say about them."""

import contextlib
import dataclasses
import functools

import jax
import jax.numpy as jnp
import pandas as pd

import analysis
from estimators import ImportanceBound, attach_gradient
from experiments.studies.claims import STUDIES, Scale

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


def changed(cls, method="estimate", **by):
    """A method, by default the estimate, at other fields than its object has."""
    right = getattr(cls, method)

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


# What the claims say ------------------------------------------------------------------------------


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


def check(mutant, monkeypatch):
    """Assert that the claims a mutant breaks are reproduced without it, and the opposite with."""
    before = right(mutant.study)
    for (cls, name), broken in mutant.replaced.items():
        monkeypatch.setattr(cls, name, broken)
    after = verdicts(mutant.study)
    assert {name: (before[name], after[name]) for name in mutant.breaks} == dict.fromkeys(
        mutant.breaks, ("reproduced", "not reproduced")
    )
