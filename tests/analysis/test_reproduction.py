"""Reproductions as tables and figures: differences, orders, verdicts."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import analysis
from analysis.figures import reproduction
from analysis.statistics.agreement import rank_agreement
from analysis.tables.reproduction import agreement, compared, predictions

SHARED = {"study": "reproduce", "table": "a table", "budget": "laptop"}


def target(label, value, *, block="part", metric="negative_bound", scale=1.0, higher=False):
    about = {"scale": scale, "higher_is_better": higher, "is_known": False}
    about |= {"units": "nats", "source": "a paper", "note": "", "split": "test"}
    place = {"stage": "published", "cell": label, "block": block, "label": label}
    return {**SHARED, **place, **about, "metric": metric, "value": value}


def ours(label, *values, width=0.5, metric="negative_bound", step=100, stage="final"):
    run = {"stage": stage, "cell": label, "metric": metric, "split": "test", "step": step}
    run |= {"estimator": f"{label}[1]", "variant": f"{label}[1]", "learning_rate": 0.001}
    return [
        {**SHARED, **run, "seed": seed, "value": v, "low": v - width, "high": v + width}
        for seed, v in enumerate(values)
    ]


def expected(better, worse, *, block="part"):
    return {
        **SHARED,
        "stage": "prediction",
        "block": block,
        "label": better,
        "other": worse,
        "note": f"{better} before {worse}",
    }


def flat(*rows):
    return pd.DataFrame(
        [row for each in rows for row in (each if isinstance(each, list) else [each])]
    )


def table(*rows):
    return analysis.reproduction_table(flat(*rows)).frame


def judged(*rows):
    """The verdicts on the predictions."""
    frame = flat(*rows)
    return predictions(frame, compared(frame))["verdict"].tolist()


def test_ours_is_the_mean_over_seeds_at_the_last_step():
    lines = table(
        target("A", 100.0), ours("A", 104.0, 106.0, 105.0), ours("A", 300.0, 300.0, step=50)
    )
    (line,) = lines.itertuples()
    # Standard deviation 1 over three seeds; Student's 97.5 % quantile with 2 degrees is 4.302653.
    half = 4.302653 / np.sqrt(3)
    assert (line.published, line.ours, line.difference, line.seeds) == (100, 105, 5, 3)
    assert np.allclose([line.ours_low, line.ours_high], [105 - half, 105 + half])


def test_one_seed_keeps_its_own_interval_and_candidates_do_not_count():
    lines = table(target("A", 1.0), ours("A", 2.0), ours("A", 9.0, stage="candidate"))
    (line,) = lines.itertuples()
    assert (line.ours, line.ours_low, line.ours_high, line.seeds) == (2.0, 1.5, 2.5, 1)


def test_units_of_the_paper():
    """Ours times the scale; a negative one turns the interval round."""
    lines = table(target("A", -100.0, scale=-1.0, higher=True), ours("A", 105.0))
    (line,) = lines.itertuples()
    assert (line.ours, line.ours_low, line.ours_high) == (-105.0, -105.5, -104.5)
    assert line.difference == -5


@pytest.mark.parametrize(
    ("first", "second", "higher", "verdict"),
    [
        (100.0, 102.0, False, "held"),
        (102.0, 100.0, False, "broke"),
        (100.0, 100.9, False, "undecided"),
        (102.0, 100.0, True, "held"),
        (100.0, 102.0, True, "broke"),
        (100.0, None, False, "not run"),
    ],
)
def test_a_prediction_is_judged_by_whether_intervals_overlap(first, second, higher, verdict):
    rows = [target("A", 1.0, higher=higher), target("B", 2.0, higher=higher), ours("A", first)]
    rows += [ours("B", second)] if second else []
    assert judged(*rows, expected("A", "B")) == [verdict]


def test_a_prediction_of_several_pairs_holds_if_all_do():
    rows = [target(name, 1.0) for name in "ABC"]
    rows += [ours("A", 100.0), ours("B", 102.0)]
    shared = {"note": "A is the lowest"}
    pairs = [expected("A", "B") | shared, expected("A", "C") | shared]
    for value, verdict in ((103.0, "held"), (100.2, "undecided"), (97.0, "broke")):
        assert judged(*rows, ours("C", value), *pairs) == [verdict]


def test_rank_agreement_is_kendalls_tau():
    random = np.random.default_rng(0)
    for count in (2, 5, 9):
        known = random.normal(size=count).round(1)
        means = known + random.normal(size=count)
        found = rank_agreement(known, means, np.zeros(count), np.full(count, np.inf))
        assert np.isclose(found.tau, kendalltau(known, means).statistic)
        assert found.low == found.tau == found.high and found.size == count


def test_interval_of_the_agreement_is_that_of_the_means_order():
    """With two means it holds 1 as often as the means keep their order."""
    known, means = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    normal = np.full(2, np.inf)
    sure = rank_agreement(known, means, np.full(2, 0.3), normal)
    assert (sure.tau, sure.low, sure.high) == (1, 1, 1)  # 1 % are turned round
    unsure = rank_agreement(known, means, np.full(2, 0.5), normal)
    assert (unsure.tau, unsure.low, unsure.high) == (1, -1, 1)  # 8 % are
    # Of one degree of freedom, a seed more than one, 0.3 is unsure.
    assert rank_agreement(known, means, np.full(2, 0.3), np.ones(2)).low == -1


def test_equal_known_values_have_no_order():
    found = rank_agreement(np.ones(3), np.arange(3.0), np.ones(3), np.full(3, 2.0))
    assert np.isnan(found.tau) and np.isnan(found.low)


def test_blocks_stand_together_and_the_order_is_theirs():
    rows = [
        target(label, value, block=block, metric=metric)
        for label, value in (("A", 1.0), ("B", 2.0), ("C", 3.0))
        for block, metric in (("bound", "negative_bound"), ("ELBO", "negative_elbo"))
    ]
    for label, value in (("A", 10.0), ("B", 20.0), ("C", 30.0)):
        rows += [ours(label, value), ours(label, -value, metric="negative_elbo")]
    lines = compared(flat(*rows))
    assert lines["block"].tolist() == ["bound"] * 3 + ["ELBO"] * 3
    assert [one.tau for one in agreement(lines).values()] == [1, -1]
    text = analysis.to_text(analysis.reproduction_table(flat(*rows)))
    assert "bound  1.00 [1.00, 1.00]  (3 estimators)" in text
    assert text.splitlines().count("bound") == 1  # above its lines
    assert text.count("bound ") == 1  # for its order


def test_diverged_seeds_are_left_out_and_said():
    rows = [target("A", 1.0), ours("A", 2.0, 9.0)]
    lost = ours("A", 1.0, 7.0, metric="diverged")[1]
    (line,) = table(*rows, lost).itertuples()
    assert (line.ours, line.seeds, line.note) == (2.0, 1, "1 of 2 seeds diverged")


def seeded(label, mean):
    """Four runs whose seeds differ more than the estimators."""
    own = {"A": 0.01, "B": -0.01, "C": 0.02}[label]
    return ours(label, *(mean + shift + own * (-1) ** i for i, shift in enumerate((0, 3, 7, 11))))


def test_the_best_of_each_part_is_marked_with_what_ties():
    rows = [target(name, 1.0) for name in "ABC"]
    rows += [seeded("A", 5.005), seeded("B", 5.0), seeded("C", 6.0)]
    shown = analysis.reproduction_table(flat(*rows))
    assert shown.frame["ours_tied"].tolist() == [True, True, False]
    text = analysis.to_text(shown, 80)
    marked = [line.split()[0] for line in text.splitlines() if " =" in line]
    assert marked == ["A", "B"] and "\n=: not distinguishable from the best" in text
    markdown = analysis.to_markdown(shown)
    assert [line.count("| **") for line in markdown.splitlines() if "0.001" in line] == [1, 1, 0]
    assert analysis.to_html(shown).count("<b>1") == 2
    latex = analysis.to_latex(shown)
    assert latex.count(r"& \bfseries 1") == 2
    for one in (text, markdown, analysis.to_html(shown), latex):
        assert "In each part of the table, the best of ours is marked" in " ".join(one.split())


def test_the_best_of_published_units():
    rows = [target(name, 1.0, scale=-1.0, higher=True) for name in "AC"]
    rows += [seeded("A", 5.0), seeded("C", 6.0)]
    assert table(*rows)["ours_tied"].tolist() == [True, False]
    rows = [target(name, 1.0, scale=100.0, higher=True) for name in "AC"]
    rows += [seeded("A", 5.0), seeded("C", 6.0)]
    shown = analysis.reproduction_table(flat(*rows))
    assert shown.frame["ours_tied"].tolist() == [False, True]
    # The lines are not sorted: also the best alone is marked, with digits as before.
    first, second = (line for line in analysis.to_text(shown).splitlines() if " ±" in line)
    assert " =" in second and " =" not in first
    assert first.index("±") == second.index("±")


def test_parts_have_a_best_one_each():
    rows = [target(name, 1.0, block=part) for part in ("one", "two") for name in "AC"]
    rows = [row | {"cell": f"{row['block']} {row['cell']}"} for row in rows]
    for part, values in (("one", (5.0, 6.0)), ("two", (8.0, 7.0))):
        for label, value in zip("AC", values, strict=True):
            rows += [row | {"cell": f"{part} {label}"} for row in seeded(label, value)]
    assert table(*rows)["ours_tied"].tolist() == [True, False, False, True]


def test_without_pairs_none_is_the_best():
    both = [target(name, 1.0) for name in "AC"]
    alone = [*ours("A", 5.0), *ours("C", 6.0)]
    seeds = [*seeded("A", 5.0), *seeded("C", 6.0)]
    known = [row | {"is_known": True} for row in both]
    only_one = [*both, *seeded("A", 5.0)]
    lost = [*both, *seeds, ours("C", 1.0, 1.0, metric="diverged")[1]]
    for rows, why in (
        ([*both, *alone], "pairs need two seeds or more, none diverged"),
        ([*known, *seeds], "all estimate the same known answers"),
        (only_one, None),
        (lost, "pairs need two seeds or more, none diverged"),
    ):
        shown = analysis.reproduction_table(flat(*rows))
        assert not shown.frame["ours_tied"].any()
        assert [note for note in shown.notes if "marked" in note] == (
            [f"No best one of ours is marked: {why}."] if why else []
        )


def test_formats_and_figure(tmp_path):
    rows = [target("A", 100.0), target("B_x", 101.0), target("C", 102.0), expected("A", "C")]
    rows += [*ours("A", 104.0, 106.0), *ours("B_x", 103.0, 107.0)]
    rows.append({**SHARED, "stage": "skipped", "cell": "C", "note": "no faces"})
    rows.append({**SHARED, "stage": "tried", "cell": "A", "step": 2000, "learning_rate": 0.1})
    frame = pd.DataFrame(rows)
    frame.attrs["configuration"] = {"title": "A paper, table 1", "notes": ["Reading: so."]}
    lines = analysis.reproduction_table(frame)
    text = analysis.to_text(lines)
    assert "A paper, table 1, budget laptop, 100 steps, 2 seeds" in text
    assert "1 x 2,000" in text and "(1) no faces." in text and "Reading: so." in text
    assert "C (1)" in text and "not run" in text
    assert max(map(len, text.splitlines())) <= 120
    markdown = analysis.to_markdown(lines)
    assert "| part | A | 100 |" in markdown and "- not run: A before C" in markdown
    assert "<li>not run: A before C</li>" in analysis.to_html(lines)
    assert r"B\_x" in analysis.to_latex(lines)
    paths = analysis.save_table(lines, tmp_path / "table")
    assert pd.read_csv(tmp_path / "table.csv")["published"].tolist() == [100, 101, 102]
    figure = reproduction.draw(frame)
    (ax,) = [ax for ax in figure.axes if ax.get_visible()]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["A", "B_x"]
    analysis.save_figure(figure, tmp_path / "figure", reproduction.data(frame))
    assert len(paths) == 4 and pd.read_csv(tmp_path / "figure.csv")["ours"].tolist() == [105, 105]


@pytest.mark.parametrize("split", ["test", "train"])
def test_test_images_are_told_where_they_are_evaluated(split):
    rows = [row | {"split": split} for row in [target("A", 1.0), *ours("A", 1.0, 2.0)]]
    frame = pd.DataFrame(rows)
    frame.attrs["configuration"] = {"title": "Toy", "spent": {"images": 2000}}
    heading = analysis.reproduction_table(frame).heading
    assert ("the first 2,000 test images" in heading) == (split == "test")


def test_axes_are_logarithmic_where_positive_numbers_differ_by_ten():
    def scales(*blocks):
        rows = []
        for block, values in enumerate(blocks):
            for label, value in zip("ABC", values, strict=False):
                name = f"{label}{block}"
                rows += [target(name, value, block=str(block)), *ours(name, value, value)]
        figure = reproduction.draw(flat(*rows))
        return [ax.get_xscale() for ax in figure.axes if ax.get_visible()]

    assert scales((1.0, 2.0), (1.0, 11.0)) == ["log", "log"]
    assert scales((1.0, 2.0), (1.0, 9.0)) == ["linear", "linear"]
    assert scales((-1.0, 2.0), (1.0, 11.0)) == ["linear", "linear"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([target("A", 1.0), target("A", 1.0) | {"table": "other"}], "several values of table"),
        ([target("A", 1.0) | {"stage": "final"}], "no published number"),
        ([{"table": "a"}], "lacks the column"),
    ],
)
def test_tables_that_are_none(rows, message):
    with pytest.raises(ValueError, match=message):
        analysis.reproduction_table(pd.DataFrame(rows))


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no cell"):
        reproduction.draw(pd.DataFrame([target("A", 1.0)]))
