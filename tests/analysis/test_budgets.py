"""Training compared at equal steps, evaluations and seconds, from rows with known answers."""

import io

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import figures
from analysis.studies import readable
from analysis.units import UNITS
from tests.analysis.helpers import synthetic_rows as synthetic

STEPS = range(100, 900, 100)
SEEDS = {0: -0.3, 1: 0.1, 2: 0.2}
PARTS = ("eighth", "quarter", "half", "whole")


def run(name, slope, *, evaluations, seconds=1.0, runs=3, rate=1e-3, noise=0.0, until=800, **more):
    """The rows of a run for each seed, whose loss falls by `slope` in 100 steps from 100.

    Seeds shift all estimators together, by `SEEDS`, and each by itself, by up to `noise`.
    """
    records = []
    for seed, shift in SEEDS.items():
        row = synthetic.trained(name, rate, seed, evaluations=evaluations, batch_runs=runs, **more)
        own = noise * np.cos(7 * seed + len(name))
        for step in STEPS:
            time = {"training_seconds": step * seconds * runs}
            value = 100 + shift + own - slope * step / 100
            if step <= until:
                records.append(row(step, "loss", value, split="train", **time))
        if until < max(STEPS):
            more_time = {"training_seconds": (until + 100) * seconds * runs}
            records.append(row(until + 100, "diverged", until + 50, note="inf", **more_time))
    return records


def evaluated(records, offset, split="validation", first=100):
    """The bound after each step from `first`: the loss plus an offset."""
    bound = {"metric": "negative_bound", "split": split, "bound_samples": 10}
    losses = [row for row in records if row["metric"] == "loss" and row["step"] >= first]
    return records + [row | bound | {"value": row["value"] + offset} for row in losses]


def table(*runs):
    rows = pd.DataFrame([record for each in runs for record in each])
    rows.attrs = {"configuration": {"study": "train"}}
    return rows


def firsts(rows, against, place="first"):
    frame = analysis.training_table(rows, against).frame
    found = [frame.loc[frame[f"{part}_place"] == place, "estimator"] for part in PARTS]
    return ["+".join(sorted(names)) for names in found]


@pytest.fixture(scope="module")
def three():
    """One, two and three evaluations; the dearer, the more a step brings, and the faster it is."""
    return table(
        run("ScoreFunction", 1.0, evaluations=1, seconds=0.004, runs=6),
        run("DisARM", 3.0, evaluations=2, seconds=0.002),
        run("REBAR", 4.0, evaluations=3, seconds=0.016),
    )


@pytest.mark.parametrize(
    ("against", "budget", "heading", "first", "whole"),
    [
        # The last steps at 800: 92, 76 and 68.
        ("steps", 800, "Adam, 800 steps, 3 seeds", ["REBAR"] * 4, [68, 76, 92]),
        # At 100: step 100 of the first alone. At 200: 98 of its step 200, and 97 of DisARM's step
        # 100. At 800: 92, 88 of step 400, and 92 of step 200 (600 evaluations), not of step 300.
        ("evaluations", 800, "compared at 800 evaluations of f",
         ["ScoreFunction", "DisARM", "DisARM", "DisARM"], [88, 92, 92]),
        # All of DisARM, 1.6 seconds a run: 400 steps of the first and 100 of REBAR. At 0.2
        # seconds: step 100 of DisARM alone.
        ("seconds", 1.6, "compared at 1.60 s per run", ["DisARM"] * 4, [76, 96, 96]),
    ],
)  # fmt: skip
def test_who_is_first_at_each_budget(against, budget, heading, first, whole, three):
    found = analysis.training_table(three, against)
    assert firsts(three, against) == first
    assert found.settings["whole_budget"] == pytest.approx(budget)
    assert found.settings["eighth_budget"] == pytest.approx(budget / 8)
    assert heading in found.heading
    np.testing.assert_allclose(found.frame["loss"], whole)
    np.testing.assert_allclose(found.frame["whole"], whole)


def test_a_value_is_the_last_one_at_or_below_the_budget(three):
    frame = analysis.training_table(three, "evaluations").frame.set_index("estimator")
    # Budgets of 100, 200, 400 and 800: REBAR has spent 300 at its first step, 600 at its second.
    np.testing.assert_allclose(
        frame.loc["REBAR", list(PARTS)].astype(float), [np.nan, np.nan, 96, 92]
    )
    np.testing.assert_allclose(
        frame.loc["ScoreFunction", list(PARTS)].astype(float), [99, 98, 96, 92]
    )
    text = analysis.to_text(analysis.training_table(three, "evaluations"), 200)
    assert "1/8, 100 evaluations of f: ScoreFunction, 99.00 ±0.66; no value yet: " in text


