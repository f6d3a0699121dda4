"""The command line as a user meets it: bad input in one line, whole results, a user's own files."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import estimators
from estimators import Exact, Pathwise, StraightThrough
from experiments.command_line import main
from experiments.running.results import FILE
from experiments.running.user_code import parse_estimators
from experiments.system.folder import OWN
from tests import fuzz_files

SMALL = ["--problem", "Quadratic", "--samples", "64"]
FIGURES = {"compare": {"bias_variance", "error_cost"}, "temperature": {"temperature"}}
METRICS = {
    *("squared_bias", "variance", "mse", "cosine_mean", "cosine_sample", "seconds"),
    *("equal_cost_error", "truth_norm"),
}
CONTEXT = {"study", "problem", "objective", "group", "seed", "step"}
COLUMNS = CONTEXT | {
    *("estimator", "method", "unbiased", "paper_link", "evaluations", "samples"),
    *("metric", "value", "low", "high", "note"),
}


def refused(capsys, *arguments):
    """Run, expect exit status 2 and one line on the error stream; return it."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as exit:  # from the parser
        status = exit.code
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.startswith("estimax: ") and printed.err.count("\n") == 1, printed.err
    return printed.err


def contents(folder):
    """Return the files of a folder; what estimax keeps for itself is another matter."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != OWN}


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["required: COMMAND"]),
        (["compar"], ["'compar'", "compare", "temperature", "benchmark"]),
        (["compare", "--sample", "3"], ["'--sample'", "did you mean '--samples'?"]),
        (["compare", "--sampels=3"], ["did you mean '--samples'?"]),
        (["temperature", "--temperature", "1"], ["did you mean '--temperatures'?"]),
        (["compare", "--samples", "0"], ["--samples", "at least 1, not '0'"]),
        (["compare", "--samples", "-5"], ["at least 1, not '-5'"]),
        (["compare", "--samples", "many"], ["whole number", "'many'"]),
        (["compare", "--seed", "-1"], ["--seed", "at least 0"]),
        (["compare", "--seed", "4294967296"], ["--seed", "below 2^32"]),
        (["compare", "--budget", "0"], ["--budget", "above zero"]),
        (["compare", "--budget", "inf"], ["--budget", "above zero"]),
        (["compare", "--problem", "Vae"], ["'Vae'", "did you mean 'VAE'?", "Quadratic"]),
        (["compare", "--problem", "VAE[siz=3]"], ["'siz'", "did you mean 'size'?", "latent"]),
        (["compare", "--problem", "VAE[size=0]"], ["size must be at least 1, not 0"]),
        (["compare", "--problem", "VAE[size=8.5]"], ["size must be an integer, not '8.5'"]),
        (["compare", "--problem", "VAE[kl=exact]"], ["analytic, sampled, sampled-no-score"]),
        (["compare", "--problem", "Quadratic[target=abc]"], ["target must be a number, not 'abc'"]),
        (["compare", "--problem", "Quadratic[target=nan]"], ["target must be finite"]),
        (["compare", "--problem", "ScoreFunction"], ["unknown name", "VAE"]),
        # What float32 takes for infinity, or for zero.
        (["compare", "--problem", "Quadratic[target=1e39]"], ["finite", "1e+39", "3.4e+38"]),
        (["compare", "--problem", f"Quadratic[target=1{'0' * 400}]"], ["finite"]),
        (["compare", "--problem", f"VAE[size={'9' * 5000}]"], ["size must be an integer"]),
        (["compare", "--estimators", "GumbelSoftmax[1e39]"], ["not 1e+39", "float32 holds"]),
        (["compare", "--estimators", "GumbelSoftmax[1e-300]"], ["above zero"]),
        (["compare", "--estimators", "GumbelSoftmax[1e-40]"], ["above zero"]),
        (["temperature", "--temperatures", "1e-300", "1e300"], ["--temperatures", "'1e-300'"]),
        (["temperature", "--temperatures", "1e39"], ["3.4e+38", "'1e39'"]),
        (["compare", "--problem", "[" * 2000], ["cannot read"]),
        (["compare", "--problem", "VAE[" * 2000 + "]" * 2000], ["inside each other"]),
        (["compare", "--estimators", "GumbelSoftmx[1]"], ["did you mean 'GumbelSoftmax'?"]),
        (["compare", "--estimators", "GumbelSoftmax[temp=1]"], ["'temp'", "temperature"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=0]"], ["above zero", "not 0"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=-1]"], ["above zero", "not -1"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=nan]"], ["above zero"]),
        (
            ["compare", "--estimators", "GumbelSoftmax[temperature=warm]"],
            ["a number, not 'warm'"],
        ),
        (["compare", "--estimators", "Average[GumbelSoftmax[0],2]"], ["above zero"]),
        (["compare", "--estimators", "GumbelSoftmax"], ["needs temperature"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=0.5"], ["closing ]"]),
        (["compare", "--estimators", "MovingAverage[0.9]"], ["a component, not an estimator"]),
        (["compare", "--estimators"], ["--estimators", "at least one"]),
        (["compare", "--device", "tpu"], ["'tpu'", "auto, cpu, gpu"]),
        (
            ["compare", "--problem", "VAE[size=200]", "--estimators", "Exact"],
            ["Exact", "10^60 states", "at most 1,048,576"],
        ),
        (
            ["compare", "--problem", "Quadratic", "--estimators", "Pathwise"],
            ["Pathwise", "Normal", "not Bernoulli"],
        ),
        (
            ["compare", "--problem", "VAE[kl=relaxed-density]", "--estimators", "MuProp"],
            ["kl=relaxed-density", "GumbelSoftmax"],
        ),
        (["compare", *SMALL, "--group", "encoder"], ["'encoder'", "logits, all"]),
        (["compare", "--group", "encodr"], ["'encodr'", "encoder", "decoder", "prior", "logits"]),
        (["temperature", "--temperatures", "1", "0"], ["--temperatures", "above zero", "'0'"]),
        (["temperature", *SMALL, "--estimators", "MuProp"], ["temperature"]),
        (["compare", "--problem", "nothing.py:Mine"], ["no such file: nothing.py"]),
        (["benchmark", "--json", "no/such/folder/x.json"], ["no such folder"]),
        (["benchmark", "--estimators", "Gumbel[1]"], ["unknown name 'Gumbel'"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = ["--output", "out/deep"] if arguments[:1] in (["compare"], ["temperature"]) else []
    for given in (arguments, arguments + output):
        line = refused(capsys, *given)
        for words in says:
            assert words in line
        assert contents(tmp_path) == {}  # nothing was written, nor a folder made


def test_a_device_that_is_not_there(capsys, tmp_path):
    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU here")
    out = tmp_path / "out"
    line = refused(capsys, "compare", *SMALL, "--device", "gpu", "--output", out)
    assert "--device gpu" in line and "only cpu" in line
    assert not out.exists()


def test_output_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    # /proc takes no folder, not even from root.
    for folder in (tmp_path / "file", tmp_path / "file" / "inside", Path("/proc/estimax")):
        line = refused(capsys, "compare", *SMALL, "--output", folder)
        assert f"--output {folder} cannot be written" in line
    assert contents(tmp_path) == {"file": b"mine"}


def test_results_of_another_run_are_not_overwritten(capsys, tmp_path):
    out = tmp_path / "out"
    common = ["compare", *SMALL, "--estimators", "Exact", "--output", str(out)]
    assert main(common) == 0
    before = contents(out)
    capsys.readouterr()
    assert "another run" in refused(capsys, *common, "--seed", "1")
    (study,) = set(pd.read_parquet(out / "results.parquet")["study"])
    assert study == "compare" and contents(out) == before
    tempered = ["temperature", *SMALL, "--estimators", "GumbelSoftmax[1]", "--output", str(out)]
    assert "another run" in refused(capsys, *tempered)
    assert contents(out) == before
    assert main([*common, "--seed", "1", "--force"]) == 0
    assert set(pd.read_parquet(out / "results.parquet")["seed"]) == {1}


# Help -------------------------------------------------------------------------------------------

OPTIONS = {
    "compare": {
        "--device": "the CPU",
        "--data": "$ESTIMAX_DATA",
        "--problem": "VAE",
        "--estimators": "all, in their default variants",
        "--group": "the encoder",
        "--samples": "2048",
        "--seed": "0",
        "--train-steps": "300",
        "--tuning-steps": "8000",
        "--budget": "100",
        "--output": "one in ./results",
        "--force": None,
    },
    "benchmark": {
        "--device": "the CPU",
        "--data": "$ESTIMAX_DATA",
        "--estimators": "",
        "--json": "print",
        "--force": None,
        "--quick": None,
    },
    "train": {
        "--device": "the CPU",
        "--data": "$ESTIMAX_DATA",
        "--problem": "VAE",
        "--estimators": None,
        "--steps": "10000",
        "--seeds": "1",
        "--seed": "0",
        "--evaluations": "1",
        "--bound-samples": "100",
        "--learning-rates": "0.001",
        "--temperatures": "their own",
        "--optimiser": "Adam",
        "--schedule": None,
        "--tuning-rate": "as published",
        "--log-steps": "steps / 50",
        "--evaluation-examples": "all",
        "--measure": None,
        "--measure-at": "the first, the middle and the last",
        "--group": "the encoder",
        "--samples": "1024",
        "--checkpoint-seconds": "30",
        "--distributed": None,
        "--output": "one in ./results",
        "--force": None,
    },
}
OPTIONS["temperature"] = OPTIONS["compare"] | {"--temperatures": "13 from 0.05 to 5"}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_mentions_every_option_with_its_default(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    for name in (*(cls.__name__ for cls in estimators.ALL), "VAE", "Polynomial", "my_file.py"):
        assert name in text
    # From one option to the next, and to the epilogue.
    entries = text.split("options:")[1].split("problems:")[0].split("\n  -")
    described = {}
    for entry in entries:
        words = " ".join(entry.split())
        if words.startswith("-"):
            described["-" + words.split()[0]] = words
    assert described.keys() == OPTIONS[command].keys()
    for option, default in OPTIONS[command].items():
        if default is not None:
            assert f"(default: {default}"[:10] in described[option], option
            assert default in described[option].split("(default:")[1], option


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(command in text for command in OPTIONS)


# Runs -------------------------------------------------------------------------------------------


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
        assert len(part) == len(METRICS) and set(part["metric"]) == METRICS
    assert np.isfinite(rows["value"]).all()
    told = rows[~rows["note"].str.contains("too few events")]
    assert np.isfinite(told[["low", "high"]]).all(axis=None)
    assert (told["low"] <= told["high"]).all()
    within = (told["low"] <= told["value"]) & (told["value"] <= told["high"])
    assert within[told["value"] > 0].mean() > 0.9  # a squared bias may be below its own interval
    for text in ("table.txt", "table.md", "table.csv", "table.tex"):
        assert b"GumbelSoftmax" in files[text]
    return rows


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
    assert printed.out.startswith((out / "table.txt").read_text().rstrip("\n").splitlines()[0])
    assert all(name in printed.out for name in names) and str(out) in printed.out
    for words in ("training", "finding the true gradient", *names):  # progress
        assert words in printed.err

    assert rows["problem"][0] == "VAE[size=2,batch_size=5]"
    assert rows["objective"][0] == "kl=analytic"
    assert (rows["group"][0], rows["seed"][0], rows["step"][0]) == ("encoder", 0, 20)
    assert set(rows["samples"]) == {64}  # whole blocks
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
    order = [next(i for i, line in enumerate(lines) if line.startswith(name)) for name in names]
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
    small = "sample too small for its temperature"
    noted = by_name.loc[[*names, "StraightThrough"], "note"].str.contains(small)
    assert list(noted) == [True, False, False]
    assert small in printed
    variance = rows[rows["metric"] == "variance"].set_index("estimator")["value"]
    assert variance[names[0]] > 2 * variance[names[1]]


def test_swept_temperatures_are_the_estimators_themselves(tmp_path):
    # One compiled program for all of them measures what `compare` measures of one.
    for command, name in (("temperature", "GumbelSoftmax[1]"), ("compare", "GumbelSoftmax[0.5]")):
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


def test_what_does_not_fit_is_skipped_with_a_reason(capsys, tmp_path, monkeypatch):
    # Where nobody named it; named, it is an error.
    monkeypatch.setattr(estimators, "FAMILIES", {"chosen": (Exact, Pathwise, StraightThrough)})
    out = tmp_path / "out"
    assert (
        main(["compare", "--problem", "Polynomial", "--samples", "32", "--output", str(out)]) == 0
    )
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


# A user's own file ------------------------------------------------------------------------------

USER_FILE = """
import dataclasses
import jax.numpy as jnp
from estimators import Bernoulli, Estimator, pytree, replace_gradient, static
from experiments.problems.toy import Toy

