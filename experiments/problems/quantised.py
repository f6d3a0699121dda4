"""Autoencoders of images with discrete codes."""

import dataclasses
import math
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from estimators import Categorical, Estimator
from estimators.checks import check_between, check_choice, check_count
from experiments.problems.images import PIXELS
from experiments.problems.labelled_images import LabelledImages
from experiments.problems.networks import feed_forward, hidden_sizes
from experiments.problems.problem import Params
from experiments.problems.use import entropy, usage

Quantiser = Literal["categorical", "straight-through", "rotation"]

_SPREAD, _SCALE = 0.25, 0.2
"""Standard deviation of the first codes, about that of the encoder's first outputs, and first s."""

_AT_ONCE = 1000
"""Images whose distances to the codes are held at once when a split is scored."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorQuantised(LabelledImages):
    r"""An autoencoder with M positions of one of K codes: its squared error, a sum over pixels.

    The encoder gives a vector $e_m(x)$ for each position; codes $c_k$ are learned vectors, and the
    decoder D sees the chosen ones, $q_m$. With `quantiser="categorical"` the loss is
    $E_z \|x - D(q(z))\|^2$, where $z_m$ is categorical with the logits $-\|e_m - c_k\|^2 / s$ and
    s is learned; and $q_m = \sum_k z_{mk} c_k$, which is a code where z is hard.

    The other two have no law and no expectation: $q_m$ is the code nearest to $e_m$, and the
    gradient that the encoder gets is a rule, not a derivative. That of the loss itself is zero
    almost everywhere, so these have no bias to measure, and tables say so.

    - `quantiser="straight-through"` gives $e_m$ the derivative in $q_m$ (van den Oord et al. 2017,
      arXiv:1711.00937);
    - `quantiser="rotation"` gives it that of $\frac{|q_m|}{|e_m|} R_m e_m$, where $R_m$ rotates
      $e_m$ onto $q_m$ and is held constant, as is the factor (Fifty et al. 2024,
      arXiv:2410.06424).

    To both is added $\|\mathrm{sg}(e) - q\|^2 + \beta \|e - \mathrm{sg}(q)\|^2$, by which the codes
    and the encoder learn, with $\beta$ = `commitment`; the papers' moving averages of the codes
    are left out. For the estimators they are a law with all its mass on the nearest codes.

    With `kl_weight` w, w times the divergence of the codes from uniform ones, in nats, is added to
    the loss of the categorical ones: it keeps codes in use.

    Args:
        positions: M.
        codes: K.
        dimension: components of a code.
        hidden: hidden layers of the encoder, with rectifiers, such as 256; reversed in the decoder;
            "" makes both linear.
        quantiser: the objective.
        commitment: $\beta$; of the categorical quantiser ignored.
        kl_weight: w; of the other two ignored.
    """

    group = "encoder"
    default_samples = 256

    batch_size: int = 20
    positions: int = 2
    codes: int = 16
    dimension: int = 8
    hidden: str | int = 32
    quantiser: Quantiser = "categorical"
    commitment: float = 0.25
    kl_weight: float = 0.0

    @property
    def objective(self) -> str:
        """Whose gradient is taken."""
        if self.quantiser != "categorical":
            return f"{self.quantiser} of nearest codes"
        kl = f", KL weight {self.kl_weight:g}" if self.kl_weight else ""
        return f"E squared error{kl}"

    @property
    def no_truth(self) -> str:
        """Why the deterministic quantisers have no bias."""
        if self.quantiser == "categorical":
            return ""
        return "a rule of a deterministic quantiser: there is no E f, and so no bias to measure"

    @property
    def _networks(self):
        hidden, inner = hidden_sizes(self.hidden), self.positions * self.dimension
        sizes = PIXELS, *hidden, inner
        return feed_forward(sizes, "relu"), feed_forward(sizes[::-1], "relu")

    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters of `encoder`, `codebook` and `decoder`; `key` is consumed."""
        first, second, third = jax.random.split(key, 3)
        encoder, decoder = self._networks
        codes = _SPREAD * jax.random.normal(third, (self.codes, self.dimension))
        return {
            "encoder": encoder[0](first),
            "codebook": {"codes": codes, "log_scale": jnp.log(_SCALE)},
            "decoder": decoder[0](second),
        }

    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the vectors `[..., M, d]` of images `[..., 784]`."""
        encoded = self._networks[0][1](params["encoder"], images)
        return encoded.reshape(*images.shape[:-1], self.positions, self.dimension)

    def decode(self, params: Params, codes: jax.Array) -> jax.Array:
        """Return the images `[..., 784]` of codes `[..., M, d]`."""
        flat = codes.reshape(*codes.shape[:-2], self.positions * self.dimension)
        return self._networks[1][1](params["decoder"], flat)

    def logits(self, params: Params, encoded: jax.Array) -> jax.Array:
        """Return the logits `[..., M, K]` of vectors `[..., M, d]`."""
        codes = params["codebook"]["codes"]

        def squares(one):
            return jnp.sum((one[None] - codes) ** 2, -1)

        distances = jnp.vectorize(squares, signature="(d)->(k)")(encoded)
        return -distances / jnp.exp(params["codebook"]["log_scale"])

    def law(self, logits: jax.Array) -> Categorical:
        """Return the law of the codes; of a deterministic quantiser it has one value."""
        if self.quantiser != "categorical":
            nearest = jax.nn.one_hot(logits.argmax(-1), self.codes)
            logits = jnp.where(nearest > 0, 0.0, -jnp.inf).astype(logits.dtype)
        return Categorical(logits)

    def distribution(self, params: Params, batch: Any) -> Categorical:
        """Return the law of the first image's codes."""
        return self.law(self.logits(params, self.encode(params, batch["images"][0])))

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean loss of the batch; `key` is consumed.

        Every image has its own key, hence independent noise.
        """
        encoded = self.encode(params, batch["images"])
        logits = self.logits(params, encoded)
        if "logits" in params:
            logits += params["logits"]

        def example(key, image, encoded, logits):
            law = self.law(logits)

            def f(choice):
                quantised = choice @ params["codebook"]["codes"]
                entering, added = self._entering(encoded, quantised)
                return jnp.sum((image - self.decode(params, entering)) ** 2) + added

            value = estimator(key, law, f)
            if self.quantiser == "categorical" and self.kl_weight:
                value += self.kl_weight * law.kl(Categorical(jnp.zeros_like(logits)))
            return value

        keys = jax.random.split(key, len(logits))
        return jax.vmap(example)(keys, batch["images"], encoded, logits).mean()

    def _entering(
        self, encoded: jax.Array, quantised: jax.Array
    ) -> tuple[jax.Array, jax.Array | float]:
        """Return what the decoder sees, and what is added to the loss."""
        if self.quantiser == "categorical":
            return quantised, 0.0
        fixed = jax.lax.stop_gradient
        added = jnp.sum((fixed(encoded) - quantised) ** 2)
        added += self.commitment * jnp.sum((encoded - fixed(quantised)) ** 2)
        rule = rotated(encoded, quantised) if self.quantiser == "rotation" else encoded
        # The code itself, with the derivative of the rule.
        return fixed(quantised) + rule - fixed(rule), added

    def measured_params(self, params: Params, batch: Any) -> Params:
        """Add `logits`: zeros added to the logits of each image."""
        shape = len(batch["images"]), self.positions, self.codes
        return params | {"logits": jnp.zeros(shape)}

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return `distortion`, `rate`, `usage` and `used` of the nearest codes on a split.

        The rate is the entropy of the codes that were counted, which underestimates that of their
        law by about (K - 1) / (2 N ln 2) bits per position, with N images.
        """
        images = self.examples(data)["images"]

        def one(image):
            encoded = self.encode(params, image)
            chosen = jax.nn.one_hot(self.logits(params, encoded).argmax(-1), self.codes)
            decoded = self.decode(params, chosen @ params["codebook"]["codes"])
            return jnp.mean((image - decoded) ** 2), chosen.argmax(-1)

        errors, chosen = jax.lax.map(one, images, batch_size=min(_AT_ONCE, len(images)))
        count = jax.vmap(lambda own: jnp.bincount(own, length=self.codes), 1)
        shares = count(chosen) / len(images)
        together = shares.mean(0)
        return {
            "distortion": errors.mean(),
            "rate": entropy(shares).sum() / jnp.log(2.0),
            "usage": usage(together),
            "used": jnp.mean(together > 0),
        }

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_count("VectorQuantised positions", self.positions, 1)
        check_count("VectorQuantised codes", self.codes, 2)
        check_count("VectorQuantised dimension", self.dimension, 1)
        hidden_sizes(self.hidden, "VectorQuantised hidden")
        check_choice("VectorQuantised quantiser", self.quantiser, get_args(Quantiser))
        check_between("VectorQuantised commitment", self.commitment, 0, math.inf)
        check_between("VectorQuantised kl_weight", self.kl_weight, 0, math.inf)


def rotated(encoded: jax.Array, quantised: jax.Array) -> jax.Array:
    r"""Return vectors rotated and stretched onto others; the map itself has no derivative.

    $\frac{|q|}{|e|} R e$ with $R = I - 2 r r^\top + 2 \hat q \hat e^\top$,
    $r = (\hat e + \hat q) / |\hat e + \hat q|$, whose value is q. Opposite vectors have no r, and
    r = 0 is used.

    Args:
        encoded: e, `[..., d]`.
        quantised: q, of the same shape.
    """
    e, q = jax.lax.stop_gradient((encoded, quantised))
    tiny = jnp.finfo(e.dtype).tiny

    def length(x):
        return jnp.linalg.norm(x, axis=-1, keepdims=True)

    def unit(x):
        return x / jnp.maximum(length(x), tiny)

    e_hat, q_hat = unit(e), unit(q)
    r = unit(e_hat + q_hat)
    stretch = length(q) / jnp.maximum(length(e), tiny)

    def along(direction):
        return jnp.sum(direction * encoded, -1, keepdims=True)

    return stretch * (encoded - 2 * along(r) * r + 2 * along(e_hat) * q_hat)