def test_ties_are_of_paired_seeds():
    rows = table(
        run("ScoreFunction", 2.0, evaluations=1),
        run("DisARM", 2.001, evaluations=1, noise=0.1),
        run("REBAR", 1.9, evaluations=1),
    )
    # The seeds' common shifts are 0.5 apart, but REBAR is 0.1 and more behind in all of them.
    assert firsts(rows, "steps", "tied")[-1] in ("ScoreFunction", "DisARM")
    assert "REBAR" not in "".join(firsts(rows, "steps", "tied"))
    text = analysis.to_text(analysis.training_table(rows), 200)
    assert "; tied: not distinguishable from the first (paired test over seeds, 95 %" in text
    one = rows[rows["seed"] == 1]
    assert firsts(one, "steps", "tied") == [""] * 4 and all(firsts(one, "steps"))
    assert "with one seed, no ties can be tested" in analysis.to_text(analysis.training_table(one))


def test_each_is_at_its_best_rate_by_then():
    early = run("DisARM", 3.0, evaluations=1, rate=0.1)
    early = [row | {"value": max(row["value"], 95 + 0.1 * row["seed"])} for row in early]
    late = run("DisARM", 2.0, evaluations=1, rate=0.01)
    rows = table(early, late, run("REBAR", 1.0, evaluations=1))
    notes = [note for note in analysis.training_table(rows).notes if "DisARM" in note]
    # 97 and 98, 95 (not 94) and 96, 95 and 92.
    assert [note.partition("rate ")[2].partition(")")[0] for note in notes] == [
        "0.1", "0.1", "0.01", "0.01",
    ]  # fmt: skip
    assert "by training loss, each at its best learning rate by then;" in analysis.to_text(
        analysis.training_table(rows), 200
    )


def test_rates_are_chosen_on_validation_images_and_ranked_on_test_images():
    good = run("DisARM", 1.0, evaluations=1, rate=0.1)
    lucky = run("DisARM", 1.0, evaluations=1, rate=0.01)
    rows = table(
        evaluated(evaluated(good, 0.0), 5.0, "test"),
        evaluated(evaluated(lucky, 1.0), 3.0, "test"),
        evaluated(evaluated(run("REBAR", 1.0, evaluations=1), 0.0), 4.0, "test"),
    )
    found = analysis.training_table(rows)
    assert (
        firsts(rows, "steps") == ["REBAR"] * 4 and found.settings["half_ranked_by"] == "test_bound"
    )
    assert "test bound, each at its best learning rate by then (by negative validation bound)" in (
        analysis.to_text(found, 200)
    )


def test_the_loss_of_a_relaxed_model_is_not_ranked():
    relaxed = run("GumbelSoftmax[temperature=0.5]", 9.0, evaluations=1)
    others = run("DisARM", 1.0, evaluations=2), run("REBAR", 2.0, evaluations=3)
    rows = table(relaxed, *others)
    assert firsts(rows, "steps") == ["REBAR"] * 4
    text = analysis.to_text(analysis.training_table(rows), 200)
    assert (
        "by training loss, which is of the relaxed model: GumbelSoftmax[temperature=0.5]." in text
    )
    assert set(figures.named("rank").data(rows)["estimator"]) == {"DisARM", "REBAR"}
    # What is evaluated is the discrete model.
    rows = table(*(evaluated(one, 1.0) for one in (relaxed, *others)))
    assert firsts(rows, "steps") == ["GumbelSoftmax[temperature=0.5]"] * 4
    assert len(set(figures.named("rank").data(rows)["estimator"])) == 3
    # If one of them was evaluated only at the end, only there.
    rows = table(evaluated(relaxed, 1.0, first=800), *(evaluated(one, 1.0) for one in others))
    assert firsts(rows, "steps") == ["REBAR"] * 3 + ["GumbelSoftmax[temperature=0.5]"]
    assert "All, 800 steps, by negative validation bound: Gumbel" in analysis.to_text(
        analysis.training_table(rows), 200
    )
    assert set(figures.named("rank").data(rows)["estimator"]) == {"DisARM", "REBAR"}


