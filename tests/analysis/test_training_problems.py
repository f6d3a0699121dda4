"""Training runs of several problems, merged: one table, and panels for each."""

import itertools

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import figures
from analysis.figures import along_training, rank, training
from analysis.merging import merged
from analysis.page import Page
from analysis.report import report
from analysis.rows import places
from analysis.studies import readable
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_merging import results
from tests.analysis.test_result_figures import assert_readable

NAMES = ("DisARM", "REBAR", "GumbelSoftmax[temperature=0.5]", "ReinMax")
VAE, TOY = "VAE[size=200]", "Quadratic[target=0.499]"
STEPS = {VAE: 10_000, TOY: 500}


def of_vae():
    return synthetic.training({name: synthetic.TRAINED[name] for name in NAMES}, diverges=False)


def of_toy():
    """Runs of fewer steps that are evaluated exactly, of one estimator more and one fewer."""
    rng = np.random.default_rng(3)
    records = []
    for number, name in enumerate((*NAMES[1:], "StraightThrough")):
        for rate, seed in itertools.product((3e-4, 1e-3), range(3)):
            row = synthetic.trained(name, rate, seed, problem=TOY, objective="exact", data="")
            for step in range(50, 501, 50):
                value = 0.3 - rate * step / (3 + number) + 0.003 * rng.normal()
                records += [row(step, "loss", value + 0.01, split="train")]
                records += [row(step, "exact_loss", value)]
    return pd.DataFrame(records)


MADE = {VAE: of_vae, TOY: of_toy}


def one(problem, **settings):
    about = {"problem": problem, "steps": STEPS[problem], "tuning_rate": None} | settings
    return results(MADE[problem](), problem, "train", **about)


@pytest.fixture(scope="module")
def rows():
    return merged([one(problem) for problem in MADE])


def test_a_block_of_lines_for_each(rows):
    assert list(places(rows)) == list(MADE)
    table = readable(rows)
    for problem in MADE:
        own = analysis.training_table(one(problem))
        block = table.frame[table.frame["place"] == problem]
        assert list(block["estimator"]) == list(own.frame["estimator"])
        for name in ("exact_loss", "test_bound", "loss", "eighth", "whole_place", "best"):
            assert list(block[name].astype(str)) == list(own.frame[name].astype(str))
        assert set(block["whole_budget"]) == {STEPS[problem]}
        for note in own.notes:  # once if it holds for both
            assert sum(said.endswith(note) for said in table.notes) == 1
            is_shared = note in analysis.training_table(one(VAE)).notes
            is_shared &= note in analysis.training_table(one(TOY)).notes
            assert (note if is_shared else f"{problem}: {note}") in table.notes
    shown = [column.field for column in table.columns]
    assert shown[:2] == ["place", "short_name"] and {"exact_loss", "test_bound"} <= {*shown}
    assert "500 to 10,000 steps" in table.heading and "Adam" in table.heading
    assert "MNIST" not in table.heading and TOY not in table.heading
    for render in (analysis.to_text, analysis.to_markdown, analysis.to_html, analysis.to_latex):
        assert "StraightThrough" in render(table)
    text = analysis.to_text(table, 80)
    assert all(f"\n{problem}\n" in text for problem in MADE)
    assert max(map(len, text.splitlines())) <= 80
    csv = analysis.to_csv(table)
    assert {"place", "problem", "data"} <= {*csv.partition("\n")[0].split(",")}


@pytest.mark.parametrize("against", ["steps", "evaluations"])
def test_panels_for_each(rows, against):
    rows = rows.assign(evaluations=2, batch_runs=6, training_seconds=rows["step"] * 0.01)
    curves = training.data(rows, against)
    assert curves.columns[0] == "place" and list(curves["place"].unique()) == list(MADE)
    for problem in MADE:
        own = training.data(rows[rows["problem"] == problem], against)
        shown = curves[curves["place"] == problem].drop(columns="place").reset_index(drop=True)
        pd.testing.assert_frame_equal(shown, own)
    figure = training.draw(rows, against=against)
    # The loss of each, and what was evaluated.
    assert len(figure.axes) == 4
    assert [ax.get_title() for ax in figure.axes[:2]] == list(MADE)
    ends = [ax.get_xlim()[1] for ax in figure.axes]
    assert ends[0] == ends[2] > ends[1] == ends[3]
    assert_readable(figure)


def test_a_problem_with_fewer_panels(rows):
    toy = rows["problem"] == TOY
    few = rows[~toy | (rows["metric"] != "exact_loss") | (rows["step"] == 500)]
    figure = training.draw(few, Page(width=3.25))
    assert len(figure.axes) == 3
    alone = [ax for ax in figure.axes if ax.get_title().startswith("Quadratic")]
    assert [ax.get_xlabel() for ax in alone] == ["training step"]
    assert_readable(figure)


def test_ranks_of_each(rows):
    ranks = rank.data(rows)
    for problem in MADE:
        own = rank.data(rows[rows["problem"] == problem])
        shown = ranks[ranks["place"] == problem].drop(columns="place").reset_index(drop=True)
        pd.testing.assert_frame_equal(shown, own)
    figure = rank.draw(rows)
    assert [ax.get_title() for ax in figure.axes] == list(MADE)
    assert_readable(figure)
    # One that cannot be ranked has no panel, and that is said.
    few = rows[(rows["problem"] == VAE) | (rows["estimator"] == "ReinMax")]
    figure = rank.draw(few)
    assert [ax.get_title() for ax in figure.axes] == [VAE]
    said = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert any("no panel" in text and TOY in text for text in said)


def test_what_was_measured_along_each(rows):
    along = synthetic.along()
    both = pd.concat([along, along.assign(problem=TOY, data="")])
    assert list(along_training.data(both)["place"].unique()) == [VAE, TOY]
    figure = along_training.draw(both)
    titles = [text for ax in figure.axes if (text := ax.get_title("left"))]
    assert len(titles) == 2 and titles[0].startswith(VAE) and titles[1].startswith(TOY)
    assert_readable(figure)
    with pytest.raises(ValueError, match="nothing was measured"):
        along_training.data(rows)


def test_the_first_is_drawn_into_axes(rows):
    for module in (training, rank):
        ax = figures.Figure().subplots()
        module.panel(ax, rows)
        assert ax.lines


def test_what_may_differ(rows):
    assert rows.attrs["configuration"]["steps"] == [10_000, 500]
    with pytest.raises(ValueError, match="their steps is 500 .a. and 7 .b."):
        merged([one(TOY), one(TOY, steps=7)], ["a", "b"])
    with pytest.raises(ValueError, match="their tuning rate is None .a. and 0.1 .b."):
        merged([one(TOY), one(VAE, tuning_rate=0.1)], ["a", "b"])


def test_a_report_has_a_table_for_each(rows, tmp_path):
    rows.to_parquet(tmp_path / "results.parquet")
    page = report([tmp_path]).text
    assert page.count("<table") == 2 and f"train {VAE}, {TOY}" in page
