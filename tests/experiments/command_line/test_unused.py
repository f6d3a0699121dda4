"""An option that changes nothing is said to."""

import pytest

from experiments.command_line import main
from experiments.system.errors import UsageError

TOY = ["--problem", "Quadratic", "--samples", "32"]
TRAIN = ["train", "--problem", "Quadratic", "--steps", "2", "--estimators", "ScoreFunction"]


@pytest.mark.parametrize(
    ("arguments", "notes"),
    [
        ([*TRAIN, "--measure-at", "1"], ["--measure-at: no effect without --measure"]),
        ([*TRAIN, "--samples=8", "--group", "logits"], ["--group, --samples: no effect"]),
        ([*TRAIN, "--temperatures", "1"], ["--temperatures: no effect on ScoreFunction"]),
        ([*TRAIN, "--tuning-rate", "1"], ["--tuning-rate: no effect on estimators without"]),
        ([*TRAIN, "--bound-samples", "3"], ["--bound-samples: no effect on Quadratic"]),
        (
            ["compare", *TOY, "--estimators", "Exact", "--train-steps", "3", "--data", "."],
            ["--train-steps: no effect on Quadratic", "--data: no effect on Quadratic"],
        ),
        (["compare", *TOY, "--estimators", "Exact", "--tuning-steps", "3"], ["--tuning-steps: no"]),
        (
            ["temperature", *TOY, "--estimators", "MuProp", "GumbelSoftmax[1]"]
            + ["--temperatures", "1"],
            ["--temperatures: no effect on MuProp"],
        ),
        (["reproduce", "toys", "--list", "--seed", "1"], ["--seed: no effect with --list"]),
        (["reproduce", "toys", "--seeds", "3"], ["--seeds: no effect on toys, which trains"]),
        (["reproduce", "toys", "--list", "--steps", "3"], ["--steps: no effect with --list"]),
        (["reproduce", "--list", "--cells", "A"], ["--cells: no effect with --list of all tables"]),
        (["claims", "--list", "--budget", "smoke"], ["--budget: no effect with --list"]),
        (TRAIN, []),
        (["compare", *TOY, "--estimators", "Exact"], []),
        (["compare", *TOY, "--tuning-steps", "3"], []),  # some of all learn
        (["reproduce", "toys", "--list"], []),
        (["reproduce", "--list"], []),
    ],
    ids=lambda value: " ".join(value)[-40:],
)
def test_what_is_ignored_is_said(arguments, notes, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESTIMAX_DATA", "")

    def stop(*_):  # before anything is computed, which takes most of the time
        raise UsageError("stopped")

    monkeypatch.setattr("experiments.command_line.jobs.completed", stop)
    assert main([*arguments]) == (0 if "--list" in arguments else 2)
    said = [one for one in capsys.readouterr().err.splitlines() if one.startswith("note: ")]
    assert len(said) == len(notes)
    for line, words in zip(said, notes, strict=True):
        assert words in line
