"""What is computed for each figure of `estimax figure`; `analysis.figures` draws it."""

from collections.abc import Callable

from estimators.core.identity import nearest
from experiments.errors import UsageError
from experiments.figures import densities, evaluations, relaxed_samples, simplex, traces
from experiments.figures.study import BUDGETS as BUDGETS
from experiments.figures.study import Study as Study

FIGURES: dict[str, Callable[[str], Study]] = {
    "relaxed-samples": relaxed_samples.study,
    "densities": densities.study,
    "variance-by-evaluations": evaluations.study,
    "gumbel-rao-simplex": simplex.study,
    "gradient-traces": traces.study,
}
"""What makes each figure's study at a budget, by the figure's name."""


def build(name: str, budget: str = "laptop") -> Study:
    """Return the study of a figure.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in FIGURES:
        known = ", ".join(FIGURES)
        raise UsageError(f"figure {name!r} is none of {known}{nearest(name, list(FIGURES))}")
    return FIGURES[name](budget)
