"""Results are whole or absent, survive a kill, and are never mixed with another run's."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from experiments import results as module
from experiments.errors import UsageError
from experiments.results import FILE, Results, identity

ROW = {"estimator": "Exact", "metric": "variance", "value": 0.0}
CONFIGURATION = {"study": "compare", "seed": 0}


def test_every_added_row_is_on_disk(tmp_path):
    results = Results.open(tmp_path, CONFIGURATION)
    assert not (tmp_path / FILE).exists()  # opening writes no table
    results.add([ROW])
    table = pd.read_parquet(tmp_path / FILE)
    assert table.to_dict("records") == [ROW]
    assert not table.attrs["complete"]
    results.finish()
    assert pd.read_parquet(tmp_path / FILE).attrs["complete"]


def test_reopening_continues(tmp_path):
    Results.open(tmp_path, CONFIGURATION).add([ROW])
    again = Results.open(tmp_path, CONFIGURATION)
    assert again.has("Exact") and not again.has("MuProp") and not again.complete
    again.add([ROW | {"estimator": "MuProp"}])
    assert list(pd.read_parquet(tmp_path / FILE)["estimator"]) == ["Exact", "MuProp"]


def test_a_failing_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    results = Results.open(tmp_path, CONFIGURATION)
    results.add([ROW])
    before = (tmp_path / FILE).read_bytes()

    def fail(table, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        results.add([ROW])
    assert (tmp_path / FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("damage", ["empty", "cut", "other"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    Results.open(tmp_path, CONFIGURATION).add([ROW])
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "other": b"text"}[damage])
    with pytest.raises(UsageError, match="cannot be read"):
        Results.open(tmp_path, CONFIGURATION)
    assert Results.open(tmp_path, CONFIGURATION, force=True).rows == []


def test_another_run_and_another_format_are_refused(tmp_path, monkeypatch):
    Results.open(tmp_path, CONFIGURATION).add([ROW])
    with pytest.raises(UsageError, match="another run"):
        Results.open(tmp_path, CONFIGURATION | {"seed": 1})
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    with pytest.raises(UsageError, match="format"):
        Results.open(tmp_path, CONFIGURATION)


def test_identity_is_of_configuration_and_code(monkeypatch):
    assert identity(CONFIGURATION) == identity(dict(reversed(CONFIGURATION.items())))
    assert identity(CONFIGURATION) != identity(CONFIGURATION | {"seed": 1})
    before = identity(CONFIGURATION)
    monkeypatch.setattr(module, "_code_digest", lambda: "other code")
    assert identity(CONFIGURATION) != before


def test_provenance_says_how(tmp_path):
    provenance = Results.open(tmp_path, CONFIGURATION).table().attrs["provenance"]
    assert provenance["versions"]["jax"] and provenance["python"]
    assert "cpu" in provenance["device"] or "gpu" in provenance["device"]
    assert {"command", "revision", "dirty", "matmul_precision", "x64"} <= provenance.keys()


def _compare(folder, tmp_path) -> list[str]:
    names = ["Exact", "ScoreFunction", "StraightThrough", "MuProp", "GumbelSoftmax[temperature=1]"]
    return [
        *(sys.executable, "-m", "experiments.command_line", "compare", "--problem", "Quadratic"),
        *("--samples", "64", "--output", str(folder), "--estimators", *names),
    ]


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT], ids=lambda blow: blow.name)
def test_a_stopped_run_continues_to_the_same_numbers(blow, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"

    run = subprocess.Popen(
        _compare(stopped, tmp_path), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 300
    while not (stopped / FILE).exists():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.01)
    run.send_signal(blow)
    _, err = run.communicate()
    assert run.returncode == (130 if blow == signal.SIGINT else -blow)
    if blow == signal.SIGINT:
        assert err.decode().splitlines()[-1].startswith("estimax: interrupted")
    kept = pd.read_parquet(stopped / FILE)
    assert 1 <= kept["estimator"].nunique() < 5 and not kept.attrs["complete"]

    for folder in (stopped, whole):
        subprocess.run(_compare(folder, tmp_path), env=environment, check=True, capture_output=True)
    tables = [pd.read_parquet(folder / FILE) for folder in (stopped, whole)]
    # What was measured before the blow is kept, its times included; later estimators add columns.
    pd.testing.assert_frame_equal(tables[0].head(len(kept))[kept.columns], kept)
    numbers = [table[table["metric"] != "seconds"].reset_index(drop=True) for table in tables]
    pd.testing.assert_frame_equal(*numbers)
