"""Alternating rounds of work, and their summary."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import jax

Task = TypeVar("Task")
Found = TypeVar("Found")

Summary = dict[str, float]
"""`median`, `min` and `max` over rounds, and how many `rounds` there were."""


def in_turn(
    tasks: Mapping[Task, Callable[[jax.Array], Found]],
    num_rounds: int,
    about: str,
    report: Callable[[str], None],
) -> dict[Task, list[Found]]:
    """Run tasks in turn, so that a slow phase of the machine affects all of them.

    Args:
        tasks: each receives the round's key, which is the same for all.
        num_rounds: rounds of every task.
        about: description of the work, for messages.
        report: called with progress messages.
    """
    found: dict[Task, list[Found]] = {task: [] for task in tasks}
    for number in range(num_rounds):
        report(f"timing {about}, round {number + 1} of {num_rounds}")
        for task, one_round in tasks.items():
            found[task].append(one_round(jax.random.key(number)))
    return found


def summarise(rounds: Sequence[float]) -> Summary:
    """Return the median, minimum and maximum of a quantity over rounds."""
    return {
        "median": statistics.median(rounds),
        "min": min(rounds),
        "max": max(rounds),
        "rounds": len(rounds),
    }


def ratios(ours: Sequence[float], theirs: Sequence[float], more_is_better: bool) -> list[float]:
    """Return the speed of ours over theirs, round by round.

    The two sides of a round run one after another, so other load slows both.
    """
    pairs = zip(ours, theirs, strict=True)
    return [one / other if more_is_better else other / one for one, other in pairs]
