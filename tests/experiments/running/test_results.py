"""Results are whole or absent, survive a kill, and are never mixed with another run's."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from analysis import reading
from analysis.reading import read as read_results
from experiments.running.identity import environment, identity
from experiments.running.results import FILE, FORMAT, Results
from experiments.system.errors import UsageError
from experiments.system.folder import OWN, Folder
from tests.experiments.helpers.processes import HANG
from tests.experiments.helpers.results import CONFIGURATION, ROW, opened


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_every_added_row_is_on_disk(tmp_path):
    folder = tmp_path / "a" / "b"
    results = opened(folder)
    assert names(tmp_path) == set()  # nothing was measured yet
    results.add([ROW])
    table = pd.read_parquet(folder / FILE)
    assert table.to_dict("records") == [ROW]
    assert not table.attrs["complete"]
    results.finish()
    assert pd.read_parquet(folder / FILE).attrs["complete"]
    assert names(folder) == {FILE, OWN}


def test_reopening_continues(tmp_path):
    opened(tmp_path).add([ROW])
    again = opened(tmp_path)
    assert [row["estimator"] for row in again.rows] == ["Exact"] and not again.complete
    again.add([ROW | {"estimator": "MuProp"}])
    assert list(pd.read_parquet(tmp_path / FILE)["estimator"]) == ["Exact", "MuProp"]
    again.finish()
    assert opened(tmp_path).complete


def test_rows_of_different_columns_are_kept_as_they_are(tmp_path):
    # Estimators have hyperparameters of their own: numbers, names, truth values, none.
    rows = [
        ROW | {"p_temperature": 0.5, "samples": 64},
        ROW | {"p_baseline": "NVIL", "p_baseline.normalise": True, "samples": 64},
        ROW | {"p_baseline": None, "samples": 64},
    ]
    results = opened(tmp_path)
    for row in rows:
        results.add([row])
        results = opened(tmp_path)
    (at_once := opened(tmp_path / "other")).add(rows)
    tables = [pd.read_parquet(one.folder.path / FILE) for one in (results, at_once)]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["samples"].dtype == np.int64


def test_a_failing_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    results = opened(tmp_path)
    results.add([ROW])
    before = (tmp_path / FILE).read_bytes()

    def fail(table, path, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        results.add([ROW])
    assert (tmp_path / FILE).read_bytes() == before
    assert names(tmp_path) == {FILE, OWN}


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "flipped"])
def test_a_damaged_file_is_refused_and_kept(damage, tmp_path):
    opened(tmp_path).add([ROW])
    path = tmp_path / FILE
    whole = path.read_bytes()
    flipped = bytes([*whole[:-40], whole[-40] ^ 1, *whole[-39:]])  # in the footer
    cut = whole[: len(whole) // 2]
    damaged = {"empty": b"", "cut": cut, "other": b"text", "flipped": flipped}[damage]
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match=f"{FILE}, changed or damaged .*--force"):
        opened(tmp_path)
    assert path.read_bytes() == damaged
    forced = Results((folder := Folder(tmp_path)), CONFIGURATION, environment())
    folder.begin_anew()
    forced.add([ROW])
    assert opened(tmp_path).rows == [ROW]
    assert (tmp_path / f"{FILE}.old1").read_bytes() == damaged


def test_no_flipped_bit_is_read(tmp_path):
    opened(tmp_path).add([ROW])
    path = tmp_path / FILE
    whole = path.read_bytes()
    for place in np.random.default_rng(0).choice(8 * len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="changed or damaged"):
            opened(tmp_path)
        with pytest.raises(ValueError, match="changed or damaged after estimax wrote it"):
            read_results(path)


def test_pages_of_a_table_have_checksums(tmp_path):
    # Where a table was copied without its manifest, they find what they can.
    values = np.random.default_rng(0).normal(size=3000)
    rows = [ROW | {"value": value} for value in values]
    opened(tmp_path).add(rows)
    whole = (tmp_path / FILE).read_bytes()
    (alone := tmp_path / "alone" / FILE).parent.mkdir()
    alone.write_bytes(whole)
    pd.read_parquet(alone, page_checksum_verification=True)
    place = whole.index(values[1234].tobytes())
    alone.write_bytes(bytes([*whole[:place], whole[place] ^ 1, *whole[place + 1 :]]))
    assert (pd.read_parquet(alone)["value"] != values).any()  # without a word
    with pytest.raises(OSError, match="CRC"):
        pd.read_parquet(alone, page_checksum_verification=True)


def test_a_table_of_other_making_is_refused(tmp_path):
    pd.DataFrame([ROW]).to_parquet(tmp_path / FILE)
    with pytest.raises(UsageError, match="estimax did not write there"):
        opened(tmp_path)


def test_another_run_and_another_format_are_refused(tmp_path, monkeypatch):
    opened(tmp_path).add([ROW])
    with pytest.raises(UsageError, match="another run.*--force"):
        opened(tmp_path, CONFIGURATION | {"seed": 1})
    monkeypatch.setattr(reading, "FORMAT", FORMAT + 1)
    with pytest.raises(UsageError, match=f"format is {FORMAT}, not"):
        opened(tmp_path)


def test_provenance_is_in_the_file(tmp_path):
    opened(tmp_path).add([ROW])
    attributes = pd.read_parquet(tmp_path / FILE).attrs
    assert attributes["configuration"] == CONFIGURATION
    assert attributes["identity"] == identity(CONFIGURATION, environment())
    provenance = attributes["provenance"]
    assert provenance["versions"]["jax"] and provenance["python"]
    assert provenance["device"].endswith("(cpu)") or provenance["device"].endswith("(gpu)")
    assert {"command", "revision", "dirty", "matmul_precision", "float"} <= provenance.keys()


# A run that is stopped --------------------------------------------------------------------------


def arguments(folder):
    chosen = ["Exact", "ScoreFunction", "StraightThrough", "MuProp", "GumbelSoftmax[temperature=1]"]
    common = ["compare", "--problem", "Quadratic", "--samples", "64"]
    return [*common, "--output", str(folder), "--estimators", *chosen]


def stopped_by(blow, folder, cache):
    """Run `compare` in a process of its own; with a blow, stop it once there are rows."""
    command = [sys.executable, "-m", "experiments.command_line", *arguments(folder)]
    run = subprocess.Popen(
        command,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + HANG
    while blow and not (folder / FILE).exists():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.01)
    if blow:
        run.send_signal(blow)
    out, err = run.communicate()
    return run.returncode, out, err


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_numbers(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    status, _, _ = stopped_by(signal.SIGKILL, killed, tmp_path / "cache")
    assert status == -signal.SIGKILL
    kept = pd.read_parquet(killed / FILE)
    assert 1 <= kept["estimator"].nunique() < 5 and not kept.attrs["complete"]

    for folder in (killed, whole):  # on as many devices
        assert stopped_by(None, folder, tmp_path / "cache")[0] == 0
    continued, uninterrupted = (pd.read_parquet(folder / FILE) for folder in (killed, whole))
    # Times included: nothing that had finished was measured again. Later estimators add columns.
    pd.testing.assert_frame_equal(continued.head(len(kept))[kept.columns], kept)
    assert continued.attrs["complete"]
    assert list(continued["estimator"].unique()) == list(uninterrupted["estimator"].unique())
    numbers = [
        table[table["metric"] != "seconds"].reset_index(drop=True)
        for table in (continued, uninterrupted)
    ]
    pd.testing.assert_frame_equal(*numbers, check_exact=True)


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_keeps_its_rows(tmp_path):
    folder = tmp_path / "out"
    status, out, err = stopped_by(signal.SIGINT, folder, tmp_path / "cache")
    assert status == 130 and out == ""
    assert err.splitlines()[-1] == "estimax: interrupted; finished parts are kept"
    assert "Traceback" not in err
    kept = pd.read_parquet(folder / FILE)
    assert 1 <= kept["estimator"].nunique() < 5 and not kept.attrs["complete"]
    assert names(folder) == {FILE, OWN}


def test_a_column_that_the_schema_does_not_describe_is_refused(tmp_path):
    results = opened(tmp_path, {"study": "compare"})
    with pytest.raises(KeyError, match="describes no column mood"):
        results.add([{"metric": "variance", "mood": 1.0}])
