"""The study of soft machines and distributions over machines, against closed forms."""

import numpy as np
import pandas as pd
import pytest

from experiments.studies.figures import build, memory
from experiments.studies.figures.predictions import TASK

STUDY = build("memory", "smoke").study


def test_losses_agree_at_machines_and_differ_between():
    rows = pd.DataFrame(STUDY.parts["losses"](lambda done: None))
    wide = rows.pivot(index=["problem", "probability"], columns="metric", values="value")
    for problem, middle in (
        ("Memory[task=coin]", (0.25, 0.5)),
        ("Memory", (1.25, 1.6875)),
        ("Memory[symbols=3]", (2.25, 2.8633)),
    ):
        part = wide.loc[problem][["soft_loss", "exact_loss"]]
        for corner in (0.0, 1.0):
            assert part.loc[corner, "soft_loss"] == part.loc[corner, "exact_loss"]
        np.testing.assert_allclose(part.loc[0.5], middle, rtol=1e-4)
    assert (
        wide["exact_loss"].loc[["Memory", "Memory[symbols=3]"]].groupby(level=0).min() == 0
    ).all()


def test_what_is_learned_and_where_gradients_point():
    name = memory.SOFT
    rows = pd.DataFrame(STUDY.parts[f"{name}: direction"](lambda done: None))
    cosines = rows.query("metric == 'cosine_mean'").groupby("graph")["value"]
    assert cosines.min()["soft"] == pytest.approx(1) and cosines.max()["expectation"] < 0.95
    rows = pd.DataFrame(STUDY.parts[f"{name}: training"](lambda done: None))
    assert set(rows["metric"]) == {"rounded_loss", "soft_loss", "exact_loss"}
    assert rows["value"].between(0, 5).all() and len(rows) == 3 * 2 * 5
    for _, part in rows.query("metric == 'rounded_loss'").groupby("learning_rate"):
        assert (part["value"] % 1 == 0).all() and part["seed"].is_unique


def trained(name, losses, symbols=2):
    """Rows of runs that end at these losses, at one rate, and at a useless other."""
    kink = ",kink=0.0" if "slope 0" in name else ""
    problem = {2: "Memory", 3: "Memory[symbols=3]"}[symbols]
    problem = f"Memory[{kink[1:]}]" if kink else problem
    return [
        {
            "name": name,
            "problem": problem,
            "metric": metric,
            "learning_rate": rate,
            "value": loss if rate == 0.1 else 2.0,
        }
        for rate in (0.03, 0.1)
        for metric in ("rounded_loss", "exact_loss")
        for loss in losses
    ]


def found(text, rows):
    (prediction,) = (one for one in memory.PREDICTIONS if text in one.text)
    return prediction.of(rows), prediction


def test_predictions_follow_from_rows():
    assert STUDY.parts[TASK] == memory.PREDICTIONS
    rows = trained(memory.SOFT, [0.0] * 95 + [1.0] * 5)
    share, prediction = found("the soft machine solves two", rows)
    assert share.value == 0.95 and share.low < prediction.low < share.high
    rows += trained(memory.SOFT, [0.0, 1, 1, 1], 3) + trained(memory.ALL, [0.0, 0, 0, 1], 3)
    assert found("at three symbols", rows)[0].value == -0.5
    rows += trained("straight-through, slope 0", [1.0] * 4)
    rows += trained("straight-through, slope 1/2", [0.0] * 4)
    stall, prediction = found("straight-through stalls", rows)
    assert stall.value == stall.high == -1 < prediction.high
    assert np.isnan(found("Gumbel-softmax at 1", rows)[0].value)
