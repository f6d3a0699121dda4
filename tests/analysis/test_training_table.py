import dataclasses
import io
import re

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import formats
from tests.analysis.helpers import synthetic_rows as synthetic

TEST = {"split": "test", "bound_samples": 1000}
VALIDATION = {"split": "validation", "bound_samples": 100}


def run(name, bound, *, rate=1e-3, seed=0, validation=None, loss=100.0, diverged=None, **more):
    """The rows of one run of ten steps, by its figures."""
    row = synthetic.trained(name, rate, seed, **more)
    records = [row(5, "loss", 300.0, split="train"), row(10, "steps_per_second", 20.0 + seed)]
    if diverged is not None:
        # As the studies write it: the row comes with the next row of the loss.
        return [*records, row(10, "diverged", diverged, note=f"the loss of step {diverged}")]
    records += [
        row(10, "loss", loss, split="train"),
        row(5, "negative_bound", 500.0, **TEST),
        row(10, "negative_bound", bound + 3, 0.1, split="test", bound_samples=100),
        row(10, "negative_bound", bound, 0.5, **TEST),
        row(10, "negative_elbo", bound + 4, 0.6, split="test", bound_samples=1),
    ]
    if validation is not None:
        records.append(row(10, "negative_bound", validation, 0.7, **VALIDATION))
    return records


def readable(*runs):
    return analysis.training_table(pd.DataFrame([record for each in runs for record in each]))


def table(*runs):
    return readable(*runs).frame


@pytest.fixture(scope="module")
def rows():
    return synthetic.training()


@pytest.fixture(scope="module")
def full(rows):
    return analysis.training_table(rows)


def test_mean_and_interval_over_seeds():
    bounds = enumerate([100.0, 101.0, 105.0])
    found = readable(*(run("DisARM", bound, seed=i) for i, bound in bounds))
    (line,) = found.frame.itertuples()
    # Mean 102, variance (4 + 1 + 9) / 2 = 7; Student's 97.5 % quantile with 2 degrees is 4.302653.
    half = 4.302653 * np.sqrt(7 / 3)
    assert (line.test_bound, line.test_elbo, line.loss) == (102, 106, 100)
    assert np.isclose(line.test_bound_low, 102 - half) and np.isclose(
        line.test_elbo_high, 106 + half
    )
    assert (line.seeds, line.diverged, line.tried, line.best) == (3, 0, 1, True)
    assert line.steps_per_second == 21 and np.isnan(line.validation_bound)
    assert found.settings == {"test_bound_samples": 1000}


def test_two_seeds_and_one():
    found = table(
        run("DisARM", 100.0), run("DisARM", 102.0, seed=1), run("REBAR", 110.0, seed=3)
    ).set_index("estimator")
    two, one = found.loc["DisARM"], found.loc["REBAR"]
    # A standard error of 1; the quantile with one degree is tan(0.475 pi).
    assert np.isclose(two["test_bound_high"] - 101, np.tan(0.475 * np.pi))
    assert (one["test_bound_low"], one["test_bound_high"]) == (109.5, 110.5)  # its row's own
    assert np.isnan(one["loss_low"]) and one["loss"] == 100


def test_diverged_runs_are_counted_and_left_out():
    shown = readable(
        run("ARM", 0.0, diverged=3),
        run("ARM", 0.0, seed=1, diverged=7),
        run("DisARM", 100.0),
        run("DisARM", 104.0, seed=1),
        run("DisARM", 0.0, seed=2, diverged=4),
        run("REBAR", 300.0),
    )
    found = shown.frame
    assert list(found["estimator"]) == ["DisARM", "REBAR", "ARM"]  # all diverged: last
    some, _, every = found.itertuples()
    assert (some.test_bound, some.seeds, some.diverged, some.diverged_last) == (102, 3, 1, 4)
    assert (every.seeds, every.diverged, every.diverged_first, every.diverged_last) == (2, 2, 3, 7)
    assert np.isnan(every.test_bound) and np.isnan(every.loss) and not every.best
    lines = analysis.to_text(shown).splitlines()
    assert [line.split()[3:5] for line in lines if line.startswith("ARM")] == [["all:", "3-7"]]
    # Behind the score, which says the interval too.
    assert [line.split()[4:6] for line in lines if line.startswith("Dis")] == [["1:", "4"]]
    assert "the loss of step" not in "\n".join(lines)  # the column says it
    alone = readable(run("ARM", 0.0, diverged=3))
    assert (
        "all: 3" in analysis.to_text(alone)
        and "steps" not in analysis.to_text(alone).split("\n")[0]
    )
    assert "diverged:" not in analysis.to_text(readable(run("REBAR", 300.0)))


