"""Hard concrete gates: relaxed bits that are 0 or 1 with positive probability."""

import jax
import jax.numpy as jnp

from estimators.core.distribution import Continuous
from estimators.core.noise import draw_like, logistic
from estimators.core.pytree import Scalar, pytree, static
from estimators.core.validation import check_finite, check_floating
from estimators.distributions.temperature import check_temperature


@pytree
class HardConcrete(Continuous):
    r"""Gates in [0, 1]: a binary Concrete variable, stretched and clipped.

    $s = \sigma((\log \alpha + L) / \beta)$ with logistic noise L, and $z = \min(1, \max(0, s
    (\zeta - \gamma) + \gamma))$. So z has atoms at 0 and 1, between which it has a density. In the
    atoms the pathwise derivative is zero; its mean is that of the mean gradient nevertheless. As
    $\beta \to 0$, z is a Bernoulli variable of logit $\log \alpha$; at the published $\beta = 2/3$
    it is a law of its own: compare it with estimators of Bernoulli variables by hard gates of the
    same kind. Louizos et al. 2018 (arXiv:1712.01312).

    Args:
        log_alpha: $\log \alpha$, of any shape; a sample has the same shape.
        temperature: $\beta > 0$, a scalar or an array of the same shape.
        low: $\gamma < 0$, static.
        high: $\zeta > 1$, static.
    """

    log_alpha: jax.Array
    temperature: Scalar = 2 / 3
    low: float = static(default=-0.1)
    high: float = static(default=1.1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        r"""Shape of one sample: that of $\log \alpha$."""
        return jnp.shape(self.log_alpha)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one sample, differentiable in the parameters; `key` is consumed."""
        noise = draw_like(logistic, key, self.log_alpha)
        return self._stretched((self.log_alpha + noise) / self.temperature)

    def log_prob(self, sample: jax.Array) -> jax.Array:
        """Return the sum of each gate's log-probability in an atom, or log-density between them."""
        is_low, is_high = sample <= 0, sample >= 1
        inside = jnp.where(is_low | is_high, 0.5, sample)
        x = jnp.log(inside - self.low) - jnp.log(self.high - inside)
        excess = self.temperature * x - self.log_alpha
        # Of x, which is logistic, and of its stretched sigmoid.
        density = jnp.log(self.temperature) + excess - 2 * jax.nn.softplus(excess)
        stretch = jnp.log(inside - self.low) + jnp.log(self.high - inside)
        density = density - (stretch - jnp.log(self._width(sample)))
        below = jax.nn.log_sigmoid(self._threshold(0) - self.log_alpha)
        above = jax.nn.log_sigmoid(self.log_alpha - self._threshold(1))
        return jnp.where(is_low, below, jnp.where(is_high, above, density)).sum()

    @property
    def chance_of_zero(self) -> jax.Array:
        r"""P(z = 0), $\sigma(\beta \log(-\gamma / \zeta) - \log \alpha)$."""
        return jax.nn.sigmoid(self._threshold(0) - self.log_alpha)

    @property
    def chance_of_one(self) -> jax.Array:
        r"""P(z = 1), $\sigma(\log \alpha - \beta \log((1 - \gamma) / (\zeta - 1)))$."""
        return jax.nn.sigmoid(self.log_alpha - self._threshold(1))

    def expected_open(self) -> jax.Array:
        """Return the expected number of gates that are not zero: the expected L0 norm."""
        return jax.nn.sigmoid(self.log_alpha - self._threshold(0)).sum()

    def gate(self) -> jax.Array:
        r"""Return the gates at test time, $\sigma(\log \alpha)$ stretched and clipped.

        They do not depend on the temperature, and are not the means.
        """
        return self._stretched(self.log_alpha)

    def check(self) -> None:
        """Raise for wrong dtypes or shapes, or an interval that does not hold [0, 1] inside."""
        check_floating("HardConcrete log_alpha", self.log_alpha)
        check_temperature(self, self.event_shape)
        for name in ("low", "high"):
            check_finite(f"HardConcrete {name}", getattr(self, name))
        if not (self.low < 0 and self.high > 1):
            raise ValueError(
                f"HardConcrete needs low below 0 and high above 1, not {self.low} and {self.high}"
            )

    def _stretched(self, x: jax.Array) -> jax.Array:
        return jnp.clip(jax.nn.sigmoid(x) * (self.high - self.low) + self.low, 0, 1)

    def _threshold(self, end: int) -> jax.Array:
        """Return the noise, plus log alpha, at which a gate reaches an end."""
        odds = (end - self.low) / (self.high - end)
        return self.temperature * jnp.log(jnp.asarray(odds, self.dtype))

    def _width(self, sample: jax.Array) -> jax.Array:
        return jnp.asarray(self.high - self.low, sample.dtype)
