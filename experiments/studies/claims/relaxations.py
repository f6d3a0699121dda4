"""Claims about the Concrete distribution, Gumbel-softmax and Gumbel-Rao."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    Bernoulli,
    Categorical,
    GappedStraightThrough,
    GumbelRao,
    GumbelSoftmax,
    StraightThroughGumbelSoftmax,
    stack,
)
from experiments.problems import VAE
from experiments.problems.toy import Coupled
from experiments.statistics import Estimate, Truth, jackknife, sample_mean
from experiments.statistics.blocks import Blocks
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.measurements import Measurements
from experiments.studies.claims.quantities import (
    mean_difference,
    of_variances,
    share,
    squared_bias_difference,
)
from experiments.studies.claims.toys import LINEAR, CustomToy
from experiments.studies.figures.relaxed_samples import WEIGHTS, relaxed_samples
from experiments.studies.figures.simplex import variance_ratios

_LIKELIEST = int(np.argmax(WEIGHTS))
_CHANCE = max(WEIGHTS) / sum(WEIGHTS)
_BATCHES = 32
_AVERAGED = 100  # gradients per compared mean; the error of a single gradient is mostly variance


def _relaxed(scale: Scale) -> Callable[[float], np.ndarray]:
    """Return a function of the temperature: relaxed values of the most likely class."""
    keys = jax.random.split(jax.random.key(0), scale.samples(1 << 17))
    return lambda temperature: relaxed_samples(temperature, keys)[:, _LIKELIEST]


def _rounded(scale: Scale) -> np.ndarray:
    """Return the largest coordinates of relaxed samples."""
    logits = jnp.log(jnp.asarray(WEIGHTS, jnp.float32)) + 3.0  # not normalised
    relaxed = Categorical(logits).relax(0.7)
    keys = jax.random.split(jax.random.key(1), scale.samples(1 << 18))
    return np.asarray(jax.jit(jax.vmap(lambda key: jnp.argmax(relaxed.sample(key))))(keys))


def _excess_distance(classes: np.ndarray) -> Estimate:
    # The weights are almost symmetric, so the mean class alone is not informative.
    distance = np.abs(np.arange(len(WEIGHTS)) - len(WEIGHTS) // 2)
    return sample_mean(distance[classes] - np.average(distance, weights=WEIGHTS))


def _convexity(scale: Scale) -> Callable[[float], Estimate]:
    """Return a function of the temperature: the fraction of chords below the log-density."""
    count = scale.samples(1 << 16)
    distribution = Categorical(jnp.array([0.5, 0.0, -0.5]))

    def concave(temperature: float) -> Estimate:
        relaxed = distribution.relax(temperature)
        points = jax.random.dirichlet(jax.random.key(2), jnp.ones(3), (2, count))
        points = points * (1 - 3e-3) + 1e-3
        density = jax.jit(jax.vmap(relaxed.log_density))
        chord = (density(points[0]) + density(points[1])) / 2
        above = np.asarray(density(points.mean(0)) - chord)
        return share(above > 1e-3)

    return concave


class _Posterior(NamedTuple):
    """Conditional relaxed variables `[n]`: at a logit of 1, with their bits, and at 50 and -50."""

    moderate: np.ndarray
    bits: np.ndarray
    extreme: np.ndarray


def _posterior(scale: Scale) -> _Posterior:
    def conditional(logit: float) -> np.ndarray:
        distribution = Bernoulli(jnp.full(1, logit))

        def draw(key):
            first, second = jax.random.split(key)
            sample = distribution.sample(first)
            return jnp.append(distribution.posterior(second, sample), sample)

        keys = jax.random.split(jax.random.key(3), scale.samples(1 << 17))
        return np.asarray(jax.jit(jax.vmap(draw))(keys), np.float64).T

    moderate, bits = conditional(1.0)
    extreme = np.concatenate([conditional(50.0)[0], conditional(-50.0)[0]])
    return _Posterior(moderate, bits, extreme)


def _cubic(scale: Scale) -> Measurements:
    def f(z: jax.Array) -> jax.Array:
        # Its slope depends on the drawn class, otherwise noise given the class would not matter.
        weights = jnp.outer(jnp.arange(1.0, 4.0), jnp.array([1.0, -1.0, 0.5]))
        return jnp.sum(z * weights) ** 3 / 4

    logits = np.array([[0.5, 0.0, -0.5], [1.0, -0.5, 0.2], [-1.0, 0.3, 0.6]])
    return Measurements(scale, CustomToy(f, logits), 1 << 17)


def _law_of_total_variance(measured: Measurements) -> Estimate:
    runs = [measured(GumbelRao(0.5, count)) for count in (1, 100, 10)]
    first, last, between = (jackknife.traces(blocks) for blocks in runs)
    # a and b of V(K) = a + b / K from both ends, compared with V at K = 10.
    b = (first - last) / (1 - 1 / 100)
    return of_variances(np.log(between / (first - b + b / 10)), *runs)


class _Simplex(NamedTuple):
    """log10 variance ratios `[batches, places]` at two temperatures, and the places."""

    cold: np.ndarray
    warm: np.ndarray
    largest: np.ndarray
    """The largest probability of every place."""

    @property
    def least(self) -> Estimate:
        """The smallest ratio over all places and temperatures."""
        both = np.concatenate([self.cold, self.warm], 1)
        return sample_mean(both[:, np.argmin(both.mean(0))])

    @property
    def corner_gain(self) -> Estimate:
        """The mean near corners minus the mean near the centre."""
        corner, centre = self.largest > 0.7, self.largest < 0.5
        return sample_mean(self.cold[:, corner].mean(1) - self.cold[:, centre].mean(1))


def _simplex(scale: Scale) -> _Simplex:
    # f is zero at the centre, which is on the lattice if 3 divides points - 1.
    points = 5 if scale.smoke else 11
    draws = 1 << (12 if scale.smoke else 14)  # with fewer, some have zero variance near corners
    keys = jax.random.split(jax.random.key(4), (_BATCHES, draws // _BATCHES))

    def ratios(temperature: float) -> tuple[np.ndarray, np.ndarray]:
        advance = scale.advance(f"simplex at temperature {temperature:g}")
        rows = variance_ratios(temperature, points, keys, 100, advance)
        largest = [max(row["x"], row["y"], 1 - row["x"] - row["y"]) for row in rows[::_BATCHES]]
        return np.reshape([row["value"] for row in rows], (-1, _BATCHES)).T, np.array(largest)

    cold, _ = ratios(0.1)
    warm, largest = ratios(1.0)
    return _Simplex(cold, warm, largest)


class _ByTemperature(NamedTuple):
    """An estimator at several temperatures: its samples, and their errors `[T, 1 + R]`."""

    temperatures: np.ndarray
    runs: list[Blocks]
    errors: np.ndarray

    @property
    def lowest(self) -> int:
        """The index of the smallest error, or of its neighbour if that is at an end."""
        return int(np.clip(np.argmin(self.errors[:, 0]), 1, len(self.errors) - 2))

    @property
    def around(self) -> list[Blocks]:
        """The samples that determine where the error is smallest.

        Heavy tails at other temperatures do not matter, since too few events underestimate an
        error.
        """
        return self.runs[self.lowest - 1 : self.lowest + 2]

    @property
    def log_best(self) -> np.ndarray:
        """The log of the temperature of smallest error, by a parabola through three points."""
        best, logs = self.lowest, np.log(self.temperatures)
        left, middle, right = np.log(self.errors[best - 1 : best + 2])
        step = logs[1] - logs[0]
        return logs[best] + step * (left - right) / (2 * (left - 2 * middle + right))


def _temperatures(scale: Scale) -> tuple[_ByTemperature, _ByTemperature]:
    """Return straight-through Gumbel-softmax and Gumbel-Rao at each temperature."""
    measured = Measurements(scale, VAE("Categorical", 4, 4), 2048)
    temperatures = np.geomspace(0.08, 5.0, 10)

    def by_temperature(make) -> _ByTemperature:
        members = [make(float(t)) for t in temperatures]
        scale.note(f"measuring {members[0]} and on")
        runs = measured.point.draw(
            stack(members), jax.random.key(5), measured.num_samples, stacked=True
        )
        errors = np.stack([_mean_error(blocks, measured.truth) for blocks in runs])
        return _ByTemperature(temperatures, runs, errors)

    straight = by_temperature(StraightThroughGumbelSoftmax)
    return straight, by_temperature(lambda t: GumbelRao(t, 100))


def _mean_error(blocks: Blocks, truth: Truth) -> np.ndarray:
    """Return squared bias + variance / 100, of all samples, then without one block."""
    spread = jackknife.traces(blocks)
    return jackknife.squared_errors(blocks, truth) - spread + spread / _AVERAGED


def _shift(pair: tuple[_ByTemperature, _ByTemperature]) -> Estimate:
    straight, averaged = pair
    runs = straight.around + averaged.around
    return of_variances(averaged.log_best - straight.log_best, *runs)


def _error_ratio(pair: tuple[_ByTemperature, _ByTemperature]) -> Estimate:
    straight, averaged = pair
    best = int(np.argmin(averaged.errors[:, 0]))
    ratio = np.log(averaged.errors[best] / straight.errors[best])
    return of_variances(ratio, averaged.runs[best], straight.runs[best])


STUDIES = (
    ClaimStudy(
        "relaxed-mean",
        "mean of the most likely of seven classes of a Gumbel-softmax variable, 2^17 draws",
        _relaxed,
        (
            Claim(
                "The mean of a Gumbel-softmax variable goes to the categorical's as the "
                "temperature goes to 0",
                "Jang et al. 2017, figure 1",
                "mean at temperature 0.05, less the probability",
                lambda values: sample_mean(values(0.05) - _CHANCE),
                between(-0.01, 0.01),
            ),
            Claim(
                "The mean of a Gumbel-softmax variable goes to the uniform one as the temperature "
                "goes to infinity",
                "Jang et al. 2017, figure 1",
                "mean at temperature 50, less 1/7",
                lambda values: sample_mean(values(50.0) - 1 / len(WEIGHTS)),
                between(-0.01, 0.01),
            ),
            Claim(
                "At moderate temperatures the mean of a Gumbel-softmax variable lies in between",
                "Jang et al. 2017, figure 1",
                "probability, less the mean at temperature 1",
                lambda values: sample_mean(_CHANCE - values(1.0)),
                above(0.0, effect=0.01),
            ),
        ),
    ),
    ClaimStudy(
        "concrete-rounding",
        "largest coordinate of a Concrete variable with unnormalised logits, 2^18 draws",
        _rounded,
        (
            Claim(
                "The largest coordinate of a Concrete variable is categorical, whatever the "
                "temperature",
                "Maddison et al. 2017, proposition 1b",
                "frequency of the likeliest class, less its probability",
                lambda classes: sample_mean((classes == _LIKELIEST) - _CHANCE),
                between(-0.01, 0.01),
            ),
            Claim(
                "Gumbel-max needs no normalised logits",
                "Maddison et al. 2017, section 2",
                "mean distance from the middle class, less its expectation",
                _excess_distance,
                between(-0.05, 0.05),
            ),
        ),
    ),
    ClaimStudy(
        "concrete-convexity",
        "chords of the log-density of three classes, 2^16 pairs of points",
        _convexity,
        (
            Claim(
                "The Concrete density of n classes is log-convex at temperatures up to 1/(n - 1)",
                "Maddison et al. 2017, proposition 1d",
                "share of concave chords at temperature 1/2",
                lambda concave: concave(0.5),
                below(0.001, effect=0.001),
            ),
            Claim(
                "Above temperature 1/(n - 1) the Concrete density need not be log-convex",
                "Maddison et al. 2017, proposition 1d",
                "share of concave chords at temperature 2",
                lambda concave: concave(2.0),
                above(0.01, effect=0.01),
            ),
        ),
    ),
    ClaimStudy(
        "posterior-noise",
        "perturbed logit of one bit given the hard sample, 2^17 draws",
        _posterior,
        (
            Claim(
                "Averaged over the bit, the conditional relaxed variable has the law of the "
                "unconditional one: its mean",
                "Tucker et al. 2017, section 3",
                "mean of the conditional variable, less the logit",
                lambda found: sample_mean(found.moderate - 1.0),
                between(-0.05, 0.05),
            ),
            Claim(
                "Averaged over the bit, the conditional relaxed variable has the variance of the "
                "unconditional one",
                "Tucker et al. 2017, section 3",
                "its variance over that of a logistic, less 1",
                lambda found: sample_mean((found.moderate - 1.0) ** 2 / (np.pi**2 / 3) - 1),
                between(-0.05, 0.05),
            ),
            Claim(
                "The conditional relaxed variable has the sign of its bit",
                "Tucker et al. 2017, section 3",
                "share on the side of the other bit",
                lambda found: share((found.moderate > 0) != (found.bits > 0)),
                below(0.001, effect=0.001),
            ),
            Claim(
                "The stable form of the conditional relaxed variable is finite up to logits of 50",
                "Tucker et al. 2017, section 3",
                "share that is not finite at logits of 50",
                lambda found: share(~np.isfinite(found.extreme)),
                below(0.001, effect=0.001),
            ),
        ),
    ),
    ClaimStudy(
        "temperature-trade-off",
        "Gumbel-softmax on four coupled bits at two temperatures, 2^18 gradients",
        lambda scale: Measurements(scale, Coupled(), 1 << 18),
        (
            Claim(
                "A lower temperature of Gumbel-softmax lowers its bias",
                "Jang et al. 2017, section 2.2; Maddison et al. 2017, section 3",
                "squared bias at temperature 1, less that at 0.1",
                lambda measured: squared_bias_difference(
                    measured(GumbelSoftmax(1.0)), measured(GumbelSoftmax(0.1)), measured.truth
                ),
                above(0.0, effect=0.05),  # a bias of 22 % of the gradient
            ),
            Claim(
                "A lower temperature of Gumbel-softmax raises its variance",
                "Jang et al. 2017, section 2.2",
                "log variance ratio, temperature 0.1 over 1",
                lambda measured: measured.ratio(GumbelSoftmax(0.1), GumbelSoftmax(1.0)),
                above(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "relaxation-of-linear-f",
        "Gumbel-softmax on a linear f of three bits, 2^18 gradients",
        lambda scale: Measurements(scale, LINEAR, 1 << 18),
        (
            Claim(
                "Gumbel-softmax is biased even for a linear f",
                "Jang et al. 2017, figure 1",
                "relative bias",
                lambda measured: measured.bias(GumbelSoftmax(1.0)),
                above(0.0, effect=0.02),
            ),
        ),
    ),
    ClaimStudy(
        "gumbel-rao-law",
        "Gumbel-Rao on a cubic f of three three-way variables, 2^17 gradients",
        _cubic,
        (
            Claim(
                "Gumbel-Rao has the mean of straight-through Gumbel-softmax",
                "Paulus et al. 2021, section 3",
                "difference of means along the truth",
                lambda measured: mean_difference(
                    measured(GumbelRao(0.5, 10)),
                    measured(StraightThroughGumbelSoftmax(0.5)),
                    measured.truth,
                ),
                between(-0.03, 0.03),
            ),
            Claim(
                "With one inner sample Gumbel-Rao is straight-through Gumbel-softmax in law: its "
                "variance",
                "Paulus et al. 2021, section 3",
                "log variance ratio, K = 1 over straight-through",
                lambda measured: measured.ratio(
                    GumbelRao(0.5, 1), StraightThroughGumbelSoftmax(0.5)
                ),
                between(-0.15, 0.15),
            ),
            Claim(
                "Gumbel-Rao's variance follows the law of total variance, a + b / K",
                "Paulus et al. 2021, section 3",
                "log of the variance at K = 10 over the law's",
                _law_of_total_variance,
                between(-0.15, 0.15),
            ),
        ),
    ),
    ClaimStudy(
        "gumbel-rao-variance",
        "Gumbel-Rao on a VAE of three four-way variables, 4,096 gradients",
        lambda scale: Measurements(scale, VAE("Categorical", 3, 4), 4096),
        (
            Claim(
                "Gumbel-Rao's variance is below that of straight-through Gumbel-softmax",
                "Paulus et al. 2021, proposition 1",
                "log variance ratio, K = 10 over straight-through",
                lambda measured: measured.ratio(
                    GumbelRao(0.5, 10), StraightThroughGumbelSoftmax(0.5)
                ),
                below(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "gumbel-rao-simplex",
        "variance ratios over the simplex, 66 points, 2^14 gradients, 100 inner samples",
        _simplex,
        (
            Claim(
                "Gumbel-Rao has less variance everywhere on the simplex",
                "Paulus et al. 2021, figure 1",
                "least log10 variance ratio of all points",
                lambda simplex: simplex.least,
                above(0.0, effect=0.05),
            ),
            Claim(
                "Gumbel-Rao's gain is larger at low temperature",
                "Paulus et al. 2021, figure 1",
                "mean log10 ratio at temperature 0.1, less that at 1",
                lambda simplex: sample_mean(simplex.cold.mean(1) - simplex.warm.mean(1)),
                above(0.0, effect=0.05),
            ),
            Claim(
                "Gumbel-Rao's gain is larger near the corners of the simplex",
                "Paulus et al. 2021, figure 1",
                "mean log10 ratio near corners, less that near the centre",
                lambda simplex: simplex.corner_gain,
                above(0.0, effect=0.05),
            ),
        ),
    ),
    ClaimStudy(
        "gumbel-rao-temperature",
        "error of the mean of 100 gradients by temperature, on a VAE of four four-way variables, "
        "2,048 gradients, 100 inner samples",
        _temperatures,
        (
            Claim(
                "Gumbel-Rao's error is least at a lower temperature than straight-through "
                "Gumbel-softmax's",
                "Paulus et al. 2021, figure 2b",
                "log of the best temperature, Gumbel-Rao over straight-through",
                _shift,
                below(0.0, effect=0.3),
            ),
            Claim(
                "At its best temperature Gumbel-Rao's error is below that of straight-through "
                "Gumbel-softmax",
                "Paulus et al. 2021, figure 2b",
                "log error ratio at Gumbel-Rao's best temperature",
                _error_ratio,
                below(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "gapped-variance",
        "gapped straight-through on a VAE of three four-way variables, 8,192 gradients",
        lambda scale: Measurements(scale, VAE("Categorical", 3, 4), 8192),
        (
            Claim(
                "Gapped straight-through, without noise given the sample, has less variance than "
                "straight-through Gumbel-softmax",
                "Fan et al. 2022, abstract",
                "log variance ratio",
                lambda measured: measured.ratio(
                    GappedStraightThrough(0.5), StraightThroughGumbelSoftmax(0.5)
                ),
                below(0.0, effect=0.1),
            ),
        ),
    ),
)
