"""Claims about the Concrete distribution, Gumbel-softmax and Gumbel-Rao."""

from collections.abc import Mapping

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
from experiments.measurement.moments import Blocks
from experiments.problems import VAE
from experiments.problems.toy import Coupled, SimplexQuadratic
from experiments.statistics import Truth, jackknife
from experiments.studies.claims.claim import Claim, Deciding, Effort, Found, Quantity
from experiments.studies.claims.quantities import (
    mean,
    mean_difference,
    of_variances,
    share,
    squared_bias_difference,
)
from experiments.studies.claims.work import Given, Measured
from experiments.studies.figures.lattice import lattice

_WEIGHTS = (1.0, 2.0, 5.0, 8.0, 4.0, 2.0, 1.0)
_BATCHES = 32
_AVERAGED = 100  # gradients per mean compared; the error of a single one is all variance


def _relaxed_mean(effort: Effort) -> Mapping[str, Quantity]:
    distribution = Categorical(jnp.log(jnp.asarray(_WEIGHTS)))
    likeliest = int(np.argmax(_WEIGHTS))
    chance = max(_WEIGHTS) / sum(_WEIGHTS)

    def values(temperature: float) -> np.ndarray:
        relaxed = distribution.relax(temperature)
        keys = jax.random.split(jax.random.key(0), effort.draws(1 << 17))
        draw = jax.jit(jax.vmap(lambda key: relaxed.squash(relaxed.sample(key))[likeliest]))
        return np.asarray(draw(keys), np.float64)

    return {
        "mean at temperature 0.05, less the probability": mean(values(0.05) - chance),
        "mean at temperature 50, less 1/7": mean(values(50.0) - 1 / len(_WEIGHTS)),
        "probability, less the mean at temperature 1": mean(chance - values(1.0)),
    }


