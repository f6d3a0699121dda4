"""Quantities of predictions, from rows that are written down."""

import math

import pytest

from experiments.statistics import Estimate
from experiments.studies.figures import build
from experiments.studies.figures.paired import difference, log_ratio, relative


def scored(name, values):
    return [
        {"name": name, "metric": "error", "seed": seed, "value": value}
        for seed, value in values.items()
    ]


def test_differences_are_paired_by_seed():
    rows = scored("a", {0: 10.0, 1: 20.0, 2: 30.0}) + scored("b", {2: 29.0, 1: 18.9, 0: 9.1, 7: 0})
    found = difference(rows, {"name": "a"}, {"name": "b"})
    assert found.value == pytest.approx(1.0)
    # Student's quantile of two degrees, of a deviation of 0.1.
    assert found.high - found.value == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert math.isnan(difference(rows, {"name": "a"}, {"name": "c"}).value)


def test_a_squared_metric_is_relative_to_the_squared_norm():
    rows = [
        {"name": "a", "metric": "squared_bias", "value": 8.0, "low": 4.0, "high": 12.0},
        {"name": "a", "metric": "truth_norm", "value": 2.0},
    ]
    found = relative(rows, "squared_bias", name="a")
    assert (found.value, found.low, found.high) == (2.0, 1.0, 3.0)
    assert math.isnan(relative(rows, "variance", name="a").value)


def test_a_ratio_joins_the_ends_of_its_parts():
    found = log_ratio(Estimate(4.0, 2.0, 8.0), Estimate(1.0, 0.5, 2.0))
    assert [math.exp(x) for x in (found.value, found.low, found.high)] == pytest.approx([4, 1, 16])
    assert math.isnan(log_ratio(Estimate(4.0, -1.0, 8.0), Estimate(1.0, 0.5, 2.0)).value)


def test_a_ratio_of_what_is_missing_says_so():
    known = Estimate(1.0, 0.5, 2.0)
    missing = relative([], "squared_bias", name="a")
    for pair in ((missing, known), (known, missing)):
        assert log_ratio(*pair).note == "not part of this run"
    assert log_ratio(known, Estimate(1.0, -0.5, 2.0)).note == "not distinguishable from zero"


@pytest.mark.parametrize("name", ["experts", "vector-quantised"])
def test_predictions_name_what_the_study_yields(name):
    """Those of names that no row has would stay undecided for ever."""
    study, _ = build(name, "laptop")
    parts = dict(study.parts)
    names = {part.split(", ", 2 if name == "experts" else 1)[-1] for part in parts}
    rows = [
        {"panel": panel, "name": one, "metric": metric, "codes": codes, "seed": seed,
         "load_weight": weight, "value": 1.0 + seed}
        for panel in ("top 1", "top 2") for one in names for codes in (16, 64, 256)
        for metric in ("error", "usage", "distortion") for weight in (0.0, 0.01) for seed in (0, 1)
    ]  # fmt: skip
    rows = [row for row in rows if name == "experts" or row["panel"] == "top 1"]
    rows = [
        row | ({"codes": None} if name == "experts" else {"panel": None, "load_weight": None})
        for row in rows
    ]
    shared = {"value": 1.0, "low": 0.5, "high": 2.0}
    rows += [
        shared | {"panel": panel, "name": one, "step": step, "metric": metric}
        for panel in (("top 1", "top 2") if name == "experts" else ("top 1",))
        for one in names for step in ((0, 9) if name == "experts" else (9,))
        for metric in ("squared_bias", "variance", "truth_norm")
    ]  # fmt: skip
    for prediction in parts["predictions"]:
        assert math.isfinite(prediction.of(rows).value), prediction.text
