"""The study file of a command, which runs the same."""

import importlib
import random

import pytest

from experiments.command_line import main, parser, study_file
from experiments.command_line.run import job_of
from experiments.command_line.saving import save
from tests.experiments.helpers.command import USER_FILE, numbers, refused

MEASURED = {
    "--problem": ["Quadratic", "Coupled[bits=2]", "mine.py:Cubic"],
    "--group": ["logits", "all"],
    "--samples": ["32", "100"],
    "--seed": ["0", "7", "4294967000"],
    "--seeds": ["2"],
    "--tuning-steps": ["0", "3"],
    "--budget": ["1e-30", "3e38", "100"],
    "--precision": ["5%", "0.1"],
    "--most-samples": ["64"],
}
ESTIMATORS = ["Exact", "GumbelSoftmax[0.5]", "ScoreFunction[baseline=LeaveOneOut[num_samples=4]]"]
DRAWN = {"--width": ["column", "3.3"], "--format": ["pdf", "svg"], "--no-title": None}
COMMANDS = {
    "compare": MEASURED
    | DRAWN
    | {"--estimators": [*ESTIMATORS, "mine.py:Scaled", "antithetic"], "--sort": ["variance"]},
    "temperature": MEASURED
    | {"--estimators": ["GumbelSoftmax"], "--temperatures": ["0.3", "1e-3"]},
    "train": {
        **{name: MEASURED[name] for name in ("--problem", "--seed", "--seeds")},
        "--estimators": ESTIMATORS,
        "--steps": ["3"],
        "--learning-rates": ["0.1", "1e38", "1e-5"],
        "--optimiser": ["SGD[momentum=0.9]"],
        "--schedule": ["learning_rate=Cosine[start=1,end=0.1,steps=2]"],
        "--keep-steps": ["1", "2"],
        "--checkpoint-seconds": ["0"],
        "--measure": ["Exact"],
        "--measure-at": ["0", "2"],
        **DRAWN,
    },
    "reproduce toys": {"--budget": ["smoke"], "--seed": ["3"], "--cells": ["ARM"]},
    "reproduce hooper2026-polynomial": {
        "--steps": ["3"],
        "--seeds": ["2"],
        "--learning-rates": ["0.1", "1e-3"],
        "--cells": ["MVE"],
    },
    "claims": {"--budget": ["smoke"], "--only": ["gumbel-rao"]},
    "figure densities": {"--budget": ["smoke"], **DRAWN},
}
SEVERAL = ("--estimators", "--temperatures", "--learning-rates", "--keep-steps", "--measure-at")


def arguments(chance, command):
    """Return the arguments of a command with some of its options."""
    found = []
    for name, values in COMMANDS[command].items():
        if name != "--estimators" and chance.random() < 0.5:
            continue
        count = chance.choice([1, 2]) if name in SEVERAL else 1
        found += [name, *chance.sample(values, min(count, len(values)))] if values else [name]
    return [*command.split()[1:], *found]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_file_of_a_command_is_the_same_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(USER_FILE)
    seed = random.SystemRandom().randrange(2**32)
    print(f"command lines drawn from seed {seed}")
    chance, name = random.Random(seed), command.split()[0]
    module = importlib.import_module(f"experiments.command_line.{name}")
    for case in range(15):
        said = [*arguments(chance, command), "--save", f"{case}.toml"]
        given = parser.parsed(parser.of_command(name), said)
        save(given)
        (one,) = study_file.read(tmp_path / f"{case}.toml").runs
        job, again = module.job(given), job_of(one)
        assert again.study.identity == job.study.identity, said
        assert (again.drawn, again.table) == (job.drawn, job.table), said


def test_the_file_says_what_was_given(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["compare", "--problem", "Quadratic", "--samples=32", "--no-title", "--estimators"]
    command += ["Exact", "GumbelSoftmax[0.5]", "--device", "cpu", "--save", "study.toml"]
    assert main([*command, "--output", "alone"]) == 0
    text = (tmp_path / "study.toml").read_text()
    assert text == (
        'command = "compare"\ndevice = "cpu"\nproblem = "Quadratic"\n'
        'estimators = ["Exact", "GumbelSoftmax[0.5]"]\nsamples = 32\nno-title = true\n'
    )
    assert main(["run", "study.toml"]) == 0
    assert numbers(tmp_path / "results/study/compare").equals(numbers(tmp_path / "alone"))
    assert main([*command, "--output", "alone"]) == 0  # the same file
    capsys.readouterr()
    other = [*command, "--output", "other", "--seed", "1"]
    assert "--save study.toml exists (--force replaces it)" in refused(capsys, *other)
    assert not (tmp_path / "other").exists() and (tmp_path / "study.toml").read_text() == text
    assert main([*other, "--force"]) == 0
    assert "seed = 1\n" in (tmp_path / "study.toml").read_text()


def test_a_file_that_cannot_be_written_is_refused(tmp_path, capsys):
    command = ["compare", "--problem", "Quadratic", "--output", tmp_path / "out", "--save"]
    for name, words in {"": "is a folder", "no/such/folder": "no such folder"}.items():
        assert words in refused(capsys, *command, tmp_path / name)
    assert not list(tmp_path.iterdir())
