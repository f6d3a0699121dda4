"""Claims about score-function estimators: baselines, coupled samples, multi-sample bounds."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    ARM,
    ARMS,
    CARMS,
    NVIL,
    OVIS,
    VIMCO,
    Average,
    Bernoulli,
    DisARM,
    LeaveOneOut,
    LocalExpectation,
    ScoreFunction,
    SumAndSample,
    UnorderedSet,
)
from experiments.problems import VAE
from experiments.problems.toy import Coupled, SharedLogit
from experiments.studies.claims.claim import Claim, Deciding, Effort, Found, Quantity
from experiments.studies.claims.quantities import (
    angle,
    length_along,
    log_signal_ratio,
    relative_variance,
)
from experiments.studies.claims.work import Given, Measured


def _nvil(effort: Effort) -> Mapping[str, Quantity]:
    problem = Given(lambda z: 10 * (z @ jnp.array([1.0, -2.0, 0.5])) ** 2, np.array([1.0, -1, 2]))
    measured = Measured(effort, problem, 1 << 18)
    normalised = NVIL(normalise=True)
    blocks = measured(ScoreFunction(normalised))
    return {
        "1 less the cosine of the mean": angle(blocks, measured.truth),
        "length of the mean over the truth's": length_along(blocks, measured.truth),
    }


def _shift(effort: Effort) -> Mapping[str, Quantity]:
    keys = jax.random.split(jax.random.key(0), effort.draws(4096))

    def gradients(estimator, shift):
        def loss(logits, key):
            return estimator(key, Bernoulli(logits), lambda z: jnp.cos(z.sum()) + shift)

        logits = jnp.array([1.0, -0.5, 0.2])
        return jax.vmap(jax.grad(loss), (None, 0))(logits, keys)

    def moved(estimator) -> Quantity:
        plain, shifted = gradients(estimator, 0.0), gradients(estimator, 8.0)
        return Quantity(float(jnp.max(jnp.abs(plain - shifted)) / jnp.max(jnp.abs(plain))))

    return {
        "largest change of leave-one-out": moved(ScoreFunction(LeaveOneOut(4))),
        "largest change of DisARM": moved(DisARM()),
        "largest change of the score function": moved(ScoreFunction()),
    }


def _disarm(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, VAE(), 4096)
    pair = ScoreFunction(LeaveOneOut(2))
    return {
        "log variance ratio over ARM": measured.ratio(DisARM(), ARM()),
        "log variance ratio over leave-one-out": measured.ratio(DisARM(), pair),
        "log variance ratio of ARM over the score function": measured.ratio(
            ARM(), Average(ScoreFunction(), 2)
        ),
    }


def _arms(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, VAE(), 4096)
    return {
        "log variance ratio over leave-one-out": measured.ratio(
            ARMS(4), ScoreFunction(LeaveOneOut(4))
        ),
        "log variance ratio of two samples over DisARM": measured.ratio(ARMS(2), DisARM()),
    }


def _carms(effort: Effort) -> Mapping[str, Quantity]:
    # The toy in the authors' code: D = C = 3, f linear with weights 3 to 27.
    weights = 3 * jnp.arange(1.0, 10.0).reshape(3, 3)
    chances = np.random.default_rng(0).dirichlet([10.0] * 3, 3)
    problem = Given(lambda z: jnp.sum(weights * z), np.log(chances))
    measured = Measured(effort, problem, 1 << 16)
    return {"log variance ratio": measured.ratio(CARMS(3), ScoreFunction(LeaveOneOut(3)))}


def _without_replacement(logit: float, effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, SharedLogit(logit), 1 << 16)
    four = UnorderedSet(4)
    return {
        "log variance ratio over leave-one-out": measured.ratio(
            four, ScoreFunction(LeaveOneOut(4))
        ),
        "log variance ratio over sum and sample": measured.ratio(four, SumAndSample(4)),
        "variance of all eight over the squared gradient": relative_variance(
            measured(UnorderedSet(8)), measured.truth
        ),
    }


def _local(effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, Coupled(6), 1 << 16)
    return {"log variance ratio": measured.ratio(LocalExpectation(), ScoreFunction())}


def _vimco(effort: Effort) -> Mapping[str, Found]:
    problem = VAE(size=3, kl="sampled", num_samples=2, batch_size=4)
    measured = Measured(effort, problem, 1 << 19)
    return {
        "relative bias": measured.bias(VIMCO()),
        "log variance ratio over the score function": measured.ratio(VIMCO(), ScoreFunction()),
    }


def _ovis(effort: Effort) -> Mapping[str, Quantity]:
    problem = VAE(size=8, kl="sampled", num_samples=16, batch_size=20)
    measured = Measured(effort, problem, 2048)
    pair = measured(OVIS(gamma=1.0)), measured(VIMCO())
    return {"log ratio of signal to noise": log_signal_ratio(*pair)}


def _kool(name: str, logit: float) -> Deciding:
    entropy = "high" if logit == 0 else "low"
    return Deciding(
        name,
        f"three bits of one logit, {logit:g}, four samples, 2^16 gradients",
        lambda effort: _without_replacement(logit, effort),
        (
            Claim(
                f"At {entropy} entropy the unordered set has less variance than samples with "
                "replacement",
                "Kool et al. 2020, toy figure",
                "log variance ratio over leave-one-out",
                high=0.0,
                effect=0.1,
            ),
            Claim(
                f"At {entropy} entropy the unordered set's variance is at most that of sum and "
                "sample",
                "Kool et al. 2020, toy figure",
                "log variance ratio over sum and sample",
                high=0.05,
                effect=0.05,
            ),
            Claim(
                f"At {entropy} entropy the unordered set of all states has no variance",
                "Kool et al. 2020, toy figure",
                "variance of all eight over the squared gradient",
                high=1e-6,
                effect=1e-6,
            ),
        ),
    )


STUDIES = (
    Deciding(
        "nvil-scale",
        "NVIL with normalisation on a quadratic f of three bits, 2^18 gradients",
        _nvil,
        (
            Claim(
                "Dividing the signal by its running deviation leaves the direction of the gradient",
                "Mnih and Gregor 2014, section 2.3.2",
                "1 less the cosine of the mean",
                high=0.01,
                effect=0.01,
            ),
            Claim(
                "Dividing the signal by its running deviation changes the scale of the gradient",
                "Mnih and Gregor 2014, section 2.3.2",
                "length of the mean over the truth's",
                high=0.9,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "constant-shift",
        "a constant added to f of three bits, 4,096 gradients under common noise",
        _shift,
        (
            Claim(
                "A constant added to f leaves leave-one-out as it is",
                "Kool et al. 2019, leave-one-out baseline",
                "largest change of leave-one-out",
                high=1e-4,
                effect=1e-4,
            ),
            Claim(
                "A constant added to f leaves DisARM as it is",
                "Dong et al. 2020",
                "largest change of DisARM",
                high=1e-4,
                effect=1e-4,
            ),
            Claim(
                "A constant added to f changes the score function",
                "Williams 1992, reinforcement baseline",
                "largest change of the score function",
                low=1.0,
                effect=1.0,
            ),
        ),
    ),
    Deciding(
        "disarm-variance",
        "DisARM, ARM and leave-one-out on a VAE of 8 bits, 4,096 gradients",
        _disarm,
        (
            Claim(
                "DisARM has less variance than ARM",
                "Dong et al. 2020, abstract",
                "log variance ratio over ARM",
                high=0.0,
                effect=0.1,
            ),
            Claim(
                "DisARM has less variance than leave-one-out with two samples",
                "Dong et al. 2020, abstract",
                "log variance ratio over leave-one-out",
                high=0.0,
                effect=0.05,
            ),
            Claim(
                "ARM has less variance than the score function of as many evaluations",
                "Yin and Zhou 2019",
                "log variance ratio of ARM over the score function",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "arms-variance",
        "ARMS on a VAE of 8 bits, 4,096 gradients",
        _arms,
        (
            Claim(
                "ARMS of four samples has less variance than leave-one-out",
                "Dimitriev and Zhou 2021 (ARMS)",
                "log variance ratio over leave-one-out",
                high=0.0,
                effect=0.05,
            ),
            Claim(
                "ARMS of two samples is DisARM: its variance",
                "Dimitriev and Zhou 2021 (ARMS), abstract",
                "log variance ratio of two samples over DisARM",
                -0.15,
                0.15,
            ),
        ),
    ),
    Deciding(
        "carms-toy",
        "CARMS on the linear toy of its authors, three samples, 2^16 gradients",
        _carms,
        (
            Claim(
                "CARMS has less variance than leave-one-out on its toy",
                "Dimitriev and Zhou 2021 (CARMS), toy experiment",
                "log variance ratio",
                high=0.0,
                effect=0.05,
            ),
        ),
    ),
    _kool("without-replacement-high", 0.0),
    _kool("without-replacement-low", -4.0),
    Deciding(
        "local-expectation",
        "local expectation gradients on six coupled bits, 2^16 gradients",
        _local,
        (
            Claim(
                "Local expectation gradients, an average given all other variables, have less "
                "variance than the score function",
                "Titsias and Lázaro-Gredilla 2015 (Rao-Blackwell)",
                "log variance ratio",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "vimco-bound",
        "VIMCO on the bound of two samples of a VAE of 3 bits, four images, 2^19 gradients",
        _vimco,
        (
            Claim(
                "VIMCO is unbiased",
                "Mnih and Rezende 2016, abstract",
                "relative bias",
                high=0.03,
                effect=0.03,
            ),
            Claim(
                "VIMCO has less variance than the score function of the bound",
                "Mnih and Rezende 2016",
                "log variance ratio over the score function",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "ovis-signal",
        "OVIS and VIMCO on the bound of 16 samples of a VAE of 8 bits, 2,048 gradients",
        _ovis,
        (
            Claim(
                "With many samples of the bound the signal of OVIS is clearer than VIMCO's",
                "Liévin et al. 2020, ratio of signal to noise",
                "log ratio of signal to noise",
                low=0.0,
                effect=0.1,
            ),
        ),
    ),
)