def test_what_diverged_is_not_ranked():
    rows = table(
        run("DisARM", 1.0, evaluations=2),
        run("REBAR", 2.0, evaluations=3),
        [row for row in run("ARM", 5.0, evaluations=2, until=300) if row["seed"] == 1]
        + [row for row in run("ARM", 5.0, evaluations=2) if row["seed"] != 1],
    )
    assert firsts(rows, "steps") == ["REBAR"] * 4
    assert "Not ranked since runs diverged: ARM." in analysis.to_text(analysis.training_table(rows))
    # Nor does what it had spent shorten the budget of the others.
    assert analysis.training_table(rows, "evaluations").settings["whole_budget"] == 1600


def test_a_score_that_some_lack_by_the_budget_is_not_compared(three):
    parts = [
        three[three["estimator"] == name].to_dict("records") for name in three["estimator"].unique()
    ]
    rows = table(*(evaluated(part, 1.0, "test", first=800) for part in parts))
    assert analysis.training_table(rows, "steps").frame["test_bound"].notna().all()
    found = analysis.training_table(rows, "evaluations")
    assert found.frame["test_bound"].isna().all()
    assert "by then: negative test bound (--evaluations N" in " ".join(found.notes)


def test_what_has_nothing_by_the_budget_takes_no_score_from_the_others():
    exact = run("Exact", 9.0, evaluations=1024)
    others = [run(name, 1.0 + i, evaluations=1) for i, name in enumerate(("DisARM", "REBAR"))]
    rows = table(*(evaluated(part, 1.0, "test") for part in (exact, *others)))
    found = analysis.training_table(rows, "evaluations")
    assert found.frame.set_index("estimator")["test_bound"].isna().to_dict() == {
        "Exact": True, "DisARM": False, "REBAR": False,
    }  # fmt: skip
    assert not found.frame.set_index("estimator")["best"]["Exact"]
    assert firsts(rows, "evaluations") == ["REBAR"] * 4
    assert "REBAR, 85.00 ±0.66; no value yet: Exact." in analysis.to_text(found, 200)


def test_accuracies_are_higher_where_they_are_better():
    rows = table(run("DisARM", 1.0, evaluations=1), run("REBAR", 2.0, evaluations=1))
    rows.loc[rows["metric"] == "loss", "split"] = "train"
    of = rows.assign(metric="accuracy", split="test", value=rows["value"] / 200)
    both = pd.concat([rows, of], ignore_index=True)
    both.attrs = rows.attrs
    assert firsts(both, "steps") == ["DisARM"] * 4
    ranks = figures.named("rank").data(both).groupby("estimator")["rank"].agg(["min", "max"])
    assert ranks.loc["DisARM"].tolist() == [1, 1] and ranks.loc["REBAR"].tolist() == [2, 2]


def test_one_estimator_or_none_that_lasts_has_no_first():
    for rows in (
        table(run("DisARM", 1.0, evaluations=2)),
        table(*(run(name, 1.0, evaluations=2, until=300) for name in ("DisARM", "REBAR"))),
    ):
        for against in UNITS:
            found = analysis.training_table(rows, against)
            assert "eighth_place" not in found.frame and "First at" not in " ".join(found.notes)
            analysis.to_text(found)


@pytest.mark.parametrize("against", UNITS)
def test_every_form_says_it(against, three):
    found = readable(three, against=against)
    text = analysis.to_text(found, 80)
    assert max(map(len, text.splitlines())) <= 80
    forms = [text, analysis.to_markdown(found), analysis.to_latex(found), analysis.to_html(found)]
    for form in forms:
        form = " ".join(form.split())
        assert form.count("First at each budget, by training loss; tied: not disting") == 1
        assert all(f"{part}, " in form for part in ("1/8", "1/4", "1/2", "All"))
        assert ("compared at" in form) == (against != "steps")
        assert ("are divided by their number (3 or 6)" in form) == (against == "seconds")
    read = pd.read_csv(io.StringIO(analysis.to_csv(found)), keep_default_na=False)
    assert set(read["against"]) == {against} and set(read["half_ranked_by"]) == {"loss"}
    assert [list(read[f"{part}_place"]).count("first") for part in PARTS] == [1] * 4
    shuffled = three.sample(frac=1, random_state=1)
    assert firsts(shuffled, against) == firsts(three, against)


