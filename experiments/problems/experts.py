"""Mixtures of experts: a router chooses which small networks classify an image."""

import dataclasses
import math
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from estimators import Categorical, Estimator, Subset
from estimators.checks import check_between, check_choice, check_count
from experiments.problems.images import PIXELS
from experiments.problems.labelled_images import LABELS, LabelledImages
from experiments.problems.networks import feed_forward
from experiments.problems.problem import Params
from experiments.problems.use import usage

Router = Literal["sampled", "sampled-weighted", "softmax-weighted"]

_IDLE = 0.01
"""The share of the load below which an expert counts as idle."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experts(LabelledImages):
    r"""A mixture of K experts with hard choices: the cross-entropy of an image's class, in nats.

    A linear router gives logits $\theta(x)$, and $z \in \{0, 1\}^K$ says which `top` experts are
    asked: one, categorical, or a subset of the conditional Bernoulli law, `Subset`. Expert k is a
    network with outputs $o_k(x)$, the logits of the ten classes. Three objectives:

    - `router="sampled"`: $E_z f(z)$, $f(z) = \mathrm{CE}(\frac{1}{k} \sum_i z_i o_i)$, k = `top`.
      Between its values f is the cross-entropy of the mixed outputs.
    - `router="sampled-weighted"`: $E_z f(z)$,
      $f(z) = \mathrm{CE}(\sum_i z_i p_i o_i)$, $p = \mathrm{softmax}(\theta)$. f depends on the
      router besides.
    - `router="softmax-weighted"`, which everybody uses: $f(z)$ of the line above at the `top`
      largest logits. Nothing is drawn: the law has all its mass there, and no gradient passes
      through it. The router learns by p in f alone, so its gradient is that of this piecewise
      smooth objective and, at a given z, one of two parts of the gradient of the line above: the
      other part is the score's. It is not the gradient of $E_z f(z)$, which has no p in f.

    All experts are evaluated, and mixed: the numbers are those of a sparse mixture, its saving is
    not. With `load_weight` w, $w K \sum_k s_k \bar p_k$ is added to the loss: $s_k$ is expert k's
    share of the choices at the largest logits in the minibatch, without a derivative, and
    $\bar p_k$ its mean probability (Fedus et al. 2022, arXiv:2101.03961).

    The hard model asks the `top` experts of the largest logits. The sizes are our choice.

    Args:
        experts: K.
        top: how many experts an image is sent to.
        hidden: units of an expert's hidden layer, with tanh.
        router: the objective.
        load_weight: w, 0 for none; the usual one is 0.01.
    """

    group = "router"

    experts: int = 8
    top: int = 1
    hidden: int = 16
    router: Router = "sampled"
    load_weight: float = 0.0

    @property
    def objective(self) -> str:
        """Whose gradient is taken, and the weight of the load loss."""
        forms = {
            "sampled": "E CE(output)",
            "sampled-weighted": "E CE(probability x output)",
            "softmax-weighted": "CE(probability x output) at the largest logits",
        }
        load = f", load loss {self.load_weight:g}" if self.load_weight else ""
        return forms[self.router] + load

    @property
    def _expert(self):
        return feed_forward((PIXELS, self.hidden, LABELS), "tanh")

    @property
    def _router(self):
        return feed_forward((PIXELS, self.experts), "tanh")

    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters of `router` and `experts`; `key` is consumed."""
        keys = jax.random.split(key, 1 + self.experts)
        return {
            "router": self._router[0](keys[0]),
            "experts": jax.vmap(self._expert[0])(keys[1:]),
        }

    def logits(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the router's logits, `[..., K]`, for images `[..., 784]`."""
        return self._router[1](params["router"], images)

    def outputs(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the outputs of all experts, `[N, K, 10]`, for images `[N, 784]`."""
        return jax.vmap(self._expert[1], (0, None), 1)(params["experts"], images)

    def law(self, logits: jax.Array) -> Categorical | Subset:
        """Return the law of the choice; with the softmax-weighted router it has one value."""
        if self.router == "softmax-weighted":
            logits = jnp.where(self.largest(logits) > 0, 0.0, -jnp.inf).astype(logits.dtype)
        return Categorical(logits) if self.top == 1 else Subset(logits, self.top)

    def largest(self, logits: jax.Array) -> jax.Array:
        """Return the choice at the largest logits, `[..., K]` zeros and ones, stopped."""
        _, chosen = jax.lax.top_k(jax.lax.stop_gradient(logits), self.top)
        return jax.nn.one_hot(chosen, self.experts, dtype=logits.dtype).sum(-2)

    def mixed(self, logits: jax.Array, outputs: jax.Array, choice: jax.Array) -> jax.Array:
        """Return the logits of the classes, `[10]`, of a choice `[K]`, hard or relaxed."""
        if self.router == "sampled":
            return choice @ outputs / self.top
        return (choice * jax.nn.softmax(logits)) @ outputs

    def distribution(self, params: Params, batch: Any) -> Categorical | Subset:
        """Return the law of the first image's choice."""
        return self.law(self.logits(params, batch["images"][0]))

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean loss of the batch in nats; `key` is consumed.

        Every image has its own key, hence independent noise.
        """
        logits = self.logits(params, batch["images"])
        if "logits" in params:
            logits += params["logits"]

        def example(key, logits, outputs, label):
            def f(choice):
                return _cross_entropy(self.mixed(logits, outputs, choice), label)

            return estimator(key, self.law(logits), f)

        keys = jax.random.split(key, len(logits))
        outputs = self.outputs(params, batch["images"])
        losses = jax.vmap(example)(keys, logits, outputs, batch["labels"])
        return losses.mean() + self.load_weight * self.load_loss(logits)

    def load_loss(self, logits: jax.Array) -> jax.Array:
        """Return K times the sum of share and mean probability of the experts; 1 if all are even.

        Args:
            logits: those of a minibatch, `[N, K]`.
        """
        share = self.largest(logits).mean(0) / self.top
        return self.experts * share @ jax.nn.softmax(logits).mean(0)

    def measured_params(self, params: Params, batch: Any) -> Params:
        """Add `logits`: zeros added to the logits of each image."""
        return params | {"logits": jnp.zeros((len(batch["images"]), self.experts))}

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return `error`, `usage` and `idle` of the experts of the largest logits on a split."""
        batch = self.examples(data)
        logits = self.logits(params, batch["images"])
        outputs, choice = self.outputs(params, batch["images"]), self.largest(logits)
        classes = jax.vmap(self.mixed)(logits, outputs, choice).argmax(-1)
        load = choice.mean(0) / self.top
        return {
            "error": jnp.mean(classes != batch["labels"]),
            "usage": usage(load),
            "idle": jnp.mean(load < _IDLE),
        }

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_count("Experts experts", self.experts, 2)
        check_count("Experts top", self.top, 1)
        if self.top >= self.experts:
            raise ValueError(
                f"Experts top must be below the {self.experts} experts, not {self.top}"
            )
        check_count("Experts hidden", self.hidden, 1)
        check_choice("Experts router", self.router, get_args(Router))
        check_between("Experts load_weight", self.load_weight, 0, math.inf)


def _cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Return -log p(label) in nats, of one example."""
    return -jax.nn.log_softmax(logits)[label]
