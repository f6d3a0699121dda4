"""Claims about sequences, strings and episodes: by enumeration, and about groups of episodes."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from estimators import (
    MLP,
    NVIL,
    RELAX,
    Autoregressive,
    Estimator,
    LeaveOneOut,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    pytree,
    sequence,
)
from experiments.problems import Policy, SequenceGAN, WorldModel
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Scale, above, below
from experiments.studies.claims.measurements import Measurements
from experiments.studies.claims.outcomes import Function, Moments, number, with_sample


@pytree
class _GivenSequence(Autoregressive):
    given: jax.Array | None = None

    def sample(self, key: jax.Array) -> jax.Array:
        del key
        assert self.given is not None
        return self.given


class _Sequences:
    """Gradients in the parameters of a sequence, at each of its values.

    The cost comes at the end: f of the whole sequence.
    """

    def __init__(self, whole: Autoregressive, f: Function):
        self._whole, self._f = whole, f
        self._flat, self._unravel = ravel_pytree(whole.parameters)
        self._found: dict[tuple[str, bool], Moments] = {}

    def __call__(self, estimator: Estimator, *, nested: bool = True) -> Moments:
        """Return the gradients of an estimator, a call for each step or one for all."""
        name = str(estimator), nested
        if name not in self._found:
            self._found[name] = self._moments(self._nested if nested else self._at_once, estimator)
        return self._found[name]

    def _moments(self, loss, estimator: Estimator) -> Moments:
        states = self._whole.states()

        def chances(flat: jax.Array) -> jax.Array:
            whole = dataclasses.replace(self._whole, parameters=self._unravel(flat))
            return jnp.exp(jax.vmap(whole.log_prob)(states))

        def truth(flat: jax.Array) -> jax.Array:
            return chances(flat) @ jax.vmap(self._f)(states)

        each = jax.vmap(jax.grad(functools.partial(loss, estimator)), (None, 0))
        return Moments(
            jax.jit(chances)(self._flat),
            jax.jit(each)(self._flat, states),
            jax.jit(jax.grad(truth))(self._flat),
        )

    def _at_once(self, estimator: Estimator, flat: jax.Array, sample: jax.Array) -> jax.Array:
        w = self._whole
        parts = w.start, w.conditional, w.advance, w.length
        whole = _GivenSequence(self._unravel(flat), *parts, given=sample)
        return estimator(jax.random.key(0), whole, self._f)

    def _nested(self, estimator: Estimator, flat: jax.Array, sample: jax.Array) -> jax.Array:
        whole, parameters = self._whole, self._unravel(flat)

        def conditional(state: Any, x: Any) -> Any:
            return with_sample(whole.conditional(parameters, state[0]), x[0])

        def advance(state: Any, one: jax.Array, x: Any) -> tuple[Any, jax.Array]:
            inner, steps = state
            steps = jnp.concatenate([steps[1:], one[None]])
            return (whole.advance(parameters, inner, one), steps), jnp.where(
                x[1], self._f(steps), 0.0
            )

        is_last = jnp.arange(whole.length) == whole.length - 1
        start = whole.start(parameters), jnp.zeros(whole.event_shape)
        inputs = sample, is_last
        return sequence(estimator, jax.random.key(0), start, conditional, advance, inputs=inputs)

    def split(self) -> Estimate:
        """Return how far the score function's nested gradients are from those of one call."""
        found = [self(ScoreFunction(), nested=nested).gradients for nested in (True, False)]
        return number(np.abs(found[0] - found[1]).max() / np.abs(found[1]).max())


def _strings(scale: Scale) -> _Sequences:
    del scale
    problem = SequenceGAN(3, hidden=8)
    # Networks that say something.
    params = jax.tree.map(lambda leaf: 2 * leaf, jax.jit(problem.initial)(jax.random.key(0)))
    return _Sequences(
        problem.whole(params["generator"]),
        lambda string: -problem.verdict(params["discriminator"], string),
    )


def _episodes(scale: Scale) -> _Sequences:
    del scale
    problem = Policy()
    params = jax.jit(problem.initial)(jax.random.key(0))
    start = jax.tree.map(lambda leaf: leaf[0], problem.batch(jax.random.key(1), None))
    world = problem.environment

    def f(actions: jax.Array) -> jax.Array:
        return -jax.lax.scan(world.step, start, actions)[1].sum()

    return _Sequences(problem.episodes(params, start), f)


def _frames(scale: Scale) -> _Sequences:
    del scale
    problem = WorldModel(steps=2, hidden=8, batch_size=1)
    params = jax.tree.map(lambda leaf: 2 * leaf, jax.jit(problem.initial)(jax.random.key(0)))
    seen = jax.tree.map(lambda leaf: leaf[0], problem.batch(jax.random.key(1), None))
    return _Sequences(problem.episode(params, seen), lambda states: problem.f(params, states, seen))


