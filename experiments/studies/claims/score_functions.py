"""Claims about score-function estimators: baselines, coupled samples, multi-sample bounds."""

from collections.abc import Callable

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
    Estimator,
    LeaveOneOut,
    LocalExpectation,
    ScoreFunction,
    SumAndSample,
    UnorderedSet,
    frozen,
)
from experiments.problems import VAE
from experiments.problems.toy import Coupled, SharedLogit
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.measurements import Measurements
from experiments.studies.claims.quantities import (
    angle,
    length_along,
    log_signal_ratio,
    relative_variance,
)
from experiments.studies.claims.toys import CustomToy


def _quadratic(scale: Scale) -> Measurements:
    weights = np.array([1.0, -2.0, 0.5])
    problem = CustomToy(lambda z: 10 * (z @ jnp.asarray(weights)) ** 2, np.array([1.0, -1, 2]))
    return Measurements(scale, problem, 1 << 18)


def _normalised() -> Estimator:
    return ScoreFunction(NVIL(normalise=True))


def _shift(scale: Scale) -> Callable[[Estimator], Estimate]:
    """Return a function: the largest relative change of a gradient if 8 is added to f."""
    keys = jax.random.split(jax.random.key(0), scale.samples(4096))

    def gradients(estimator, shift):
        def loss(logits, key):
            return estimator(key, Bernoulli(logits), lambda z: jnp.cos(z.sum()) + shift)

        logits = jnp.array([1.0, -0.5, 0.2])
        with frozen():
            return jax.vmap(jax.grad(loss), (None, 0))(logits, keys)

    def moved(estimator) -> Estimate:
        plain, shifted = gradients(estimator, 0.0), gradients(estimator, 8.0)
        return Estimate.student(float(jnp.max(jnp.abs(plain - shifted)) / jnp.max(jnp.abs(plain))))

    return moved


def _carms(scale: Scale) -> Measurements:
    # The toy in the authors' code: D = C = 3, f linear with weights 3 to 27.
    weights = 3 * jnp.arange(1.0, 10.0).reshape(3, 3)
    chances = np.random.default_rng(0).dirichlet([10.0] * 3, 3)
    problem = CustomToy(lambda z: jnp.sum(weights * z), np.log(chances))
    return Measurements(scale, problem, 1 << 16)


def _without_replacement(name: str, logit: float) -> ClaimStudy:
    entropy = "high" if logit == 0 else "low"
    return ClaimStudy(
        name,
        f"three bits of one logit, {logit:g}, four samples, 2^16 gradients",
        lambda scale: Measurements(scale, SharedLogit(logit), 1 << 16),
        (
            Claim(
                f"At {entropy} entropy the unordered set has less variance than samples with "
                "replacement",
                "Kool et al. 2020, Bernoulli experiment",
                "log variance ratio over leave-one-out",
                lambda measured: measured.ratio(UnorderedSet(4), ScoreFunction(LeaveOneOut(4))),
                below(0.0, effect=0.1),
            ),
            Claim(
                f"At {entropy} entropy the unordered set's variance is at most that of sum and "
                "sample",
                "Kool et al. 2020, Bernoulli experiment",
                "log variance ratio over sum and sample",
                lambda measured: measured.ratio(UnorderedSet(4), SumAndSample(4)),
                below(0.05, effect=0.05),
            ),
            Claim(
                f"At {entropy} entropy the unordered set of all states has zero variance",
                "Kool et al. 2020, Bernoulli experiment",
                "variance of all eight over the squared gradient",
                lambda measured: relative_variance(measured(UnorderedSet(8)), measured.truth),
                below(1e-6, effect=1e-6),
            ),
        ),
    )


