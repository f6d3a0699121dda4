"""The figure of a world model's estimators, from made up rows."""

import math

import pandas as pd
import pytest
from matplotlib import image

from analysis import save_figure
from analysis.figures import world_model
from analysis.page import Page
from tests.analysis.test_result_figures import arrows, assert_readable, labels

LONGEST = "score, moving average"
NAMES = {
    "exact": "Exact",
    "straight-through": "StraightThrough",
    LONGEST: "ScoreFunction",
}
BIAS = {"straight-through": 4.0, LONGEST: 0.1}


def rows(seeds):
    records = []
    for panel in ("3 frames", "8 frames"):
        for place, (name, method) in enumerate(NAMES.items()):
            about = {"panel": panel, "name": name, "method": method, "step": 90}
            if panel == "3 frames" or name != "exact":
                records += [
                    about | {"seed": seed, "metric": metric, "value": value + place + seed / 10}
                    for seed in range(seeds)
                    for metric, value in (("episode_bound", 3.0), ("imagined_error", 0.5))
                ]
    for name, bias in BIAS.items():
        for step, norm in ((0, 2.0), (90, 4.0)):
            about = {"panel": "3 frames", "name": name, "method": NAMES[name], "step": step}
            records += [
                about | {"metric": metric, "value": value, "low": value - 1, "high": value + 1}
                for metric, value in (("squared_bias", bias), ("variance", 8.0))
            ]
            records.append(about | {"metric": "truth_norm", "value": norm, "low": norm})
    records.append({"metric": "prediction", "value": math.nan, "claim": "a", "source": "us"})
    return pd.DataFrame(records)


def test_errors_are_relative_to_the_gradient_of_their_step():
    points = world_model.data(rows(3).sample(frac=1, random_state=0))
    errors = points[points["seeds"].isna()].set_index(["name", "step"])
    assert errors["variance"]["straight-through", 0] == 2.0
    assert errors["variance"]["straight-through", 90] == 0.5
    assert errors["squared_bias_high"]["straight-through", 90] == 5 / 16
    assert set(errors[errors["upper_limit"]].index.get_level_values(0)) == {LONGEST}
    trained = points[points["seeds"].notna()].set_index(["panel", "name"])
    assert trained["episode_bound"]["3 frames", "exact"] == pytest.approx(3.1)
    assert trained["imagined_error"]["8 frames", "straight-through"] == pytest.approx(1.6)
    # Student's interval of three seeds, a deviation of 0.1.
    half = trained["episode_bound_high"] - trained["episode_bound"]
    assert half.to_numpy() == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)


@pytest.mark.parametrize("width, seeds", [(3.25, 1), (5.5, 3)])
def test_the_figure_has_a_line_for_each_estimator(width, seeds):
    figure = world_model.draw(rows(seeds), Page(width))
    assert_readable(figure)
    by = {(ax.get_title(), ax.get_xlabel()): ax for ax in figure.axes}
    assert len(by) == 6
    bias = by["gradient, 3 frames", r"squared bias over $|g|^2$"]
    assert [text.get_text() for text in bias.get_yticklabels()] == list(NAMES)
    assert [float(line.get_xdata()[0]) for line in bias.lines] == [1.0, 0.25, 1.1 / 4, 1.1 / 16]
    assert [arrow.xy[0] for arrow in arrows(bias)] == [1.1 / 4, 1.1 / 16]
    missing = [text.get_text() for ax in figure.axes for text in ax.texts if text.get_text()]
    assert sorted(missing) == ["no error"] * 2 + ["not enumerated"] * 2
    bound = by["trained, 8 frames", "bound (nats)"]
    assert [round(line.get_ydata()[0]) for line in bound.lines] == [2, 3]
    assert any("means of 3 seeds" in text for text in labels(figure)) == (seeds == 3)


def test_names_are_not_cut_in_the_file(tmp_path):
    """Letters are as wide in the file as in the layout, whatever the resolution."""
    (png, _) = save_figure(world_model.draw(rows(3)), tmp_path / "figure", rows(3), ["png"])
    assert image.imread(png)[:, :4].min() == 1


def test_bad_input_is_one_clear_error():
    with pytest.raises(ValueError, match="lacks the column value"):
        world_model.draw(rows(1).drop(columns="value"))
    with pytest.raises(ValueError, match="is empty"):
        world_model.draw(rows(1)[:0])