def test_best_learning_rate_is_the_validation_images_choice():
    shown = readable(
        run("DisARM", 90.0, rate=1e-2, validation=120.0, loss=80.0),
        run("DisARM", 95.0, rate=1e-3, validation=110.0, loss=90.0),
        run("DisARM", 99.0, rate=1e-4, validation=130.0, loss=70.0),
        run("REBAR", 200.0, rate=1e-5, validation=210.0),
    )
    found = shown.frame
    assert list(found["learning_rate"]) == [1e-2, 1e-3, 1e-4, 1e-5]  # by the test bound
    assert list(found["best"]) == [False, True, False, True]
    text = analysis.to_text(shown)
    # Marked where there was a choice.
    assert re.findall(r"(\S+) \*", text) == ["0.001"] and " 1e-5 " in text
    assert "*: the best learning rate of its estimator, by negative validation bound." in text
    assert "1,000 (test), 100 (validation)" in text


def test_best_learning_rate_without_validation_is_by_loss():
    found = readable(
        run("DisARM", 90.0, rate=1e-2, loss=80.0), run("DisARM", 95.0, rate=1e-3, loss=70.0)
    )
    assert list(found.frame["best"]) == [False, True]
    assert "by training loss." in analysis.to_text(found)


def test_a_rate_at_which_runs_diverge_is_not_the_best():
    found = table(
        run("DisARM", 90.0, rate=1e-2, validation=90.0),
        run("DisARM", 90.0, rate=1e-2, seed=1, diverged=6),
        run("DisARM", 95.0, rate=1e-3, validation=95.0),
        run("DisARM", 95.0, rate=1e-3, seed=1, validation=95.0),
    )
    assert list(found["best"]) == [False, True]


def test_optimisers_are_told_apart():
    shown = readable(run("DisARM", 90.0), run("DisARM", 80.0, optimiser="SGD[momentum=0.9]"))
    found = shown.frame
    assert list(found["optimiser"]) == ["SGD[momentum=0.9]", "Adam"] and len(found) == 2
    assert list(found["tried"]) == [2, 2] and found["best"].sum() == 1
    heading, *lines = analysis.to_text(shown).splitlines()
    assert "Adam" not in heading and any("SGD[momentum=0.9]" in line for line in lines)
    assert "Adam" in analysis.to_text(readable(run("DisARM", 90.0))).splitlines()[0]


@pytest.mark.parametrize(
    "metric, split, field, best",
    [
        ("exact_loss", "", "exact_loss", min),
        ("episode_bound", "", "episode_bound", min),
        ("accuracy", "test", "test_accuracy", max),
        ("loss", "train", "loss", min),
    ],
)
def test_order_without_bounds(metric, split, field, best):
    records = []
    for name, final in (("ARM", 0.4), ("DisARM", 0.3), ("REBAR", 0.5)):
        row = synthetic.trained(name)
        records += [row(5, metric, 0.9, split=split), row(10, metric, final, split=split)]
    found = analysis.training_table(pd.DataFrame(records))
    assert list(found.frame[field]) == sorted([0.3, 0.4, 0.5], reverse=best is max)
    text = analysis.to_text(found)
    # Of a bound of the problem's own its line says what and in which unit, not that of images.
    assert "Bounds" not in text and ("(nats)" in text) == (metric == "episode_bound")
    titles = analysis.to_markdown(found).splitlines()[2]
    assert field.replace("_", " ").replace("| loss", "training loss") in titles


def test_what_lacks_the_figure_comes_after_what_has_it():
    short = [record for record in run("REBAR", 1.0) if record["metric"] != "negative_bound"]
    found = table(short, run("DisARM", 100.0))
    assert list(found["estimator"]) == ["DisARM", "REBAR"]


