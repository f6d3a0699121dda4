"""Environments of reinforcement learning, as pure functions of state and action."""

import abc
import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp


class State(NamedTuple):
    """State of an episode.

    Attributes:
        place: the state of the environment, `[size]`.
        step: the number of steps so far.
        alive: 1 until the episode ends, then 0.
    """

    place: jax.Array
    step: jax.Array
    alive: jax.Array


@dataclasses.dataclass(frozen=True)
class Environment(abc.ABC):
    """An episode of at most `length` steps, whose actions are one-hot."""

    length: ClassVar[int]
    actions: ClassVar[int]
    size: ClassVar[int]

    @abc.abstractmethod
    def reset(self, key: jax.Array) -> State:
        """Return the first state; `key` is consumed."""

    @abc.abstractmethod
    def observe(self, state: State) -> jax.Array:
        """Return what the policy sees, `[size]`."""

    @abc.abstractmethod
    def step(self, state: State, action: jax.Array) -> tuple[State, jax.Array]:
        """Return the next state and the reward; an episode that has ended gives none."""


class CartPole(Environment):
    r"""A pole on a cart that is pushed left or right (Barto, Sutton and Anderson 1983).

    As in Gym's `CartPole-v0`, with Euler steps of 0.02 s: masses of 1 and 0.1, a pole of half
    length 0.5, pushes of 10, a reward of 1 a step, at most 200 steps, and an end beyond 2.4 or 12
    degrees. The state is position, velocity, angle, angular velocity.
    """

    length = 200
    actions = 2
    size = 4

    def reset(self, key: jax.Array) -> State:
        """Return a state uniform in (-0.05, 0.05)^4; `key` is consumed."""
        place = jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
        return State(place, jnp.float32(0), jnp.float32(1))

    def observe(self, state: State) -> jax.Array:
        """Return the state itself."""
        return state.place

    def step(self, state: State, action: jax.Array) -> tuple[State, jax.Array]:
        """Push left (action 0) or right (action 1)."""
        _, speed, angle, turn = state.place
        mass, pole, half, dt = 1.1, 0.1, 0.5, 0.02
        force = 10 * (action[1] - action[0])
        sin, cos = jnp.sin(angle), jnp.cos(angle)
        push = (force + pole * half * turn**2 * sin) / mass
        turning = (9.8 * sin - cos * push) / (half * (4 / 3 - pole * cos**2 / mass))
        speeding = push - pole * half * turning * cos / mass
        place = state.place + dt * jnp.stack([speed, speeding, turn, turning])
        is_up = (jnp.abs(place[0]) <= 2.4) & (jnp.abs(place[2]) <= 12 * jnp.pi / 180)
        # An ended episode stands still.
        place = jnp.where(state.alive > 0, place, state.place)
        alive = state.alive * is_up.astype(place.dtype)
        return State(place, state.step + 1, alive), state.alive


class Tokens(Environment):
    """Four tokens of three, and a reward of 1 at the end for one of three strings of 81.

    What the policy sees is the token before, and the step. The rewarded strings share their first
    two tokens, so that credit is due early.
    """

    length = 4
    actions = 3
    size = 7
    rewarded: ClassVar[tuple[tuple[int, ...], ...]] = ((0, 2, 1, 1), (0, 2, 0, 2), (0, 2, 2, 0))

    def reset(self, key: jax.Array) -> State:
        """Return the empty string."""
        return State(jnp.zeros((4, 3)), jnp.float32(0), jnp.float32(1))

    def observe(self, state: State) -> jax.Array:
        """Return the last token, one-hot, or zeros, and the step, one-hot."""
        number = state.step.astype(int)
        here = jax.nn.one_hot(number, 4)
        before = jax.nn.one_hot(number - 1, 4) @ state.place
        return jnp.concatenate([before, here])

    def step(self, state: State, action: jax.Array) -> tuple[State, jax.Array]:
        """Append a token; reward the last one."""
        place = state.place + jnp.outer(jax.nn.one_hot(state.step.astype(int), 4), action)
        wanted = jax.nn.one_hot(jnp.array(self.rewarded), 3)
        is_one = (jnp.abs(wanted - place[None]).sum((1, 2)) < 0.5).any()
        step = state.step + 1
        return State(place, step, state.alive), jnp.where(
            step == 4, is_one.astype(place.dtype), 0.0
        )


ENVIRONMENTS: dict[str, Environment] = {"tokens": Tokens(), "cart-pole": CartPole()}
"""The environments, by name."""
