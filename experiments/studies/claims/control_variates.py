"""Claims about control variates: MuProp, REBAR, RELAX, double control variates, RODEO."""

from collections.abc import Mapping

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
from experiments.studies.claims.claim import Claim, Deciding, Effort, Found, Quantity
from experiments.studies.claims.quantities import relative_variance
from experiments.studies.claims.work import Given, Measured

_LN10 = float(np.log(10))


def _linear(effort: Effort) -> Mapping[str, Quantity]:
    weights = np.array([1.0, -2.0, 0.5])
    problem = Given(lambda z: jnp.asarray(weights) @ z, np.array([1.0, -1.0, 2.0]))
    measured = Measured(effort, problem, 1 << 14, tuned=False)
    return {
        "MuProp's variance over the squared gradient": relative_variance(
            measured(MuProp()), measured.truth
        ),
        "the variance of DoubleCV with alpha -1": relative_variance(
            measured(DoubleCV(2, alpha=-1.0)), measured.truth
        ),
    }


def _network(relaxed: jax.Array) -> jax.Array:
    """Apply a network of random weights, of the same scale as f, to four relaxed bits."""
    draw = np.random.default_rng(0).normal
    hidden, bias, out = draw(size=(16, 4)), draw(size=16), draw(size=16)
    return jnp.asarray(out) @ jnp.tanh(jnp.asarray(hidden) @ relaxed + jnp.asarray(bias))


def _any_setting(effort: Effort) -> Mapping[str, Found]:
    measured = Measured(effort, Coupled(), 1 << 21, tuned=False)
    longer = Measured(effort, Coupled(), 1 << 24, tuned=False)
    return {
        "relative bias of REBAR, eta 3, temperature 0.1": longer.bias(REBAR(0.1, eta=3.0)),
        "relative bias of REBAR, eta -1, temperature 5": measured.bias(REBAR(5.0, eta=-1.0)),
        "relative bias of RELAX": measured.bias(RELAX(jax.tree_util.Partial(_network), 2.0)),
        "log variance ratio, eta 0 over the score function": measured.ratio(
            REBAR(0.5, eta=0.0), ScoreFunction()
        ),
    }


def _rebar(problem: VAE, effort: Effort) -> Mapping[str, Quantity]:
    measured = Measured(effort, problem, 256, train_steps=1000)
    nvil = ScoreFunction(NVIL())
    return {
        "log10 variance ratio, REBAR over NVIL": _log10(measured.ratio(REBAR(0.5), nvil)),
        "log10 variance ratio, REBAR over MuProp": _log10(measured.ratio(REBAR(0.5), MuProp())),
    }


def _log10(quantity: Quantity) -> Quantity:
    return quantity._replace(value=quantity.value / _LN10, error=quantity.error / _LN10)


def _double(effort: Effort) -> Mapping[str, Quantity]:
    # (1/D) sum (b - t)^2 with D = 200, t = 0.499. At probability 1/2, where training starts, the
    # mean slope is almost zero, so that control variates cannot help.
    problem = Given(lambda z: jnp.mean((z - 0.499) ** 2), np.ones(200))
    measured = Measured(effort, problem, 1 << 14)
    double = DoubleCV(2)
    return {
        "log variance ratio over leave-one-out": measured.ratio(
            double, ScoreFunction(LeaveOneOut(2))
        ),
        "log variance ratio over DisARM": measured.ratio(double, DisARM()),
    }


def _rodeo(effort: Effort) -> Mapping[str, Quantity]:
    problem = VAE(
        size=200,
        hidden="200-200",
        activation="leaky_relu",
        prior="uniform",
        kl="sampled-no-score",
    )
    measured = Measured(effort, problem, 256, train_steps=1000)
    rodeo, double = RODEO(2), DoubleCV(2)
    return {
        "log variance ratio, RODEO over DoubleCV": measured.ratio(rodeo, double),
        "log variance ratio, DoubleCV over leave-one-out": measured.ratio(
            double, ScoreFunction(LeaveOneOut(2))
        ),
        "log variance ratio, DoubleCV over DisARM": measured.ratio(double, DisARM()),
    }


