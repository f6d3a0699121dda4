"""What training runs have spent is recorded, and finished ones are compared by it anew."""

import os
import signal
import types

import numpy as np
import pandas as pd
import pytest

import estimax
from experiments.command_line import main, output
from experiments.problems import Coupled
from experiments.running.results import FILE
from experiments.studies.training import clock as clocks
from experiments.training.batch import Batch
from tests.experiments.helpers.command import contents, refused

pytestmark = pytest.mark.xdist_group("spent")

TRAIN = ["train", "--problem", "Coupled[bits=3]", "--steps", "90", "--log-steps", "7"]


@pytest.fixture
def clock(monkeypatch):
    """A clock on which each step takes 2 seconds, the first call of a process 1,000 more."""
    seconds, compiled = [0.0], set()
    advance, evaluate = Batch.advance, Coupled.exact_loss

    def timed(self, state, num_steps):
        found = advance(self, state, num_steps)
        seconds[0] += 2 * num_steps + 1000 * (id(self) not in compiled)
        compiled.add(id(self))
        timed.batches.append(self)  # so that no other has its number
        return found

    def slow(self, *arguments):
        seconds[0] += 500
        return evaluate(self, *arguments)

    timed.batches = []
    monkeypatch.setattr(Batch, "advance", timed)
    monkeypatch.setattr(Coupled, "exact_loss", slow)
    fake = types.SimpleNamespace(perf_counter=lambda: seconds[0])
    monkeypatch.setattr(clocks, "time", fake)


def test_seconds_are_of_all_steps_of_all_processes_and_of_nothing_else(
    clock, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    command = [*TRAIN, "--estimators", "DisARM", "--seeds", "2", "--evaluations", "3"]
    command += ["--checkpoint-seconds", "0", "--output", str(out)]
    for end in (1, 30, 60):  # the first one in the call that compiles
        advance, done = Batch.advance, []

        def stopping(self, state, num_steps, advance=advance, done=done, end=end):
            done.append(num_steps)
            if int(np.max(np.asarray(state.step))) + num_steps >= end:
                os.kill(os.getpid(), signal.SIGTERM)
            return advance(self, state, num_steps)

        with monkeypatch.context() as patch:
            patch.setattr(Batch, "advance", stopping)
            assert main(command) == 128 + signal.SIGTERM
        assert not (out / FILE).exists()
    assert main(command) == 0
    rows = pd.read_parquet(out / FILE)
    assert set(rows["step"]) == {*range(7, 90, 7), 30, 60, 90}
    np.testing.assert_allclose(rows["training_seconds"], 2 * rows["step"])
    assert set(rows["batch_runs"]) == {2}
    speed = rows.loc[rows["metric"] == "steps_per_second", "value"]
    np.testing.assert_allclose(speed, 2 / 2)  # both runs


def test_a_single_step_was_not_timed(clock, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["train", "--problem", "Quadratic", "--steps", "1", "--estimators", "DisARM", "ARM"]
    assert main([*command, "--output", str(out), "--against", "seconds"]) == 0
    assert pd.read_parquet(out / FILE)["training_seconds"].isna().all()
    shown = capsys.readouterr()
    assert "no figure training" in shown.err and "Traceback" not in shown.err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of estimators of different cost: its folder and the command."""
    out = tmp_path_factory.mktemp("spent") / "out"
    names = ["Exact", "DisARM", "REBAR[0.5]", "RELAX", "ScoreFunction[NVIL]"]
    names += ["ScoreFunction[LeaveOneOut[4]]", "GumbelSoftmax[0.5]"]
    command = [*TRAIN, "--seeds", "2", "--temperatures", "0.5", "1", "--estimators", *names]
    command += ["--measure", "DisARM", "--samples", "64", "--measure-at", "90"]
    assert main([*command, "--output", str(out)]) == 0
    return out, [*command, "--output", str(out)]


def test_evaluations_are_those_of_a_gradient(finished):
    rows = pd.read_parquet(finished[0] / FILE)
    of_runs = rows[rows["measured"] == ""]
    found = of_runs.groupby("short_name")[["evaluations", "batch_runs"]].agg(["min", "max"])
    assert (found.xs("min", axis=1, level=1) == found.xs("max", axis=1, level=1)).all(axis=None)
    # Exact: all states of three bits. What is learned takes no further ones, as RELAX's network.
    assert found["evaluations", "min"].to_dict() == {
        "Exact": 8, "DisARM": 2, "ScoreFunction[NVIL]": 1, "ScoreFunction[LeaveOneOut[4]]": 4,
        "REBAR[0.5]": 3, "REBAR[1.0]": 3, "RELAX": 1, "RELAX[temperature=0.5]": 1,
        "GumbelSoftmax[0.5]": 1, "GumbelSoftmax[1.0]": 1,
    }  # fmt: skip
    # Temperatures share a batch with the seeds.
    sizes = found["batch_runs", "min"].to_dict()
    assert sizes["GumbelSoftmax[1.0]"] == 4 and sizes["DisARM"] == 2
    assert set(rows.loc[rows["measured"] != "", "evaluations"]) == {2}
    seconds = of_runs.groupby(["estimator", "seed"])["training_seconds"]
    assert (
        seconds.apply(lambda own: own.is_monotonic_increasing).all() and (seconds.max() > 0).all()
    )


@pytest.mark.draws
def test_a_finished_run_is_compared_anew_without_computing(finished, monkeypatch, capsys):
    out, command = finished

    def fails(*_):
        raise AssertionError("a finished run was computed again")

    monkeypatch.setattr(output, "run", fails)
    before, tables = contents(out), {}
    for against in ("evaluations", "seconds", "steps"):
        assert main([*command, "--against", against]) == 0
        tables[against] = capsys.readouterr().out
        found = pd.read_csv(out / "rank.csv")
        assert "GumbelSoftmax[0.5]" not in set(found["short_name"])  # its loss is relaxed
        assert "training.png" in contents(out)
    after = contents(out)
    # The first picture was against steps too.
    assert after == before
    assert "compared at 90 evaluations of f" in " ".join(tables["evaluations"].split())
    assert "number (2 or 4)" in " ".join(tables["seconds"].split())
    result = estimax.read(out)
    assert "compared at 90 evaluations of f" in result.table(against="evaluations").heading
    assert result.plot("rank", against="seconds").axes[0].get_xlabel().startswith("seconds")
    assert result.plot(against="evaluations").axes[0].get_xlabel().startswith("evaluations of f")
    with pytest.raises(estimax.UsageError, match="no unit 'hours' to compare against"):
        result.table(against="hours")  # pyright: ignore[reportArgumentType]
    with pytest.raises(estimax.UsageError, match="has no cost"):
        result.table(cost="time")


def test_an_unknown_unit_is_one_line(capsys, tmp_path):
    line = refused(capsys, *TRAIN, "--estimators", "DisARM", "--against", "step")
    assert "--against" in line and "did you mean 'steps'?" in line
