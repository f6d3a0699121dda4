"""A policy of reinforcement learning: what its actions earn in an environment."""

import dataclasses
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from estimators import Autoregressive, Categorical, Discrete, Distribution, Estimator, sequence
from estimators.checks import (
    check_at_most,
    check_between,
    check_choice,
    check_count,
    check_positive,
)
from experiments.problems.environments import ENVIRONMENTS, Environment, State
from experiments.problems.networks import feed_forward
from experiments.problems.problem import Params
from experiments.problems.sequential import SequentialProblem

Task = Literal["tokens", "cart-pole"]

_EPISODES = 100  # of a score, as many as the returns that decide when cart-pole is solved


@dataclasses.dataclass(frozen=True)
class Policy(SequentialProblem):
    r"""A network that chooses actions, $-E \sum_t \gamma^t (r_t + \alpha H_t)$.

    The environment is a black box: it is never differentiated, so that estimators need no
    derivative of f. Those with one evaluation of f are nested, a call for each action (`sequence`),
    and credit it with the rewards after it; they know the state as the context of f, which is what
    a value function, `ScoreFunction[NVIL[network=MLP[10,context=5]]]`, and
    `RELAX[MLP[10,context=5]]` take: 5 numbers for cart-pole, 8 for the tokens. Others draw whole
    episodes from one start (`Autoregressive`): leave-one-out and group means.

    $\gamma^t$ stays in the gradient of step t, where much code drops it; $H_t$ is the entropy of
    the policy, whose weight is $\alpha$.

    Args:
        task: "tokens", with 81 sequences, which are enumerated, or "cart-pole", as in Grathwohl et
            al. 2018.
        hidden: units of the two hidden layers.
        discount: $\gamma$, in (0, 1].
        entropy: $\alpha$.
        batch_size: episodes of an update, from starts of their own.
    """

    group = "policy"

    task: Task = "tokens"
    hidden: int = 10
    discount: float = 0.99
    entropy: float = 0.01
    batch_size: int = 1

    whose = "action"

    @property
    def num_classes(self) -> int:
        """The number of actions."""
        return self.environment.actions

    @property
    def environment(self) -> Environment:
        """The environment of the task."""
        return ENVIRONMENTS[self.task]

    @property
    def objective(self) -> str:
        """The weights of time and entropy."""
        return f"discount {self.discount:g}, entropy {self.entropy:g}"

    @property
    def _network(self):
        world = self.environment
        return feed_forward((world.size, self.hidden, self.hidden, world.actions), "relu")

    def initial(self, key: jax.Array) -> Params:
        """Return the network's parameters; `key` is consumed."""
        return {"policy": self._network[0](key)}

    def batch(self, key: jax.Array, data: Any) -> State:
        """Return the starts of the episodes; `key` is consumed."""
        return jax.vmap(self.environment.reset)(jax.random.split(key, self.batch_size))

    def choice(self, policy: Any, state: State) -> Discrete:
        """Return the distribution of an action; that of an ended episode is uniform and fixed."""
        logits = self._network[1](policy, self.environment.observe(state))
        return Categorical(jnp.where(state.alive > 0, logits, 0.0))

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return the distribution of the first action of the first episode."""
        return self.choice(params["policy"], jax.tree.map(lambda leaf: leaf[0], batch))

    def episodes(self, params: Params, start: State) -> Autoregressive:
        """Return the distribution of the actions of whole episodes from a start, `[steps, K]`."""

        def advance(parameters: Any, state: State, action: jax.Array) -> State:
            return self._stepped(parameters["policy"], state, action)[0]

        return Autoregressive(
            {"policy": params["policy"], "start": jax.lax.stop_gradient(start)},
            lambda parameters: jax.lax.stop_gradient(parameters["start"]),
            lambda parameters, state: self.choice(parameters["policy"], state),
            advance,
            self.environment.length,
        )

    def _stepped(
        self, policy: Any, state: State, action: jax.Array
    ) -> tuple[State, jax.Array, jax.Array]:
        """Return the next state, the reward, and the cost of a step."""
        world = self.environment
        after, reward = jax.lax.stop_gradient(world.step(state, action))
        bonus = self.entropy * state.alive * self.choice(policy, state).entropy()
        return after, reward, -(self.discount**state.step) * (reward + bonus)

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean cost of episodes, each with its own noise; `key` is consumed."""
        policy, world = params["policy"], self.environment

        def advance(state: State, action: jax.Array, _: Any) -> tuple[State, jax.Array]:
            after, _, cost = self._stepped(policy, state, action)
            return after, cost

        def context(state: State, _: Any) -> jax.Array:
            weight = self.discount**state.step * state.alive
            return jnp.append(world.observe(state), weight)

        def episode(key: jax.Array, start: State) -> jax.Array:
            if self.is_nested(estimator):
                return sequence(
                    estimator,
                    key,
                    start,
                    lambda state, _: self.choice(policy, state),
                    advance,
                    length=world.length,
                    context=context,
                )

            def f(actions: jax.Array) -> jax.Array:
                _, costs = jax.lax.scan(lambda s, a: advance(s, a, None), start, actions)
                return costs.sum()

            return estimator(key, self.episodes(params, start), f)

        return self.mean(episode, key, batch)

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return `episode_return`, the mean sum of rewards of 100 episodes, not discounted."""

        def episode(key: jax.Array) -> jax.Array:
            first, second = jax.random.split(key)
            start = self.environment.reset(first)

            def step(state: State, key: jax.Array) -> tuple[State, jax.Array]:
                action = self.choice(params["policy"], state).sample(key)
                after, reward, _ = self._stepped(params["policy"], state, action)
                return after, reward

            keys = jax.random.split(second, self.environment.length)
            return jax.lax.scan(step, start, keys)[1].sum()

        returns = jax.vmap(episode)(jax.random.split(key, _EPISODES))
        return {"episode_return": returns.mean()}

    def sequences(self, params: Params, batch: Any) -> Autoregressive:
        """Return the distribution of the actions of the first episode."""
        return self.episodes(params, jax.tree.map(lambda leaf: leaf[0], batch))

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit: derivatives of f, or the number of evaluations."""
        if estimator.differentiates or estimator.relaxes or estimator.continuous_passes:
            return "needs the derivative of f, and an environment is a black box"
        return super().refusal(estimator, distribution)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        check_choice("Policy task", self.task, get_args(Task))
        check_count("Policy hidden", self.hidden, 1)
        check_count("Policy batch_size", self.batch_size, 1)
        check_positive("Policy discount", self.discount)
        check_at_most("Policy discount", self.discount, 1)
        check_between("Policy entropy", self.entropy, 0, float("inf"))
