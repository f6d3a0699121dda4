"""Results are whole or absent, survive a kill, and are never mixed with another run's."""

import errno
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pandas as pd
import pytest

from analysis import reading
from analysis.reading import read as read_results
from experiments.command_line import main
from experiments.running import results as module
from experiments.running.results import FILE, Results, identity
from experiments.running.user_code import parse_estimator, parse_problem
from experiments.studies.comparison.compare import Settings
from experiments.system.errors import UsageError
from experiments.system.folder import OWN, Folder
from tests.experiments.processes import HANG

ROW = {"estimator": "Exact", "metric": "variance", "value": 0.0}
CONFIGURATION = {"study": "a study of tests", "seed": 0}


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_every_added_row_is_on_disk(tmp_path):
    folder = tmp_path / "a" / "b"
    results = Results.open(Folder(folder), CONFIGURATION)
    assert names(tmp_path) == set()  # nothing was measured yet
    results.add([ROW])
    table = pd.read_parquet(folder / FILE)
    assert table.to_dict("records") == [ROW]
    assert not table.attrs["complete"]
    results.finish()
    assert pd.read_parquet(folder / FILE).attrs["complete"]
    assert names(folder) == {FILE, OWN}


def test_reopening_continues(tmp_path):
    Results.open(Folder(tmp_path), CONFIGURATION).add([ROW])
    again = Results.open(Folder(tmp_path), CONFIGURATION)
    assert again.has("Exact") and not again.has("MuProp") and not again.complete
    again.add([ROW | {"estimator": "MuProp"}])
    assert list(pd.read_parquet(tmp_path / FILE)["estimator"]) == ["Exact", "MuProp"]
    again.finish()
    assert Results.open(Folder(tmp_path), CONFIGURATION).complete


def test_rows_of_different_columns_are_kept_as_they_are(tmp_path):
    # Estimators have hyperparameters of their own: numbers, names, truth values, none.
    rows = [
        ROW | {"p_temperature": 0.5, "samples": 64},
        ROW | {"p_baseline": "NVIL", "p_baseline.normalise": True, "samples": 64},
        ROW | {"p_baseline": None, "samples": 64},
    ]
    results = Results.open(Folder(tmp_path), CONFIGURATION)
    for row in rows:
        results.add([row])
        results = Results.open(Folder(tmp_path), CONFIGURATION)
    (at_once := Results.open(Folder(tmp_path / "other"), CONFIGURATION)).add(rows)
    tables = [pd.read_parquet(one.folder.path / FILE) for one in (results, at_once)]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["samples"].dtype == np.int64


def test_a_failing_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    results = Results.open(Folder(tmp_path), CONFIGURATION)
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
    Results.open(Folder(tmp_path), CONFIGURATION).add([ROW])
    path = tmp_path / FILE
    whole = path.read_bytes()
    flipped = bytes([*whole[:-40], whole[-40] ^ 1, *whole[-39:]])  # in the footer
    cut = whole[: len(whole) // 2]
    damaged = {"empty": b"", "cut": cut, "other": b"text", "flipped": flipped}[damage]
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match=f"{FILE}, changed or damaged .*--force"):
        Results.open(Folder(tmp_path), CONFIGURATION)
    assert path.read_bytes() == damaged
    forced = Results((folder := Folder(tmp_path)), CONFIGURATION)
    folder.begin_anew()
    forced.add([ROW])
    assert Results.open(Folder(tmp_path), CONFIGURATION).has("Exact")
    assert (tmp_path / f"{FILE}.old1").read_bytes() == damaged


def test_no_flipped_bit_is_read(tmp_path):
    Results.open(Folder(tmp_path), CONFIGURATION).add([ROW])
    path = tmp_path / FILE
    whole = path.read_bytes()
    for place in np.random.default_rng(0).choice(8 * len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="changed or damaged"):
            Results.open(Folder(tmp_path), CONFIGURATION)
        with pytest.raises(ValueError, match="changed or damaged since estimax wrote it"):
            read_results(path)


def test_pages_of_a_table_have_checksums(tmp_path):
    # Where a table was copied without its manifest, they find what they can.
    values = np.random.default_rng(0).normal(size=3000)
    rows = [ROW | {"value": value} for value in values]
    Results.open(Folder(tmp_path), CONFIGURATION).add(rows)
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
        Results.open(Folder(tmp_path), CONFIGURATION)


def test_another_run_and_another_format_are_refused(tmp_path, monkeypatch):
    Results.open(Folder(tmp_path), CONFIGURATION).add([ROW])
    with pytest.raises(UsageError, match="another run.*--force"):
        Results.open(Folder(tmp_path), CONFIGURATION | {"seed": 1})
    monkeypatch.setattr(reading, "FORMAT", module.FORMAT + 1)
    with pytest.raises(UsageError, match=f"format {module.FORMAT}, not"):
        Results.open(Folder(tmp_path), CONFIGURATION)


# Identity and provenance ------------------------------------------------------------------------


