"""A neural stack whose controls are bits: a soft machine and a distribution over machines."""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from estimators.checks import check_at_most, check_between, check_choice, check_count, check_share
from experiments.problems.problem import Params
from experiments.problems.toy import Toy

_MOST_SYMBOLS = 50  # the steps of a machine are unrolled


@dataclasses.dataclass(frozen=True)
class Memory(Toy):
    r"""The controls of a neural stack (Grefenstette et al. 2015) that reverses its inputs.

    At time t the stack pops the amount $u_t$, pushes the input $v_t$ with strength $d_t$, and
    reads: the strengths are $s_t[t] = d_t$ and, with $(x)_+ = \max(x, 0)$ and i < t,

    $$s_t[i] = (s_{t-1}[i] - (u_t - \textstyle\sum_{j=i+1}^{t-1} s_{t-1}[j])_+)_+,$$

    and the output is $r_t = \sum_i \min(s_t[i], (1 - \sum_{j>i} s_t[j])_+)\, v_i$. With controls 0
    and 1 this is an ordinary stack, whose reads are 0 when it is empty. A machine is a list of 2T
    bits $z = (u_1, \dots, u_T, d_1, \dots, d_T)$ with the logits $\phi$ and $q = \sigma(\phi)$.

    In `reversal`, n symbols $x_i = \pm 1$ are followed by zeros, T = 2n - 1, and f is the mean over
    all $2^n$ inputs of $\sum_{k=0}^{n-1} (r_{n+k} - x_{n-k})^2$. Two machines are perfect: they
    differ in $u_1$, which pops an empty stack. In `coin`, one bit predicts a fair coin under
    squared loss.

    The objective is $E_{z \sim q} f(z)$, the expectation over machines. The soft machine runs
    with q instead, and has the loss f(q): they are equal at corners, and everywhere if f is
    multilinear. `DiffusionRelaxation[1]` is the derivative of f(q).

    Args:
        task: "reversal" or "coin".
        symbols: n, of reversal; at most 50.
        spread: the standard deviation of the initial logits, which are normal.
        kink: the slope of $(x)_+$ at 0, where all machines of bits are: 1/2 is that of
            `jnp.maximum`, 0 that of `jax.nn.relu`. Only straight-through estimators depend on it.
    """

    task: Literal["reversal", "coin"] = "reversal"
    symbols: int = 2
    spread: float = 1.0
    kink: float = 0.5

    @property
    def bits(self) -> int:
        """The number of bits of a machine."""
        return 1 if self.task == "coin" else 2 * (2 * self.symbols - 1)

    def initial(self, key: jax.Array) -> Params:
        """Return random logits; `key` is consumed."""
        return {"logits": self.spread * jax.random.normal(key, (self.bits,))}

    def logits(self) -> jax.Array:
        """Return the logits of a fixed key."""
        return self.initial(jax.random.key(0))["logits"]

    def f(self, logits: jax.Array, sample: jax.Array) -> jax.Array:
        """Return the loss of the machine with these controls."""
        if self.task == "coin":
            return ((sample**2 + (1 - sample) ** 2) / 2).sum()
        # The mean over all inputs of (w . x)^2 is the squared norm of w.
        n = self.symbols
        read = self.weights(sample)[n - 1 :, :n]
        return jnp.sum((read - jnp.eye(n)[::-1]) ** 2)

    def weights(self, controls: jax.Array) -> jax.Array:
        """Return the weight of each input in each output, `[T, T]`.

        Args:
            controls: the amounts of pops, then the strengths of pushes, `[2T]`.
        """
        pops, pushes = jnp.split(controls, 2)
        strengths, rows = controls[:0], []
        for time, (pop, push) in enumerate(zip(pops, pushes, strict=True)):
            strengths = self._positive(strengths - self._positive(pop - _above(strengths)))
            strengths = jnp.append(strengths, push)
            room = self._positive(1 - _above(strengths))
            # The smaller of the two.
            read = strengths - self._positive(strengths - room)
            rows.append(jnp.pad(read, (0, len(pops) - time - 1)))
        return jnp.stack(rows)

    def _positive(self, x: jax.Array) -> jax.Array:
        return x * jnp.where(x == 0, self.kink, x > 0)

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return the loss of the likeliest machine, and that of the soft one."""
        logits = params["logits"]
        hard, soft = (logits > 0).astype(logits.dtype), jax.nn.sigmoid(logits)
        return {"rounded_loss": self.f(logits, hard), "soft_loss": self.f(logits, soft)}

    def check(self) -> None:
        """Raise if a setting is out of range."""
        check_choice("Memory task", self.task, ("reversal", "coin"))
        check_count("Memory symbols", self.symbols, 1)
        check_at_most("Memory symbols", self.symbols, _MOST_SYMBOLS)
        check_between("Memory spread", self.spread, 0, math.inf)
        check_share("Memory kink", self.kink)


def _above(strengths: jax.Array) -> jax.Array:
    """Return the sum of the strengths above each element of a stack, whose top is the last."""
    return jnp.cumsum(strengths[::-1])[::-1] - strengths
