"""Claims about the soft machine and the distribution over machines, by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, DiffusionRelaxation, StraightThrough
from experiments.problems import Memory
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below, between
from experiments.studies.claims.outcomes import Enumeration, Function, apart, number

_LOGITS = np.array([0.6, -0.4, 0.9, 0.3, -0.7, 0.2])
_COIN = Memory("coin")
_WEIGHTS = np.array([1.0, -2.0, 0.5], np.float32)


def _machine(symbols: int = 2, kink: float = 0.5) -> Function:
    problem = Memory(symbols=symbols, kink=kink)
    return lambda controls: problem.f(controls, controls)


_REVERSAL = _machine()
_FLAT = _machine(kink=0.0)


def _multilinear(z: jax.Array) -> jax.Array:
    """Return a program that uses each control once."""
    return jnp.asarray(_WEIGHTS) @ z[:3] + z[0] * z[3] * z[5] - z[1] * z[2] * z[4]


def _losses(symbols: int) -> jax.Array:
    """Return the loss of every machine."""
    states = Bernoulli(jnp.zeros(Memory(symbols=symbols).bits)).states()
    return jax.jit(jax.vmap(_machine(symbols)))(states)


def _perfect(symbols: int) -> Estimate:
    return number(jnp.sum(_losses(symbols) == 0))


def _middle(symbols: int) -> Estimate:
    """Return the mean loss of all machines, less that of the soft one at probabilities 1/2."""
    half = jnp.full(Memory(symbols=symbols).bits, 0.5)
    return number(_losses(symbols).mean() - _machine(symbols)(half))


def _coin(chance: float) -> float:
    return float(_COIN.f(jnp.zeros(1), jnp.array([chance])))


def _machines(scale: Scale) -> Enumeration:
    return Enumeration(Bernoulli(jnp.asarray(_LOGITS, jnp.float32)))


_SOFT = DiffusionRelaxation(1)

STUDIES = (
    ClaimStudy(
        "soft-machines",
        "the neural stack and the coin, all machines, and one point of six logits",
        _machines,
        (
            Claim(
                "Two of the 64 machines reverse two symbols",
                "derived",
                "perfect machines, two symbols",
                lambda _: _perfect(2),
                between(1.5, 2.5),
            ),
            Claim(
                "Two of the 1,024 machines reverse three symbols",
                "derived",
                "perfect machines, three symbols",
                lambda _: _perfect(3),
                between(1.5, 2.5),
            ),
            Claim(
                "At probabilities 1/2 the soft machine's loss of 1.25 is 0.4375 too low",
                "derived",
                "mean loss of machines less that of the soft one, two symbols",
                lambda _: _middle(2),
                between(0.437, 0.438),
            ),
            Claim(
                "The soft coin is best at 1/2, and every machine costs 1/4 more",
                "derived",
                "loss of a machine less that of the soft coin",
                lambda _: number(min(_coin(0.0), _coin(1.0)) - _coin(0.5)),
                between(0.249, 0.251),
            ),
            Claim(
                "The soft program of a multilinear loss has the gradient of the expectation",
                "derived",
                "largest difference, soft gradient and true one, multilinear",
                lambda at: apart(at(_SOFT, _multilinear).mean, at(_SOFT, _multilinear).truth),
                below(1e-4, effect=1e-4),
            ),
            Claim(
                "The gradient of the soft stack is not that of the expectation",
                "derived",
                "relative bias, soft stack",
                lambda at: number(at(_SOFT, _REVERSAL).bias),
                above(0.05, effect=0.05),
            ),
            Claim(
                "On the stack the mean gradient of straight-through depends on the spelling of max",
                "derived",
                "largest difference, straight-through at slopes 0 and 1/2",
                lambda at: apart(
                    at(StraightThrough(), _FLAT).mean, at(StraightThrough(), _REVERSAL).mean
                ),
                above(0.1, effect=0.1),
            ),
        ),
    ),
)