def _on_vae(name: str, about: str, settings: dict) -> Deciding:
    return Deciding(
        name,
        f"REBAR, NVIL and MuProp on a VAE of {about}, trained for 1,000 steps, 256 gradients",
        lambda effort: _rebar(VAE(size=200, kl="sampled-no-score", **settings), effort),
        (
            Claim(
                f"REBAR's variance is an order of magnitude below NVIL's ({about})",
                "Tucker et al. 2017, figure 2",
                "log10 variance ratio, REBAR over NVIL",
                high=-1.0,
                effect=0.3,
            ),
            Claim(
                f"REBAR's variance is below MuProp's ({about})",
                "Tucker et al. 2017, figure 2",
                "log10 variance ratio, REBAR over MuProp",
                high=0.0,
                effect=0.1,
            ),
        ),
    )


STUDIES = (
    Deciding(
        "no-variance-on-linear-f",
        "control variates on a linear f of three bits, 2^14 gradients",
        _linear,
        (
            Claim(
                "MuProp has no variance for a linear f",
                "Gu et al. 2016, section 3",
                "MuProp's variance over the squared gradient",
                high=1e-6,
                effect=1e-6,
            ),
            Claim(
                "Double control variates with alpha -1 have no variance for a linear f",
                "Titsias and Shi 2022",
                "the variance of DoubleCV with alpha -1",
                high=1e-6,
                effect=1e-6,
            ),
        ),
    ),
    Deciding(
        "any-control-variate",
        "REBAR and RELAX with untuned settings on four coupled bits, 2^21 gradients (eta 3: 2^24)",
        _any_setting,
        (
            Claim(
                "REBAR is unbiased at eta 3 and temperature 0.1",
                "Tucker et al. 2017, section 3",
                "relative bias of REBAR, eta 3, temperature 0.1",
                high=0.05,
                effect=0.05,
            ),
            Claim(
                "REBAR is unbiased at eta -1 and temperature 5",
                "Tucker et al. 2017, section 3",
                "relative bias of REBAR, eta -1, temperature 5",
                high=0.03,
                effect=0.03,
            ),
            Claim(
                "RELAX is unbiased whatever its network",
                "Grathwohl et al. 2018, section 3",
                "relative bias of RELAX",
                high=0.05,
                effect=0.05,
            ),
            Claim(
                "REBAR with eta 0 is the score function: its variance",
                "Tucker et al. 2017, section 3",
                "log variance ratio, eta 0 over the score function",
                -0.01,
                0.01,
            ),
        ),
    ),
    _on_vae("rebar-linear", "two linear layers of 200 bits", {"depth": 2}),
    _on_vae("rebar-nonlinear", "one nonlinear layer of 200 bits", {"hidden": "200-200"}),
    Deciding(
        "double-cv-toy",
        "the toy of double control variates, 200 bits of logit 1, two samples, 2^14 gradients",
        _double,
        (
            Claim(
                "Double control variates have less variance than leave-one-out on their toy",
                "Titsias and Shi 2022, toy experiment",
                "log variance ratio over leave-one-out",
                high=0.0,
                effect=0.1,
            ),
            Claim(
                "Double control variates have less variance than DisARM on their toy",
                "Titsias and Shi 2022, toy experiment",
                "log variance ratio over DisARM",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
    Deciding(
        "rodeo-vae",
        "two samples on a nonlinear VAE of 200 bits, trained for 1,000 steps, 256 gradients",
        _rodeo,
        (
            Claim(
                "RODEO has less variance than double control variates",
                "Shi et al. 2022, variance on nonlinear VAEs",
                "log variance ratio, RODEO over DoubleCV",
                high=0.0,
                effect=0.1,
            ),
            Claim(
                "Double control variates have less variance than leave-one-out on the VAE",
                "Shi et al. 2022, variance on nonlinear VAEs",
                "log variance ratio, DoubleCV over leave-one-out",
                high=0.0,
                effect=0.1,
            ),
            Claim(
                "Double control variates have less variance than DisARM on the VAE",
                "Shi et al. 2022, variance on nonlinear VAEs",
                "log variance ratio, DoubleCV over DisARM",
                high=0.0,
                effect=0.1,
            ),
        ),
    ),
)
