"""Claims about control variates: MuProp, REBAR, RELAX, double control variates, RODEO."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    NVIL,
    REBAR,
    RELAX,
    RODEO,
    DisARM,
    DoubleCV,
    LeaveOneOut,
    MuProp,
    ScoreFunction,
)
from experiments.problems import VAE
from experiments.problems.toy import Coupled
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, below, between
from experiments.studies.claims.measurements import Measurements
from experiments.studies.claims.quantities import relative_variance
from experiments.studies.claims.toys import LINEAR, CustomToy

_LN10 = float(np.log(10))
_BELOW = below(0.0, effect=0.1)


def _network(relaxed: jax.Array) -> jax.Array:
    """Apply a network of random weights, of the same scale as f, to four relaxed bits."""
    draw = np.random.default_rng(0).normal
    hidden, bias, out = draw(size=(16, 4)), draw(size=16), draw(size=16)
    return jnp.asarray(out) @ jnp.tanh(jnp.asarray(hidden) @ relaxed + jnp.asarray(bias))


class _Coupled(NamedTuple):
    """Measurements with two sample sizes on coupled bits."""

    measured: Measurements
    longer: Measurements


def _coupled(scale: Scale) -> _Coupled:
    sizes = 1 << 21, 1 << 24
    return _Coupled(*(Measurements(scale, Coupled(), size, tuned=False) for size in sizes))


def _double(scale: Scale) -> Measurements:
    # (1/D) sum (b - t)^2 with D = 200, t = 0.499. At probability 1/2, where training starts, the
    # mean slope is almost zero, so that control variates cannot help.
    problem = CustomToy(lambda z: jnp.mean((z - 0.499) ** 2), np.ones(200))
    return Measurements(scale, problem, 1 << 14)


def _trained(scale: Scale, **settings) -> Measurements:
    problem = VAE(size=200, kl="sampled-no-score", **settings)
    return Measurements(scale, problem, 256, train_steps=1000)


def _rebar(name: str, about: str, settings: dict) -> ClaimStudy:
    return ClaimStudy(
        name,
        f"REBAR, NVIL and MuProp on a VAE of {about}, trained for 1,000 steps, 256 gradients",
        lambda scale: _trained(scale, **settings),
        (
            Claim(
                f"REBAR's variance is an order of magnitude below NVIL's ({about})",
                "Tucker et al. 2017, figure 2",
                "log10 variance ratio, REBAR over NVIL",
                lambda measured: measured.ratio(REBAR(0.5), ScoreFunction(NVIL())) / _LN10,
                below(-1.0, effect=0.3),
            ),
            Claim(
                f"REBAR's variance is below MuProp's ({about})",
                "Tucker et al. 2017, figure 2",
                "log10 variance ratio, REBAR over MuProp",
                lambda measured: measured.ratio(REBAR(0.5), MuProp()) / _LN10,
                _BELOW,
            ),
        ),
    )


STUDIES = (
    ClaimStudy(
        "no-variance-on-linear-f",
        "control variates on a linear f of three bits, 2^14 gradients",
        lambda scale: Measurements(scale, LINEAR, 1 << 14, tuned=False),
        (
            Claim(
                "MuProp has zero variance for a linear f",
                "Gu et al. 2016, section 3",
                "MuProp's variance over the squared gradient",
                lambda measured: relative_variance(measured(MuProp()), measured.truth),
                below(1e-6, effect=1e-6),
            ),
            Claim(
                "Double control variates with alpha -1 have zero variance for a linear f",
                "Titsias and Shi 2022, definition of the estimator",
                "the variance of DoubleCV with alpha -1",
                lambda measured: relative_variance(
                    measured(DoubleCV(2, alpha=-1.0)), measured.truth
                ),
                below(1e-6, effect=1e-6),
            ),
        ),
    ),
    ClaimStudy(
        "any-control-variate",
        "REBAR and RELAX with untuned settings on four coupled bits, 2^21 gradients (eta 3: 2^24)",
        _coupled,
        (
            Claim(
                "REBAR is unbiased at eta 3 and temperature 0.1",
                "Tucker et al. 2017, section 3",
                "relative bias of REBAR, eta 3, temperature 0.1",
                lambda coupled: coupled.longer.bias(REBAR(0.1, eta=3.0)),
                below(0.05, effect=0.05),
            ),
            Claim(
                "REBAR is unbiased at eta -1 and temperature 5",
                "Tucker et al. 2017, section 3",
                "relative bias of REBAR, eta -1, temperature 5",
                lambda coupled: coupled.measured.bias(REBAR(5.0, eta=-1.0)),
                below(0.03, effect=0.03),
            ),
            Claim(
                "RELAX is unbiased for any network",
                "Grathwohl et al. 2018, section 3",
                "relative bias of RELAX",
                lambda coupled: coupled.measured.bias(RELAX(jax.tree_util.Partial(_network), 2.0)),
                below(0.05, effect=0.05),
            ),
            Claim(
                "REBAR with eta 0 is the score function: its variance",
                "Tucker et al. 2017, section 3",
                "log variance ratio, eta 0 over the score function",
                lambda coupled: coupled.measured.ratio(REBAR(0.5, eta=0.0), ScoreFunction()),
                between(-0.01, 0.01),
            ),
        ),
    ),
    _rebar("rebar-linear", "two linear layers of 200 bits", {"depth": 2}),
    _rebar("rebar-nonlinear", "one nonlinear layer of 200 bits", {"hidden": "200-200"}),
    ClaimStudy(
        "double-cv-toy",
        "the toy of double control variates, 200 bits of logit 1, two samples, 2^14 gradients",
        _double,
        (
            Claim(
                "Double control variates have less variance than leave-one-out on their toy",
                "Titsias and Shi 2022, abstract",
                "log variance ratio over leave-one-out",
                lambda measured: measured.ratio(DoubleCV(2), ScoreFunction(LeaveOneOut(2))),
                _BELOW,
            ),
            Claim(
                "Double control variates have less variance than DisARM on their toy",
                "Titsias and Shi 2022, abstract",
                "log variance ratio over DisARM",
                lambda measured: measured.ratio(DoubleCV(2), DisARM()),
                _BELOW,
            ),
        ),
    ),
    ClaimStudy(
        "rodeo-vae",
        "two samples on a nonlinear VAE of 200 bits, trained for 1,000 steps, 256 gradients",
        lambda scale: _trained(scale, hidden="200-200", activation="leaky_relu", prior="uniform"),
        (
            Claim(
                "RODEO has less variance than double control variates",
                "Shi et al. 2022, abstract",
                "log variance ratio, RODEO over DoubleCV",
                lambda measured: measured.ratio(RODEO(2), DoubleCV(2)),
                _BELOW,
            ),
            Claim(
                "Double control variates have less variance than leave-one-out on the VAE",
                "Shi et al. 2022, VAE experiments",
                "log variance ratio, DoubleCV over leave-one-out",
                lambda measured: measured.ratio(DoubleCV(2), ScoreFunction(LeaveOneOut(2))),
                _BELOW,
            ),
            Claim(
                "Double control variates have less variance than DisARM on the VAE",
                "Shi et al. 2022, VAE experiments",
                "log variance ratio, DoubleCV over DisARM",
                lambda measured: measured.ratio(DoubleCV(2), DisARM()),
                _BELOW,
            ),
        ),
    ),
)
