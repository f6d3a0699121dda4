"""Figures of pruned networks and of explanations, and the predictions beside them."""

import math

import numpy as np
import pandas as pd
import pytest

import estimators
from analysis.figures import explain, gates, planes
from analysis.page import Page
from experiments.measurement.rows import estimator_columns
from experiments.studies.figures import build
from tests.analysis.test_result_figures import assert_readable, labels

TASKS = ("xor", "orange", "additive", "switch")
PENALTIES = (5e-7, 2e-6, 8e-6)
BITS = ("ScoreFunction", "DisARM", "ARM", "StraightThrough")


def gradient(name, rng):
    """Rows of a gradient whose true squared norm is 4."""
    found = {"variance": 4 * rng.uniform(0.1, 10), "squared_bias": 4 * rng.uniform(0.01, 1)}
    ends = {metric: (value, 0.9 * value, 1.1 * value) for metric, value in found.items()}
    ends["truth_norm"] = (2.0, 2.0, 2.0)
    return [
        {"panel": "gradients", "metric": metric, "value": value, "low": low, "high": high}
        for metric, (value, low, high) in ends.items()
    ]


def of_seeds(rng, metrics, seeds=3):
    """Rows of scores, between 1 and 2."""
    return [
        {"seed": seed, "metric": metric, "value": rng.uniform(1, 2), "low": np.nan, "high": np.nan}
        for seed in range(seeds)
        for metric in metrics
    ]


def rows_of(figure, names, estimator_of, law_of=lambda name: "Subset"):
    """Rows that the study of a figure could have written."""
    rng, rows = np.random.default_rng(0), []
    for name in names:
        about = {"name": name, "law": law_of(name)}
        about |= estimator_columns(estimators.parse(estimator_of(name)))
        own = gradient(name, rng)
        if figure == "gates":
            for penalty in PENALTIES:
                shared = {"panel": "pruning", "penalty": penalty}
                own += [shared | row for row in of_seeds(rng, ("error", "kept", "weights"))]
        else:
            for task in TASKS:
                own += [{"panel": task} | row for row in of_seeds(rng, ("rank", "found", "excess"))]
        rows += [about | row for row in own]
    return rows


def pruned():
    return pd.DataFrame(rows_of("gates", BITS, str))


def explained():
    laws = dict(zip(BITS, ("Subset", "Subset", "PlackettLuceSubset", "Categorical"), strict=True))
    return pd.DataFrame(rows_of("explain", BITS, str, laws.get))


@pytest.mark.parametrize("wanted", [(gates, pruned), (explain, explained)])
def test_gradients_are_relative_to_the_truth(wanted):
    module, make = wanted
    rows = make()
    points = module.data(rows)
    own = points[points["panel"] == "gradients"].set_index("name")
    measured = rows[rows["metric"] == "variance"].set_index("name")
    for column, end in (("variance", "value"), ("variance_low", "low"), ("variance_high", "high")):
        pd.testing.assert_series_equal(
            own[column], measured.loc[own.index, end] / 4, check_names=False
        )
    assert not own["upper_limit"].any()
    limited = rows.copy()
    limited.loc[limited["metric"] == "squared_bias", "low"] = -1.0
    points = module.data(limited)
    assert points.loc[points["panel"] == "gradients", "upper_limit"].all()


def test_points_of_pruned_networks_are_means_over_seeds():
    rows = pruned()
    points = gates.data(rows)
    line = points[(points["name"] == "ARM") & (points["penalty"] == 2e-6)].iloc[0]
    own = rows[(rows["name"] == "ARM") & (rows["penalty"] == 2e-6) & (rows["metric"] == "kept")]
    assert line["kept"] == pytest.approx(own["value"].mean())
    half = 4.302653 * own["value"].std() / math.sqrt(3)  # Student's of two degrees
    assert line["kept_high"] - line["kept"] == pytest.approx(half, rel=1e-5)


@pytest.mark.draws
@pytest.mark.parametrize("width", [5.5, 3.25])
def test_figures_are_readable(width):
    for module, make in ((gates, pruned), (explain, explained)):
        figure = module.draw(make(), Page(width))
        assert_readable(figure)
        assert set(BITS) <= set(labels(figure))
    left = gates.draw(pruned()).axes[0]
    assert [len(line.get_xdata()) for line in left.lines] == [len(PENALTIES)] * len(BITS)
    drawn = {ax.get_title(): ax for ax in explain.draw(explained()).axes}
    best = {"xor, k = 2": 1.5, "orange, k = 4": 2.5, "additive, k = 4": 2.5, "switch, k = 5": 3.0}
    assert set(drawn) == {*best, "gradient, xor"}
    for title, rank in best.items():
        lines = [line.get_xdata()[0] for line in drawn[title].lines]
        assert {rank, 5.5} <= set(lines) and len(lines) == len(BITS) + 2
        names = [text.get_text() for text in drawn[title].get_yticklabels()]
        assert names == ([*explain.LAWS.values()] if title[0] in "xa" else [])


def test_wide_tables_have_a_column_for_each_metric():
    rows = pruned().query("panel == 'gradients'")
    points = planes.wide(rows, ["name"], planes.ERRORS)
    assert len(points) == len(BITS) and points.notna().all(axis=None)


@pytest.mark.parametrize("figure", ["gates", "explain"])
def test_predictions_find_their_rows(figure):
    """Every name in them is one of the study's."""
    study = build(figure, "laptop").study
    predictions = study.parts["predictions"]
    rows = rows_of(figure, study.configuration["members"], lambda name: "ScoreFunction")
    assert len(predictions) >= 9
    for prediction in predictions:
        row = prediction.row(rows)
        assert math.isfinite(row["value"]) and row["low"] <= row["value"] <= row["high"]
        nothing = prediction.row([])
        assert math.isnan(nothing["value"])
    panels = {row["panel"] for row in rows}
    assert panels == {"gradients", *(("pruning",) if figure == "gates" else TASKS)}