STUDIES = (
    ClaimStudy(
        "nvil-scale",
        "NVIL with normalisation on a quadratic f of three bits, 2^18 gradients",
        _quadratic,
        (
            Claim(
                "Dividing the signal by its running deviation keeps the direction of the gradient",
                "Mnih and Gregor 2014, section 2.3.2",
                "1 less the cosine of the mean",
                lambda measured: angle(measured(_normalised()), measured.truth),
                below(0.01, effect=0.01),
            ),
            Claim(
                "Dividing the signal by its running deviation changes the scale of the gradient",
                "Mnih and Gregor 2014, section 2.3.2",
                "length of the mean over the truth's",
                lambda measured: length_along(measured(_normalised()), measured.truth),
                below(0.9, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "constant-shift",
        "a constant added to f of three bits, 4,096 gradients under common noise",
        _shift,
        (
            Claim(
                "A constant added to f does not change leave-one-out",
                "Kool et al. 2019, definition of the baseline",
                "largest change of leave-one-out",
                lambda moved: moved(ScoreFunction(LeaveOneOut(4))),
                below(1e-4, effect=1e-4),
            ),
            Claim(
                "A constant added to f does not change DisARM",
                "Dong et al. 2020, definition of DisARM",
                "largest change of DisARM",
                lambda moved: moved(DisARM()),
                below(1e-4, effect=1e-4),
            ),
            Claim(
                "A constant added to f changes the score function",
                "Williams 1992, definition of REINFORCE",
                "largest change of the score function",
                lambda moved: moved(ScoreFunction()),
                above(1.0, effect=1.0),
            ),
        ),
    ),
    ClaimStudy(
        "disarm-variance",
        "DisARM, ARM and leave-one-out on a VAE of 8 bits, 4,096 gradients",
        lambda scale: Measurements(scale, VAE(), 4096),
        (
            Claim(
                "DisARM has less variance than ARM",
                "Dong et al. 2020, abstract",
                "log variance ratio over ARM",
                lambda measured: measured.ratio(DisARM(), ARM()),
                below(0.0, effect=0.1),
            ),
            Claim(
                "DisARM has less variance than leave-one-out with two samples",
                "Dong et al. 2020, abstract",
                "log variance ratio over leave-one-out",
                lambda measured: measured.ratio(DisARM(), ScoreFunction(LeaveOneOut(2))),
                below(0.0, effect=0.05),
            ),
            Claim(
                "ARM has less variance than the score function at equal evaluations",
                "Yin and Zhou 2019, abstract",
                "log variance ratio of ARM over the score function",
                lambda measured: measured.ratio(ARM(), Average(ScoreFunction(), 2)),
                below(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "arms-variance",
        "ARMS on a VAE of 8 bits, 4,096 gradients",
        lambda scale: Measurements(scale, VAE(), 4096),
        (
            Claim(
                "ARMS of four samples has less variance than leave-one-out",
                "Dimitriev and Zhou 2021 (ARMS), abstract",
                "log variance ratio over leave-one-out",
                lambda measured: measured.ratio(ARMS(4), ScoreFunction(LeaveOneOut(4))),
                below(0.0, effect=0.05),
            ),
            Claim(
                "ARMS of two samples is DisARM: its variance",
                "Dimitriev and Zhou 2021 (ARMS), abstract",
                "log variance ratio of two samples over DisARM",
                lambda measured: measured.ratio(ARMS(2), DisARM()),
                between(-0.15, 0.15),
            ),
        ),
    ),
    ClaimStudy(
        "carms-toy",
        "CARMS on the linear toy of its authors, three samples, 2^16 gradients",
        _carms,
        (
            Claim(
                "CARMS has less variance than leave-one-out on its toy",
                "Dimitriev and Zhou 2021 (CARMS), abstract",
                "log variance ratio",
                lambda measured: measured.ratio(CARMS(3), ScoreFunction(LeaveOneOut(3))),
                below(0.0, effect=0.05),
            ),
        ),
    ),
    _without_replacement("without-replacement-high", 0.0),
    _without_replacement("without-replacement-low", -4.0),
    ClaimStudy(
        "local-expectation",
        "local expectation gradients on six coupled bits, 2^16 gradients",
        lambda scale: Measurements(scale, Coupled(6), 1 << 16),
        (
            Claim(
                "Local expectation gradients, an average given all other variables, have less "
                "variance than the score function",
                "Titsias and Lázaro-Gredilla 2015, abstract",
                "log variance ratio",
                lambda measured: measured.ratio(LocalExpectation(), ScoreFunction()),
                below(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "vimco-bound",
        "VIMCO on the bound of two samples of a VAE of 3 bits, four images, 2^19 gradients",
        lambda scale: Measurements(
            scale, VAE(size=3, kl="sampled", num_samples=2, batch_size=4), 1 << 19
        ),
        (
            Claim(
                "VIMCO is unbiased",
                "Mnih and Rezende 2016, abstract",
                "relative bias",
                lambda measured: measured.bias(VIMCO()),
                below(0.03, effect=0.03),
            ),
            Claim(
                "VIMCO has less variance than the score function of the bound",
                "Mnih and Rezende 2016, abstract",
                "log variance ratio over the score function",
                lambda measured: measured.ratio(VIMCO(), ScoreFunction()),
                below(0.0, effect=0.1),
            ),
        ),
    ),
    ClaimStudy(
        "ovis-signal",
        "OVIS and VIMCO on the bound of 16 samples of a VAE of 8 bits, 2,048 gradients",
        lambda scale: Measurements(
            scale, VAE(size=8, kl="sampled", num_samples=16, batch_size=20), 2048
        ),
        (
            Claim(
                "With many samples of the bound OVIS has a higher signal-to-noise ratio than VIMCO",
                "Liévin et al. 2020, abstract",
                "log ratio of signal to noise",
                lambda measured: log_signal_ratio(measured(OVIS(gamma=1.0)), measured(VIMCO())),
                above(0.0, effect=0.1),
            ),
        ),
    ),
)
