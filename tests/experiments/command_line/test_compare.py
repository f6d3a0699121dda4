"""The commands `compare` and `temperature`: whole results, and what is skipped."""

import numpy as np
import pandas as pd
import pytest

import analysis
import estimators
from estimators import Exact, Pathwise, StraightThrough
from experiments.command_line import main
from experiments.command_line.compare import COLUMNS as COLUMN_NAMES
from experiments.running.results import FILE
from experiments.running.user_code import parse_estimators, parse_problem
from experiments.studies.comparison.default import default_estimators
from experiments.system.errors import UsageError
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.experiments.helpers.command import SMALL, contents
from tests.fuzz import fuzz_files

FIGURES = {"compare": {"bias_variance", "error_cost"}, "temperature": {"temperature"}}
METRICS = {
    *("squared_bias", "variance", "mse", "cosine_mean", "cosine_sample", "seconds"),
    *("equal_cost_error", "truth_norm"),
}
# Not of gradients without variance, and not without an interval of the squared bias.
OPTIONAL = {"signal_to_noise", "unbiased_p_value"}
CONTEXT = {"study", "problem", "objective", "group", "seed", "step"}
COLUMNS = CONTEXT | {
    *("estimator", "short_name", "method", "method_family", "relaxes", "unbiased", "paper_link"),
    *("evaluations", "samples", "metric", "value", "low", "high", "note", "replicates"),
}


def check_results(folder, command, estimators):
    """Check what a finished run leaves; return its rows."""
    figures = {f"{stem}.{end}" for stem in FIGURES[command] for end in ("pdf", "png", "csv")}
    tables = {f"table.{end}" for end in ("txt", "md", "csv", "tex")}
    files = contents(folder)
    assert files.keys() == figures | tables | {"results.parquet"}
    assert all(files.values())
    rows = pd.read_parquet(folder / "results.parquet")
    assert rows.attrs["complete"]
    assert {c for c in rows if not c.startswith("p_")} == COLUMNS
    assert all(len(rows[column].unique()) == 1 for column in CONTEXT)
    assert rows["study"][0] == command
    # One row for each metric of each estimator, each with its interval.
    assert list(rows["estimator"].unique()) == estimators
    for _, part in rows.groupby("estimator"):
        found = part["metric"]
        assert len(found) == len(set(found)) and set(found) - OPTIONAL == METRICS
    assert "signal_to_noise" in set(rows["metric"])
    assert np.isfinite(rows["value"]).all()
    told = rows[~rows["note"].str.contains("too few events")]
    assert np.isfinite(told[["low", "high"]]).all(axis=None)
    assert (told["low"] <= told["high"]).all()
    within = (told["low"] <= told["value"]) & (told["value"] <= told["high"])
    assert within[told["value"] > 0].mean() > 0.9  # a squared bias may be below its own interval
    for text in ("table.txt", "table.md", "table.csv", "table.tex"):
        assert b"GumbelSoftmax" in files[text]
    return rows


def test_columns_are_those_of_the_table():
    table = analysis.comparison_table(synthetic.comparison())
    assert {*COLUMN_NAMES} == {c.field for c in (*table.columns[1:], *table.more_columns)}


def test_the_table_fits_the_terminal_and_shows_what_is_asked(capsys, tmp_path, monkeypatch):
    arguments = ["compare", "--problem", "Quadratic", "--samples", "1024"]
    arguments += ["--estimators", "ScoreFunction", "ScoreFunction[LeaveOneOut[2]]"]
    arguments += ["--output", str(tmp_path)]
    texts = []
    for width, more in (
        ("60", []),
        ("10", []),
        ("200", ["--cost", "time", "--columns", "signal_to_noise", "seconds"]),
        ("200", ["--sort", "seconds"]),
    ):
        monkeypatch.setenv("COLUMNS", width)
        assert main([*arguments, *more]) == 0
        texts.append(capsys.readouterr().out)
    for text in texts[:2]:
        *lines, last = text.splitlines()  # the last is a path
        assert max(map(len, lines)) <= 60
        assert any(line.startswith("ScoreFunction[LeaveOneOut[2]]") for line in lines)
        assert last == f"results in {tmp_path}"
    assert "to noise" in texts[2] and "Least error at equal time" in texts[2]
    assert "squared bias +" not in texts[2]
    assert main([*arguments, "--sort", "sconds"]) == 2
    assert "did you mean 'seconds'" in capsys.readouterr().err


