"""The figure of several groups of parameters."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis import figures
from analysis.figures import by_group
from analysis.page import Page
from analysis.rows import contexts
from analysis.tables.comparison import comparison_table
from tests.analysis.helpers import synthetic_rows as synthetic

GROUPS = {"logits_1": 1.0, "logits_2": 3.0, "decoder": 0.1}
"""The groups, and how many times the norm of their gradients is that of the rows."""


@pytest.fixture(scope="module")
def rows():
    parts = []
    for name, norm in GROUPS.items():
        part = synthetic.comparison().assign(group=name)
        is_norm = part["metric"] == "truth_norm"
        for column in ("value", "low", "high"):
            part[column] = part[column].where(~is_norm, part[column] * norm)
        parts.append(part)
    found = pd.concat(parts, ignore_index=True)
    found.attrs = {"configuration": {"study": "compare", "budget": 100.0}}
    return found


def test_errors_are_relative_to_the_gradient_of_the_group(rows):
    assert list(figures.of_study(rows)) == ["error_cost", "by_group"]
    points = by_group.data(rows)
    for context, part in contexts(rows):
        table = comparison_table(part)
        own = points[points["group"] == context["group"]].set_index("estimator")
        lines = table.frame.set_index("estimator")
        norm = table.settings["truth_norm"]
        for column in ("variance", "squared_bias_high", "mse_low"):
            expected = lines[column].reindex(own.index) / norm**2
            np.testing.assert_allclose(own[column], expected)


def test_a_place_on_the_axis_for_each_group(rows):
    figure = by_group.draw(rows)
    assert len(figure.axes) == 3
    points = by_group.data(rows)
    for ax in figure.axes:
        assert [text.get_text() for text in ax.get_xticklabels()] == list(GROUPS)
    variance = figure.axes[1]
    lines = {line.get_label(): line for line in variance.lines}
    named = [name for name in lines if not name.startswith("_")]
    assert len(named) == 12
    for name in named:
        own = points[points["short_name"] == name]
        # In the order of the groups, each within half a place of its own.
        np.testing.assert_array_less(np.abs(lines[name].get_xdata() - np.arange(3)), 0.5)
        positive = own["variance"] > 0
        drawn = np.asarray(lines[name].get_ydata())[positive]
        np.testing.assert_allclose(drawn, own["variance"][positive])
        assert lines[name].get_linestyle() in ("None", "none")


def test_rows_of_panels_of_each_step(rows):
    steps = pd.concat([rows.assign(trained_with="DisARM", step=step) for step in (0, 2000)])
    steps.attrs = rows.attrs
    assert list(figures.of_study(steps)) == ["over_steps", "by_group"]
    points = by_group.data(steps)
    assert list(points["place"].unique()) == ["step 0", "step 2000"]
    assert len(by_group.draw(steps).axes) == 6
    narrow = by_group.draw(rows, Page(3.25, titles=False))
    assert narrow.axes[0].get_gridspec().ncols == 1


def test_the_main_panel_is_of_the_error(rows):
    ax = Figure().subplots()
    by_group.panel(ax, rows)
    assert len(ax.get_legend_handles_labels()[1]) == 12
    assert "mean squared error" in ax.get_ylabel()


def test_one_group_or_no_value_has_no_figure(rows):
    with pytest.raises(ValueError, match="one group"):
        by_group.data(rows[rows["group"] == "decoder"])
    with pytest.raises(ValueError, match="no finite value"):
        by_group.data(rows.assign(value=np.nan, low=np.nan, high=np.nan))
    one = rows[rows["group"] == "decoder"]
    one.attrs = rows.attrs
    assert list(figures.of_study(one)) == ["bias_variance", "error_cost"]