class _Baselines(Measurements):
    """Gradients of a policy whose reward is rare, with its entropy left out."""

    def __init__(self, scale: Scale):
        super().__init__(scale, Policy(entropy=0.0), 1 << 14)

    def value(self) -> Estimate:
        """Return the log variance ratio of a value network over no baseline."""
        return self.ratio(ScoreFunction(NVIL(network=MLP(10, context=8))), ScoreFunction())

    def control(self) -> Estimate:
        """Return the log variance ratio of RELAX over no baseline."""
        return self.ratio(RELAX(MLP(10, context=8)), ScoreFunction())

    def group(self) -> Estimate:
        """Return the log of the variance of four episodes with leave-one-out, over four without."""
        found = self.ratio(ScoreFunction(LeaveOneOut(4)), ScoreFunction())
        by = {end: getattr(found, end) + float(np.log(4)) for end in ("value", "low", "high")}
        return dataclasses.replace(found, **by)


_EXACT = below(1e-4, effect=1e-4)


def _unbiased(step: str) -> Claim:
    return Claim(
        f"Called for each {step}, the score function is unbiased",
        "derived",
        f"relative bias of the score function, a call for each {step}",
        lambda at: number(at(ScoreFunction()).bias),
        _EXACT,
    )


def _split(what: str, step: str, whole: str) -> Claim:
    return Claim(
        f"As the {what} comes at the end, that is the gradient of one call for the {whole}",
        "derived",
        f"largest relative difference, a call for each {step} and one for all",
        _Sequences.split,
        _EXACT,
    )


def _straight_through(claim: str, of: str) -> tuple[Claim, ...]:
    """Return claims about straight-through: its bias, as `claim` says, ReinMax's, its variance."""

    def ratio_of_biases(at: _Sequences) -> Estimate:
        return number(np.log(at(ReinMax()).bias / at(StraightThrough()).bias))

    def ratio_of_variances(at: _Sequences) -> Estimate:
        return number(np.log(at(StraightThrough()).variance / at(ScoreFunction()).variance))

    return (
        Claim(
            claim,
            "derived",
            f"relative bias of straight-through, {of}",
            lambda at: number(at(StraightThrough()).bias),
            above(0.1, effect=0.1),
        ),
        Claim(
            f"ReinMax has less bias on {of} than straight-through",
            "Liu et al. 2023, section 4",
            f"log ratio of biases on {of}, ReinMax over straight-through",
            ratio_of_biases,
            below(0.0, effect=0.1),
        ),
        Claim(
            f"Straight-through has less variance on {of} than the score function",
            "Jang et al. 2017",
            f"log variance ratio on {of}, straight-through over the score function",
            ratio_of_variances,
            below(0.0, effect=0.5),
        ),
    )


STUDIES = (
    ClaimStudy(
        "strings-of-three",
        "a generator's gradient from a discriminator's logit, all 216 strings of three characters",
        _strings,
        (
            _unbiased("character"),
            _split("cost", "character", "string"),
            *_straight_through(
                "Straight-through characters give the generator a biased gradient", "strings"
            ),
        ),
    ),
    ClaimStudy(
        "token-game",
        "a policy's gradient from a reward at the end, all 81 episodes of four tokens",
        _episodes,
        (_unbiased("action"), _split("reward", "action", "episode")),
    ),
    ClaimStudy(
        "states-of-frames",
        "a world model's gradient by its states alone, all 256 sequences of two frames",
        _frames,
        (
            _unbiased("frame"),
            *_straight_through(
                "Straight-through states, as in Dreamer, give a biased gradient",
                "states of frames",
            ),
        ),
    ),
    ClaimStudy(
        "rare-reward",
        "Policy[entropy=0.0], a reward in 4 % of the episodes, 2^14 gradients",
        _Baselines,
        (
            Claim(
                "A reward rarer than one in four makes leave-one-out of four episodes worse than "
                "no baseline",
                "derived",
                "log variance ratio of four episodes, leave-one-out over no baseline",
                _Baselines.group,
                above(0.0, effect=0.1),
            ),
            Claim(
                "A value network of the state lowers the variance of the score function",
                "Mnih and Gregor 2014, section 2.3",
                "log variance ratio, value network over no baseline",
                _Baselines.value,
                below(0.0, effect=0.02),
            ),
            Claim(
                "So does RELAX with a network of state and relaxed action",
                "Grathwohl et al. 2018, section 4",
                "log variance ratio, RELAX over no baseline",
                _Baselines.control,
                below(0.0, effect=0.02),
            ),
        ),
    ),
)
