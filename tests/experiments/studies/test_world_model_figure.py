"""The study of a world model's estimators: what it trains, and its predictions."""

import math

import pytest

from experiments.studies.figures import build, world_model
from experiments.studies.figures.predictions import TASK

LAPTOP = build("world-model").study


def test_every_estimator_draws_as_many_sequences():
    trained = LAPTOP.configuration["problems"]
    assert trained["3 frames, exact"] == "WorldModel"
    assert trained["8 frames, ReinMax"] == "WorldModel[steps=8,batch_size=32]"
    assert trained["8 frames, score, leave-one-out"] == "WorldModel[steps=8,batch_size=16]"
    assert "8 frames, exact" not in trained and len(trained) == 8 + 7


def test_predictions_name_what_the_study_yields():
    """Those of names that no row has would stay undecided for ever."""
    assert LAPTOP.parts[TASK] == world_model.PREDICTIONS
    trained = [part.split(", ", 1) for part in LAPTOP.parts if "frames" in part]
    rows = [
        {"panel": panel, "name": name, "metric": metric, "seed": seed, "step": 9, "value": seed}
        for panel, name in trained
        for metric in ("episode_bound", "imagined_error")
        for seed in (0, 1)
    ]
    rows += [
        {"panel": "3 frames", "name": name, "metric": metric, "step": step}
        | {"value": 1.0, "low": 0.5, "high": 2.0}
        for name in {name for _, name in trained} - {world_model.EXACT}
        for step in (0, 9)
        for metric in ("squared_bias", "variance", "truth_norm")
    ]
    for prediction in world_model.PREDICTIONS:
        assert math.isfinite(prediction.of(rows).value), prediction.text
        assert math.isnan(prediction.of([]).value)


def test_a_prediction_is_decided_after_training():
    (prediction,) = (
        one for one in world_model.PREDICTIONS if one.text.startswith("after training ReinMax")
    )
    biases = {("ReinMax", 0): 4.0, ("ReinMax", 9): 1.0, ("straight-through", 0): 1.0}
    biases["straight-through", 9] = math.e
    rows = [
        {"name": name, "step": step, "metric": metric, "value": one, "low": one, "high": one}
        for (name, step), bias in biases.items()
        for metric, one in (("squared_bias", bias), ("truth_norm", 1.0))
    ]
    assert prediction.of(rows).value == pytest.approx(-1.0)
    assert prediction.of(rows).high < prediction.high
