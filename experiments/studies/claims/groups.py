"""Claims about baselines of groups, the mean and the deviation, exact over all groups."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Baseline, GroupMean, LeaveOneOut
from experiments.statistics import Estimate
from experiments.studies.claims.claim import Claim, ClaimStudy, Region, above, below, between
from experiments.studies.claims.outcomes import apart, number

_ARMS = np.array([0.1, -0.5, 0.9, 0.3])
_REWARDS = np.array([1.0, 0.2, -0.7, 0.0])
_EXACT = below(1e-4, effect=1e-4)


class _Group:
    """All groups of n samples of one class, with probabilities, values and gradients.

    Attributes:
        chances: the probability of each group, `[G]`.
        truth: the true gradient in the logits, `[K]`.
    """

    def __init__(self, count: int, logits: np.ndarray, values: np.ndarray):
        """Enumerate groups.

        Args:
            count: n.
            logits: of the classes, `[K]`.
            values: f of each class, `[K]`.
        """
        probs = np.exp(logits) / np.exp(logits).sum()
        classes = np.array(list(itertools.product(range(len(values)), repeat=count)))
        self._values = values[classes]
        self._scores = np.eye(len(values))[classes] - probs
        self.chances = probs[classes].prod(-1)
        self.truth = probs * (values - probs @ values)

    def gradients(self, baseline: Baseline, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
        """Return the gradient of each group, `[G, K]`, where f is scaled and shifted."""
        nothing = jnp.zeros(0, jnp.float32)
        signal = jax.jit(jax.vmap(lambda values: baseline.signal(values, nothing)))
        signals = signal(jnp.asarray(scale * self._values + shift, jnp.float32))
        return (
            np.einsum("gn,gnk->gk", np.asarray(signals, np.float64), self._scores)
            / (signals.shape[1])
        )

    def mean(self, baseline: Baseline) -> np.ndarray:
        """Return the mean gradient."""
        return self.chances @ self.gradients(baseline)

    def length(self, baseline: Baseline) -> float:
        """Return the length of the mean along the truth, relative to it: 1 if unbiased."""
        return float(self.mean(baseline) @ self.truth / (self.truth @ self.truth))

    def bias(self, baseline: Baseline) -> float:
        """Return the norm of the bias, relative to that of the truth."""
        return float(np.linalg.norm(self.mean(baseline) - self.truth) / np.linalg.norm(self.truth))

    def angle(self, baseline: Baseline) -> float:
        """Return 1 less the cosine between mean and truth."""
        return _turned(self.mean(baseline), self.truth)

    def variance(self, baseline: Baseline) -> float:
        """Return the trace of the covariance."""
        apart = self.gradients(baseline) - self.mean(baseline)
        return float(self.chances @ (apart**2).sum(-1))


def _turned(mean: np.ndarray, truth: np.ndarray) -> float:
    return float(1 - mean @ truth / np.linalg.norm(mean) / np.linalg.norm(truth))


@functools.cache
def _bandit(count: int) -> _Group:
    return _Group(count, _ARMS, -_REWARDS)


@functools.cache
def _binary(count: int, chance: float) -> _Group:
    """Return groups of a success, of a given probability, or a failure."""
    return _Group(count, np.array([0.0, np.log(chance / (1 - chance))]), np.array([0.0, 1.0]))


@functools.cache
def _winners() -> _Group:
    """Return groups of four on the bandit, with a reward of one for two of its arms."""
    return _Group(4, _ARMS, np.array([-1.0, 0.0, 0.0, -1.0]))


def _normalised(count: int) -> GroupMean:
    return GroupMean(count, normalise=True, epsilon=1e-9)


def _factor(count: int, chance: float) -> Estimate:
    """Return the factor on the gradient of binary rewards, with the population's deviation."""
    length = _binary(count, chance).length(_normalised(count))
    return number(length * np.sqrt(count / (count - 1)))


def _contexts(baseline: GroupMean) -> Estimate:
    """Return the angle of the mean over two contexts, of success probabilities 0.5 and 0.9."""
    groups = [_binary(baseline.num_samples, chance) for chance in (0.5, 0.9)]
    mean = np.array([group.mean(baseline)[1] for group in groups])
    return number(_turned(mean, np.array([group.truth[1] for group in groups])))


def _of_factor(count: int, chance: float, factor: float, region: Region) -> Claim:
    return Claim(
        f"Dividing by the deviation of a group of {count} scales the gradient of a binary reward "
        f"of probability {chance:g} by {factor:.3f}",
        "derived",
        f"factor less {factor:.3f}, {count} samples, probability {chance:g}",
        lambda _: number(_factor(count, chance).value - factor),
        region,
    )


