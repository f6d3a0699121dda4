"""What is kept of slow functions: found by all that determines it, and never needed."""

import dataclasses
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import StraightThrough
from experiments.measurement import point
from experiments.problems import VAE, Coupled
from experiments.running import code, memory
from experiments.running.memory import Memory
from experiments.running.progress import Progress
from experiments.running.study import run
from experiments.running.user_code import parse_estimator
from experiments.studies.comparison.settings import CompareSettings
from experiments.studies.comparison.study import comparison
from experiments.system.folder import Folder
from experiments.training.convergence import Tuning

MODULES = {"experiments.problems.toy", "builtins"}
SETTINGS = {"steps": 3}
LIKE = {"a": jnp.zeros(2), "b": jnp.int32(0)}
RESULT = {"a": jnp.array([0.1, jnp.nan]), "b": jnp.int32(7)}


def arrays(value=1.0, seed=0):
    return {"x": jnp.full(2, value), "key": jax.random.key(seed)}


class Counted:
    """Computes the result, and counts how often."""

    times = 0

    def __call__(self):
        self.times += 1
        return RESULT, "a note"


def kept(compute, modules=MODULES, data=None, settings=SETTINGS, about=None, like=LIKE):
    about = arrays() if about is None else about
    return Memory(modules, data).kept(settings, about, like, compute)


@pytest.fixture
def compute():
    counted = Counted()
    kept(counted)
    return counted


def files():
    return sorted(memory.folder().iterdir())


def test_the_same_is_computed_once_and_equal_to_the_bit(compute):
    found, note = kept(compute)
    assert (compute.times, note) == (1, "a note")
    for name, leaf in RESULT.items():
        assert found[name].dtype == leaf.dtype
        assert np.asarray(found[name]).tobytes() == np.asarray(leaf).tobytes()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"settings": {"steps": 4}}, id="settings"),
        pytest.param(
            {"about": arrays(value=np.nextafter(np.float32(1), np.float32(2)))}, id="value"
        ),
        pytest.param({"about": arrays(seed=1)}, id="key"),
        pytest.param({"about": {**arrays(), "y": 0.0}}, id="another array"),
        pytest.param(
            {"about": {"x": arrays()["x"].astype(jnp.int32), "key": arrays()["key"]}}, id="dtype"
        ),
        pytest.param({"data": np.zeros(1)}, id="data"),
        pytest.param(
            {"modules": MODULES | {"experiments.training.convergence"}}, id="another module"
        ),
    ],
)
def test_a_change_of_what_determines_it_is_computed_anew(compute, changed):
    kept(compute, **changed)
    assert compute.times == 2


def test_changed_code_is_computed_anew(compute, monkeypatch):
    monkeypatch.setattr(code, "digest", lambda modules: "changed")
    kept(compute)
    assert compute.times == 2


@pytest.mark.parametrize("changed", ["XLA_FLAGS", "processor"])
def test_another_machine_is_computed_anew(compute, monkeypatch, changed):
    if changed == "processor":
        monkeypatch.setattr(memory, "processor", lambda: "another")
    else:
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    kept(compute)
    assert compute.times == 2


@pytest.mark.parametrize("module", ["__main__", "estimax_user_0", "somebody.package"])
def test_nothing_is_kept_of_the_users_code(module):
    compute = Counted()
    for _ in range(2):
        kept(compute, modules=MODULES | {module})
    assert compute.times == 2
    assert not memory.folder().exists()


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "folder", "pickle"])
def test_a_damaged_file_is_computed_and_written_anew(compute, damage):
    (file,) = files()
    content = file.read_bytes()
    if damage == "flipped":
        place = content.index(np.asarray(RESULT["a"]).tobytes())
        content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    if damage == "folder":
        file.unlink()
        file.mkdir()
    elif damage == "pickle":
        np.savez(file, allow_pickle=True, note=np.array([object()]))
    else:
        file.write_bytes({"empty": b"", "short": content[:99]}.get(damage, content))
    assert kept(compute)[1] == "a note"
    assert compute.times == 2
    if damage != "folder":
        kept(compute)
        assert compute.times == 2


def test_another_shape_is_computed(compute):
    kept(compute, like={"a": jnp.zeros(3), "b": jnp.int32(0)})
    assert compute.times == 2


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(memory, "folder", lambda: tmp_path / "file")
    compute = Counted()
    assert kept(compute)[1] == "a note"


def test_what_was_used_last_stays(compute, monkeypatch):
    (first,) = files()
    kept(compute, settings={"steps": 4})
    (second,) = set(files()) - {first}
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    kept(compute)  # uses the first
    monkeypatch.setattr(memory, "MOST", 2 * first.stat().st_size)
    kept(compute, settings={"steps": 5})
    assert first in files()
    assert second not in files()
    assert len(files()) == 2


def test_too_large_a_result_is_not_kept(monkeypatch):
    monkeypatch.setattr(memory, "LARGEST", 10)
    kept(Counted())
    assert not memory.folder().exists()


def rows_of(folder, **changes):
    plain = {"samples": 64, "tuning_steps": 400} | changes
    estimators = [*map(parse_estimator, ("ScoreFunction[NVIL]", "REBAR[0.5]"))]
    study = comparison(CompareSettings(Coupled(bits=3), estimators, **plain))
    results = study.open(Folder(folder))
    run(study, results, Progress(len(study.parts), silent=True))
    return [row for row in results.rows if row["metric"] != "seconds"]


def test_a_comparison_tunes_once_and_its_numbers_are_the_same(tmp_path, monkeypatch):
    first = rows_of(tmp_path / "first")
    assert len(files()) == 2

    def fail(*args):
        raise AssertionError("tuned again")

    with monkeypatch.context() as patch:
        patch.setattr(Tuning, "__call__", fail)
        assert repr(rows_of(tmp_path / "second")) == repr(first)
        # Neither the number of samples nor that of evaluations changes what is tuned.
        more = rows_of(tmp_path / "more", samples=128, budget=10.0)
        assert {row["metric"] for row in more} == {row["metric"] for row in first}
    rows_of(tmp_path / "longer", tuning_steps=800)
    assert len(files()) == 4
    rows_of(tmp_path / "seed", seed=1)
    assert len(files()) == 6


def test_a_comparison_trains_its_problem_once(tmp_path, monkeypatch):
    settings = CompareSettings(
        VAE(size=2, batch_size=4), [StraightThrough()], samples=32, train_steps=4
    )

    def rows(name, settings=settings):
        study = comparison(settings)
        results = study.open(Folder(tmp_path / name))
        run(study, results, Progress(len(study.parts), silent=True))
        return repr([row for row in results.rows if row["metric"] != "seconds"])

    first = rows("first")

    def fail(*args, **more):
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        patch.setattr(point, "train", fail)
        assert rows("second") == first
    assert rows("longer", dataclasses.replace(settings, train_steps=5)) != first
    assert len(files()) == 2