@pytest.mark.draws
def test_compare_on_the_vae(capsys, tmp_path):
    out = tmp_path / "out"
    names = ["Exact", "ScoreFunction[baseline=MovingAverage[decay=0.9]]"]
    names.append("GumbelSoftmax[temperature=0.5]")
    arguments = ["compare", "--problem", "VAE[size=2,batch_size=5]", "--samples", "50"]
    arguments += ["--train-steps", "20", "--tuning-steps", "20", "--output", str(out)]
    assert main([*arguments, "--estimators", *names]) == 0
    printed = capsys.readouterr()
    rows = check_results(out, "compare", names)
    heading = (out / "table.txt").read_text().partition("\n\n")[0]
    assert printed.out.split()[: len(heading.split())] == heading.split()
    short = ["Exact", "ScoreFunction[MovingAverage[0.9]]", "GumbelSoftmax[0.5]"]
    assert list(rows["short_name"].unique()) == short
    assert all(name in printed.out for name in short) and str(out) in printed.out
    for words in ("training", "finding the true gradient", *short):  # progress
        assert words in printed.err

    assert rows["problem"][0] == "VAE[size=2,batch_size=5]"
    assert rows["objective"][0] == "kl=analytic"
    assert (rows["group"][0], rows["seed"][0], rows["step"][0]) == ("encoder", 0, 20)
    # Whole blocks; a deterministic gradient is drawn once in each.
    assert set(rows.loc[rows["method"] != "Exact", "samples"]) == {64}
    assert set(rows.loc[rows["method"] == "Exact", "samples"]) == {32}
    assert rows.attrs["provenance"]["matmul_precision"] == "highest"
    values = rows.pivot(index="estimator", columns="metric", values="value")
    facts = rows.drop_duplicates("estimator").set_index("estimator")
    assert list(facts.loc[names, "evaluations"]) == [4, 1, 1]
    assert list(facts.loc[names, "unbiased"]) == ["yes", "yes", "no"]
    assert list(facts.loc[names, "method"]) == ["Exact", "ScoreFunction", "GumbelSoftmax"]
    assert facts.loc[names[1], "p_baseline"] == "MovingAverage"
    assert facts.loc[names[1], "p_baseline.decay"] == 0.9
    assert facts.loc[names[2], "p_temperature"] == 0.5
    unfinished = "tuning had not converged after 20 steps"
    assert list(facts.loc[names, "note"].str.contains(unfinished)) == [False, True, False]
    for table in ("table.txt", "table.md", "table.tex"):
        assert unfinished in " ".join((out / table).read_text().split())
    # Error is squared bias plus variance.
    parts = values["squared_bias"] + values["variance"]
    np.testing.assert_allclose(parts, values["mse"], rtol=1e-4, atol=1e-12)
    assert list(values.loc["Exact", ["squared_bias", "variance", "mse"]]) == [0, 0, 0]
    assert values["truth_norm"].nunique() == 1 and values["truth_norm"].iloc[0] > 0
    # The exact gradient first: the table is sorted by error.
    lines = printed.out.splitlines()
    order = [next(i for i, line in enumerate(lines) if line.startswith(name)) for name in short]
    assert order[0] == min(order)

    # Finished: nothing is measured again, and the table is printed all the same.
    before = contents(out)["results.parquet"]
    assert main([*arguments, "--estimators", *names]) == 0
    again = capsys.readouterr()
    assert contents(out)["results.parquet"] == before
    assert again.out == printed.out and "--force" in again.err


def twice(table):
    return pd.concat([table, table], ignore_index=True)


def flat(table):  # a triangle without area, which geometry fails at
    return table.assign(y=0.2)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize(
    ("name", "change"),
    [("figure", twice), ("figure", flat), ("compare", twice), ("train", twice)],
)
def test_rows_that_make_no_table_are_refused(name, change, capsys, tmp_path):
    command = [*fuzz_files.COMMANDS[name], "--output", str(tmp_path)]
    assert main(command) == 0
    capsys.readouterr()
    table = pd.read_parquet(tmp_path / FILE)
    change(table).to_parquet(tmp_path / FILE)
    fuzz_files.seal(tmp_path)
    assert main(command) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"estimax: {tmp_path / FILE} cannot be shown: ") and "--force" in line


