"""Tables of the results of a study, one line per estimator."""

import math
from collections.abc import Iterable

import pandas as pd

from analysis.names import natural, without
from analysis.rows import by_estimator
from analysis.runs import CHOOSING, SCORES, by_line


def comparison_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the estimators of a comparison, sorted by mean squared error.

    Args:
        rows: a tidy result table of one context (`analysis.contexts` splits several).

    Returns:
        One line per estimator that was measured: `estimator`, `method`, `unbiased`, `evaluations`
        (of f per gradient), `samples`, the hyperparameters, and per metric its value, `_low` and
        `_high` (95 % interval): `squared_bias`, `variance`, `mse` and `equal_cost_error` in squared
        units of the gradient, `cosine_mean`, `cosine_sample`, `seconds` per gradient; then `note`.
        `attrs` holds the context, and why estimators were skipped.

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, or has a metric
            of an estimator twice.
    """
    lines = by_estimator(rows)
    # Stable, to keep the order of the rows if there are no errors.
    return lines.sort_values("mse", kind="stable", ignore_index=True)


def temperature_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the estimators of a temperature study, sorted by family and temperature.

    Args:
        rows: a tidy result table of one context, with the column `p_temperature` (NaN for
            estimators without one, which come last).

    Returns:
        The columns of `comparison_table`, with `family` (the estimator without its temperature) and
        `temperature` in front.

    Raises:
        ValueError: as `comparison_table`, and if `p_temperature` is missing.
    """
    lines = by_estimator(rows)
    if "p_temperature" not in lines:
        raise ValueError("the result table lacks the column p_temperature")
    lines.insert(0, "family", [without("temperature", name) for name in lines["estimator"]])
    lines.insert(1, "temperature", lines.pop("p_temperature"))
    tempered = lines["temperature"].notna()
    order = sorted(
        lines.index,
        key=lambda i: (not tempered[i], natural(lines["family"][i]), lines["temperature"][i]),
    )
    return lines.loc[order].reset_index(drop=True)


def training_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the estimators of a training study at each learning rate, the best first.

    Lines are sorted by the first of these that the table has: test bound, test ELBO, exact loss,
    test accuracy, ..., training loss. Lines of which every run diverged come last.

    Args:
        rows: a tidy table of training runs of one context (`analysis.contexts` splits several).

    Returns:
        One line per `estimator`, `optimiser` and `learning_rate`: `best`, whether it is the best of
        the estimator's lines, of which there are `tried`; `method`, `unbiased`, hyperparameters;
        `seeds`, how many of them `diverged`, from step `diverged_first` to `diverged_last`;
        the final figures, each with `_low` and `_high`, as means over the seeds that did not
        diverge: `test_bound` (of the most samples in the table), `test_elbo`, `validation_bound`,
        `validation_elbo`, `train_bound` and `train_elbo`, negative and in nats per image,
        `exact_loss`, `test_accuracy`, `validation_accuracy`, `train_accuracy`, `loss` (training);
        `steps_per_second`; `note`. `attrs` says what the table is of, and why estimators were
        skipped.

        Intervals are 95 %: Student's over seeds, or with a single seed that of its own row.
        The best learning rate is that with the smallest share diverged and, of these, the least
        validation bound, else validation ELBO, exact loss, validation error, training loss.

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, no run, or a
            metric of a run twice.
    """
    lines = by_line(rows)
    failed = lines["diverged"] == lines["seeds"]
    # Fewest diverged first: the mean of the remaining runs looks too good.
    share = lines["diverged"] / lines["seeds"]
    choice = sorted(lines.index, key=lambda i: (share[i], _rank(lines.loc[i], CHOOSING)))
    best = ~lines.loc[choice, "estimator"].duplicated() & ~failed
    order = sorted(lines.index, key=lambda i: (failed[i], _rank(lines.loc[i], SCORES)))
    lines.insert(3, "best", best)
    lines.insert(4, "tried", lines.groupby("estimator")["estimator"].transform("size"))
    table = lines.loc[order].reset_index(drop=True)
    table.attrs["kind"] = "training"
    table.attrs["chosen_by"] = _first(lines, CHOOSING)
    return table


def _rank(line: pd.Series, names: Iterable[str]) -> tuple[int, float]:
    """Return a sort key from the first score that a line has, smaller is better."""
    for place, name in enumerate(names):
        if math.isfinite(line[name]):
            return place, -line[name] if SCORES[name].higher_is_better else line[name]
    return len(SCORES), 0.0


def _first(lines: pd.DataFrame, names: Iterable[str]) -> str | None:
    return next((name for name in names if lines[name].notna().any()), None)
