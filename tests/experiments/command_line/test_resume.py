"""Training that is killed goes on to the numbers of one that was not."""

import contextlib
import os
import random
import signal
import time

import numpy as np
import pandas as pd
import pytest

import estimax
from experiments.running.results import FILE
from experiments.system.folder import OWN
from tests.experiments.helpers.processes import HANG

KEPT = (0, 100, 320)
ARGUMENTS = [
    *("train", "--problem", "Coupled[bits=3]", "--steps", "320", "--log-steps", "4"),
    *("--estimators", "ScoreFunction[MovingAverage[0.9]]"),
    *("--seeds", "2", "--learning-rates", "0.01", "0.03"),
    *("--measure", "ScoreFunction", "--measure-at", "0", "160", "--samples", "64"),
    *("--checkpoint-seconds", "0", "--device", "cpu", "--keep-steps", *map(str, KEPT)),
]

pytestmark = pytest.mark.xdist_group("runs")  # which share what they compile


def numbers(folder):
    table = pd.read_parquet(folder / FILE)
    assert table.attrs["complete"]
    timed = table["metric"].isin(["steps_per_second", "seconds"])
    return table[~timed].drop(columns="training_seconds").reset_index(drop=True)


def checkpoints(folder):
    """Return the names of everything in the folders of checkpoints."""
    return {path for path in folder.glob(f"{OWN}/checkpoints/*/*")}


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_run_killed_several_times_ends_with_the_same_numbers(times, tmp_path, runs):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    seed = random.SystemRandom().randrange(2**32)
    print(f"kills at moments drawn from seed {seed}")
    moments = random.Random(seed)
    _, log = runs.start(*ARGUMENTS, "--checkpoint-seconds", "1000", "--output", whole)
    assert runs.wait() == 0, log.read_text()
    kills = 0
    while kills < times:
        before = checkpoints(killed)
        process, log = runs.start(*ARGUMENTS, "--output", killed)
        # Not before it went on from where the last one was, so that they get somewhere.
        deadline = time.monotonic() + HANG
        while checkpoints(killed) == before:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        assert runs.wait() == -signal.SIGKILL, log.read_text()
        kills += 1
    _, log = runs.start(*ARGUMENTS, "--output", killed)
    assert runs.wait() == 0, log.read_text()
    pd.testing.assert_frame_equal(numbers(killed), numbers(whole), check_exact=True)
    for step in KEPT:
        one, other = (estimax.load(folder, step, learning_rate=0.01) for folder in (killed, whole))
        assert np.array_equal(one.params["logits"], other.params["logits"])
    assert {int(path.name) for path in checkpoints(killed)} == {*KEPT}
