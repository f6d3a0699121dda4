"""What a command says that it would do, without doing it."""

import csv
import re
from importlib import resources

import jax
import pytest

from experiments import command_line
from experiments.command_line import main
from experiments.command_line.parser import COMMANDS
from experiments.running.results import FILE
from tests.experiments.helpers.command import SMALL, refused

MODEL = """
import jax.numpy as jnp
from estimators import Bernoulli

def mine():
    loss = lambda model, estimator, key, batch: estimator(key, Bernoulli(model), jnp.sum)
    return loss, jnp.zeros(2), None
"""
FILE_OF_PARTS = """
problem = "Quadratic"

[[part]]
name = "trained"
command = "train"
estimators = "Exact"
steps = 2

[[part]]
name = "after"
command = "compare"
estimators = "ScoreFunction"
samples = 32
at = "trained"
"""
TWO = ["--estimators", "Exact", "GumbelSoftmax[0.5]"]
PARTS = {
    ("compare", *SMALL, *TWO, "--seeds", "2"): ["Exact, seed 0", "Exact, seed 1", "time per"],
    ("temperature", *SMALL, *TWO, "--temperatures", "1"): ["Exact", "=1.0]", "time per"],
    ("train", "--problem", "Quadratic", *TWO): ["Exact", "GumbelSoftmax"],
    ("diagnose", "model.py:mine", *TWO): ["Exact", "GumbelSoftmax", "time per"],
    ("reproduce", "toys", "--budget", "smoke"): ["ARM"],
    ("claims", "--only", "gumbel-rao-law"): ["gumbel-rao-law"],
    ("figure", "densities"): ["simplex"],
    ("atlas", "--budget", "smoke"): ["Bandit: StraightThrough, step 0", "18 of 18"],
    ("benchmark", *TWO): ["Exact", "GumbelSoftmax"],
    ("benchmark", "--opponents", "optax", "SynJax"): ["optax", "SynJax"],
    ("run", "study.toml"): ["trained:", "Exact", "after: to do after trained", "all 2 runs"],
}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal in which no line is continued below itself."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("command", PARTS, ids=lambda command: command[0])
def test_the_parts_are_listed_and_nothing_is_written(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    files = {"model.py": MODEL, "study.toml": FILE_OF_PARTS}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    output = [] if command[0] == "benchmark" else ["--output", "out/deep"]
    for more in ([], output):
        assert main([*command, *more, "--dry-run"]) == 0
        printed = capsys.readouterr().out
        assert max(map(len, printed.splitlines())) <= 60
        for words in PARTS[command]:
            assert words in " ".join(printed.split())
        assert "to do" in printed and "done  " not in printed
        made = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
        assert made == files.keys()


def test_what_is_done_is_said_and_times_are_those_of_other_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["compare", *SMALL, *TWO]
    assert main([*command, "--dry-run"]) == 0
    assert "3 of 3 parts to do, roughly" in capsys.readouterr().out
    assert main(command) == 0
    capsys.readouterr()
    (file,) = tmp_path.glob(f"results/*/{FILE}")
    before = file.read_bytes()
    assert main([*command, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("  done ") == 3 and printed.splitlines()[-1] == "  nothing to do"
    more = [*command, "--estimators", *TWO[1:], "MuProp"]
    assert main([*more, "--seed", "1", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "MuProp, roughly" in printed and "Exact, about" in printed
    assert [line.partition(":")[0] for line in printed.splitlines()[-2:]] == ["about", "roughly"]
    assert main([*command, "--force", "--dry-run", "--save", "x.toml"]) == 0
    said = capsys.readouterr()
    assert "3 of 3 parts to do, about" in said.out and "--save: no effect with" in said.err
    assert file.read_bytes() == before and not (tmp_path / "x.toml").exists()


def test_a_file_whose_first_part_is_done(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(FILE_OF_PARTS)
    assert main(["run", "study.toml", "--part", "x", "--dry-run"]) == 2
    assert main(["run", "study.toml"]) == 0
    more = FILE_OF_PARTS.replace('"ScoreFunction"', '["ScoreFunction", "Exact"]')
    (tmp_path / "study.toml").write_text(more)
    capsys.readouterr()
    assert main(["run", "study.toml", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "nothing to do" in printed and "ScoreFunction, about" in printed
    assert "all 2 runs, in results/study: 3 of 4 parts to do, roughly" in printed
    # Another folder beside this one.
    assert main(["run", "study.toml", "--output", "results/new", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "trained:" in printed and "Exact, about" in printed
    assert "after: to do after trained, roughly" in printed


def test_all_commands_that_have_the_option_are_here(capsys):
    having = set()
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        having |= {name} if "--dry-run" in capsys.readouterr().out else set()
    assert having == {command[0] for command in PARTS}


@pytest.mark.parametrize(
    "command", [one for one in PARTS if one[0] != "benchmark"], ids=lambda command: command[0]
)
def test_a_time_is_expected_before_anything_has_run(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "study.toml").write_text(FILE_OF_PARTS)
    assert main([*command, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "unknown" not in printed
    times = [seconds(line) for line in printed.splitlines() if "to do" in line]
    assert all(time >= 0 for time in times) and 0 < times[-1] < 86400
    assert "\nroughly: by " in printed


def test_parts_of_unknown_time_are_counted_beside_the_known(tmp_path, capsys, monkeypatch):
    text = (resources.files(command_line) / "seconds.csv").read_text()
    kept = [row for row in csv.DictReader(text.splitlines()) if row["part"] != "simplex, 1"]
    monkeypatch.setattr(csv, "DictReader", lambda file: kept)
    assert main(["figure", "densities", "--output", str(tmp_path / "new"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "to do  simplex, 1, time unknown" in printed
    assert "15 of 15 parts to do, roughly" in printed and "and unknown for 1 of them" in printed


def test_times_are_of_the_same_size_of_the_same_figure_or_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["figure", "densities", "--budget", "smoke"]) == 0
    capsys.readouterr()
    assert main(["figure", "densities", "--force", "--budget", "smoke", "--dry-run"]) == 0
    assert "about: by earlier runs" in capsys.readouterr().out
    for other in (["densities"], ["variance-by-evaluations", "--budget", "smoke"]):
        assert main(["figure", *other, "--dry-run"]) == 0
        assert "about" not in capsys.readouterr().out


def test_cells_that_train_longer_take_longer(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def roughly(steps):
        cell = "reproduce", "liu2023-polynomial", "--cells", "p = 3, ST"
        assert main([*cell, "--steps", steps, "--dry-run"]) == 0
        *_, total, basis = capsys.readouterr().out.splitlines()
        assert basis.startswith("roughly: by the time of a gradient")
        return seconds(total)

    few, many = roughly("10000000"), roughly("1000000000")
    assert 50 < many / few < 200


def seconds(line):
    number, unit = re.search(r"roughly ([\d.e+]+) (\w+)", line).groups()
    return float(number) * {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}[unit]


def test_rough_times_are_in_proportion_to_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def roughly(*command):
        assert main([*command, "--dry-run"]) == 0
        *parts, total, basis = capsys.readouterr().out.splitlines()
        assert basis.startswith("roughly: by the time of a gradient, measured now")
        return seconds(total if total.startswith("  ") else parts[-1])

    toy = "--problem", "Coupled[bits=3]", "--estimators", "ScoreFunction[LeaveOneOut[8]]"
    few, many = (roughly("compare", *toy, "--samples", n) for n in ("10000000", "1000000000"))
    assert 50 < many / few < 200
    steps = "train", *toy, "--steps", "100000000"
    seeds = roughly(*steps, "--seeds", "64")
    assert 20 < seeds / roughly(*steps) * len(jax.devices()) < 200


@pytest.mark.parametrize(
    "command",
    [("diagnose", "model.py:mine", *TWO), ("figure", "temperature-toy", "--budget", "smoke")],
    ids=lambda command: command[0],
)
def test_a_model_and_figures_of_measurements_have_rough_times(
    command, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    assert main([*command, "--dry-run"]) == 0
    *parts, total, basis = capsys.readouterr().out.splitlines()
    assert all(seconds(part) >= 0 for part in parts[1:]) and 0 < seconds(total) < 600
    assert basis.startswith("roughly: by the time of a gradient")


def test_bad_input_is_refused_as_ever(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "'Vae'" in refused(capsys, "compare", "--problem", "Vae", "--dry-run")