@dataclasses.dataclass(frozen=True)
class Cubic(Toy):
    logit: float = 0.5

    def logits(self):
        return jnp.full(2, self.logit)

    def f(self, logits, sample):
        return jnp.sum(sample) ** 3

@dataclasses.dataclass(frozen=True)
class Wrong(Cubic):
    def f(self, logits, sample):
        return not_defined(sample)

@pytree
class Scaled(Estimator):
    scale: float = static(default=2.0)

    distributions = (Bernoulli,)
    differentiates = True
    paper = ""

    @property
    def unbiased(self):
        return "no"

    def evaluations(self, distribution):
        return 1

    @classmethod
    def examples(cls):
        return [cls()]

    def estimate(self, key, distribution, f):
        return f(replace_gradient(distribution.sample(key), self.scale * distribution.mean))

@pytree
class Raising(Scaled):
    calls = []

    def estimate(self, key, distribution, f):
        self.calls.append(None)
        if len(self.calls) > 1:  # the first only finds out what a run would take
            raise RuntimeError("two" + chr(10) + "lines")
        return super().estimate(key, distribution, f)
"""


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    return path


def test_a_users_problem_and_estimator(user_file, capsys, tmp_path):
    out = tmp_path / "out"
    chosen = [f"{user_file}:Scaled[scale=1.0]", f"{user_file}:Scaled[3]", "StraightThrough"]
    arguments = ["--problem", f"{user_file}:Cubic[logit=0.25]", "--samples", "64"]
    assert main(["compare", *arguments, "--output", str(out), "--estimators", *chosen]) == 0
    assert "Cubic[logit=0.25]" in capsys.readouterr().out
    rows = pd.read_parquet(out / "results.parquet")
    assert set(rows["problem"]) == {"Cubic[logit=0.25]"}
    variance = rows[rows["metric"] == "variance"].set_index("estimator")["value"]
    assert variance["Scaled[scale=1.0]"] == pytest.approx(variance["StraightThrough"], rel=1e-5)
    assert variance["Scaled[scale=3.0]"] == pytest.approx(9 * variance["StraightThrough"], rel=1e-5)
    # E f = 2 p + 6 p^2 for two bits of probability p.
    p = 1 / (1 + np.exp(-0.25))
    norm = np.sqrt(2) * p * (1 - p) * (1 + 6 * p)
    assert rows.set_index("metric").loc["truth_norm", "value"].iloc[0] == pytest.approx(norm)


def test_an_edited_file_is_another_run(user_file, capsys, tmp_path):
    out = tmp_path / "out"
    arguments = ["compare", "--problem", f"{user_file}:Cubic", "--samples", "32"]
    arguments += ["--estimators", "StraightThrough", "--output", str(out)]
    assert main(arguments) == 0
    user_file.write_text(USER_FILE.replace("** 3", "** 4"))
    capsys.readouterr()
    assert "another run" in refused(capsys, *arguments)


def test_two_files_of_one_name(user_file, tmp_path):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "mine.py"
    other.write_text(USER_FILE.replace("Scaled", "Rescaled"))
    chosen = [f"{user_file}:Scaled", f"{other}:Rescaled"]
    arguments = ["--samples", "32", "--output", str(tmp_path / "out"), "--estimators", *chosen]
    assert main(["compare", "--problem", f"{user_file}:Cubic", *arguments]) == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("import nothing_of_this_name\n", ["ModuleNotFoundError"]),
        ("def f(:\n", ["SyntaxError", "line 1"]),
        ("raise ValueError('two\\nlines')\n", ["ValueError: two lines"]),
        ("import sys\nsys.exit('bye')\n", ["SystemExit: bye"]),
        ("", ["defines no subclass of Problem"]),
        ("from experiments.problems import VAE as Mine\n", ["defines no subclass of Problem"]),
        (USER_FILE, ["unknown name 'Mine'", "Cubic"]),
    ],
)
def test_an_error_in_loading_a_users_file_is_one_line(content, says, capsys, tmp_path):
    path, out = tmp_path / "broken.py", tmp_path / "out"
    path.write_text(content)
    line = refused(capsys, "compare", "--problem", f"{path}:Mine", "--output", out)
    for words in says:
        assert words in line
    assert not out.exists()


def test_an_error_in_running_a_users_file_is_one_line(user_file, capsys, tmp_path):
    # It names the line, as the traceback would.
    out = tmp_path / "out"
    common = ["compare", "--samples", "32", "--output", str(out)]
    number = USER_FILE.splitlines().index("        return not_defined(sample)") + 1
    assert main([*common, "--problem", f"{user_file}:Wrong"]) == 2
    *progress, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"estimax: {user_file}, line {number}: NameError") and len(progress) < 3
    assert not out.exists()
    # What had finished is kept.
    chosen = ["--estimators", "StraightThrough", f"{user_file}:Raising"]
    assert main([*common, "--problem", f"{user_file}:Cubic", *chosen]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("RuntimeError: two lines")
    assert set(pd.read_parquet(out / "results.parquet")["estimator"]) == {"StraightThrough"}


WRONG_CLASSES = """
import sys