@pytest.mark.draws
def test_temperature_sweep(capsys, tmp_path):
    out = tmp_path / "out"
    chosen = ["GumbelSoftmax[temperature=0.9]", "StraightThrough"]
    arguments = ["temperature", *SMALL, "--output", str(out), "--estimators", *chosen]
    assert main([*arguments, "--temperatures", "2", "0.5", "2"]) == 0
    printed = capsys.readouterr().out
    names = [f"GumbelSoftmax[temperature={t}]" for t in (0.5, 2.0)]
    rows = check_results(out, "temperature", [*names, "StraightThrough"])
    by_name = rows.drop_duplicates("estimator").set_index("estimator")
    assert list(by_name.loc[names, "p_temperature"]) == [0.5, 2]
    assert np.isnan(by_name.loc["StraightThrough", "p_temperature"])
    # 64 samples: fewer than 100 / 0.5, more than 100 / 2.
    small = "too few samples for this temperature"
    noted = by_name.loc[[*names, "StraightThrough"], "note"].str.contains(small)
    assert list(noted) == [True, False, False]
    assert small in printed
    variance = rows[rows["metric"] == "variance"].set_index("estimator")["value"]
    assert variance[names[0]] > 2 * variance[names[1]]


def test_a_swept_estimator_needs_no_temperature():
    names = ["GumbelSoftmax", "GumbelRao[num_samples=3]", "REBAR[2]", "StraightThrough"]
    chosen = parse_estimators(names, {"temperature": 0.5})
    assert [*map(str, chosen.estimators)] == [
        "GumbelSoftmax[temperature=0.5]",
        "GumbelRao[temperature=0.5,num_samples=3]",
        "REBAR[temperature=2.0]",
        "StraightThrough",
    ]
    with pytest.raises(UsageError, match="needs temperature"):
        parse_estimators(["GumbelSoftmax"])


def test_swept_temperatures_are_the_estimators_themselves(tmp_path):
    # One compiled program for all of them measures what `compare` measures of one.
    for command, name in (("temperature", "GumbelSoftmax"), ("compare", "GumbelSoftmax[0.5]")):
        arguments = [command, *SMALL, "--estimators", name, "--output", str(tmp_path / command)]
        sweep = ["--temperatures", "0.5", "2"] if command == "temperature" else []
        assert main([*arguments, *sweep]) == 0
    swept, single = (
        pd.read_parquet(tmp_path / command / "results.parquet")
        .query("estimator == 'GumbelSoftmax[temperature=0.5]' and metric != 'seconds'")
        .set_index("metric")[["value", "low", "high"]]
        for command in ("temperature", "compare")
    )
    pd.testing.assert_frame_equal(swept, single, rtol=1e-4)


@pytest.mark.parametrize(
    ("problem", "number", "some"),
    [
        ("VAE", 16, {"DisARM", "REBAR[temperature=0.5]", "ScoreFunction[baseline=NVIL]"}),
        ("SimplexQuadratic", 16, {"CategoricalDisARM", "CARMS[num_samples=4]", "Exact"}),
        ("VAE[size=2,kl=sampled,num_samples=2]", 18, {"VIMCO", "OVIS", "DisARM"}),
        ("VAE[latent=Normal]", 4, {"Pathwise", "ScoreFunction"}),
    ],
)
def test_the_default_estimators_are_those_of_the_distribution(problem, number, some):
    chosen = default_estimators(parse_problem(problem))
    assert len(chosen.estimators) == number and some <= {*map(str, chosen.estimators)}
    assert not chosen.named


def test_what_does_not_fit_is_skipped_with_a_reason(capsys, tmp_path, monkeypatch):
    # Where nobody named it; named, it is an error.
    monkeypatch.setattr(estimators, "FAMILIES", {"chosen": (Exact, Pathwise, StraightThrough)})
    out = tmp_path / "out"
    arguments = ["--problem", "Polynomial", "--samples", "32", "--output", str(out)]
    assert main(["compare", *arguments, "--estimators", "chosen"]) == 0
    assert "10^39 states" in capsys.readouterr().out
    rows = pd.read_parquet(out / "results.parquet").set_index("metric")
    skipped = rows.loc[["skipped"]]
    assert set(skipped["method"]) == {"Exact", "Pathwise"} and skipped["value"].isna().all()
    assert set(rows.loc["variance", "method"]) == {"StraightThrough"}


@pytest.mark.slow
def test_a_sampled_truth_and_another_group(tmp_path):
    # 21 bits: too many to enumerate. So the truth is sampled, and the bias cannot be told from it.
    out = tmp_path / "out"
    arguments = ["compare", "--problem", "VAE[size=21,batch_size=2]", "--group", "logits"]
    arguments += ["--samples", "256", "--train-steps", "0", "--output", str(out)]
    assert main([*arguments, "--estimators", "ScoreFunction[baseline=LeaveOneOut[4]]"]) == 0
    rows = pd.read_parquet(out / "results.parquet").set_index("metric")
    assert set(rows["group"]) == {"logits"}
    assert rows.loc["squared_bias", "low"] == 0 < rows.loc["squared_bias", "high"]
