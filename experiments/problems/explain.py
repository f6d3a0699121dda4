"""Learning to explain: which k of ten inputs suffice to predict, chosen for each example."""

import dataclasses
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from estimators import Categorical, Distribution, Estimator, PlackettLuceSubset, Subset
from estimators.checks import check_choice, check_count
from experiments.problems.networks import feed_forward, hidden_sizes
from experiments.problems.problem import Params, Problem

FEATURES = 10
Task = Literal["xor", "orange", "additive", "switch"]
Law = Literal["Subset", "PlackettLuceSubset", "Categorical"]

_TRUE = {"xor": 2, "orange": 4, "additive": 4, "switch": 5}  # features
_SHIFT = 3.0  # of the last feature of the switch
_EVALUATED = 10_000


@dataclasses.dataclass(frozen=True)
class Explain(Problem):
    r"""A selector of k of ten features, and a predictor that sees those: cross-entropy in nats.

    $\frac1B \sum_b E_z\, H(p_b, q(x_b \odot m(z)))$: the selector maps an example to logits, of
    which the law of z makes a mask m(z), and the predictor maps what is left of the example to a
    probability q. The target p is the chance of the label, not a draw. Chen et al. 2018
    (arXiv:1802.07814), whose four synthetic tasks are `Explain[task=...]`; inputs are normal, and
    drawn anew for every minibatch. The log-odds of p are those of their code:

    - xor: $-x_1 x_2$, k = 2;
    - orange: $4 - \sum_{i \le 4} x_i^2$, k = 4;
    - additive: $100 \sin(x_1 / 5) - |x_2| - x_3 - e^{-x_4} + 2.4$, k = 4;
    - switch: $x_{10} \sim N(\pm 3, 1)$ switches between orange on $x_1$ to $x_4$ (+) and additive
      on $x_5$ to $x_8$ (-), k = 5. (Their code swaps two views of one array, which copies features
      instead; here the others are noise, as the paper says.)

    Networks are dense with rectifiers, without batch normalisation, which would couple examples,
    and without weight decay. The gradient is exact: a sum over at most 252 masks per example.

    Args:
        task: "xor", "orange", "additive" or "switch".
        law: how a mask is drawn, each another objective. "Subset": k features, conditional
            Bernoulli. "PlackettLuceSubset": those of the k largest perturbed logits. "Categorical":
            k choices with replacement, so at most k features, as in the paper.
        selector: hidden layers of the selector, such as 100-100; "" makes it linear.
        predictor: those of the predictor.
        batch_size: examples in a minibatch; 1,000 in the paper.
    """

    trainable = True
    group = "logits"

    task: Task = "xor"
    law: Law = "Subset"
    selector: str | int = "100-100"
    predictor: str | int = "200-200"
    batch_size: int = 32

    @property
    def objective(self) -> str:
        """The law of the masks."""
        return f"law={self.law}"

    @property
    def k(self) -> int:
        """The number of features that matter, and of those that are selected."""
        return _TRUE[self.task]

    def initial(self, key: jax.Array) -> Params:
        """Return both networks; `key` is consumed."""
        keys = jax.random.split(key)
        return {
            name: feed_forward(self._sizes(name), "relu")[0](key)
            for name, key in zip(("selector", "predictor"), keys, strict=True)
        }

    def _sizes(self, name: str) -> tuple[int, ...]:
        hidden, outputs = {
            "selector": (self.selector, FEATURES),
            "predictor": (self.predictor, 1),
        }[name]
        return (FEATURES, *hidden_sizes(hidden), outputs)

    def _apply(self, params: Params, name: str, inputs: jax.Array) -> jax.Array:
        return feed_forward(self._sizes(name), "relu")[1](params[name], inputs)

    def batch(self, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return examples that are drawn anew; `key` is consumed. See `draw`."""
        return self.draw(key, self.batch_size)

    def draw(self, key: jax.Array, count: int) -> dict[str, jax.Array]:
        """Return examples, by name; `key` is consumed.

        Returns:
            `inputs` x, `[count, 10]`; `targets`, their log-odds of the label, `[count]`; and
            `relevant`, whether a feature matters, zeros and ones `[count, 10]`.
        """
        inputs_key, side_key = jax.random.split(key)
        x = jax.random.normal(inputs_key, (count, FEATURES))
        if self.task != "switch":
            log_odds = {"xor": _xor, "orange": _orange, "additive": _additive}[self.task](x)
            relevant = jnp.arange(FEATURES) < self.k
            return _examples(x, log_odds, jnp.broadcast_to(relevant, x.shape))
        positive = jax.random.bernoulli(side_key, shape=(count,))
        x = x.at[:, -1].add(jnp.where(positive, _SHIFT, -_SHIFT))
        log_odds = jnp.where(positive, _orange(x), _additive(x[:, 4:]))
        place = jnp.arange(FEATURES)
        relevant = jnp.where(
            positive[:, None], (place < 4)[None], ((place >= 4) & (place < 8))[None]
        )
        return _examples(x, log_odds, relevant | jnp.broadcast_to(place == 9, x.shape))

    def measured_params(self, params: Params, batch: Any) -> Params:
        """Add `logits`: zeros added to the selector's logits for each example."""
        return params | {"logits": jnp.zeros((len(batch["inputs"]), FEATURES))}

    def _of(self, logits: jax.Array) -> Distribution:
        """Return the law of an example's mask."""
        if self.law == "Categorical":
            return Categorical(jnp.broadcast_to(logits, (self.k, FEATURES)))
        return (Subset if self.law == "Subset" else PlackettLuceSubset)(logits, self.k)

    def selector_logits(self, params: Params, inputs: jax.Array) -> jax.Array:
        """Return the selector's logits `[..., 10]` for inputs `[..., 10]`."""
        return self._apply(params, "selector", inputs)

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the variable of the first example."""
        return self._of(self.selector_logits(params, batch["inputs"][0]))

    def mask(self, sample: jax.Array) -> jax.Array:
        """Return the mask `[10]` of a sample: itself, or the largest of each feature's choices."""
        return sample.max(0) if self.law == "Categorical" else sample

    def misfit(self, params: Params, mask: jax.Array, x: jax.Array, target: jax.Array) -> jax.Array:
        """Return the cross-entropy of an example in nats, given its mask.

        Args:
            params: the parameters.
            mask: of the features, `[10]`.
            x: the example, `[10]`.
            target: its log-odds.
        """
        (logit,) = self._apply(params, "predictor", x * mask)
        return jax.nn.softplus(logit) - jax.nn.sigmoid(target) * logit

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the estimate of the mean cross-entropy in nats; `key` is consumed."""
        logits = self.selector_logits(params, batch["inputs"])
        if "logits" in params:
            logits += params["logits"]

        def one(key: jax.Array, logits: jax.Array, x: jax.Array, target: jax.Array) -> jax.Array:
            def f(z: jax.Array) -> jax.Array:
                return self.misfit(params, self.mask(z), x, target)

            return estimator(key, self._of(logits), f)

        keys = jax.random.split(key, len(logits))
        return jax.vmap(one)(keys, logits, batch["inputs"], batch["targets"]).mean()

    def selected(self, params: Params, inputs: jax.Array) -> jax.Array:
        """Return the explanation: the k largest logits of each example as zeros and ones."""
        logits = self.selector_logits(params, inputs)
        return Subset(logits, self.k).largest(logits)

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return scores of the k features of the largest logits, on 10,000 drawn examples.

        Of the true features, `rank` is the median rank and `found` the share that is selected. The
        selected features have the ranks 1 to k in random order, and the others those above; the
        mean over examples is returned. Best is (k + 1) / 2 and worst 10.5 - k / 2; by chance it
        is 5.5. `excess` is the divergence of the predicted from the true law of the label, in nats.
        """
        draw_key, ties_key = jax.random.split(key)
        batch = self.draw(draw_key, _EVALUATED)
        selected = self.selected(params, batch["inputs"])
        noise = jax.random.uniform(ties_key, selected.shape)
        ranks = 1 + jnp.argsort(jnp.argsort(noise - selected))
        own = jnp.sort(jnp.where(batch["relevant"] > 0, ranks, jnp.inf))
        middle = (own[:, (self.k - 1) // 2] + own[:, self.k // 2]) / 2
        entropy = _entropy(batch["targets"])
        misfit = jax.vmap(self.misfit, (None, 0, 0, 0))(
            params, selected, batch["inputs"], batch["targets"]
        )
        return {
            "rank": middle.mean(),
            "found": (selected * batch["relevant"]).sum(-1).mean() / self.k,
            "excess": (misfit - entropy).mean(),
        }

    def check(self) -> None:
        """Raise if a setting is out of range."""
        check_choice("Explain task", self.task, get_args(Task))
        check_choice("Explain law", self.law, get_args(Law))
        hidden_sizes(self.selector, "Explain selector")
        hidden_sizes(self.predictor, "Explain predictor")
        check_count("Explain batch_size", self.batch_size, 1)


def _examples(x: jax.Array, log_odds: jax.Array, relevant: jax.Array) -> dict[str, jax.Array]:
    return {"inputs": x, "targets": log_odds, "relevant": relevant.astype(x.dtype)}


def _xor(x: jax.Array) -> jax.Array:
    return -x[:, 0] * x[:, 1]


def _orange(x: jax.Array) -> jax.Array:
    return 4 - jnp.sum(x[:, :4] ** 2, -1)


def _additive(x: jax.Array) -> jax.Array:
    return 100 * jnp.sin(x[:, 0] / 5) - jnp.abs(x[:, 1]) - x[:, 2] - jnp.exp(-x[:, 3]) + 2.4


def _entropy(log_odds: jax.Array) -> jax.Array:
    """Return the entropy of a bit in nats."""
    return jax.nn.softplus(log_odds) - jax.nn.sigmoid(log_odds) * log_odds