class Undecorated(Scaled):
    pass

class NoPytree(Scaled):
    def estimate(self, key, distribution, f):
        return f(distribution.sample(key))

@dataclasses.dataclass(frozen=True, eq=False)
class OnlyDataclass(Scaled):
    other: float = 1.0

@pytree
class Nothing(Scaled):
    def estimate(self, key, distribution, f):
        f(distribution.sample(key))

@pytree
class Text(Scaled):
    def estimate(self, key, distribution, f):
        return "text"

@pytree
class Integer(Scaled):
    def estimate(self, key, distribution, f):
        return 3

@pytree
class Vector(Scaled):
    def estimate(self, key, distribution, f):
        return jnp.zeros(3)

@pytree
class Exits(Scaled):
    def estimate(self, key, distribution, f):
        sys.exit()

@pytree
class Recursive(Scaled):
    def estimate(self, key, distribution, f):
        return self.estimate(key, distribution, f)

@pytree
class Signature(Scaled):
    def estimate(self, key):
        return jnp.zeros(())

@pytree
class Many(Scaled):
    def evaluations(self, distribution):
        return "many"

@pytree
class Unbiased(Scaled):
    unbiased = 7

@pytree
class Paper(Scaled):
    paper = ["a paper"]

class Raw(Cubic):
    pass

