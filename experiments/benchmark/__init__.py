"""Time per gradient and training steps per second, beside the same work in PyTorch."""

from collections.abc import Callable, Collection, Sequence
from typing import Any


def run(
    estimators: Sequence[Any] | None = None,
    *,
    named: Collection[str] | None = None,
    quick: bool = False,
    report: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Time estimators on this machine; `experiments.benchmark.suite.run` says what comes back.

    Args:
        estimators: the estimators; by default those that PyTorch has a counterpart of, and every
            one where its cost is measured.
        named: the names of those that must fit the problems (default: all of them).
        quick: whether to draw a few samples only: a smoke test, not a measurement.
        report: is told what is being timed.

    Raises:
        UsageError: for an estimator that does not fit the problems.
    """
    # Imported late: PyTorch's process passes through this file too, and must not load JAX.
    from experiments.benchmark import suite

    return suite.run(estimators, named, quick, report)
