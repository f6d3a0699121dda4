"""The numbers of a study, one estimator a line."""

import pandas as pd

from analysis.names import natural, without
from analysis.rows import by_estimator


def comparison_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the estimators of a comparison, the smallest mean squared error first.

    Args:
        rows: a tidy result table of one context (`analysis.contexts` splits several).

    Returns:
        One line per estimator that was measured: `estimator`, `method`, `unbiased`, `evaluations`
        (of f per gradient), `samples`, the hyperparameters, and per metric its value, `_low` and
        `_high` (95 % interval): `squared_bias`, `variance`, `mse` and `equal_cost_error` in squared
        units of the gradient, `cosine_mean`, `cosine_sample`, `seconds` per gradient; then `note`.
        `attrs` says what the table is of, and why estimators were skipped.

    Raises:
        ValueError: where the table is empty, lacks a column, holds several contexts, or one metric
            of one estimator twice.
    """
    lines = by_estimator(rows)
    # Stable: without errors the order is that of the rows.
    return lines.sort_values("mse", kind="stable", ignore_index=True)


def temperature_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the estimators of a temperature study, each from low temperatures to high.

    Args:
        rows: a tidy result table of one context, with the column `p_temperature` (NaN for
            estimators that have none; these come last).

    Returns:
        The columns of `comparison_table`, with `family` (the estimator without its temperature) and
        `temperature` in front.

    Raises:
        ValueError: as `comparison_table`, and where `p_temperature` is missing.
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