def _rounding(effort: Effort) -> Mapping[str, Quantity]:
    logits = jnp.log(jnp.asarray(_WEIGHTS)) + 3.0  # not normalised
    distribution = Categorical(logits)
    relaxed = distribution.relax(0.7)

    def largest(key):
        return jnp.argmax(relaxed.sample(key))

    keys = jax.random.split(jax.random.key(1), effort.draws(1 << 18))
    found = np.asarray(jax.jit(jax.vmap(largest))(keys))
    # The weights are almost symmetric, so the mean class itself is not informative.
    distance = np.abs(np.arange(len(_WEIGHTS)) - len(_WEIGHTS) // 2)
    frequent = found == int(np.argmax(_WEIGHTS))
    return {
        "frequency of the likeliest class, less its probability": mean(
            frequent - max(_WEIGHTS) / sum(_WEIGHTS)
        ),
        "mean distance from the middle class, less its expectation": mean(
            distance[found] - np.average(distance, weights=_WEIGHTS)
        ),
    }


def _convexity(effort: Effort) -> Mapping[str, Quantity]:
    count = effort.draws(1 << 16)
    distribution = Categorical(jnp.array([0.5, 0.0, -0.5]))

    def breaks(temperature: float) -> Quantity:
        """Return the share of chords of the log-density that lie below it at their midpoint."""
        relaxed = distribution.relax(temperature)
        points = jax.random.dirichlet(jax.random.key(2), jnp.ones(3), (2, count))
        points = points * (1 - 3e-3) + 1e-3
        density = jax.jit(jax.vmap(relaxed.log_density))
        chord = (density(points[0]) + density(points[1])) / 2
        above = np.asarray(density(points.mean(0)) - chord)
        return share(above > 1e-3)

    return {
        "share of concave chords at temperature 1/2": breaks(0.5),
        "share of concave chords at temperature 2": breaks(2.0),
    }


def _posterior(effort: Effort) -> Mapping[str, Quantity]:
    def conditional(logit: float) -> np.ndarray:
        distribution = Bernoulli(jnp.full(1, logit))

        def draw(key):
            first, second = jax.random.split(key)
            sample = distribution.sample(first)
            return jnp.append(distribution.posterior(second, sample), sample)

        keys = jax.random.split(jax.random.key(3), effort.draws(1 << 17))
        return np.asarray(jax.jit(jax.vmap(draw))(keys), np.float64).T

    moderate, bits = conditional(1.0)
    extreme = np.concatenate([conditional(50.0)[0], conditional(-50.0)[0]])
    return {
        "mean of the conditional variable, less the logit": mean(moderate - 1.0),
        "its variance over that of a logistic, less 1": mean(
            (moderate - 1.0) ** 2 / (np.pi**2 / 3) - 1
        ),
        "share on the side of the other bit": share((moderate > 0) != (bits > 0)),
        "share that is not finite at logits of 50": share(~np.isfinite(extreme)),
    }


def _temperature(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, Coupled(), 1 << 18)
    low, high = GumbelSoftmax(0.1), GumbelSoftmax(1.0)
    return {
        "squared bias at temperature 1, less that at 0.1": squared_bias_difference(
            measured(high), measured(low), measured.truth
        ),
        "log variance ratio, temperature 0.1 over 1": measured.ratio(low, high),
    }


def _linear(effort: Effort) -> Mapping[str, Found]:
    weights = np.array([1.0, -2.0, 0.5])
    problem = Given(lambda z: jnp.asarray(weights) @ z, np.array([1.0, -1.0, 2.0]))
    found = Measured(effort, problem, 1 << 18).bias(GumbelSoftmax(1.0))
    return {"relative bias": found}


def _rao_blackwell(effort: Effort) -> Mapping[str, Quantity]:
    def f(z: jax.Array) -> jax.Array:
        # Its slope depends on the class drawn, else noise given the class would not matter.
        weights = jnp.outer(jnp.arange(1.0, 4.0), jnp.array([1.0, -1.0, 0.5]))
        return jnp.sum(z * weights) ** 3 / 4

    logits = np.array([[0.5, 0.0, -0.5], [1.0, -0.5, 0.2], [-1.0, 0.3, 0.6]])
    measured = Measured(effort, Given(f, logits), 1 << 17)
    straight = StraightThroughGumbelSoftmax(0.5)
    one, some, many = (GumbelRao(0.5, count) for count in (1, 10, 100))

    def law(first, last, between):
        # a and b of V(K) = a + b / K from both ends, compared with V at K = 10.
        b = (first - last) / (1 - 1 / 100)
        return np.log(between / (first - b + b / 10))

    runs = [measured(estimator) for estimator in (one, many, some)]
    variances = [jackknife.traces(blocks) for blocks in runs]
    return {
        "difference of means along the truth": mean_difference(
            measured(some), measured(straight), measured.truth
        ),
        "log variance ratio, K = 1 over straight-through": measured.ratio(one, straight),
        "log of the variance at K = 10 over the law's": of_variances(law(*variances), *runs),
    }


def _averaged(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, VAE("Categorical", 3, 4), 4096)
    pair = GumbelRao(0.5, 10), StraightThroughGumbelSoftmax(0.5)
    return {"log variance ratio, K = 10 over straight-through": measured.ratio(*pair)}


def _simplex(effort: Effort) -> Mapping[str, Quantity]:
    problem = SimplexQuadratic()
    # f is zero at the centre, which is on the lattice if 3 divides points - 1.
    places = jnp.asarray(lattice(5 if effort.smoke else 11, 0.05), jnp.float32)
    draws = 1 << (12 if effort.smoke else 14)  # with fewer, some have zero variance near corners

    def ratios(temperature: float) -> np.ndarray:
        """Return log10 ratios of variances, `[batches, places]`."""
        effort.note(f"simplex at temperature {temperature:g}")
        pair = StraightThroughGumbelSoftmax(temperature), GumbelRao(temperature, 100)

        def log_variance(estimator, p, keys):
            fixed = jax.lax.stop_gradient(jnp.log(p))

            def loss(logits, key):
                distribution = problem.distribution({"logits": logits}, None)
                return estimator(key, distribution, lambda z: problem.f(fixed, z))

            gradients = jax.vmap(jax.grad(loss), (None, 0))(jnp.log(p), keys)
            return jnp.log10(jnp.var(gradients, axis=0, ddof=1).sum())

        def one(p, keys):
            straight, averaged = (log_variance(estimator, p, keys) for estimator in pair)
            return straight - averaged

        keys = jax.random.split(jax.random.key(4), (_BATCHES, draws // _BATCHES))
        at = jax.jit(lambda p: jax.lax.map(lambda some: one(p, some), keys))
        return np.stack([np.asarray(at(p), np.float64) for p in places], -1)

    cold, warm = ratios(0.1), ratios(1.0)
    both = np.concatenate([cold, warm], 1)
    corner = np.asarray(places).max(-1) > 0.7
    centre = np.asarray(places).max(-1) < 0.5
    return {
        "least log10 variance ratio of all points": mean(both[:, np.argmin(both.mean(0))]),
        "mean log10 ratio at temperature 0.1, less that at 1": mean(cold.mean(1) - warm.mean(1)),
        "mean log10 ratio near corners, less that near the centre": mean(
            cold[:, corner].mean(1) - cold[:, centre].mean(1)
        ),
    }


def _best_temperature(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, VAE("Categorical", 4, 4), 2048)
    temperatures = np.geomspace(0.08, 5.0, 10)
    log_temperatures = np.log(temperatures)

    def by_temperature(make) -> tuple[list[Blocks], np.ndarray]:
        """Return the samples at every temperature, and their errors `[temperatures, 1 + R]`."""
        members = [make(float(t)) for t in temperatures]
        effort.note(f"measuring {members[0]} and on")
        point = measured.point
        runs = point.draw(stack(members), jax.random.key(5), measured.draws, stacked=True)
        return runs, np.stack([_mean_error(blocks, measured.truth) for blocks in runs])

    def lowest(errors: np.ndarray) -> int:
        """Return the index of the least error, or of its neighbour where that is at an end."""
        return int(np.clip(np.argmin(errors[:, 0]), 1, len(errors) - 2))

    def log_best(errors: np.ndarray) -> np.ndarray:
        """Return the log of the temperature of least error, by a parabola through three points."""
        best = lowest(errors)
        left, middle, right = np.log(errors[best - 1 : best + 2])
        step = log_temperatures[1] - log_temperatures[0]
        return log_temperatures[best] + step * (left - right) / (2 * (left - 2 * middle + right))

    straight, straight_errors = by_temperature(StraightThroughGumbelSoftmax)
    averaged, averaged_errors = by_temperature(lambda t: GumbelRao(t, 100))
    best = int(np.argmin(averaged_errors[:, 0]))
    # Heavy tails elsewhere decide nothing: few events make an error look small, not large.
    used = [
        blocks
        for runs, errors in ((straight, straight_errors), (averaged, averaged_errors))
        for blocks in runs[lowest(errors) - 1 : lowest(errors) + 2]
    ]
    return {
        "log of the best temperature, Gumbel-Rao over straight-through": of_variances(
            log_best(averaged_errors) - log_best(straight_errors), *used
        ),
        "log error ratio at Gumbel-Rao's best temperature": of_variances(
            np.log(averaged_errors[best] / straight_errors[best]), averaged[best], straight[best]
        ),
    }


def _mean_error(blocks: Blocks, truth: Truth) -> np.ndarray:
    """Return squared bias + variance / 100, of all samples, then without one block."""
    spread = jackknife.traces(blocks)
    return jackknife.squared_errors(blocks, truth) - spread + spread / _AVERAGED


def _gapped(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, VAE("Categorical", 3, 4), 8192)
    pair = GappedStraightThrough(0.5), StraightThroughGumbelSoftmax(0.5)
    return {"log variance ratio": measured.ratio(*pair)}


STUDIES = (
    Deciding(
        "relaxed-mean",
        "mean of the likeliest of seven classes of a Gumbel-softmax variable, 2^17 draws",
        _relaxed_mean,
        (
            Claim(
                "The mean of a Gumbel-softmax variable goes to the categorical's as the "
                "temperature goes to 0",
                "Jang et al. 2017, figure 1",
                "mean at temperature 0.05, less the probability",
                -0.01,
                0.01,
            ),
            Claim(
                "The mean of a Gumbel-softmax variable goes to the uniform one as the temperature "
                "goes to infinity",
                "Jang et al. 2017, figure 1",
                "mean at temperature 50, less 1/7",
                -0.01,
                0.01,
            ),
            Claim(
                "At moderate temperatures the mean of a Gumbel-softmax variable is neither",
                "Jang et al. 2017, figure 1",
                "probability, less the mean at temperature 1",
                low=0.0,
                effect=0.01,
            ),
        ),
    ),
    Deciding(
        "concrete-rounding",
        "largest coordinate of a Concrete variable with unnormalised logits, 2^18 draws",
        _rounding,
        (
            Claim(
                "The largest coordinate of a Concrete variable is categorical, whatever the "
                "temperature",
                "Maddison et al. 2017, proposition 1b",
                "frequency of the likeliest class, less its probability",
                -0.01,
                0.01,
            ),
            Claim(
                "Gumbel-max needs no normalised logits",
                "Gumbel-max trick (Maddison et al. 2017, section 2)",
                "mean distance from the middle class, less its expectation",
                -0.05,
                0.05,
            ),
        ),
    ),
    Deciding(
        "concrete-convexity",
        "chords of the log-density of three classes, 2^16 pairs of points",
        _convexity,
        (
            Claim(
                "The Concrete density of n classes is log-convex at temperatures up to 1/(n - 1)",
                "Maddison et al. 2017, proposition 1d",
                "share of concave chords at temperature 1/2",
                high=0.001,
                effect=0.001,
            ),
            Claim(
                "Above temperature 1/(n - 1) the Concrete density need not be log-convex",
                "Maddison et al. 2017, proposition 1d",
                "share of concave chords at temperature 2",
                low=0.01,
                effect=0.01,
            ),
        ),
    ),
    Deciding(
        "posterior-noise",
        "perturbed logit of one bit given the hard sample, 2^17 draws",
        _posterior,
        (
            Claim(
                "Averaged over the bit, the conditional relaxed variable has the law of the "
                "unconditional one: its mean",
                "Tucker et al. 2017, section 3",
                "mean of the conditional variable, less the logit",
                -0.05,
                0.05,
            ),
            Claim(
                "Averaged over the bit, the conditional relaxed variable has the variance of the "
                "unconditional one",
                "Tucker et al. 2017, section 3",
                "its variance over that of a logistic, less 1",
                -0.05,
                0.05,
            ),
            Claim(
                "The conditional relaxed variable lies on the side of its bit",
                "Tucker et al. 2017, section 3",
                "share on the side of the other bit",
                high=0.001,
                effect=0.001,
            ),
            Claim(
                "The stable form of the conditional relaxed variable is finite to logits of 50",
                "Tucker et al. 2017, section 3; computed in float32",
                "share that is not finite at logits of 50",
                high=0.001,
                effect=0.001,
            ),
        ),
    ),
    Deciding(
        "temperature-trade-off",
        "Gumbel-softmax on four coupled bits at two temperatures, 2^18 gradients",
        _temperature,
        (
            Claim(
                "A lower temperature of Gumbel-softmax lowers its bias",
                "Jang et al. 2017, section 2.2; Maddison et al. 2017, section 3",
                "squared bias at temperature 1, less that at 0.1",
                low=0.0,
                effect=0.05,  # a bias of 22 % of the gradient
            ),
            Claim(
                "A lower temperature of Gumbel-softmax raises its variance",
                "Jang et al. 2017, section 2.2",
                "log variance ratio, temperature 0.1 over 1",
                low=0.0,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "relaxation-of-linear-f",
        "Gumbel-softmax on a linear f of three bits, 2^18 gradients",
        _linear,
        (
            Claim(
                "Gumbel-softmax is biased even for a linear f",
                "Jang et al. 2017, figure 1: the relaxed mean is not the probability",
                "relative bias",
                low=0.0,
                effect=0.02,
            ),
        ),
    ),
    Deciding(
        "gumbel-rao-law",
        "Gumbel-Rao on a cubic f of three three-way variables, 2^17 gradients",
        _rao_blackwell,
        (
            Claim(
                "Gumbel-Rao has the mean of straight-through Gumbel-softmax",
                "Paulus et al. 2021, section 3",
                "difference of means along the truth",
                -0.03,
                0.03,
            ),
            Claim(
                "With one inner sample Gumbel-Rao is straight-through Gumbel-softmax in law: its "
                "variance",
                "Paulus et al. 2021, section 3",
                "log variance ratio, K = 1 over straight-through",
                -0.15,
                0.15,
            ),
            Claim(
                "Gumbel-Rao's variance follows the law of total variance, a + b / K",
                "Paulus et al. 2021, section 3; law of total variance",
                "log of the variance at K = 10 over the law's",
                -0.15,
                0.15,
            ),
        ),
    ),
    Deciding(
        "gumbel-rao-variance",
        "Gumbel-Rao on a VAE of three four-way variables, 4,096 gradients",
        _averaged,
        (
            Claim(
                "Gumbel-Rao's variance is below that of straight-through Gumbel-softmax",
                "Paulus et al. 2021, proposition 1",
                "log variance ratio, K = 10 over straight-through",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "gumbel-rao-simplex",
        "variance ratios over the simplex, 66 points, 2^14 gradients, 100 inner samples",
        _simplex,
        (
            Claim(
                "Over the simplex Gumbel-Rao has less variance everywhere",
                "Paulus et al. 2021, figure 1",
                "least log10 variance ratio of all points",
                low=0.0,
                effect=0.05,
            ),
            Claim(
                "Gumbel-Rao's gain is larger at low temperature",
                "Paulus et al. 2021, figure 1",
                "mean log10 ratio at temperature 0.1, less that at 1",
                low=0.0,
                effect=0.05,
            ),
            Claim(
                "Gumbel-Rao's gain is larger near the corners of the simplex",
                "Paulus et al. 2021, figure 1",
                "mean log10 ratio near corners, less that near the centre",
                low=0.0,
                effect=0.05,
            ),
        ),
    ),
    Deciding(
        "gumbel-rao-temperature",
        "error of the mean of 100 gradients by temperature, on a VAE of four four-way variables, "
        "2,048 gradients, 100 inner samples",
        _best_temperature,
        (
            Claim(
                "Gumbel-Rao's error is least at a lower temperature than straight-through "
                "Gumbel-softmax's",
                "Paulus et al. 2021, figure 2b",
                "log of the best temperature, Gumbel-Rao over straight-through",
                high=0.0,
                effect=0.3,
            ),
            Claim(
                "At its best temperature Gumbel-Rao's error is below that of straight-through "
                "Gumbel-softmax",
                "Paulus et al. 2021, figure 2b",
                "log error ratio at Gumbel-Rao's best temperature",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "gapped-variance",
        "gapped straight-through on a VAE of three four-way variables, 8,192 gradients",
        _gapped,
        (
            Claim(
                "Gapped straight-through, without noise given the sample, has less variance than "
                "straight-through Gumbel-softmax",
                "Fan et al. 2022, abstract",
                "log variance ratio",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
)
