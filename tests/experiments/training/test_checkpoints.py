"""Checkpoints of chosen steps are kept, by runs that end early too."""

import os
import signal

import numpy as np
import pandas as pd
import pytest

import estimax
from experiments.command_line import main
from experiments.running.results import FILE
from experiments.system.folder import OWN
from experiments.training.batch import Batch
from tests.experiments.helpers.command import refused

pytestmark = pytest.mark.xdist_group("at")

TRAIN = [
    *("train", "--problem", "Coupled[bits=3]", "--steps", "90", "--seeds", "2"),
    *("--estimators", "ScoreFunction[MovingAverage[0.9]]", "--log-steps", "7"),
]


def kept(folder):
    (batch,) = [path for path in (folder / OWN / "checkpoints").iterdir() if path.is_dir()]
    return {int(path.name) for path in batch.iterdir()}


def numbers(folder):
    table = pd.read_parquet(folder / FILE)
    table = table[table["metric"] != "steps_per_second"].reset_index(drop=True)
    return table.drop(columns="training_seconds")


def interrupted(monkeypatch, step, *arguments):
    """Run until the first chunk that ends at a step or later."""
    advance, done = Batch.advance, []

    def counted(self, state, num_steps):
        done.append(num_steps)
        if sum(done) + int(np.max(np.asarray(state.step))) * (len(done) == 1) >= step:
            os.kill(os.getpid(), signal.SIGTERM)
        return advance(self, state, num_steps)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "advance", counted)
        assert main([*map(str, arguments)]) == 128 + signal.SIGTERM


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("kept") / "out"
    assert main([*TRAIN, "--keep-steps", "0", "10", "50", "--output", str(out)]) == 0
    return out


def test_the_chosen_steps_and_the_last_are_kept(whole, tmp_path):
    assert kept(whole) == {0, 10, 50, 90}
    assert main([*TRAIN, "--output", str(tmp_path / "out")]) == 0
    assert kept(tmp_path / "out") == {90}
    # They are no part of the numbers, nor of the identity.
    pd.testing.assert_frame_equal(numbers(whole), numbers(tmp_path / "out"), check_exact=True)
    one, other = (pd.read_parquet(path / FILE).attrs for path in (whole, tmp_path / "out"))
    assert one["identity"] == other["identity"]


def test_a_run_that_ends_keeps_them_and_goes_on_to_the_same_bits(whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = [*TRAIN, "--checkpoint-seconds", "0", "--output", out]
    interrupted(monkeypatch, 30, *command, "--keep-steps", 0, 10, 50)
    assert {0, 10} < kept(out) and len(kept(out)) == 3
    assert not (out / FILE).exists()
    unfinished = estimax.load(out, 10)
    # The next command need not name those that are kept.
    assert main([*map(str, command), "--keep-steps", "50", "70"]) == 0
    assert kept(out) == {0, 10, 50, 70, 90}
    pd.testing.assert_frame_equal(numbers(out), numbers(whole), check_exact=True)
    for step in (0, 10, 50, 90):
        found, expected = estimax.load(out, step), estimax.load(whole, step)
        assert np.array_equal(found.params["logits"], expected.params["logits"])
        assert repr(found.estimator) == repr(expected.estimator)
    assert np.array_equal(unfinished.params["logits"], estimax.load(whole, 10).params["logits"])


def test_a_finished_run_says_how_to_get_another_step(whole, capsys):
    assert main([*TRAIN, "--keep-steps", "10", "33", "--output", str(whole)]) == 0
    said = capsys.readouterr().err
    assert "note: no checkpoint of step 33: " in said and "another --output" in said
    assert kept(whole) == {0, 10, 50, 90}


def test_a_step_after_the_end_is_refused(capsys, tmp_path):
    line = refused(capsys, *TRAIN, "--keep-steps", 91, "--output", tmp_path)
    assert "step 91 cannot be kept: training ends at 90" in line
