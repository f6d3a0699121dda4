"""A run that is killed or asked to end, at any moment, loses nothing and goes on."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from experiments.command_line import main
from experiments.running.results import FILE
from experiments.system import hosts, signals
from experiments.system.folder import OWN
from experiments.system.signals import Interrupted
from experiments.training.batch import Batch
from experiments.training.run import LONGEST
from tests.experiments.command_line.test_resume import ARGUMENTS, numbers
from tests.experiments.helpers.processes import HANG

COMPARE = [
    *("compare", "--problem", "Quadratic", "--samples", "64", "--tuning-steps", "20"),
    *("--estimators", "Exact", "ScoreFunction", "StraightThrough", "MuProp", "ReinMax"),
    *("--device", "cpu"),
]
LONG = [
    *("train", "--problem", "Coupled[bits=3]", "--steps", "100000000", "--log-steps", "10000000"),
    *("--estimators", "ScoreFunction", "--checkpoint-seconds", "1000", "--device", "cpu"),
]
pytestmark = pytest.mark.xdist_group("runs")
MINE = {"checkpoints/resnet.pt": "weights", "unfinished/thesis.tex": "text", "notes": "mine"}


def put_mine(folder):
    for name, content in MINE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def check_nothing_is_left(folder):
    """The user's files are as they were, and no file is there that is not whole."""
    assert all((folder / name).read_text() == content for name, content in MINE.items())
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert not {name for name in names if "unwritten" in name or "lock" in name or "tmp" in name}


def wait_for(condition, log):
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


def test_training_that_is_asked_to_end_saves_and_ends(tmp_path, runs):
    """Between checkpoints and rows of the loss, within seconds; the next run goes on there."""
    out = tmp_path / "out"
    last = 0
    for number in (signal.SIGINT, signal.SIGTERM):
        process, log = runs.start(*LONG, "--output", out)
        wait_for(lambda log=log: "step" in log.read_text(), log)
        os.kill(process, number)
        assert runs.wait() == 128 + number, log.read_text()
        line = log.read_text().splitlines()[-1]
        assert "Traceback" not in log.read_text()
        assert line.startswith("estimax: interrupted; ScoreFunction is kept at step ")
        step = int(line.split(" at step ")[1].split(" of ")[0].replace(",", ""))
        assert list(out.glob(f"{OWN}/checkpoints/*/{step}")), line
        assert step > last
        last = step
        assert not (out / OWN / "lock").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_chunk_follows_a_signal(number, tmp_path, monkeypatch, capsys):
    """The one that a signal comes in is the last, and a small one."""
    advance, chunks = Batch.advance, []

    def counted(self, state, num_steps):
        chunks.append(num_steps)
        if len(chunks) == 3:
            os.kill(os.getpid(), number)
        return advance(self, state, num_steps)

    monkeypatch.setattr(Batch, "advance", counted)
    assert main([*LONG, "--output", str(tmp_path / "out")]) == 128 + number
    assert len(chunks) == 3 and max(chunks) <= LONGEST
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"is kept at step {sum(chunks):,} of " in line


def test_handlers_of_signals_are_restored(monkeypatch, tmp_path):
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.getsignal(number) for number in numbers]
    within = []

    def end(run):
        within.extend(map(signal.getsignal, numbers))
        with signals.deferred(), pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
            hosts.check_signals()
        assert [*map(signal.getsignal, numbers)] == within
        return 3

    monkeypatch.setattr("experiments.command_line.exit_status.guarded", end)
    assert main() == 3
    assert within == [signals.end_at_once] * 2
    assert [*map(signal.getsignal, numbers)] == before


@pytest.mark.slow
def test_a_second_signal_does_not_wait(tmp_path, runs):
    process, log = runs.start(*LONG, "--output", tmp_path / "out")
    wait_for((tmp_path / "out" / OWN / "lock").exists, log)
    os.kill(process, signal.SIGINT)
    time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGINT)
    assert runs.wait() in (130, -signal.SIGINT)


def wait_for_handler(run):
    while run.poll() is None:
        status = Path(f"/proc/{run.pid}/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        if caught & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc says when a handler is there")
def test_an_interrupt_while_it_starts_is_one_line(tmp_path):
    command = [sys.executable, "-m", "experiments.command_line", *COMPARE]
    seed = random.SystemRandom().randrange(2**32)
    print(f"moments drawn from seed {seed}")
    moments = random.Random(seed)
    for number in (signal.SIGINT, signal.SIGTERM) * 8:
        run = subprocess.Popen(
            [*command, "--output", str(tmp_path / "out")],
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_handler(run)  # before it Python itself begins
        time.sleep(moments.uniform(0, 6))
        run.send_signal(number)
        out, err = run.communicate(timeout=120)
        assert run.returncode == 128 + number, err
        assert err.splitlines()[-1].startswith("estimax: interrupted") and "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [ARGUMENTS, COMPARE], ids=["train", "compare"])
def test_killed_at_any_moment(arguments, tmp_path, runs):
    """By any signal: nothing of the user's is lost, and the numbers are those of a whole run."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"kills at moments drawn from seed {seed}")
    moments = random.Random(seed)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    put_mine(whole)
    put_mine(killed)
    for folder in (tmp_path / "compiling", whole):
        begun = time.monotonic()
        _, log = runs.start(*arguments, "--output", folder)
        assert runs.wait() == 0, log.read_text()
        lasts = time.monotonic() - begun
    for kills in range(12):
        process, log = runs.start(*arguments, "--output", killed)
        time.sleep(moments.uniform(0, 0.7 * lasts))
        number = moments.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
        status = runs.wait()
        assert status in (0, 128 + number, -number), log.read_text()
        assert "Traceback" not in log.read_text()
        if status == 0:
            assert kills > 0
            break
    _, log = runs.start(*arguments, "--output", killed)
    assert runs.wait() == 0, log.read_text()
    for folder in (whole, killed):
        check_nothing_is_left(folder)
    tables = [numbers(folder) for folder in (killed, whole)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert {path.name for path in killed.iterdir()} == {path.name for path in whole.iterdir()}
    assert (killed / FILE).exists()


@pytest.mark.slow
def test_two_identical_runs_at_once(tmp_path):
    """One works; the other says who, and neither crashes."""
    command = [sys.executable, "-m", "experiments.command_line", *ARGUMENTS]
    for number in range(3):
        runs = [
            subprocess.Popen(
                [*command, "--output", str(tmp_path / f"out{number}")],
                env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        said = [run.communicate()[1] for run in runs]
        assert sorted(run.returncode for run in runs) == [0, 2], said
        refusal = said[[run.returncode for run in runs].index(2)]
        assert f"process {runs[[run.returncode for run in runs].index(0)].pid} on " in refusal
