"""A world model: a recurrent network with categorical states that explains frames of an episode."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from estimators import Autoregressive, Categorical, Discrete, Distribution, Estimator, sequence
from estimators.checks import check_count
from experiments.problems.environments import ENVIRONMENTS
from experiments.problems.networks import feed_forward
from experiments.problems.problem import Params
from experiments.problems.sequential import SequentialProblem

_FRAME = 2  # position of the cart, angle of the pole
_UNIT = 0.1  # metres and radians
_NOISE = 0.25  # standard deviation of a frame about the decoder's, in these units
_HELD = 3  # steps of the environment that a push is held, 0.06 s
_EPISODES = 256  # of the scores


class Episode(NamedTuple):
    """What is seen of an episode.

    Attributes:
        frames: `[steps, 2]`, position and angle in units of 0.1.
        pushes: `[steps, 1]`, the push after each frame, -1 or 1.
    """

    frames: jax.Array
    pushes: jax.Array


class _Belief(NamedTuple):
    """The state of the model before a frame: its units, and the logits of its guess."""

    units: jax.Array
    prior: jax.Array


@functools.cache
def _recurrent(inputs: int, hidden: int, outputs: int) -> tuple[Callable, Callable]:
    from experiments.problems.flax_networks import Recurrent, pure

    return pure(functools.partial(Recurrent, inputs, hidden, outputs))


@dataclasses.dataclass(frozen=True)
class WorldModel(SequentialProblem):
    r"""A small recurrent state-space model of cart-pole under random pushes.

    Of each frame $x_t$, position and angle but no velocity, the model draws a state $z_t$ of M
    variables with K classes, as in DreamerV2 and V3 (Hafner et al. 2021, arXiv:2010.02193; 2023,
    arXiv:2301.04104), and with the push $a_t$ that follows

    $$h_{t+1} = \mathrm{GRU}(h_t, z_t, a_t), \quad z_t \sim q(z \mid h_t, x_t), \quad
    \hat x_t = D(h_t, z_t).$$

    The loss is the negative evidence lower bound of an episode,

    $$E \sum_t \frac{|x_t - \hat x_t|^2}{2 \sigma^2} + \mathrm{KL}(q(z \mid h_t, x_t) \,\|\,
    p(z \mid h_t)),$$

    up to a constant. The papers' weights of the divergence's two sides, free nats and mixture with
    a uniform law are left out, so that there is one objective. A push is held for 0.06 s; an
    episode that has ended stands still.

    Estimators with one evaluation of f are nested, a call for each frame (`sequence`); others draw
    all states of an episode (`Autoregressive`).

    Args:
        steps: frames of an episode: 3 have 4,096 sequences of states, which are enumerated.
        variables: M.
        classes: K.
        hidden: units of the recurrent network and of the hidden layers.
        batch_size: episodes of a minibatch, simulated anew.
    """

    group = "posterior"
    trainable = True
    default_samples = 256

    steps: int = 3
    variables: int = 2
    classes: int = 4
    hidden: int = 16
    batch_size: int = 4

    whose = "frame"

    @property
    def objective(self) -> str:
        """The bound."""
        return "negative evidence lower bound of an episode"

    @property
    def about_data(self) -> str:
        """The environment."""
        return f"cart-pole under random pushes, {self.steps} frames"

    @property
    def num_classes(self) -> int:
        """K."""
        return self.classes

    @property
    def step_shape(self) -> tuple[int, ...]:
        """The shape of the logits of a state."""
        return self.variables, self.classes

    @property
    def _size(self) -> int:
        return self.variables * self.classes

    @property
    def _networks(self):
        hidden, size = self.hidden, self._size
        return {
            "recurrent": _recurrent(size + 1, hidden, size),
            "posterior": feed_forward((hidden + _FRAME, hidden, size), "tanh"),
            "decoder": feed_forward((hidden + size, hidden, _FRAME), "tanh"),
        }

    def initial(self, key: jax.Array) -> Params:
        """Return the parameters of the three networks; `key` is consumed."""
        keys = jax.random.split(key, len(self._networks))
        return {
            name: make(key)
            for (name, (make, _)), key in zip(self._networks.items(), keys, strict=True)
        }

    def batch(self, key: jax.Array, data: Any) -> Episode:
        """Return episodes, `[batch_size, ...]`; `key` is consumed."""
        return jax.vmap(self._simulated)(jax.random.split(key, self.batch_size))

    def _simulated(self, key: jax.Array) -> Episode:
        world = ENVIRONMENTS["cart-pole"]
        first, second = jax.random.split(key)
        pushes = jax.random.rademacher(second, (self.steps, 1), jnp.float32)

        def step(state, push):
            action = jnp.concatenate([push < 0, push > 0]).astype(jnp.float32)
            after = state
            for _ in range(_HELD):
                after, _ = world.step(after, action)
            return after, state.place[jnp.array([0, 2])] / _UNIT

        frames = jax.lax.scan(step, world.reset(first), pushes)[1]
        return Episode(frames, pushes)

    def _after(self, params: Params, units: jax.Array, entering: jax.Array) -> _Belief:
        return _Belief(*self._networks["recurrent"][1](params["recurrent"], (units, entering)))

    def start(self, params: Params) -> _Belief:
        """Return the state before the first frame."""
        return self._after(params, jnp.zeros(self.hidden), jnp.zeros(self._size + 1))

    def posterior(self, params: Params, belief: _Belief, frame: jax.Array) -> Categorical:
        """Return the distribution of a frame's state."""
        entering = jnp.concatenate([belief.units, frame])
        logits = self._networks["posterior"][1](params["posterior"], entering)
        return Categorical(logits.reshape(self.step_shape))

    def prior(self, belief: _Belief) -> Categorical:
        """Return the distribution of a state before its frame is seen."""
        return Categorical(belief.prior.reshape(self.step_shape))

    def decode(self, params: Params, belief: _Belief, state: jax.Array) -> jax.Array:
        """Return the mean of a frame of a state, `[2]`."""
        entering = jnp.concatenate([belief.units, state.ravel()])
        return self._networks["decoder"][1](params["decoder"], entering)

    def follow(self, params: Params, belief: _Belief, state: jax.Array, push: jax.Array) -> _Belief:
        """Return the state of the model after a state and a push."""
        return self._after(params, belief.units, jnp.concatenate([state.ravel(), push]))

    def cost(
        self, params: Params, belief: _Belief, state: jax.Array, frame: jax.Array
    ) -> jax.Array:
        """Return the part of a frame in the negative bound, in nats."""
        misfit = jnp.sum((frame - self.decode(params, belief, state)) ** 2) / (2 * _NOISE**2)
        return misfit + self.posterior(params, belief, frame).kl(self.prior(belief))

    def episode(self, params: Params, seen: Episode) -> Autoregressive:
        """Return the distribution of all states of an episode, `[steps, M, K]`."""

        def conditional(parameters: Any, state: Any) -> Discrete:
            belief, place = state
            frame = parameters["seen"].frames[place]
            return self.posterior(parameters["networks"], belief, frame)

        def advance(parameters: Any, state: Any, one: jax.Array) -> Any:
            belief, place = state
            push = parameters["seen"].pushes[place]
            return self.follow(parameters["networks"], belief, one, push), place + 1

        return Autoregressive(
            {"networks": params, "seen": seen},
            lambda parameters: (self.start(parameters["networks"]), jnp.int32(0)),
            conditional,
            advance,
            self.steps,
        )

    def sequences(self, params: Params, batch: Any) -> Autoregressive:
        """Return the distribution of the states of the first episode."""
        return self.episode(params, jax.tree.map(lambda leaf: leaf[0], batch))

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the distribution of the first frame's state."""
        return self.posterior(params, self.start(params), batch.frames[0, 0])

    def f(self, params: Params, states: jax.Array, seen: Episode) -> jax.Array:
        """Return the cost of an episode with all its states, `[steps, M, K]`."""

        def step(belief: _Belief, x: tuple[jax.Array, Episode]) -> tuple[_Belief, jax.Array]:
            state, (frame, push) = x
            cost = self.cost(params, belief, state, frame)
            return self.follow(params, belief, state, push), cost

        return jax.lax.scan(step, self.start(params), (states, seen))[1].sum()

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean over the episodes, each with its own noise; `key` is consumed."""

        def advance(belief: _Belief, state: jax.Array, x: Episode) -> tuple[_Belief, jax.Array]:
            cost = self.cost(params, belief, state, x.frames)
            return self.follow(params, belief, state, x.pushes), cost

        def one(key: jax.Array, seen: Episode) -> jax.Array:
            if self.is_nested(estimator):
                return sequence(
                    estimator,
                    key,
                    self.start(params),
                    lambda belief, x: self.posterior(params, belief, x.frames),
                    advance,
                    inputs=seen,
                )

            whole = self.episode(params, seen)
            return estimator(key, whole, lambda states: self.f(params, states, seen))

        return self.mean(one, key, batch)

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return scores of hard states on 256 episodes of their own.

        `episode_bound` is that of the loss, and `imagined_error` the squared error of a frame of
        the later half, which the model does not see: its states are drawn from the prior.
        """
        seen_frames = (self.steps + 1) // 2

        def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
            first, second = jax.random.split(key)
            episode = self._simulated(first)

            def step(belief, x, imagines):
                key, frame, push, place = x
                seen = self.posterior(params, belief, frame)
                guess = self.prior(belief)
                law = seen
                if imagines:
                    is_seen = place < seen_frames
                    law = Categorical(jnp.where(is_seen, seen.logits, guess.logits))
                state = law.sample(key)
                cost = self.cost(params, belief, state, frame)
                error = jnp.sum((frame - self.decode(params, belief, state)) ** 2)
                counted = error * (place >= seen_frames) if imagines else cost
                return self.follow(params, belief, state, push), counted

            inputs = (
                jax.random.split(second, self.steps),
                *episode,
                jnp.arange(self.steps),
            )
            start = self.start(params)
            bound, error = (
                jax.lax.scan(functools.partial(step, imagines=imagines), start, inputs)[1].sum()
                for imagines in (False, True)
            )
            return bound, error / (self.steps - seen_frames)

        bounds, errors = jax.vmap(one)(jax.random.split(key, _EPISODES))
        return {"episode_bound": bounds.mean(), "imagined_error": errors.mean()}

    def check(self) -> None:
        """Raise if a setting is out of range."""
        for name, least in (
            ("steps", 2),
            ("variables", 1),
            ("classes", 2),
            ("hidden", 1),
            ("batch_size", 1),
        ):
            check_count(f"WorldModel {name}", getattr(self, name), least)