def test_what_has_no_figure_comes_before_what_diverged():
    found = table(run("ARM", 0.0, diverged=3), run("REBAR", 0.0)[1:2], run("DisARM", 100.0))
    assert list(found["estimator"]) == ["DisARM", "REBAR", "ARM"]


def test_a_missing_value_is_not_left_out_of_the_mean():
    """The mean of the others would flatter."""
    found = table(run("DisARM", 100.0), run("DisARM", np.nan, seed=1), run("REBAR", 200.0))
    assert list(found["estimator"]) == ["REBAR", "DisARM"] and np.isnan(found["test_bound"][1])
    infinite = readable(run("DisARM", 100.0), run("DisARM", np.inf, seed=1), run("REBAR", 200.0))
    assert list(infinite.frame["estimator"]) == ["REBAR", "DisARM"]
    assert " inf " in analysis.to_text(infinite)


def test_what_was_measured_along_the_way_is_no_run(rows, full):
    along = synthetic.along()
    found = analysis.training_table(pd.concat([rows, along]))
    pd.testing.assert_frame_equal(found.frame, full.frame)
    with pytest.raises(ValueError, match="holds no training run"):
        analysis.training_table(along)


def test_one_line_for_each(rows, full):
    full, keys = full.frame, ["estimator", "optimiser", "learning_rate"]
    assert len(full) == 24 and not full.duplicated(keys).any()
    last = full.tail(3)
    assert set(last["estimator"]) == {"ScoreFunction", "GumbelSoftmax[temperature=0.1]"}
    assert (last["diverged"] == 3).all() and full["test_bound"][:21].is_monotonic_increasing
    assert full["best"].sum() == 11 and full.set_index("estimator")["p_temperature"].max() == 0.5
    bound = rows[(rows["metric"] == "negative_bound") & (rows["bound_samples"] == 1000)]
    means = bound.groupby(keys)["value"].mean()
    np.testing.assert_allclose(full.set_index(keys)["test_bound"][:21].sort_index(), means)


def test_survives_parquet_and_leaves_its_input(rows, full, tmp_path):
    before = rows.copy()
    text = analysis.to_text(analysis.training_table(rows))
    pd.testing.assert_frame_equal(rows, before)
    rows.to_parquet(tmp_path / "rows.parquet")
    again = analysis.training_table(pd.read_parquet(tmp_path / "rows.parquet"))
    assert analysis.to_text(again) == text
    full.frame.to_parquet(tmp_path / "table.parquet")
    again = dataclasses.replace(full, frame=pd.read_parquet(tmp_path / "table.parquet"))
    assert analysis.to_text(again) == text


def test_text_says_what_it_is_of(rows, full):
    heading = analysis.to_text(full).splitlines()[0]
    about = "VAE[size=200], kl=analytic, MNIST, threshold binarisation, Adam, 10,000 steps, 3 seeds"
    assert heading == about
    half = rows.copy()
    half.attrs = {"complete": False}
    text = analysis.to_text(analysis.training_table(half.assign(data=None)))
    assert "analytic, Adam" in text and "run not complete" in text and "±9%" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_notes_and_skipped_are_said(rows):
    noted = rows.copy()
    noted.loc[noted["estimator"] == "DisARM", "note"] = "odd"
    skipped = {"estimator": "VIMCO", "metric": "skipped", "note": "needs a bound"}
    noted = pd.concat([noted, pd.DataFrame([synthetic.TRAINING | skipped])])
    found = analysis.training_table(noted)
    assert found.skipped == {"VIMCO": "needs a bound"}
    assert "VIMCO" not in set(found.frame["estimator"])
    for render in (analysis.to_text, analysis.to_markdown, analysis.to_csv, analysis.to_latex):
        assert "VIMCO" in render(found) and "needs a bound" in render(found)
    assert "DisARM (1)" in analysis.to_text(found) and "(1) odd." in analysis.to_text(found)
    only = noted[noted["metric"] == "skipped"].assign(
        method="VIMCO", unbiased="yes", learning_rate=np.nan, seed=0, step=0, value=np.nan
    )
    empty = analysis.training_table(only)
    assert empty.frame.empty and "VIMCO" in analysis.to_text(empty)
    assert "VIMCO" in analysis.to_csv(empty) and "VIMCO" in analysis.to_latex(empty)