class NoDataclass(Toy):
    logits = Cubic.logits
    f = Cubic.f

@dataclasses.dataclass
class Melted(Toy):
    logits = Cubic.logits
    f = Cubic.f

@dataclasses.dataclass(frozen=True)
class Unfinished(Toy):
    def logits(self):
        return jnp.zeros(2)

@dataclasses.dataclass(frozen=True)
class NotEvaluated(Cubic):
    def log_weight(self, params, key, example):
        return 0.0

@dataclasses.dataclass(frozen=True)
class VectorLoss(Cubic):
    def loss(self, params, estimator, key, batch):
        return params["logits"]

@dataclasses.dataclass(frozen=True)
class ListOfParams(Cubic):
    def initial(self, key):
        return [1, 2]

@dataclasses.dataclass(frozen=True)
class ExitingProblem(Cubic):
    def logits(self):
        raise SystemExit(0)
"""


@pytest.mark.parametrize(
    ("option", "name", "says"),
    [
        ("estimators", "Undecorated", "decorator @pytree"),
        ("estimators", "NoPytree", "decorator @pytree"),
        ("estimators", "OnlyDataclass", "decorator @pytree"),
        ("estimators", "Nothing", "must return a scalar array, not NoneType"),
        ("estimators", "Text", "must return a scalar array, not str"),
        ("estimators", "Integer", "must return a scalar array, not int"),
        ("estimators", "Vector", "not float32 of shape (3,)"),
        ("estimators", "Exits", "SystemExit"),
        ("estimators", "Recursive", "RecursionError"),
        ("estimators", "Signature", "arguments"),
        ("estimators", "Many", "str"),
        ("estimators", "Unbiased", "unbiased is 7; choose from 'yes', 'no', 'up to scale'"),
        ("estimators", "Paper", "paper is ['a paper'], not a string"),
        ("problem", "Raw", "dataclass(frozen=True)"),
        ("problem", "NoDataclass", "dataclass(frozen=True)"),
        ("problem", "Melted", "dataclass(frozen=True)"),
        ("problem", "Unfinished", "must define f"),
        ("problem", "NotEvaluated", "make it an EvaluatedProblem"),
        ("problem", "VectorLoss", "shape: (2,)"),
        ("problem", "ListOfParams", "expected str"),
        ("problem", "ExitingProblem", "SystemExit"),
    ],
)
def test_a_wrong_class_in_a_users_file_is_one_line(option, name, says, capsys, tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(USER_FILE + WRONG_CLASSES)
    chosen = {"problem": f"{path}:Cubic", "estimators": "StraightThrough"}
    chosen[option] = f"{path}:{name}"
    arguments = ["--samples", "32", "--output", str(tmp_path / "out")]
    for key, value in chosen.items():
        arguments += [f"--{key}", value]
    assert main(["compare", *arguments]) == 2
    *progress, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"estimax: {path}, line ") and says in line and len(progress) < 3, line
    assert not (tmp_path / "out").exists()


# A process of its own ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_real_command(tmp_path):
    # The path that a user walks: devices and cache are set before JAX starts.
    command = [sys.executable, "-m", "experiments.command_line", "compare", *SMALL]
    command += ["--estimators", "ScoreFunction", "--output", str(tmp_path / "out")]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "ScoreFunction" in done.stdout
    assert list((tmp_path / "cache" / "estimax" / "compiled").iterdir())
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    assert rows.attrs["provenance"]["device"].startswith(f"{cores} x ")
    refusal = subprocess.run([*command[:4], "--problem", "Vae"], capture_output=True, text=True)
    assert refusal.returncode == 2 and refusal.stderr.count("\n") == 1


def test_imports_do_not_start_jax():
    """Or the number of CPU devices could not be set any more, and all would run on one."""
    code = (
        "import jax, experiments.command_line; jax.config.update('jax_num_cpu_devices', 3); "
        "assert jax.device_count('cpu') == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Families of estimators -------------------------------------------------------------------------


def test_a_family_stands_for_its_estimators():
    chosen = parse_estimators(["antithetic", "Exact", "DisARM"])
    family = [one for cls in estimators.FAMILIES["antithetic"] for one in cls.examples()]
    assert list(map(str, chosen.estimators)) == [*map(str, family), "Exact"]
    assert chosen.named == {"Exact", "DisARM"}
    everything = parse_estimators(None)
    assert len(everything.estimators) == sum(len(cls.examples()) for cls in estimators.ALL)
    assert not everything.named


def test_of_a_family_what_does_not_fit_is_left_out(capsys, tmp_path):
    out = tmp_path / "out"
    compare = ["compare", "--problem", "Quadratic", "--samples", "32", "--output", out]
    assert "no estimator fits Quadratic" in refused(capsys, *compare, "--estimators", "bounds")
    assert "VIMCO does not fit" in refused(capsys, *compare, "--estimators", "bounds", "VIMCO")
    train = ["train", "--problem", "Quadratic", "--steps", "2", "--output", out]
    assert main([*map(str, train), "--estimators", "enumeration", "bounds"]) == 0
    trained = set(pd.read_parquet(out / "results.parquet")["estimator"])
    family = [one for cls in estimators.FAMILIES["enumeration"] for one in cls.examples()]
    assert trained == set(map(str, family))
