"""A generative adversarial network of strings, whose language is known exactly."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Autoregressive, Categorical, Discrete, Distribution, Estimator, sequence
from estimators.checks import check_choice, check_count, check_not_negative, check_positive
from experiments.optimisers import Adam
from experiments.problems import grammar
from experiments.problems.problem import Params, Turn
from experiments.problems.sequential import SequentialProblem

Goal = Literal["adversarial", "likelihood"]

_CHARACTERS = len(grammar.ALPHABET)
_RIGHT, _WRONG = 5.0, 1.0  # logits of a noised character
_RATE = 1e-3  # of pretraining
_SAMPLES = 1024  # strings of the scores that are sampled
_LONGEST = 16  # 21,845 sentences


@functools.cache
def _recurrent(hidden: int, outputs: int) -> tuple[Callable, Callable]:
    from experiments.problems.flax_networks import Recurrent, pure

    return pure(functools.partial(Recurrent, _CHARACTERS, hidden, outputs))


@dataclasses.dataclass(frozen=True)
class SequenceGAN(SequentialProblem):
    r"""A recurrent generator of strings, against a recurrent discriminator.

    The generator draws `length` characters, each from a Categorical given those before; the
    discriminator D reads them. The generator descends $-E \log \frac{D}{1 - D}$, the discriminator
    its cross-entropy against sentences of the grammar S -> x | S+S | S-S | S*S | S/S. After Kusner
    and Hernandez-Lobato 2016 (arXiv:1611.04051), with the differences that make everything exact:
    the generator's noise is that of its characters alone, so the probability of a string is known,
    and so is the law of the sentences (`grammar.law`).

    Estimators with one evaluation of f are nested, a call for each character (`sequence`): relaxed
    characters are then what both networks read. Others draw whole strings (`Autoregressive`).

    Args:
        length: the most characters of a string: 4 have 1,296 strings, which are enumerated; 12, as
            in the paper, have 1,365 sentences.
        hidden: units of either network, gated recurrent units (Cho et al. 2014).
        batch_size: strings of a minibatch, as many drawn as real.
        goal: "adversarial", or "likelihood": the generator is trained by maximum likelihood, which
            needs no estimator.
        pretraining: steps of maximum likelihood before the first.
        noise: the temperature of real sentences that are relaxed like samples, with logits 5 for
            the right and 1 for other characters, as in the paper; 0 for sentences as they are.
    """

    group = "generator"
    trainable = True

    length: int = 4
    hidden: int = 32
    batch_size: int = 16
    goal: Goal = "adversarial"
    pretraining: int = 0
    noise: float = 0.0

    whose = "character"

    @property
    def objective(self) -> str:
        """The goal of the generator."""
        return self.goal

    @property
    def about_data(self) -> str:
        """The grammar, and the number of its sentences."""
        count = len(grammar.sentences(self.length))
        return f"{count:,} sentences of at most {self.length} characters"

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The generator, then the discriminator, if there is one; Adam with momentum 0.5 each."""
        generator = Turn(self.loss, ("generator",), self._optimiser)
        if self.goal == "likelihood":
            return (generator,)
        return (generator, Turn(self.discrimination, ("discriminator",), self._optimiser))

    @property
    def _optimiser(self) -> Adam:
        return Adam(b1=0.5)

    def initial(self, key: jax.Array) -> Params:
        """Return both networks, the generator after its pretraining; `key` is consumed."""
        first, second, third = jax.random.split(key, 3)
        generator = _recurrent(self.hidden, _CHARACTERS)[0](first)
        discriminator = _recurrent(self.hidden, 1)[0](second)
        if self.pretraining:
            generator = self._pretrained(third, generator)
        return {"generator": generator, "discriminator": discriminator}

    def _pretrained(self, key: jax.Array, generator: Any) -> Any:
        import optax

        optimiser = self._optimiser.make(_RATE)

        def step(carry, key):
            generator, state = carry
            slope = jax.grad(self._negative_log_likelihood)(generator, self._real(key))
            update, state = optimiser.update(slope, state, generator)
            return (optax.apply_updates(generator, update), state), None

        start = generator, optimiser.init(generator)
        keys = jax.random.split(key, self.pretraining)
        return jax.lax.scan(step, start, keys)[0][0]

    def batch(self, key: jax.Array, data: Any) -> Any:
        """Return real sentences, one-hot `[batch_size, length, 6]`, noised as set."""
        if not self.noise:
            return self._real(key)
        key, noise = jax.random.split(key)
        logits = jnp.where(self._real(key) > 0, _RIGHT, _WRONG)
        gumbel = jax.random.gumbel(noise, logits.shape, mode="high")
        return jax.nn.softmax((logits + gumbel) / self.noise)

    def _real(self, key: jax.Array) -> jax.Array:
        law, sentences = grammar.law(self.length), grammar.sentences(self.length)
        chosen = jax.random.choice(key, len(law), (self.batch_size,), p=jnp.asarray(law))
        return jax.nn.one_hot(jnp.asarray(grammar.encoded(sentences))[chosen], _CHARACTERS)

    def _start(self, generator: Any) -> tuple[jax.Array, jax.Array]:
        """Return the generator's first state: its units, and no character before."""
        return jnp.zeros(self.hidden), jnp.zeros(_CHARACTERS)

    def _next(self, generator: Any, state: tuple[jax.Array, jax.Array]) -> Discrete:
        """Return the distribution of the next character, a single variable."""
        _, logits = _recurrent(self.hidden, _CHARACTERS)[1](generator, state)
        return Categorical(logits)

    def _advance(self, generator: Any, state: tuple[jax.Array, jax.Array], character: jax.Array):
        units, _ = _recurrent(self.hidden, _CHARACTERS)[1](generator, state)
        return units, character

    def whole(self, generator: Any) -> Autoregressive:
        """Return the distribution of whole strings, `[length, 6]`."""
        return Autoregressive(generator, self._start, self._next, self._advance, self.length)

    @property
    def num_classes(self) -> int:
        """The number of characters of the alphabet."""
        return _CHARACTERS

    def sequences(self, params: Params, batch: Any) -> Autoregressive:
        """Return the distribution of whole strings."""
        return self.whole(params["generator"])

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the distribution of the first character."""
        generator = params["generator"]
        return self._next(generator, self._start(generator))

    def _read(self, discriminator: Any, units: jax.Array, character: jax.Array) -> Any:
        """Return the discriminator's units after a character, and its logit."""
        units, logit = _recurrent(self.hidden, 1)[1](discriminator, (units, character))
        return units, logit[0]

    def verdict(self, discriminator: Any, string: jax.Array) -> jax.Array:
        """Return log D - log(1 - D) of a string, hard or relaxed."""

        def step(units, character):
            return self._read(discriminator, units, character)

        return jax.lax.scan(step, jnp.zeros(self.hidden), string)[1][-1]

    def _expected(
        self,
        params: Params,
        estimator: Estimator,
        key: jax.Array,
        cost: Callable[[jax.Array], jax.Array],
    ) -> jax.Array:
        """Return the estimate of the mean cost of the discriminator's logit of a drawn string."""
        generator, discriminator = params["generator"], params["discriminator"]
        if not self.is_nested(estimator):
            return estimator(
                key,
                self.whole(generator),
                lambda string: cost(self.verdict(discriminator, string)),
            )
        start = self._start(generator), jnp.zeros(self.hidden)

        def advance(state, character, is_last):
            writing, reading = state
            reading, logit = self._read(discriminator, reading, character)
            writing = self._advance(generator, writing, character)
            return (writing, reading), jnp.where(is_last, cost(logit), 0.0)

        is_last = jnp.arange(self.length) == self.length - 1
        return sequence(
            estimator,
            key,
            start,
            lambda state, _: self._next(generator, state[0]),
            advance,
            inputs=is_last,
        )

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the generator's loss; `key` is consumed."""
        if self.goal == "likelihood":
            return self._negative_log_likelihood(params["generator"], batch)
        return self.mean(
            lambda key: self._expected(params, estimator, key, lambda logit: -logit), key
        )

    def discrimination(
        self, params: Params, estimator: Estimator, key: jax.Array, batch: Any
    ) -> jax.Array:
        """Return the discriminator's cross-entropy, on the strings that the estimator draws."""
        real = jax.vmap(functools.partial(self.verdict, params["discriminator"]))(batch)
        params = params | {"generator": jax.lax.stop_gradient(params["generator"])}
        drawn = self.mean(lambda key: self._expected(params, estimator, key, jax.nn.softplus), key)
        return jax.nn.softplus(-real).mean() + drawn

    def _negative_log_likelihood(self, generator: Any, strings: jax.Array) -> jax.Array:
        return -jax.vmap(self.whole(generator).log_prob)(strings).mean()

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return how near the generator's hard strings are to the grammar's law.

        `mass` on the sentences, `total_variation` and `divergence` of the two laws, and
        `length_distance` are exact; `legal_pairs` and `entropy` are those of 1,024 strings.
        """
        whole, law = self.whole(params["generator"]), jnp.asarray(grammar.law(self.length))
        sentences = grammar.sentences(self.length)
        legal = jax.nn.one_hot(grammar.encoded(sentences), _CHARACTERS)
        logs = jax.vmap(whole.log_prob)(legal)
        chances = jnp.exp(logs)
        mass = chances.sum()
        counts = np.array([len(one.rstrip()) // 2 for one in sentences])
        by_length = jax.ops.segment_sum(chances - law, counts, counts.max() + 1)
        drawn = jax.vmap(whole.sample)(jax.random.split(key, _SAMPLES))
        return {
            "mass": mass,
            "total_variation": (jnp.abs(chances - law).sum() + 1 - mass) / 2,
            "divergence": jnp.sum(law * (jnp.log(law) - logs)),
            "length_distance": (jnp.abs(by_length).sum() + 1 - mass) / 2,
            "legal_pairs": self._legal(drawn).mean(),
            "entropy": -jax.vmap(whole.log_prob)(drawn).mean(),
        }

    def _legal(self, strings: jax.Array) -> jax.Array:
        """Return whether each character of strings may follow the one before, `[N, length]`."""
        allowed = jnp.asarray(grammar.legal_pairs())
        classes = strings.argmax(-1)
        before = jnp.pad(classes[:, :-1], ((0, 0), (1, 0)), constant_values=_CHARACTERS)
        return allowed[before, classes]

    def strings(self, params: Params, key: jax.Array, count: int) -> jax.Array:
        """Return hard strings that the generator draws, as classes `[count, length]`."""
        whole = self.whole(params["generator"])
        return jax.vmap(whole.sample)(jax.random.split(key, count)).argmax(-1)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        for name, least in (("length", 1), ("hidden", 1), ("batch_size", 1), ("pretraining", 0)):
            check_count(f"SequenceGAN {name}", getattr(self, name), least)
        if self.length > _LONGEST:
            raise ValueError(
                f"SequenceGAN length must be at most {_LONGEST}, not {self.length}: "
                "the scores visit every sentence"
            )
        check_choice("SequenceGAN goal", self.goal, get_args(Goal))
        check_not_negative("SequenceGAN noise", self.noise)
        if self.noise != 0:
            check_positive("SequenceGAN noise", self.noise)
