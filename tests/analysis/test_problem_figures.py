"""Figures of problems that discrete gradients are for, from made up rows."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.figures import experts, quantised
from analysis.page import Page
from tests.analysis.test_result_figures import arrows, assert_readable, labels

ROUTERS = {"softmax-weighted": "Exact", "exact": "Exact", "ReinMax": "ReinMax"}
CODERS = {
    "straight-through VQ": "ScoreFunction",
    "ReinMax": "ReinMax",
    "score, leave-one-out": "ScoreFunction",
}
OWN, OTHER = "E CE(output)", "E CE(probability x output)"


def estimate(metric, value, spread=0.1):
    return {"metric": metric, "value": value, "low": value - spread, "high": value + spread}


@pytest.fixture
def routers():
    records = []
    for panel in ("top 1", "top 2"):
        for name, method in ROUTERS.items():
            about = {"panel": panel, "name": name, "method": method}
            for step in (0, 50):
                for objective in (OWN, OTHER) if name == "softmax-weighted" else (OWN,):
                    place = about | {"step": step, "objective": objective}
                    bias = 8.0 if objective == OTHER else 4.0 * (name != "exact")
                    spread = 5.0 if name == "ReinMax" else 0.0
                    records += [
                        place | estimate("squared_bias", bias, spread),
                        place | estimate("variance", 2.0 * (name == "ReinMax")),
                        place | estimate("cosine_mean", 0.5),
                        place | estimate("truth_norm", 2.0, 0.0),
                    ]
            for weight in (0.0, 0.01):
                for seed in range(3):
                    place = about | {"step": 90, "objective": OWN, "split": "test"}
                    place |= {"load_weight": weight, "seed": seed}
                    records += [
                        place | {"metric": metric, "value": 0.2 + weight + seed / 100}
                        for metric in ("error", "usage", "idle")
                    ]
    return pd.DataFrame(records)


@pytest.fixture
def coders():
    records = []
    for name, method in CODERS.items():
        about = {"name": name, "method": method, "problem": "VectorQuantised"}
        if name == "straight-through VQ":
            records.append(about | {"metric": "skipped", "note": "deterministic"})
        else:
            records += [
                about | estimate("squared_bias", 1.0, 0.5 if name == "ReinMax" else 3.0),
                about | estimate("variance", 3.0),
                about | estimate("truth_norm", 2.0, 0.0),
            ]
        for codes in (16, 64):
            for seed in range(3):
                place = about | {"codes": codes, "seed": seed, "split": "test"}
                values = {"distortion": 1 / codes, "rate": 4 * codes, "usage": 0.5, "used": 1.0}
                records += [
                    place | {"metric": metric, "value": value * (1 + seed / 100)}
                    for metric, value in values.items()
                ]
    return pd.DataFrame(records)


def test_errors_of_routers_are_relative(routers):
    points = experts.data(routers.sample(frac=1, random_state=0))
    at = points.set_index(["panel", "name", "quantity", "condition", "objective"])["value"]
    assert at["top 1", "softmax-weighted", "squared_bias", "start", OWN] == 1.0
    assert at["top 2", "softmax-weighted", "squared_bias", "trained", OTHER] == 2.0
    assert at["top 1", "ReinMax", "cosine_mean", "trained", OWN] == 0.5
    assert at["top 1", "ReinMax", "error", "with load loss", OWN] == pytest.approx(0.22)
    limits = points[points["upper_limit"]]
    assert set(limits["name"]) == {"ReinMax"} and set(limits["quantity"]) == {"squared_bias"}


@pytest.mark.parametrize("width", [3.25, 5.5])
def test_the_figure_of_routers(routers, width):
    figure = experts.draw(routers, Page(width))
    assert_readable(figure)
    bias, *_, use = figure.axes
    names = [text.get_text() for text in bias.get_yticklabels()]
    assert names == [f"top {k}:  softmax-weighted" if i == 0 else name
                     for k in (1, 2) for i, name in enumerate(ROUTERS)]  # fmt: skip
    small = [line for line in bias.lines if line.get_markersize() == 2.5]
    # Of both objectives, at the start and after training, with one expert and with two.
    assert [float(line.get_xdata()[0]) for line in small] == [2.0] * 4
    assert use.get_xlim()[0] == 0
    assert any("upper 95 % limit" in text for text in labels(figure))
    # Of ReinMax, at the start and after training, with one expert and with two.
    assert [arrow.xy[0] for arrow in arrows(bias)] == [9.0 / 4.0] * 4


def test_curves_of_coders_go_from_few_codes_to_many(coders):
    points = quantised.data(coders.sample(frac=1, random_state=0))
    at = points.set_index(["name", "quantity"])["value"]
    assert at["ReinMax", "variance"] == 0.75
    figure = quantised.draw(coders)
    assert_readable(figure)
    plane, use, bias, _ = figure.axes
    for line in plane.lines:
        np.testing.assert_allclose(line.get_xdata(), [64 * 1.01, 256 * 1.01])
        np.testing.assert_allclose(line.get_ydata(), [1.01 / 16, 1.01 / 64])
    assert len(plane.lines) == len(use.lines) == len(CODERS)
    # The table says that deterministic codes have no bias.
    words = [text.get_text() for text in bias.texts if text.get_text()]
    assert words == ["no law: no bias to measure"]
    assert [arrow.xy[0] for arrow in arrows(bias) if not arrow.get_text()] == [4.0 / 4.0]
    assert len(bias.lines) == 2
    assert_readable(quantised.draw(coders, Page(3.25)))


@pytest.mark.parametrize("module", [experts, quantised])
def test_bad_input_is_one_clear_error(module, routers, coders):
    rows = routers if module is experts else coders
    with pytest.raises(ValueError, match="lacks the column value"):
        module.draw(rows.drop(columns="value"))
    with pytest.raises(ValueError, match="is empty"):
        module.draw(rows[:0])


def test_predictions_are_not_drawn(routers):
    one = {"metric": "prediction", "value": math.nan, "claim": "a", "source": "us"}
    rows = pd.concat([routers, pd.DataFrame([one])], ignore_index=True)
    pd.testing.assert_frame_equal(experts.data(rows), experts.data(routers))