def _without_reward() -> Estimate:
    """Return the mass of groups of four whose gradient is not zero although all are equal."""
    group = _binary(4, 0.9)
    flat = ~np.abs(group.gradients(_normalised(4))).max(-1).astype(bool)
    return number(float(group.chances @ flat) - 0.9**4 - 0.1**4)


_SHAO, _LIU = "Shao et al. 2024", "Liu et al. 2025 (Dr. GRPO)"
_FACTORS = ((4, 0.1, 1.690), (4, 0.5, 1.616), (8, 0.1, 2.328), (8, 0.5, 1.856))

STUDIES = (
    ClaimStudy(
        "group-mean",
        "groups of 4 and 8 on a bandit of four arms, all 256 and 65,536 groups",
        lambda scale: None,
        (
            *(
                Claim(
                    f"The mean of a group of {count} as baseline multiplies the gradient by "
                    f"{count - 1}/{count}",
                    f"{_LIU}; derived",
                    f"relative bias of {count}/{count - 1} times the gradient",
                    lambda _, count=count: apart(
                        _bandit(count).mean(GroupMean(count)) * count / (count - 1),
                        _bandit(count).truth,
                    ),
                    _EXACT,
                )
                for count in (4, 8)
            ),
            Claim(
                "The mean of a group is leave-one-out times 3/4, group by group",
                "Kool et al. 2019; derived",
                "largest difference from 3/4 of leave-one-out",
                lambda _: apart(
                    _bandit(4).gradients(GroupMean(4)),
                    0.75 * _bandit(4).gradients(LeaveOneOut(4)),
                ),
                _EXACT,
            ),
            *(
                Claim(
                    f"Leave-one-out of {count} samples is unbiased",
                    "Kool et al. 2019",
                    f"relative bias of leave-one-out of {count}",
                    lambda _, count=count: number(_bandit(count).bias(LeaveOneOut(count))),
                    _EXACT,
                )
                for count in (4, 8)
            ),
            Claim(
                "Dividing by the deviation turns the mean gradient if rewards have more than two "
                "values",
                "derived",
                "1 less the cosine, groups of 4, four arms",
                lambda _: number(_bandit(4).angle(_normalised(4))),
                above(1e-4, effect=1e-4),
            ),
            Claim(
                "Larger groups do not take this angle away",
                "derived",
                "1 less the cosine, groups of 8, four arms",
                lambda _: number(_bandit(8).angle(_normalised(8))),
                above(1e-5, effect=1e-5),
            ),
            Claim(
                "Scaling and shifting all rewards does not change a normalised group",
                f"{_SHAO}, equation of advantages",
                "largest change, rewards times 3 less 2",
                lambda _: apart(
                    _bandit(4).gradients(_normalised(4), 3.0, -2.0),
                    _bandit(4).gradients(_normalised(4)),
                ),
                _EXACT,
            ),
        ),
    ),
    ClaimStudy(
        "group-deviation",
        "groups of a binary reward, in one context and in two, all groups",
        lambda scale: None,
        (
            Claim(
                "Of a binary reward in one context, a normalised group keeps the direction",
                "derived",
                "1 less the cosine, groups of 4, one context",
                lambda _: number(_winners().angle(_normalised(4))),
                below(1e-6, effect=1e-6),
            ),
            Claim(
                "Over two contexts a normalised group does not keep the direction",
                f"{_LIU}",
                "1 less the cosine, groups of 8, two contexts",
                lambda _: _contexts(_normalised(8)),
                above(1e-4, effect=1e-4),
            ),
            Claim(
                "Over two contexts the mean of a group keeps the direction",
                f"{_LIU}",
                "1 less the cosine, groups of 8, two contexts, no deviation",
                lambda _: _contexts(GroupMean(8)),
                below(1e-6, effect=1e-6),
            ),
            *(_of_factor(*one, region=between(-0.001, 0.001)) for one in _FACTORS),
            Claim(
                "A normalised group of two binary rewards is unbiased with the population's "
                "deviation",
                "derived",
                "factor less 1, 2 samples",
                lambda _: number(_factor(2, 0.3).value - 1),
                between(-1e-4, 1e-4),
            ),
            Claim(
                "Groups whose rewards are all equal have gradient zero, and no others",
                "derived",
                "mass of groups of gradient zero, less that of equal rewards",
                lambda _: _without_reward(),
                between(-1e-6, 1e-6),
            ),
        ),
    ),
)
