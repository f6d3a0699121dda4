"""The atlas: ratios, ranks and profiles against examples computed by hand; table and figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import atlas, kept_atlas
from analysis.figures import atlas_map, atlas_profiles, atlas_ranks
from analysis.page import WIDTHS, Page
from analysis.statistics.profiles import mean_ranks, profile, ranks, ratios
from tests.analysis.helpers import synthetic_atlas as synthetic

ERRORS = {
    ("P", 0): {"A": 1.0, "B": 4.0, "C": 2.0, "D": 8.0},
    ("P", 30): {"A": 3.0, "B": 1.0, "C": 10.0},
    ("Q", 0): {"A": 2.0, "B": 50.0, "C": 1.0},
}
REACHING = [("Q", 0, "B")]


@pytest.fixture
def rows():
    return synthetic.rows(ERRORS, reaching=REACHING, laws={"Q": "Categorical"})


def by_cell(found, column):
    return {
        (line["problem"], line["step"], line["estimator"]): line[column]
        for _, line in found.iterrows()
    }


# Statistics -------------------------------------------------------------------------------------


def test_ratios_by_hand():
    errors = pd.Series([2.0, 3.0, 9.0, np.nan])
    none = pd.Series([False] * 4)
    assert ratios(errors, none, none).tolist()[:3] == [1.0, 1.5, 4.5]
    assert np.isnan(ratios(errors, none, none)[3])
    # The least says nothing of its size: it ties with the best that does.
    first = pd.Series([True, False, False, False])
    assert ratios(errors, first, none).tolist()[:3] == [1.0, 1.0, 3.0]
    # A large one whose interval reaches zero ties, too.
    assert ratios(errors, first[::-1].reset_index(drop=True) | (errors == 9), none)[2] == 1.0
    assert ratios(errors, none, errors == 3.0).tolist()[:3] == [1.0, 1.0, 4.5]
    assert ratios(errors, ~none, none).tolist()[:3] == [1.0, 1.0, 1.0]


def test_ranks_by_hand():
    values, none = np.array([1.0, 2.0, 2.0, np.nan]), np.zeros(4, bool)
    np.testing.assert_array_equal(ranks(values, none), [0.0, 0.75, 0.75, np.nan])
    tied = np.array([True, False, True, False])
    np.testing.assert_array_equal(ranks(values, tied), [0.25, 1.0, 0.25, np.nan])
    np.testing.assert_array_equal(ranks(np.array([3.0, np.nan]), none[:2]), [0.5, np.nan])


def test_the_interval_of_a_rank_is_over_problems():
    # Each of two is the best on half of the problems: a fair coin.
    problems = [str(number) for number in range(40)]
    values = np.array([[1.0, 2.0], [2.0, 1.0]] * 20)
    still, none = np.zeros_like(values), np.zeros(values.shape, bool)
    found = mean_ranks(values, still, none, problems)
    found = mean_ranks(values, still, none, problems)
    assert found["rank"].tolist() == [0.5, 0.5]
    half = (found["rank_high"] - found["rank_low"]) / 2
    np.testing.assert_allclose(half, 1.96 * 0.5 / np.sqrt(40), rtol=0.15)
    # The same points of two problems say less.
    few = mean_ranks(values, still, none, ["one", "other"] * 20)
    assert few["rank_low"][0] == 0.0 and few["rank_high"][0] == 1.0
    alone = mean_ranks(values, still, none, ["one"] * 40)
    assert alone[["rank_low", "rank_high"]].isna().all(axis=None)


def test_the_interval_of_a_rank_has_the_error_of_measurement():
    values, none = np.array([[1.0, 1.1]] * 4), np.zeros((4, 2), bool)
    problems = list("abcd")
    sure = mean_ranks(values, np.full_like(values, 1e-3), none, problems)
    assert sure.iloc[0].tolist() == [0.0, 0.0, 0.0]
    unsure = mean_ranks(values, np.full_like(values, 0.5), none, problems)
    assert unsure["rank"][0] == 0.0 and unsure["rank_high"][0] > 0.5


def test_a_profile_by_hand():
    found = pd.DataFrame({"A": [1.0, 3.0, 2.0], "B": [4.0, 1.0, np.nan], "C": [np.nan] * 3})
    curves = profile(found, np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(curves["A"], [1 / 3, 2 / 3, 1.0, 1.0])
    # Over the points that it takes.
    assert curves["B"].tolist() == [0.5, 0.5, 0.5, 1.0]
    assert "C" not in curves


# Cells ------------------------------------------------------------------------------------------


def test_ratios_of_all_and_of_a_kind(rows):
    found = atlas.cells(rows)
    of_all = by_cell(found, "ratio")
    assert of_all == pytest.approx(
        {
            ("P", 0, "A"): 1.0,
            ("P", 0, "B"): 4.0,
            ("P", 0, "C"): 2.0,
            ("P", 0, "D"): 8.0,
            ("P", 30, "A"): 3.0,
            ("P", 30, "B"): 1.0,
            ("P", 30, "C"): 10.0,
            ("Q", 0, "A"): 2.0,
            ("Q", 0, "B"): 1.0,  # its interval reaches zero
            ("Q", 0, "C"): 1.0,
        }
    )
    of_kind = by_cell(found, "ratio_of_kind")
    assert [of_kind["P", 0, name] for name in "ABCD"] == pytest.approx([1.0, 4.0, 1.0, 4.0])
    assert [of_kind["Q", 0, name] for name in "ABC"] == [1.0, 1.0, 1.0]


def test_unbiased_ones_without_variance_are_left_out():
    exact = [("P", 0, "A")]
    found = atlas.cells(synthetic.rows(ERRORS, exact=exact))
    assert by_cell(found, "is_exact")["P", 0, "A"]
    of_all = by_cell(found, "ratio")
    assert np.isnan(of_all["P", 0, "A"])
    assert of_all["P", 0, "C"] == 1.0 and of_all["P", 0, "B"] == pytest.approx(2.0)
    # Without variance but biased: its bias is compared.
    assert not by_cell(found, "is_exact")["P", 0, "C"]
    text = analysis.to_text(analysis.STUDIES["atlas"].table(synthetic.rows(ERRORS, exact=exact)))
    assert "Left out, unbiased without variance, at so many points: A (1)." in text


def test_without_an_interval_nothing_is_compared():
    found = atlas.cells(synthetic.rows(ERRORS, without=[("P", 0, "A")]))
    of_all = by_cell(found, "ratio")
    assert np.isnan(of_all["P", 0, "A"]) and of_all["P", 0, "C"] == 1.0
    lines = atlas.ranked(found).set_index("estimator")
    assert lines["points"].to_dict() == {"A": 2, "B": 3, "C": 3, "D": 1}


def test_those_not_distinguishable_from_the_best_tie():
    # A and B differ by a tenth of the noise that they do not share.
    rows = synthetic.rows({("P", 0): {"A": 1.0, "B": 1.0001, "C": 1.5}})
    of_all = by_cell(atlas.cells(rows), "ratio")
    assert of_all == {("P", 0, "A"): 1.0, ("P", 0, "B"): 1.0, ("P", 0, "C"): 1.5}


def test_ranks_and_shares_by_hand(rows):
    lines = atlas.ranked(atlas.cells(rows)).set_index("estimator")
    # Unbiased: A is first, last and tied, B the other way around.
    assert lines["rank"].to_dict() == pytest.approx({"A": 0.5, "B": 0.5, "C": 1 / 3, "D": 1.0})
    assert lines["points"].to_dict() == {"A": 3, "B": 3, "C": 3, "D": 1}
    assert set(lines["all_points"]) == {3}
    assert lines["within_2"].to_dict() == pytest.approx({"A": 2 / 3, "B": 2 / 3, "C": 1, "D": 0})
    assert lines["within_2_of_all"]["C"] == pytest.approx(2 / 3)
    assert lines["worst"].to_dict() == pytest.approx({"A": 3.0, "B": 4.0, "C": 1.0, "D": 4.0})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows.drop(columns="law"), "lacks the column law"),
        (lambda rows: rows[:0], "empty"),
        (lambda rows: pd.concat([rows, rows]), "twice"),
        (lambda rows: rows.assign(metric="skipped"), "no estimator was measured"),
    ],
)
def test_bad_rows_are_refused(rows, change, says):
    with pytest.raises(ValueError, match=says):
        atlas.cells(change(rows))


# Table and figures ------------------------------------------------------------------------------


def test_the_table_answers_and_fits_eighty_columns(rows):
    text = analysis.to_text(analysis.STUDIES["atlas"].table(rows), 80)
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    assert "Atlas: 10 cells, 3 points of 2 problems" in flat
    assert "1 of 3" in flat and "67 %" in flat
    # A, B and C are near the best at two points each; the worst case of A is the least.
    answer = "A, within a factor of 2 of the best at 2 of 3 that it takes, at worst 3 times it"
    assert f"any law (3 points): {answer}; it is unbiased." in flat
    answer = "within a factor of 2 of the best at 1 of 1 that it takes"
    assert f"Categorical (1 point): B, {answer}; of the unbiased, A, {answer}." in flat


@pytest.mark.draws
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("module", [atlas_map, atlas_profiles, atlas_ranks])
def test_figures(module, width, rows, tmp_path):
    figure = module.draw(rows, Page(width))
    analysis.save_figure(figure, tmp_path / "figure", module.data(rows), ["png"])
    assert figure.get_figwidth() == width
    assert len(pd.read_csv(tmp_path / "figure.csv")) >= 4


@pytest.mark.draws
def test_the_map_is_blank_where_an_estimator_takes_no_problem(rows):
    figure = atlas_map.draw(rows)
    unbiased, biased = figure.axes
    (colours,) = biased.collections
    assert np.ma.count_masked(colours.get_array()) == 2  # D at two points
    (colours,) = unbiased.collections
    assert np.ma.count_masked(colours.get_array()) == 0
    labels = [text.get_text() for text in unbiased.get_yticklabels()]
    assert labels == ["P", "P, 30", "Q"]


# What is kept -----------------------------------------------------------------------------------

CELLS = [
    {"estimator": name, "ratio": ratio}
    for name, each in {"A": ["1.0", "3.0", ""], "B": ["1.5", "2.0"], "C": ["7.0"]}.items()
    for ratio in each
]


def test_how_an_estimator_stands():
    assert kept_atlas.standing("A", CELLS) == (1, 2, 1, 3)
    assert kept_atlas.standing("B", CELLS) == (2, 2, 0, 3)
    assert kept_atlas.standing("C", CELLS) == (0, 1, 2, 3)
    assert kept_atlas.standing("D", CELLS) is None


def test_compare_says_how_its_answer_stands(monkeypatch):
    rows = synthetic.rows({("P", 0): {"A": 1.0, "B": 4.0}}).assign(study="compare")
    rows.attrs = {**synthetic.ATTRS}
    monkeypatch.setattr(kept_atlas, "cells", lambda: [])
    before = analysis.comparison_table(rows).findings
    assert not any("Atlas" in said for said in before)
    monkeypatch.setattr(kept_atlas, "cells", lambda: CELLS)
    *others, last = analysis.comparison_table(rows).findings
    assert others == before
    assert last == (
        "Atlas: A is within a factor of 2 of the best at 1 of the 2 points that it takes; 1 of 3 "
        "estimators have a larger share."
    )
    diagnosed = analysis.comparison_table(rows.assign(study="diagnose")).findings
    assert diagnosed == before  # which says it itself


def test_what_is_packaged_is_what_is_kept():
    """After a run: python -m analysis.kept_atlas docs/results/atlas-laptop."""
    folder = Path(__file__).parents[2] / "docs/results/atlas-laptop"
    file = Path(kept_atlas.__file__).with_name(kept_atlas.FILE)
    assert file.exists() == folder.exists()
    if folder.exists():
        assert file.read_text() == kept_atlas.packaged(folder)


@pytest.mark.draws
def test_a_package_is_made_of_the_map(rows, tmp_path):
    analysis.save_figure(
        atlas_map.draw(rows), tmp_path / "atlas_map", atlas_map.data(rows), ["png"]
    )
    lines = kept_atlas.packaged(tmp_path).splitlines()
    assert lines[0] == ",".join(kept_atlas.COLUMNS) and len(lines) == 11
    assert lines[2].startswith("P,0,Bernoulli,B,B,yes,4.0,400.0,4.0")
