"""Measurements at several steps and training runs: one table and one figure."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import analysis
from analysis import figures
from analysis.figures import over_steps, temperature
from analysis.merging import merged
from analysis.page import Page
from analysis.rows import places
from analysis.studies import readable
from tests.analysis.helpers import synthetic_rows as synthetic

RUNS = {"DisARM": (0, 100, 2000), "REBAR[0.5]": (0, 2000)}


@pytest.fixture(scope="module")
def rows():
    plain = synthetic.comparison()
    parts = []
    for run, steps in RUNS.items():
        for step in steps:
            part = plain.assign(trained_with=run, step=step)
            is_measured = part["metric"].isin(["variance", "mse", "equal_cost_error"])
            for name in ("value", "low", "high"):
                part.loc[is_measured, name] *= 1 + step
            parts.append(part)
    # An estimator is skipped at one step alone.
    first = parts[0]["estimator"].iloc[0]
    parts[1] = parts[1][parts[1]["estimator"] != first]
    gone = parts[0].iloc[:1].assign(step=100, metric="skipped", note="too large", value=np.nan)
    found = pd.concat([*parts[:2], gone, *parts[2:]], ignore_index=True)
    found.attrs = {"configuration": {"study": "compare", "budget": 100.0}}
    return found


def test_a_block_of_lines_for_each(rows):
    names = [f"trained with {run}, step {step}" for run in RUNS for step in RUNS[run]]
    assert list(places(rows)) == names
    table = readable(rows)
    assert list(table.frame["place"].unique()) == names
    assert "step" not in table.context and "step" not in table.heading
    for name, part in places(rows).items():
        own = analysis.comparison_table(part)
        block = table.frame[table.frame["place"] == name]
        assert list(block["estimator"]) == list(own.frame["estimator"])
        for column in ("variance", "equal_cost_error_high", "seconds"):
            np.testing.assert_array_equal(block[column], own.frame[column])
        assert set(block["truth_norm"]) == {own.settings["truth_norm"]}
    text = analysis.to_text(table, 120)
    assert all(f"\n{name}\n" in text for name in names)
    for render in (analysis.to_markdown, analysis.to_html, analysis.to_latex, analysis.to_csv):
        assert "REBAR" in render(table)


def with_intervals(rows):
    """Return the rows, all errors known to a tenth."""
    is_error = rows["metric"].isin(["equal_cost_error", "variance", "squared_bias", "seconds"])
    found = rows.copy()
    found.loc[is_error, "low"] = 0.9 * found["value"]
    found.loc[is_error, "high"] = 1.1 * found["value"]
    found.attrs = rows.attrs
    return found


def test_conclusions_of_few_places_are_said_in_full_and_of_many_in_a_sentence(rows):
    rows = with_intervals(rows)
    few = readable(rows[rows["trained_with"] == "DisARM"]).findings
    assert any(said.startswith("Step 0: No error") for said in few)
    table = readable(rows)
    (said,) = table.findings
    assert said.startswith("Least error at equal cost, ")
    noisy = table.frame[table.frame["equal_cost_error"] > 0]
    first = noisy.loc[noisy.groupby("place")["equal_cost_error"].idxmin()]
    for name, led in first.groupby("short_name"):
        assert f"{name} at {len(led)} of 5 (" in said
        assert all(place in said for place in led["place"])
    (by_time,) = readable(rows, cost="time").findings
    assert by_time.startswith("Least error at equal time, ")


def test_an_error_without_an_interval_leads_nowhere(rows):
    rows = with_intervals(rows)
    table = readable(rows)
    (best,) = {said.partition(": ")[2].partition(" at ")[0] for said in table.findings}
    (name,) = set(table.frame.loc[table.frame["short_name"] == best, "estimator"])
    rows.loc[rows["estimator"].eq(name) & rows["metric"].eq("equal_cost_error"), "high"] = np.nan
    (said,) = readable(rows).findings
    assert f"{best} at " not in said and " at 5 of 5 (" in said
    rows["high"] = np.nan
    (said,) = readable(rows).findings
    assert "none with an interval at 5 of 5 (" in said


def test_what_is_skipped_at_one_place_says_so(rows):
    skipped = readable(rows).skipped
    (gone,) = [name for name in skipped if name.endswith(" (trained with DisARM, step 100)")]
    assert skipped[gone] == "too large"
    assert {*skipped} - {gone} == {*synthetic.SKIPPED}


def test_columns_and_order_are_those_that_are_asked_for(rows):
    table = readable(rows, columns=["variance", "seconds"], sort="variance")
    assert [column.field for column in table.columns] == [
        *("place", "short_name", "variance", "seconds")
    ]
    for _, block in table.frame.groupby("place"):
        assert block["variance"].is_monotonic_increasing
    assert "truth_norm" in {column.field for column in table.more_columns}


def test_one_run_is_in_the_heading(rows):
    one = rows[rows["trained_with"] == "DisARM"]
    assert list(places(one)) == ["step 0", "step 100", "step 2000"]
    assert "trained with DisARM" in readable(one).heading
    alone = one[one["step"] == 100]
    assert list(places(alone)) == [""]
    assert "trained with DisARM, step 100" in readable(alone).heading


def test_other_studies_are_not_mixed(rows):
    both = pd.concat([rows, rows.assign(study="another")])
    both.attrs = rows.attrs
    with pytest.raises(ValueError, match="several values of study"):
        readable(both)


def test_the_figure_shows_each_run_over_its_steps(rows):
    assert list(figures.of_study(rows)) == ["over_steps"]
    alone = rows[rows["trained_with"] == "DisARM"].query("step == 0")
    assert list(figures.of_study(alone)) == ["bias_variance", "error_cost"]
    points = over_steps.data(rows)
    assert {run: tuple(part["step"].unique()) for run, part in points.groupby("trained_with")} == (
        RUNS
    )
    figure = over_steps.draw(rows)
    assert len(figure.axes) == 6
    assert [ax.get_title(loc="left") for ax in figure.axes[::3]] == [
        f"trained with {run}" for run in RUNS
    ]
    assert figure.axes[-1].get_xlabel() == "training step"
    with pytest.raises(ValueError, match="lacks the column trained_with"):
        over_steps.data(synthetic.comparison())
    with pytest.raises(ValueError, match="no finite value"):
        over_steps.data(rows.assign(value=np.nan, low=np.nan, high=np.nan))


def test_the_main_panel_is_of_the_first_run(rows):
    ax = Figure().subplots()
    over_steps.panel(ax, rows)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("training step", "mean squared error")
    assert len(ax.get_legend_handles_labels()[1]) == 12
    points = over_steps.data(rows)
    lines = {line.get_label(): line for line in ax.lines}
    own = points[(points["trained_with"] == "DisARM") & (points["short_name"] == "ReinMax")]
    np.testing.assert_allclose(lines["ReinMax"].get_ydata(), own["mse"])


@pytest.mark.parametrize(("width", "across"), [(3.25, 1), (4.0, 1), (5.5, 3)])
def test_rows_of_panels_are_full(rows, width, across):
    for module, table in ((over_steps, rows), (temperature, synthetic.temperature_study())):
        figure = module.draw(table, Page(width))
        assert len(figure.axes) % 3 == 0 and all(ax.lines for ax in figure.axes)
        assert figure.axes[0].get_gridspec().ncols == across


def test_each_step_has_its_column_in_the_temperature_figure():
    study = synthetic.temperature_study()
    parts = [study.assign(trained_with="DisARM", step=step) for step in (0, 2000)]
    parts[1][["value", "low", "high"]] *= 10
    # What has no temperature is skipped at one step.
    parts[1] = parts[1][parts[1]["method"] != "DisARM"]
    both = pd.concat(parts, ignore_index=True)
    both.attrs = study.attrs
    points = temperature.data(both)
    assert list(points["place"].unique()) == ["step 0", "step 2000"]
    for step, part in zip((0, 2000), parts, strict=True):
        own = points[points["place"] == f"step {step}"].drop(columns="place")
        alone = temperature.data(part)
        pd.testing.assert_frame_equal(own.reset_index(drop=True), alone)
    figure = temperature.draw(both)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["step 0", "step 2000"]
    first, second = (ax.get_legend_handles_labels()[1] for ax in figure.axes[:2])
    assert set(first) - set(second) == {"DisARM"}
    ax = Figure().subplots()
    temperature.panel(ax, both)
    assert set(ax.get_legend_handles_labels()[1]) == set(first)


def test_rows_of_different_runs_are_not_the_same():
    plain = synthetic.comparison()
    both = pd.concat([plain.assign(trained_with=run) for run in RUNS], ignore_index=True)
    both.attrs = {
        "identity": "a",
        "complete": True,
        "environment": {},
        "configuration": {"study": "compare", "budget": 100.0},
        "provenance": {},
    }
    assert len(merged([both, both])) == len(both)


def test_what_holds_at_all_places_of_a_problem_names_it_once():
    names = {"Coupled": "expectation", "VAE": "kl=analytic"}
    rows = pd.concat(
        synthetic.comparison(seed=seed).assign(
            study="compare", problem=problem, objective=objective, group="all", step=step, seed=0
        )
        for seed, (problem, objective) in enumerate(names.items())
        for step in (0, 60)
    )
    rows.attrs = {"configuration": {"study": "compare", "budget": 100.0}}
    found = readable(rows)
    assert "Coupled: expectation; VAE: kl=analytic." in found.notes
