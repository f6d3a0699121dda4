"""Rows of an atlas, made from chosen errors."""

import numpy as np
import pandas as pd

ATTRS = {"configuration": {"study": "atlas", "budget": 100.0}, "complete": True}
SPREAD = 0.1
"""The relative length of an interval, to either side."""


def rows(errors, unbiased=("A", "B"), laws=None, reaching=(), exact=(), without=()):
    """Return the rows of cells.

    Args:
        errors: the error at equal cost by (problem, step) and estimator.
        unbiased: the estimators that are unbiased, whose error is all variance; that of others is
            all bias.
        laws: the law of each problem.
        reaching: the cells (problem, step, estimator) whose interval reaches zero.
        exact: those of unbiased estimators without variance.
        without: those without an interval.
    """
    found = []
    for (problem, step), each in errors.items():
        for place, (name, error) in enumerate(each.items()):
            cell = (problem, step, name)
            is_unbiased = name in unbiased
            bias, variance = (0.0, 100 * error) if is_unbiased else (error, 0.0)
            if cell in exact:
                error, variance = 0.0, 0.0
            low = -error if cell in reaching else (1 - SPREAD) * error
            high = (1 + SPREAD) * error
            ends = (np.nan, np.nan) if cell in without else (low, high)
            noise = np.random.default_rng(place).normal(size=8) * 1e-3
            values = {
                "equal_cost_error": (error, *ends, ""),
                "squared_bias": (bias, bias, bias, _listed(bias + error * noise)),
                "variance": (variance, variance, variance, _listed(variance + 0 * noise)),
                "truth_norm": (1.0, 1.0, 1.0, ""),
            }
            found += [
                {
                    "study": "atlas",
                    "problem": problem,
                    "objective": "expectation",
                    "law": (laws or {}).get(problem, "Bernoulli"),
                    "group": "logits",
                    "trained_with": "ScoreFunction" if step else "",
                    "step": step,
                    "seed": 0,
                    "estimator": name,
                    "short_name": name,
                    "method": name.partition("[")[0],
                    "method_family": "",
                    "unbiased": "yes" if is_unbiased else "no",
                    "evaluations": 1,
                    "samples": 64,
                    "metric": metric,
                    "value": value,
                    "low": least,
                    "high": most,
                    "note": "",
                    "replicates": listed,
                }
                for metric, (value, least, most, listed) in values.items()
            ]
    table = pd.DataFrame(found)
    table.attrs = {**ATTRS}
    return table


def _listed(values):
    return " ".join(f"{value:.9g}" for value in values)
