"""Parts that measure where earlier ones train: bad ones are refused before any is run."""

import pytest

from experiments.command_line import main
from tests.experiments.helpers.command import refused

TRAINED = """
problem = "Coupled[bits=2]"

[[part]]
name = "trained"
command = "train"
estimators = ["ScoreFunction", "Exact"]
steps = 4
keep-steps = 2
seeds = 2

[[part]]
name = "after"
command = "compare"
at = "trained"
samples = 32
"""
BAD = [
    ("estimators = 'Nope'", ["unknown estimator or family 'Nope'"]),
    ("estimators = 'CategoricalDisARM'", ["takes Categorical, not Bernoulli"]),
    ("estimators = 'Exact'\ngroup = 'encoder'", ["no group 'encoder'"]),
    ("estimators = 'Exact'\nonly = 'DisARM'", ["called 'DisARM'"]),
    (
        "estimators = 'Exact'\nstep = [2, 3]",
        ["step: trained keeps no checkpoint of step 3", "2, 4"],
    ),
    (
        "estimators = 'Exact'\ntrained-with = 'DisARM'",
        ["trained-with: trained does not train with"],
    ),
    ("estimators = 'Exact'\ntrained-with = 'Nope'", ["'Nope'"]),
    ("estimators = 'Exact'\nseed = 2", ["seed: trained does not train seed 2, but 0, 1"]),
    ("estimators = 'Exact'\nseeds = 3", ["seed: trained does not train seed 2, but 0, 1"]),
    (
        "estimators = 'Exact'\n[[part]]\nname = 'more'\ncommand = 'compare'\nat = 'after'\n"
        "estimators = 'Exact'",
        ["at: the part 'after' is one of compare"],
    ),
]


@pytest.mark.parametrize(("text", "says"), BAD, ids=lambda value: repr(value)[:50])
def test_a_bad_later_part_is_refused_before_anything_is_run(
    text, says, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(TRAINED + text)
    for more in ([], ["--dry-run"]):
        line = refused(capsys, "run", "study.toml", *more)
        for words in says:
            assert words in line
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_checkpoints_that_are_there_can_be_measured_whatever_the_file_keeps_now(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "study.toml"
    text = TRAINED + "estimators = 'Exact'\nstep = [2, 4]\nseed = 1"
    file.write_text(text)
    assert main(["run", "study.toml"]) == 0
    assert "no effect" not in capsys.readouterr().err
    file.write_text(text.replace("keep-steps = 2\n", ""))
    assert main(["run", "study.toml"]) == 0
    assert capsys.readouterr().err.count("(done before)") == 2