def settings(**changes):
    plain = {"problem": "Quadratic", "estimators": ["ScoreFunction"]} | changes
    problem = parse_problem(plain.pop("problem"))
    return Settings(problem, [*map(parse_estimator, plain.pop("estimators"))], **plain)


@pytest.mark.parametrize(
    "changes",
    [
        {"problem": "Quadratic[target=0.4]"},
        {"estimators": ["MuProp"]},
        {"estimators": ["ScoreFunction", "MuProp"]},
        {"group": "all"},
        {"samples": 64},
        {"seed": 1},
        {"train_steps": 1},
        {"tuning_steps": 1},
        {"budget": 10.0},
    ],
    ids=str,
)
def test_every_setting_is_part_of_the_identity(changes):
    default = identity(settings().configuration("compare"))
    assert identity(settings().configuration("compare")) == default
    assert identity(settings().configuration("temperature")) != default
    assert identity(settings(**changes).configuration("compare")) != default


def test_identity_is_of_the_code(tmp_path, monkeypatch):
    assert identity(CONFIGURATION) == identity(dict(reversed(CONFIGURATION.items())))
    before = identity(CONFIGURATION)
    monkeypatch.setattr(module, "_code_digest", lambda: "other code")
    assert identity(CONFIGURATION) != before
    monkeypatch.undo()
    # Of both packages that compute the rows, wherever in them.
    for place in ("experiments/deep", "estimators/core", "analysis"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "experiments" / "results.py"))
    digests = []
    for file in ("analysis/c.py", "experiments/deep/a.py", "estimators/core/b.py"):
        digests.append(module._code_digest.__wrapped__())
        (tmp_path / file).write_text("pass\n")
    digests.append(module._code_digest.__wrapped__())
    # The code that draws tables is not part of what they hold.
    assert digests[0] == digests[1] and len(set(digests)) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("enable_x64", True), ("default_matmul_precision", "highest"), ("default_prng_impl", "rbg")],
)
def test_numbers_of_two_arithmetics_are_not_mixed(name, value, tmp_path):
    Results.open(Folder(tmp_path), CONFIGURATION).add([ROW])
    before = getattr(jax.config, f"jax_{name}")
    jax.config.update(f"jax_{name}", value)
    try:
        with pytest.raises(UsageError, match=rf"another run \(jax_{name} {before}\)"):
            Results.open(Folder(tmp_path), CONFIGURATION)
    finally:
        jax.config.update(f"jax_{name}", before)
    assert Results.open(Folder(tmp_path), CONFIGURATION).has("Exact")


USER = """
import dataclasses
from experiments.problems.toy import Quadratic

@dataclasses.dataclass(frozen=True)
class Mine(Quadratic):
    shift = {}
"""


def test_identity_is_of_the_users_own_file(tmp_path):
    # Or an edited file would find its old results and measure nothing.
    path = tmp_path / "mine.py"
    found = []
    for shift in (1, 2, 1):
        path.write_text(USER.format(shift))
        problem = f"{path}:Mine"
        assert parse_problem(problem).shift == shift
        found.append(identity(settings(problem=problem).configuration("compare")))
    assert found[0] == found[2] != found[1]


def test_provenance_is_in_the_file(tmp_path):
    Results.open(Folder(tmp_path), CONFIGURATION).add([ROW])
    attributes = pd.read_parquet(tmp_path / FILE).attrs
    assert attributes["configuration"] == CONFIGURATION
    assert attributes["identity"] == identity(CONFIGURATION)
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
    """Run `compare` in a process of its own, stop it once there are rows; return how it ended."""
    command = [sys.executable, "-m", "experiments.command_line", *arguments(folder)]
    run = subprocess.Popen(
        command,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + HANG
    while not (folder / FILE).exists():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.01)
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

    assert main(arguments(killed)) == main(arguments(whole)) == 0
    continued, uninterrupted = (pd.read_parquet(folder / FILE) for folder in (killed, whole))
    # Times included: nothing that had finished was measured again. Later estimators add columns.
    pd.testing.assert_frame_equal(continued.head(len(kept))[kept.columns], kept)
    assert continued.attrs["complete"]
    assert list(continued["estimator"].unique()) == list(uninterrupted["estimator"].unique())
    numbers = [
        table[table["metric"] != "seconds"].reset_index(drop=True)
        for table in (continued, uninterrupted)
    ]
    # The process had another number of devices, which may move the last bit.
    pd.testing.assert_frame_equal(*numbers, rtol=1e-6)


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_keeps_its_rows(tmp_path):
    folder = tmp_path / "out"
    status, out, err = stopped_by(signal.SIGINT, folder, tmp_path / "cache")
    assert status == 130 and out == ""
    assert err.splitlines()[-1] == "estimax: interrupted; what had finished is kept"
    assert "Traceback" not in err
    kept = pd.read_parquet(folder / FILE)
    assert 1 <= kept["estimator"].nunique() < 5 and not kept.attrs["complete"]
    assert names(folder) == {FILE, OWN}
