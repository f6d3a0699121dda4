"""The command line as a user meets it: bad input in one line, whole results, a user's own files."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from experiments.command_line import main

SMALL = ["--problem", "Quadratic", "--samples", "64"]
FILES = {
    "compare": {"bias_variance", "error_cost"},
    "temperature": {"temperature"},
}


def _bad(capsys, *arguments):
    """Run, expect exit status 2 and one line on the error stream; return it."""
    try:
        status = main(list(arguments))
    except SystemExit as exit:  # from the parser
        status = exit.code
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    return printed.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compar"], "'compare'"),
        (["compare", "--sample", "3"], "did you mean '--samples'?"),
        (["compare", "--samples", "0"], "at least 1"),
        (["compare", "--samples", "many"], "whole number"),
        (["compare", "--problem", "Vae"], "did you mean 'VAE'?"),
        (["compare", "--problem", "VAE[siz=3]"], "did you mean 'size'?"),
        (["compare", "--problem", "VAE[size=0]"], "at least 1, not 0"),
        (["compare", "--problem", "VAE[kl=exact]"], "analytic, sampled, sampled-no-score"),
        (["compare", "--estimators", "GumbelSoftmx[1]"], "did you mean 'GumbelSoftmax'?"),
        (["compare", "--estimators", "GumbelSoftmax[temperature=0]"], "above zero"),
        (["compare", "--estimators", "GumbelSoftmax[temperature=-1]"], "above zero"),
        (["compare", "--estimators", "GumbelSoftmax[temperature=nan]"], "above zero"),
        (["compare", "--estimators", "GumbelSoftmax"], "needs temperature"),
        (["compare", "--estimators", "GumbelSoftmax[temperature=0.5"], "closing ]"),
        (["compare", "--estimators", "MovingAverage[0.9]"], "no estimator"),
        (["compare", "--device", "tpu"], "auto, cpu, gpu"),
        (["compare", "--problem", "VAE[size=200]", "--estimators", "Exact"], "10^60 states"),
        (["compare", "--problem", "Quadratic", "--estimators", "Pathwise"], "takes Normal"),
        (["compare", *SMALL, "--group", "encoder"], "logits, all"),
        (["compare", "--budget", "0"], "above zero"),
        (["compare", "--problem", "nothing.py:Mine"], "no file nothing.py"),
        (["temperature", "--temperatures", "1", "0"], "above zero"),
        (["benchmark", "--json", "no/such/folder/x.json"], "no such folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert says in _bad(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []  # nothing was written


def test_missing_gpu(capsys, tmp_path, monkeypatch):
    import jax

    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU here")
    monkeypatch.chdir(tmp_path)
    assert "no GPU" in _bad(capsys, "compare", "--device", "gpu")
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        assert "cannot be written" in _bad(capsys, "compare", *SMALL, "--output", str(folder))
    assert (tmp_path / "file").read_text() == "mine"


def test_results_of_another_run_are_not_overwritten(capsys, tmp_path):
    folder = str(tmp_path / "out")
    common = ["compare", *SMALL, "--estimators", "Exact", "--output", folder]
    assert main(common) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    assert "another run" in _bad(capsys, *common, "--seed", "1")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert main([*common, "--seed", "1", "--force"]) == 0
    assert set(pd.read_parquet(folder + "/results.parquet")["seed"]) == {1}


def test_a_broken_user_file_is_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("broken.py").write_text("import nothing_of_this_name\n")
    assert "ModuleNotFoundError" in _bad(capsys, "compare", "--estimators", "broken.py:Mine")
    Path("empty.py").write_text("")
    assert "no subclass" in _bad(capsys, "compare", "--problem", "empty.py:Mine")


@pytest.mark.parametrize("command", ["compare", "temperature", "benchmark"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert "GumbelSoftmax" in text
    assert "VAE[" in text
    options = [line for line in text.splitlines() if line.strip().startswith("--")]
    assert len(options) >= 4


@pytest.mark.parametrize("command", ["compare", "temperature"])
def test_a_run_leaves_whole_results(command, capsys, tmp_path):
    folder = tmp_path / "out"
    names = ["Exact", "StraightThrough", "GumbelSoftmax[temperature=0.5]"]
    arguments = [command, *SMALL, "--estimators", *names, "--output", str(folder)]
    if command == "temperature":
        arguments += ["--temperatures", "0.5", "2"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "GumbelSoftmax" in printed.out
    assert "StraightThrough" in printed.err  # progress
    figures = {f"{stem}.{end}" for stem in FILES[command] for end in ("pdf", "png", "csv")}
    tables = {f"table.{end}" for end in ("txt", "md", "csv", "tex")}
    assert {path.name for path in folder.iterdir()} == figures | tables | {"results.parquet"}

    rows = pd.read_parquet(folder / "results.parquet")
    assert rows.attrs["complete"]
    assert rows.attrs["provenance"]["matmul_precision"] == "highest"
    assert set(rows["samples"]) == {64}
    metrics = rows.pivot(index="estimator", columns="metric", values="value")
    # The score-free identity of the table: error is squared bias plus variance, up to (n - 1) / n.
    parts = metrics["squared_bias"] + metrics["variance"]
    assert parts.to_numpy() == pytest.approx(metrics["mse"].to_numpy(), rel=1e-4, abs=1e-9)
    if command == "temperature":
        notes = rows.set_index("p_temperature")["note"]
        assert set(notes[0.5]) == {"sample too small for its temperature"}  # 64 < 100 / 0.5
        assert set(notes[2.0]) == {""}

    # Finished: nothing is measured again, and the table is printed all the same.
    stamp = (folder / "results.parquet").read_bytes()
    assert main(arguments) == 0
    assert (folder / "results.parquet").read_bytes() == stamp
    assert capsys.readouterr().out == printed.out


def test_what_does_not_fit_is_skipped_with_a_reason(capsys, tmp_path):
    folder = tmp_path / "out"
    assert (
        main(["compare", "--problem", "Polynomial", "--samples", "32", "--output", str(folder)])
        == 0
    )
    text = capsys.readouterr().out
    assert "Exact: Bernoulli of event shape (128,) has 10^39 states" in text
    rows = pd.read_parquet(folder / "results.parquet").set_index("metric")
    assert set(rows.loc[["skipped"], "method"]) == {"Exact", "Pathwise"}


PROBLEM = """
import dataclasses
import jax.numpy as jnp
from experiments.problems.toy import Toy

@dataclasses.dataclass(frozen=True)
class Cubic(Toy):
    logit: float = 0.5

    def logits(self):
        return jnp.full(2, self.logit)

    def f(self, logits, sample):
        return jnp.sum(sample) ** 3
"""


def test_a_problem_from_a_users_file(capsys, tmp_path):
    (tmp_path / "cubic.py").write_text(PROBLEM)
    name = f"{tmp_path / 'cubic.py'}:Cubic[logit=0.25]"
    arguments = ["--problem", name, "--estimators", "MuProp", "--samples", "64"]
    assert main(["compare", *arguments, "--output", str(tmp_path / "out")]) == 0
    assert "Cubic[logit=0.25]" in capsys.readouterr().out


def test_the_real_command_in_a_process_of_its_own(tmp_path):
    """The path that a user walks: devices and cache are set before JAX starts."""
    command = [sys.executable, "-m", "experiments.command_line", "compare", *SMALL]
    command += ["--estimators", "ScoreFunction", "--output", str(tmp_path / "out")]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "ScoreFunction" in done.stdout
    assert (tmp_path / "cache" / "estimax" / "compiled").is_dir()
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    assert rows.attrs["provenance"]["device"].startswith(f"{cores} x ")
