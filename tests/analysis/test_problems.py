"""Measurements of several problems, merged: one table, and a panel for each."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import analysis
from analysis import figures
from analysis.figures import error_cost, over_steps, small_multiples, temperature
from analysis.merging import merged
from analysis.page import Page
from analysis.report import report
from analysis.rows import places
from analysis.studies import readable
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_merging import results

LONG = "OfAUser[path=a/b/c,inner=Another[width=200,layers=3,activation=softplus],k=12]"
# Seeds of the made-up numbers, and what is of each problem.
OF = {
    "Coupled": (0, {"group": "logits"}, {"train_steps": 300}),
    "my.module:Wide": (1, {"group": "encoder", "step": 20}, {"train_steps": 20}),
    LONG: (2, {"group": "logits"}, {"train_steps": 300, "samples": 999}),
}


def one(make, study, problem):
    """The results of a run on a problem."""
    seed, columns, settings = OF[problem]
    rows = make(seed=seed)
    rows[["value", "low", "high"]] *= 10.0**seed
    rows = rows.assign(problem=problem, study=study, **columns)
    return results(rows, problem, study, problem=problem, group=None, at=[], **settings)


def compared(problem):
    rows = one(synthetic.comparison, "compare", problem)
    if problem == LONG:  # its variables are categorical
        rows = rows[~rows["method"].isin(["DisARM", "ARM"])]
        gone = rows.iloc[:1].assign(metric="skipped", value=np.nan, note="takes Bernoulli")
        for name in ("DisARM", "ARM"):
            rows = pd.concat([rows, gone.assign(estimator=name, method=name)])
        rows.attrs = one(synthetic.comparison, "compare", problem).attrs
    return rows


@pytest.fixture(scope="module")
def rows():
    return merged([compared(problem) for problem in OF])


@pytest.fixture(scope="module")
def sweeps():
    return merged([one(synthetic.temperature_study, "temperature", problem) for problem in OF])


def test_a_block_of_lines_for_each(rows, sweeps):
    assert list(places(rows)) == list(OF)
    table = readable(rows)
    for problem in OF:
        own = analysis.comparison_table(compared(problem))
        block = table.frame[table.frame["place"] == problem]
        assert list(block["estimator"]) == list(own.frame["estimator"])
        np.testing.assert_array_equal(block["equal_cost_error"], own.frame["equal_cost_error"])
        assert set(block["truth_norm"]) == {own.settings["truth_norm"]}
        assert [f"{problem}: {said}" for said in own.findings] == [
            said for said in table.findings if said.startswith(problem)
        ]
    assert table.skipped[f"DisARM ({LONG})"] == "takes Bernoulli"
    assert "VIMCO" in table.skipped  # at each
    assert "gradient" not in table.heading and table.columns[0].title == "problem"
    (said,) = [note for note in table.notes if "encoder" in note]
    assert "my.module:Wide: gradient with respect to encoder, step 20" in said
    for render in (analysis.to_text, analysis.to_markdown, analysis.to_html, analysis.to_latex):
        assert "encoder" in render(readable(sweeps)) and "encoder" in render(table)
    csv = analysis.to_csv(table)
    assert {"place", "problem", "group", "step"} <= {*csv.partition("\n")[0].split(",")}


def test_what_a_column_says_holds_at_every_problem(rows):
    columns = readable(rows, cost="time").columns
    (time,) = [column for column in columns if column.field == "equal_time_error"]
    assert all(f"{problem}: Equal time: " in time.about for problem in OF)


def test_the_settings_of_each_problem_are_kept(rows):
    configuration = rows.attrs["configuration"]
    assert configuration["problem"] == list(OF) and configuration["budget"] == 100.0
    assert {
        source["configuration"]["problem"]: source["configuration"]["train_steps"]
        for source in rows.attrs["sources"]
    } == {problem: settings["train_steps"] for problem, (_, _, settings) in OF.items()}
    again = merged([rows, compared("Coupled")])
    assert again.attrs == rows.attrs


def test_the_order_and_grouping_of_merging_do_not_matter(rows):
    parts = [compared(problem) for problem in OF]
    keys = ["problem", "estimator", "metric"]
    whole = rows.sort_values(keys, ignore_index=True)
    nested = merged([parts[0], merged(parts[1:])])
    pd.testing.assert_frame_equal(nested, rows, check_exact=True)
    assert nested.attrs == rows.attrs
    for order in itertools.permutations(parts):
        found = merged(list(order)).sort_values(keys, ignore_index=True)
        pd.testing.assert_frame_equal(found[whole.columns], whole)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"budget": 7.0}, "their budget is 100.0 .a. and 7.0 .b."),
        ({"problem": "Coupled", "train_steps": 3}, "their train steps is 300 .a. and 3 .b."),
        (
            {"problem": "Coupled", "train_steps": 300, "at": [1]},
            "a and b differ in their checkpoints",
        ),
    ],
)
def test_other_settings_are_refused(rows, settings, says):
    other = compared("my.module:Wide")
    other.attrs["configuration"] |= settings
    with pytest.raises(ValueError, match=says):
        merged([rows, other], ["a", "b"])
    with pytest.raises(ValueError, match=says):
        merged([compared("Coupled"), other], ["a", "b"])


def test_diagnoses_of_other_models_are_not_merged():
    parts = [
        results(synthetic.comparison().assign(problem=name), name, "diagnose", problem=name)
        for name in ("A", "B")
    ]
    with pytest.raises(ValueError, match="their problem is A .* and B"):
        merged(parts)


def looks(figure):
    """The colour, marker and fill of each name in each panel."""
    return [
        {
            line.get_label(): (to_hex(line.get_color()), line.get_marker(), line.get_fillstyle())
            for line in ax.lines
            if not line.get_label().startswith("_") and line.get_marker() not in ("None", "")
        }
        for ax in figure.axes
    ]


@pytest.mark.parametrize("width", [3.25, 5.5])
@pytest.mark.parametrize(("module", "panels"), [(error_cost, 1), (temperature, 2)])
def test_each_problem_has_its_panels(rows, sweeps, module, panels, width):
    table = rows if module is error_cost else sweeps
    assert list(figures.of_study(table)) == [module.__name__.rpartition(".")[2]]
    data = module.data(table)
    assert list(data["place"].unique()) == list(OF)
    figure = module.draw(table, Page(width))
    assert len(figure.axes) == panels * len(OF)
    assert figure.axes[0].get_gridspec().ncols == (3 if width == 5.5 else 2)
    titles = [ax for ax in figure.axes if ax.get_title()]
    assert ["".join(ax.get_title().split()) for ax in titles] == list(OF)
    figure.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in titles]
    for box, other in itertools.combinations(boxes, 2):
        assert not box.overlaps(other)
    for box in boxes:
        assert 0 <= box.x0 and box.x1 <= figure.bbox.width
        assert not any(box.overlaps(ax.get_window_extent()) for ax in figure.axes)
    found = looks(figure)
    for name in set().union(*found):
        assert len({one[name] for one in found if name in one}) == 1
    named = {name: look for one in found for name, look in one.items()}
    assert len(set(named.values())) == len(named) <= 12
    last = [ax for ax in figure.axes if ax.get_xlabel()]
    assert len(last) == figure.axes[0].get_gridspec().ncols
    for ax in last:
        assert any(text.get_text() for text in ax.get_xticklabels())


def test_a_problem_without_any_of_the_estimators_is_said(rows, sweeps):
    is_long = sweeps["problem"] == LONG
    gone = sweeps[is_long].iloc[:1].assign(
        metric="skipped", note="takes Bernoulli", estimator="REBAR", method="REBAR"
    )  # fmt: skip
    some = pd.concat([sweeps[~is_long], gone])
    some.attrs = sweeps.attrs
    for module, table in (
        (error_cost, figures.only(rows, ["DisARM"])),
        (temperature, figures.only(some, ["REBAR"])),
        (temperature, figures.only(some[some["problem"] != "Coupled"], ["REBAR"])),
    ):
        measured = {*module.data(table)["place"]}
        assert LONG not in measured
        figure = module.draw(table)
        assert {ax.get_title() for ax in figure.axes} - {""} == measured
        said = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        assert "no panel, for lack of finite values: OfAUser" in " ".join(" ".join(said).split())


def test_names_are_chosen_by_rank():
    """Not by the errors of the problem with the smallest ones."""
    frame = pd.DataFrame(
        {
            "place": ["a"] * 3 + ["b"] * 2,
            "name": ["x", "y", "z", "x", "y"],
            "error": [1e-9, 2e-9, 1e-10, 300.0, 100.0],
        }
    )
    ranks = small_multiples.ranked(frame, "name", "error")
    assert dict(ranks) == {"x": 2.0, "y": 2.0, "z": 2.0}
    alone = small_multiples.ranked(frame[:3].drop(columns="place"), "name", "error")
    assert list(alone.sort_values().index) == ["z", "x", "y"]


def test_the_main_panel_is_of_the_first_problem(rows, sweeps):
    for module, table in ((error_cost, rows), (temperature, sweeps)):
        ax = Figure().subplots()
        module.panel(ax, table)
        assert ax.get_xlabel() and ax.get_ylabel()
        assert ax.get_legend_handles_labels()[1]


def test_the_temperature_of_the_least_error_is_circled(sweeps):
    data = temperature.data(sweeps)
    for _, line in data[data["least_error"]].iterrows():
        same = data[(data["place"] == line["place"]) & (data["family"] == line["family"])]
        assert same["equal_cost_error"].min() == line["equal_cost_error"]
    families = data.loc[data["temperature"].notna(), ["place", "family"]].drop_duplicates()
    assert data["least_error"].sum() == len(families)
    figure = temperature.draw(sweeps)
    circles = [line for line in figure.axes[0].lines if line.get_markersize() > 7]
    assert len(circles) == families["family"].nunique()


def test_a_negative_bias_without_an_interval_is_not_zero():
    study = synthetic.temperature_study()
    chosen = study["estimator"].isin(["GumbelSoftmax[temperature=5.0]", "DisARM"])
    chosen &= study["metric"] == "squared_bias"
    study.loc[chosen, ["value", "low", "high"]] = [-1e-3, np.nan, np.nan]
    figure = temperature.draw(study)
    bias = figure.axes[0]
    drawn = {line.get_label(): line for line in bias.lines}
    assert "DisARM" not in drawn
    (curve,) = [
        line for line in bias.lines
        if line.get_label().startswith("_") and len(line.get_xdata()) == 9
        and line.get_color() == drawn["GumbelSoftmax"].get_color()
    ]  # fmt: skip
    assert np.isnan(curve.get_ydata()[-1]) and not np.isnan(curve.get_ydata()[-2])
    said = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "not drawn: negative estimates of a squared bias without an interval" in said


def test_what_has_no_error_at_one_problem_alone():
    """Its line is vertical there, and a curve elsewhere."""
    plain = {"DisARM": ("yes", 2, 0.0, 0.38, 8e-5)}
    parts = [
        synthetic.comparison(plain | {"UnorderedSet": ("yes", 4, 0.0, variance, 1e-3)}, {}).assign(
            problem=problem
        )
        for problem, variance in (("A", 0.0), ("B", 0.2))
    ]
    both = pd.concat(parts, ignore_index=True)
    figure = error_cost.draw(both)
    said = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "UnorderedSet" in said and "vertical: zero error from there" in said


def test_lines_at_one_cost_are_both_seen():
    free = {name: ("yes", 4, 0.0, 0.0, 1e-3) for name in ("Exact", "LocalExpectation")}
    figure = error_cost.draw(synthetic.comparison({"DisARM": ("yes", 2, 0, 0.4, 8e-5)} | free, {}))
    lines = [line for line in figure.axes[0].lines if line.get_label() in free]
    assert len({line.get_linestyle() for line in lines}) == 2


def test_too_many_problems_are_one_clear_error(rows):
    one_problem = rows[rows["problem"] == "Coupled"]
    many = pd.concat([one_problem.assign(problem=f"P{number}") for number in range(13)])
    with pytest.raises(
        ValueError, match="13 places are too many for one figure, which shows at most 12"
    ):
        error_cost.draw(many)


def test_steps_of_several_problems(rows):
    two = rows[rows["problem"] != LONG]
    steps = pd.concat([two.assign(trained_with="DisARM", step=step) for step in (0, 2000)])
    steps.attrs = rows.attrs
    assert list(figures.of_study(steps)) == ["over_steps"]
    assert list(over_steps.data(steps)["place"].unique()) == ["Coupled", "my.module:Wide"]
    figure = over_steps.draw(steps)
    assert [ax.get_title(loc="left") for ax in figure.axes[::3]] == ["Coupled", "my.module:Wide"]
    (said,) = readable(steps).findings
    assert " of 4 (Coupled, step 0" in said


def test_the_report(rows, tmp_path):
    rows.to_parquet(tmp_path / "results.parquet")
    page = report([tmp_path])
    assert not page.left_out and page.text.count("<table") >= 3
    assert f"compare Coupled, my.module:Wide, {LONG}" in page.text