def test_results_without_what_was_spent_are_refused(three):
    old = three.drop(columns=["evaluations", "training_seconds"])
    assert firsts(old, "steps") == ["REBAR"] * 4
    with pytest.raises(ValueError, match="do not say how many seconds .*: train again"):
        analysis.training_table(old, "seconds")
    with pytest.raises(ValueError, match="do not say how many evaluations"):
        figures.named("training").data(old, "evaluations")
    with pytest.raises(ValueError, match="has no cost"):
        readable(three, cost="time")


@pytest.mark.parametrize("against", UNITS)
def test_curves_are_against_the_unit_up_to_the_budget(against, three):
    module = figures.of_study(three, against)["training"]
    found = module.data(three).query("estimator == 'REBAR' and curve == 'mean'")
    each = {"steps": 1, "evaluations": 3, "seconds": 0.016}[against]
    np.testing.assert_allclose(found["spent"], each * found["step"])
    figure = module.draw(three)
    label = {"steps": "training step", "evaluations": "evaluations of f per example",
             "seconds": "seconds of training per run"}[against]  # fmt: skip
    (ax,) = figure.axes
    assert ax.get_xlabel() == label
    budget = {"steps": 800, "evaluations": 800, "seconds": 1.6}[against]
    ends = {line.get_label(): line.get_xdata()[-1] for line in ax.lines}
    # The last point at or below it.
    last = {"steps": 800, "evaluations": 600, "seconds": 1.6}[against]
    assert ends["REBAR"] == pytest.approx(last) and max(ends.values()) == pytest.approx(budget)


def test_a_diverged_run_ends_at_what_it_had_spent():
    rows = table(run("DisARM", 1.0, evaluations=2), run("ARM", 5.0, evaluations=3, until=300))
    found = figures.named("training").data(rows, "evaluations")
    ends = found[(found["estimator"] == "ARM") & found["value"].isna()]
    assert set(ends["step"]) == {350} and set(ends["spent"]) == {1050}


def test_ranks_over_training(three):
    ranks = figures.named("rank").data(three, "evaluations")
    wide = ranks.pivot(index="spent", columns="estimator", values="rank")
    # 200: 98 and 97; 300: 97, 97 and 96; 400: 96, 94 and 96; 600: 94, 91, 92; 800: 92, 88, 92.
    expected = {
        100: [np.nan, np.nan, 1], 200: [1, np.nan, 2], 300: [2.5, 1, 2.5], 400: [1, 2.5, 2.5],
        600: [1, 2, 3], 800: [1, 2.5, 2.5],
    }  # fmt: skip
    found = wide.loc[list(expected), ["DisARM", "REBAR", "ScoreFunction"]]
    np.testing.assert_allclose(found, list(expected.values()))
    assert wide.index.max() == 800 and set(ranks["seeds"]) == {3}


def test_the_range_of_ranks_is_that_of_the_seeds():
    shifted = [
        row | {"value": row["value"] + (5 if row["seed"] == 2 else 0)}
        for row in run("DisARM", 2.0, evaluations=1)
    ]
    rows = table(shifted, run("REBAR", 1.9, evaluations=1))
    last = figures.named("rank").data(rows).query("spent == 800").set_index("estimator")
    np.testing.assert_allclose(
        last.loc["DisARM", ["rank", "low", "high"]].astype(float), [4 / 3, 1, 2]
    )
    np.testing.assert_allclose(
        last.loc["REBAR", ["rank", "low", "high"]].astype(float), [5 / 3, 1, 2]
    )
    with pytest.raises(
        ValueError, match="fewer than two estimators can be ranked by training loss"
    ):
        figures.named("rank").data(table(shifted))


def test_names_stand_at_the_ends_of_the_ranks():
    names = [*synthetic.TRAINED][:10]
    many = [run(f"GumbelRao[temperature={i}.5]", 0.3 * i, evaluations=1) for i in range(4)]
    rows = table(*many, *(run(name, i, evaluations=1, relaxes=0) for i, name in enumerate(names)))
    figure = figures.named("rank").draw(rows)
    (ax,) = figure.axes
    texts = [text.get_text().replace("\n", "").replace(" ", "") for text in ax.texts]
    heights = [text.get_position()[1] for text in ax.texts]
    last = figures.named("rank").data(rows).query("spent == 800").sort_values("rank")
    assert texts == list(last["short_name"][:12]) and heights == sorted(heights)
    legend = " ".join(text.get_text() for legend in figure.legends for text in legend.get_texts())
    assert "grey: 2 others" in legend and "ranked by training loss, the mean over a" in legend
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
