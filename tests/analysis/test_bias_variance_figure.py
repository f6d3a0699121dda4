"""The plane of bias and variance, and its strip of estimators without a bias."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures import bias_variance
from analysis.page import Page
from analysis.style import GREY
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_result_figures import MANY, assert_readable, drawn, labels

CROWDED = {
    f"GumbelSoftmax[temperature={i}]": ("no", 1, 1e-3 * 1.02**i, 1e-2 * 1.02**-i, 1e-5)
    for i in range(12)
}


@pytest.fixture(scope="module")
def rows():
    return synthetic.comparison()


def names_at_points(figure):
    return [text for ax in figure.axes for text in ax.texts if text.get_text()]


def test_points_lie_in_the_plane_or_on_the_strip(rows):
    points = bias_variance.data(rows).set_index("estimator")
    figure = bias_variance.draw(rows)
    plane, strip = figure.axes
    assert plane.get_xlim() == strip.get_xlim()
    heights = {}
    for name, point in points[points["labelled"]].iterrows():
        has_bias = point["squared_bias_low"] > 0 and point["squared_bias"] > 0
        assert (point["bias_shown"] == "estimate") == has_bias
        own, other = (plane, strip) if has_bias else (strip, plane)
        ((x, y),) = drawn(own, name)
        assert not drawn(other, name)
        if name == "Exact":
            assert x == strip.get_xlim()[0] and point["variance_shown"] == "zero"
        else:
            assert x == point["variance"]
        if has_bias:
            assert y == point["squared_bias"]
        else:
            heights[y] = point["variance"]
    # Ordered by variance, the least on top.
    assert [heights[y] for y in sorted(heights, reverse=True)] == sorted(heights.values())
    lines = [line.get_data() for ax in figure.axes for line in ax.lines]
    bars = {tuple(x) for x, y in lines if len(x) == 2 and y[0] == y[1]}
    shown = points[points["labelled"] & (points["variance_shown"] == "estimate")]
    assert bars == set(zip(shown["variance_low"], shown["variance_high"], strict=True))
    limits = points.loc[points["bias_shown"] == "upper limit", "squared_bias_high"]
    (text,) = [text for text in labels(figure) if text.startswith("strip: ")]
    assert f"{limits.max():.1e}"[:3] in text


def test_equal_errors_are_joined(rows):
    plane = bias_variance.draw(rows).axes[0]
    lines = [line for line in plane.lines if line.get_color() == "0.85"]
    assert lines
    for line in lines:
        total = np.log10(np.sum(line.get_data(), axis=0))
        np.testing.assert_allclose(total, np.round(total), atol=1e-9)


def test_the_frontier_is_what_nothing_beats():
    points = bias_variance.data(synthetic.comparison(MANY)).set_index("estimator")
    bias = points["squared_bias"].where(points["bias_shown"] == "estimate", 0.0)
    for name in points.index.drop("Exact"):  # which has no error
        others = points.index.drop(["Exact", name])
        beaten = any(
            bias[other] <= bias[name] and points["variance"][other] < points["variance"][name]
            for other in others
        )
        assert points["frontier"][name] == (not beaten), name
    assert not points["frontier"]["Exact"] and points["labelled"]["Exact"]
    assert points["labelled"].sum() == 12 and points["labelled"][points["frontier"]].all()


def test_what_is_not_named_is_grey_and_in_the_data():
    rows = synthetic.comparison(MANY)
    points, figure = bias_variance.data(rows), bias_variance.draw(rows)
    grey = [line for ax in figure.axes for line in ax.lines if line.get_color() == GREY]
    assert len(grey) == len(points) - 12 == 18
    assert any(text.startswith("grey: 18 others, named in the CSV") for text in labels(figure))
    few = bias_variance.draw(synthetic.comparison(dict(list(MANY.items())[:5])))
    assert not any(text.startswith("grey") for text in labels(few))


@pytest.mark.parametrize("width", [3.25, 5.5])
@pytest.mark.parametrize("made", [synthetic.ESTIMATORS, MANY, CROWDED], ids=["20", "30", "crowd"])
def test_names_cover_neither_each_other_nor_points(made, width):
    rows = synthetic.comparison(made)
    figure = bias_variance.draw(rows, Page(width))
    assert_readable(figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = names_at_points(figure)
    boxes = [text.get_window_extent(renderer) for text in texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.padded(-0.5).overlaps(other.padded(-0.5))
    for ax in figure.axes:
        marks = [line for line in ax.lines if line.get_marker() not in ("None", "")]
        for line in marks:
            at = ax.transData.transform(np.transpose(line.get_data()))[0]
            assert not any(box.contains(*at) for box in boxes)
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
    # Each is named once: at its point or, without room there, in the legend.
    points = bias_variance.data(rows)
    shown = [text.get_text().replace("\n  ", "").split(": ")[0] for text in texts] + labels(figure)
    for name in points.loc[points["labelled"], "short_name"]:
        assert sum(text in (name, name[: len(text) - 1] + "…") for text in shown) == 1, name


def test_a_wide_interval_does_not_fill_the_plane(rows):
    """As Student's of two seeds, whose upper end is far away."""
    wide = rows.copy()
    wide.loc[wide["metric"] == "squared_bias", "high"] *= 1e6
    assert bias_variance.draw(wide).axes[0].get_ylim()[1] < 10


def test_the_panel_makes_room_for_the_strip_in_any_axes(rows):
    with_grid, ax = plt.subplots()
    alone = plt.figure()
    for figure, own in ((with_grid, ax), (alone, alone.add_axes((0.2, 0.3, 0.5, 0.6)))):
        before = own.get_position()
        bias_variance.panel(own, rows)
        plane, strip = figure.axes
        figure.draw_without_rendering()
        assert plane is own and not plane.get_position().overlaps(strip.get_position())
        for one in (plane, strip):
            assert before.padded(1e-6).containsy(one.get_position().y0)
            assert before.padded(1e-6).containsy(one.get_position().y1)
        shown = bias_variance.data(rows).query("labelled")["short_name"]
        assert sorted(own.get_legend_handles_labels()[1]) == sorted(shown)
        plt.close(figure)