def test_csv_has_every_number_exactly(full):
    text, full = analysis.to_csv(full), full.frame
    read = pd.read_csv(io.StringIO(text))
    for column in full.columns:
        if full[column].dtype.kind in "fib":
            np.testing.assert_array_equal(read[column], full[column], err_msg=column)
    assert set(read["data"]) == {"MNIST, threshold binarisation"}
    assert set(read["test_bound_samples"]) == {1000} == set(read["validation_bound_samples"] * 10)
    assert ",3,3,2580,3980," in text  # integers


def test_markdown_and_latex(full, tmp_path):
    text = analysis.to_markdown(full)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == len(full.frame) + 2
    latex = analysis.to_latex(full, label="tab:one")
    assert latex.count("{") == latex.count("}") and "±" not in latex
    assert re.search(r" & \d+\.\d+\(\d+\) & ", latex)  # the interval in parentheses
    paths = analysis.save_table(full, tmp_path / "table")
    assert [path.suffix for path in paths] == [".txt", ".md", ".csv", ".tex"]


def test_bad_input_is_one_clear_error(rows):
    build = analysis.training_table
    with pytest.raises(ValueError, match="lacks the column optimiser, measured"):
        build(rows.drop(columns=["measured", "optimiser"]))
    with pytest.raises(ValueError, match="is empty"):
        build(rows[:0])
    with pytest.raises(ValueError, match=r"several values of data \(MNIST, .*, Omniglot\)"):
        build(pd.concat([rows, rows.assign(data="Omniglot")]))
    again = rows[(rows["metric"] == "loss") & (rows["estimator"] == "REBAR")][:1]
    message = "loss of REBAR at learning rate 0.0003, seed 0, step 100 twice"
    with pytest.raises(ValueError, match=message):
        build(pd.concat([rows, again]))
    with pytest.raises(ValueError, match="lacks the column group"):
        analysis.comparison_table(rows)
    with pytest.raises(ValueError, match="lacks the column data"):
        build(synthetic.comparison())


def test_contexts_of_training_split(rows):
    both = pd.concat([rows, rows.assign(problem="VAE", data=None)])
    parts = [(context, part) for context, part in analysis.contexts(both)]
    assert [len(part) for _, part in parts] == [len(rows), len(rows)]
    assert set(parts[0][0]) == {"study", "problem", "objective", "data"}
    for _, part in parts:
        assert len(analysis.training_table(part).frame) == 24


@pytest.mark.parametrize(
    "estimate, text",
    [
        ((95.3164, 95.1, 95.5328), "95.32 ±0.22"), ((95.3, 95.2, 95.6), "95.30 ±0.30"),
        ((95.3164, np.nan, np.nan), "95.32"), ((540.2, 40.2, 1040.2), "540.2 ±500.0"),
        ((5402.6, 5302.6, 5502.6), "5403 ±100"),
        ((0.24751, 0.247498, 0.247522), "0.247510 ±0.000012"), ((np.nan,) * 3, "-"),
        ((np.inf, np.nan, np.nan), "inf"), ((0.0, 0.0, 0.0), "0"),
        ((-3.24, -4.24, -2.24), "-3.2 ±1.0"),
        ((1e-9, 0.9e-9, 1.1e-9), "1.00e-9 ±10%"), ((9.9996, 9.9996, 9.9996), "10.00"),
        ((2.0, 1.9004, 2.0996), "2.00 ±0.10"), ((123456.0, np.nan, np.nan), "123456"),
    ],
)  # fmt: skip
def test_uncertain(estimate, text):
    assert formats.uncertain(*estimate) == text


def test_plain_and_setting():
    assert [formats.plain(x, 3) for x in (345.6, 0.0123, 12345.6, 9.999)] == [
        "346", "0.0123", "12346", "10.0",
    ]  # fmt: skip
    assert formats.plain(3e-6) == "3.000e-6" and formats.plain(np.nan) == "-"
    assert [formats.setting(x) for x in (0.001, 1e-5, 3e-4, 1.0, np.nan)] == [
        "0.001", "1e-5", "0.0003", "1", "-",
    ]  # fmt: skip
