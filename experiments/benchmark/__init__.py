"""Time per gradient and training steps per second, compared with the same work in PyTorch."""

from collections.abc import Callable, Collection, Sequence
from typing import Any


def run(
    estimators: Sequence[Any] | None = None,
    *,
    named: Collection[str] | None = None,
    quick: bool = False,
    report: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Time estimators on this machine; see `experiments.benchmark.suite.run` for the result.

    Args:
        estimators: the estimators; by default those with a counterpart in PyTorch, and all for the
            measurement of costs.
        named: the names of those that must fit the problems (default: all of them).
        quick: whether to draw only a few samples, as a smoke test.
        report: called with progress messages.

    Raises:
        UsageError: for an estimator that does not fit the problems.
    """
    # Imported late: PyTorch's process imports this file too, and must not load JAX.
    from experiments.benchmark import suite

    return suite.run(estimators, named, quick, report)
