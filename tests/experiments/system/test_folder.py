"""Nothing of the user's is lost in a results folder, whatever command writes there."""

import contextlib
import json
import os
import subprocess
import sys
import time

import pytest

from experiments.command_line import main
from experiments.running.results import FILE
from experiments.system import lock as locks
from experiments.system import process
from experiments.system.errors import UsageError
from experiments.system.folder import OWN, Folder, slug
from experiments.system.lock import Lock
from tests.experiments.helpers.command import refused
from tests.experiments.helpers.processes import HANG

MODEL = """
import jax
import jax.numpy as jnp
from estimators import Bernoulli

def mine():
    def loss(model, estimator, key, batch):
        return estimator(key, Bernoulli(model), lambda bits: jnp.sum((bits - batch) ** 2))
    return loss, jnp.array([0.3, -0.2]), jnp.array([0.45, 0.5])
"""
TOY = ["--problem", "Quadratic", "--samples", "64", "--estimators"]
COMMANDS = {
    "compare": ["compare", *TOY, "ScoreFunction"],
    "temperature": ["temperature", *TOY, "GumbelSoftmax[1]", "--temperatures", "1"],
    "diagnose": ["diagnose", "model.py:mine", "--samples", "64", "--estimators", "ScoreFunction"],
    "train": ["train", "--problem", "Coupled[bits=3]", "--steps", "8", "--estimators", "DisARM"],
    "reproduce": ["reproduce", "toys", "--budget", "smoke", "--cells", "all ones"],
    "claims": ["claims", "--budget", "smoke", "--only", "gumbel-rao"],
    "figure": ["figure", "densities", "--budget", "smoke"],
}
"""The cheapest run of every command that writes a results folder."""

WRITES = {
    "compare": ["table.csv", "table.tex", "bias_variance.pdf", "error_cost.png"],
    "temperature": ["table.txt", "temperature.csv"],
    "diagnose": ["table.md", "bias_variance.csv"],
    "train": ["table.csv", "training.pdf", "along_training.png", "pictures-DisARM.npz"],
    "reproduce": ["table.csv", "reproduction.pdf"],
    "claims": ["table.md"],
    "figure": ["densities.png", "densities.csv"],
}
QUICK = ["compare", "train", "figure"]
"""Those that take a second, once compiled."""


def everything(folder):
    """Return the content of all files of the user's."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if OWN not in path.parts}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a command in an empty folder of its own; return its status and what it said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)

    def run(command, *arguments):
        capsys.readouterr()
        return main([*COMMANDS[command], *map(str, arguments)]), capsys.readouterr().err

    return run


# Files that are the user's ----------------------------------------------------------------------


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_the_users_is_not_replaced(command, force, run, tmp_path):
    for name in [FILE, *WRITES[command]]:
        (out := tmp_path / f"out-{name}").mkdir()
        (out / name).write_text("mine")
        status, said = run(command, "--output", out, *force)
        assert status == 2 and name in said and "estimax did not write" in said, said
        assert everything(out) == {out / name: b"mine"} and len(list(out.iterdir())) == 1


@pytest.mark.parametrize(
    "command", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in COMMANDS]
)
def test_a_folder_of_the_users_keeps_what_it_has(command, run, tmp_path):
    """What has other names than estimax's files stays, under --force too."""
    out = tmp_path / "out"
    for name in ("checkpoints/resnet.pt", "unfinished/thesis.tex", "mine.txt", "pictures-me.npz"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(f"my {name}")
    before = everything(out)
    for arguments in ([], ["--force"], []):
        status, said = run(command, "--output", out, *arguments)
        assert status == 0, said
        made = everything(out)
        assert before.items() <= made.items()
        listed = json.loads((out / OWN / "manifest.json").read_text())["files"]
        assert {out / name for name in listed} == made.keys() - before.keys()
    assert not (out / OWN / "unwritten").exists() and not (out / OWN / "lock").exists()


def test_force_removes_only_what_estimax_wrote(run, tmp_path):
    out = tmp_path / "out"
    assert run("compare", "--output", out)[0] == 0
    first = set(everything(out))
    (out / "bias_variance.txt").write_text("mine")
    (out / "table.tex").write_text("edited")
    (out / "table.md").write_text("edited")
    (out / "table.md.old1").write_text("mine")
    # Another command, whose table has the same name: nothing of the first run is left.
    status, said = run("figure", "--output", out)
    assert status == 2 and "another run" in said
    status, said = run("figure", "--output", out, "--force")
    left = everything(out)
    assert status == 0
    for name, kept in {"table.tex": "table.tex.old1", "table.md": "table.md.old2"}.items():
        line = f"{name} was changed since estimax wrote it; it is kept as {kept}"
        assert line in said.splitlines() and left[out / kept] == b"edited"
    assert left[out / "table.tex.old1"] == b"edited" and left[out / "bias_variance.txt"] == b"mine"
    assert not (first - {out / FILE}) & left.keys()


def test_an_edited_file_is_not_replaced(run, tmp_path):
    out = tmp_path / "out"
    assert run("compare", "--output", out)[0] == 0
    (out / "table.tex").write_text("edited")
    before = everything(out)
    status, said = run("compare", "--output", out)
    assert status == 2 and "table.tex, changed or damaged since" in said and said.count("\n") == 1
    assert everything(out) == before
    (out / "table.tex").unlink()  # what is missing is written again
    assert run("compare", "--output", out)[0] == 0 and (out / "table.tex").exists()


def test_a_link_is_not_written_through(run, tmp_path):
    out, mine = tmp_path / "out", tmp_path / "mine.csv"
    mine.write_text("mine")
    out.mkdir()
    (out / "table.csv").symlink_to(mine)
    status, said = run("compare", "--output", out, "--force")
    assert status == 2 and "table.csv" in said and mine.read_text() == "mine"
    (out / "table.csv").unlink()
    (tmp_path / "elsewhere").mkdir()
    (out / OWN).symlink_to(tmp_path / "elsewhere")
    status, said = run("compare", "--output", out, "--force")
    assert status == 2 and OWN in said and not list((tmp_path / "elsewhere").iterdir())


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    folder = Folder(tmp_path)
    folder.check(["a.txt"])
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match="a.txt is not the file that estimax wrote"):
        with folder.staged() as stage:
            (stage / "a.txt").write_text("ours")
    assert (tmp_path / "a.txt").read_text() == "mine"


ELSEWHERE = [f'{{"version": 1, "files": {{"{name}": []}}}}' for name in ("../a", "/a", "a/b", "..")]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "files": 3}', *ELSEWHERE]
)
def test_a_damaged_manifest_is_refused(text, tmp_path):
    with Folder(tmp_path).staged() as stage:
        (stage / "a.txt").write_text("ours")
    (tmp_path / OWN / "manifest.json").write_text(text)
    for act in (lambda: Folder(tmp_path).check(["a.txt"]), Folder(tmp_path).begin_anew):
        with pytest.raises(UsageError, match="manifest.json cannot be read"):
            act()
    assert (tmp_path / "a.txt").read_text() == "ours"


def test_home_is_expanded_once(run, tmp_path, monkeypatch, capsys):
    """`--output=~/x` reaches the program as it is; so does a quoted path."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for command in COMMANDS:
        (home / command).mkdir()
        (home / command / WRITES[command][0]).write_text("mine")
        status, said = run(command, f"--output=~/{command}")
        assert status == 2 and str(home / command) in said
    (home / "model.py").write_text(MODEL)
    assert "no file" not in refused(capsys, "diagnose", "~/model.py:other")
    assert "no such folder" in refused(capsys, "benchmark", "--json=~/nowhere/x.json")
    assert str(home) in refused(capsys, "compare", "--data=~/nowhere")
    assert "no such user" in refused(capsys, "compare", "--output=~nobody-of-this-name/x")
    assert "empty" in refused(capsys, "compare", "--output=")
    assert not (tmp_path / "~").exists()


def test_names_of_files_fit_the_file_system():
    long = ["Average[" * n + "ScoreFunction" + "]" * n for n in (30, 31)]
    assert len(set(map(slug, long))) == 2
    assert all(len(slug(name).encode()) < 200 for name in [*long, "é" * 500])


# A process that was killed ----------------------------------------------------------------------


def test_what_was_not_finished_is_removed(tmp_path):
    folder = Folder(tmp_path)
    with folder.staged() as stage:
        (stage / "a.txt").write_text("whole")
    (tmp_path / OWN / "unwritten" / "of the killed").mkdir(parents=True)
    (tmp_path / OWN / "unwritten" / "of the killed" / "a.txt").write_text("ha")
    own = tmp_path / OWN
    gone, here, elsewhere = owner(start="0"), owner(), owner(host="elsewhere")
    (own / "lock").write_text(gone)
    for name, text in {"guard": gone, "01": gone, "02": elsewhere, "03": here, "04": ""}.items():
        (own / f"lock.{name}").write_text(text)
    (own / "lock.05").write_text(elsewhere)
    os.utime(own / "lock.05", (0, 0))
    with folder.held():
        pass
    # Others may still be at work: those that are alive, and those of whom nothing is known yet.
    alive = {"lock.02", "lock.03", "lock.04"}
    assert {path.name for path in own.iterdir()} == {"manifest.json", *alive}


@pytest.mark.parametrize("place", range(3))
def test_a_kill_between_two_writes_leaves_files_of_ours(place, tmp_path, monkeypatch):
    """Whether a file is ours is known before it is in its place, and after."""
    folder = Folder(tmp_path)
    for text in ("one", "two"):
        count = 0
        replace = type(tmp_path).replace

        def counted(path, target, replace=replace, text=text):
            nonlocal count
            if text == "two" and count == place:
                raise KeyboardInterrupt
            count += 1
            return replace(path, target)

        monkeypatch.setattr(type(tmp_path), "replace", counted)
        with contextlib.suppress(KeyboardInterrupt):
            with folder.staged() as stage:
                (stage / "a.txt").write_text(text)
                (stage / "b.txt").write_text(text)
        monkeypatch.undo()
        Folder(tmp_path).check(["a.txt", "b.txt"])
    with folder.staged() as stage:
        (stage / "a.txt").write_text("three")
        (stage / "b.txt").write_text("three")
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == "three"


# Two processes ----------------------------------------------------------------------------------

_HOLD = """
import sys, pathlib
from experiments.system.lock import Lock
with Lock(pathlib.Path(sys.argv[1]), "there").held():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(path):
    """Hold a lock in another process."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        yield other
    finally:
        other.kill()
        other.communicate()


def test_one_process_works_in_a_folder(run, tmp_path):
    out = tmp_path / "out"
    assert run("figure", "--output", out)[0] == 0
    before = everything(out)
    with holder(out / OWN / "lock") as other:
        for force in ([], ["--force"]):
            status, said = run("figure", "--output", out, *force)
            assert status == 2 and f"process {other.pid} on " in said and str(out) in said
            assert everything(out) == before
        other.kill()
        other.wait()
        assert run("figure", "--output", out)[0] == 0  # taken over
    assert not (out / OWN / "lock").exists()


def test_a_lock_ends_with_its_owner_however_it_ends(tmp_path):
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError, match="mine"):
        with Lock(path, "there").held():
            assert path.exists()
            raise RuntimeError("mine")
    assert not list(tmp_path.iterdir())


def owner(**changes):
    return json.dumps(vars(process.this()) | changes)


@pytest.mark.parametrize(
    ("changes", "silent", "free"),
    [
        ({"number": 2**22 + 1}, 0, True),  # no such process
        ({"start": "0"}, 0, True),  # its number was given to another
        ({}, 10 * locks.ABANDONED, False),  # suspended, perhaps
        ({"host": "elsewhere"}, 0, False),
        ({"host": "elsewhere"}, 10 * locks.ABANDONED, True),
        ({"system": "another container"}, 0, False),
        ({"system": "before the machine was started again"}, 10 * locks.ABANDONED, True),
    ],
)
def test_a_lock_without_an_owner_is_taken_over(changes, silent, free, tmp_path):
    path = tmp_path / "lock"
    path.write_text(owner(**changes))
    then = time.time() - silent
    os.utime(path, (then, then))
    lock = Lock(path, "there")
    if free:
        with lock.held():
            assert lock.is_mine
        assert not list(tmp_path.iterdir())
    else:
        with pytest.raises(UsageError, match="process .* on .* is working in there"):
            with lock.held():
                pass
        assert [one.name for one in tmp_path.iterdir()] == ["lock"]


def test_what_a_killed_process_guarded_is_taken_over_at_once(tmp_path):
    """Its lock was stale, and it was killed as it removed that."""
    for name in ("lock", "lock.guard"):
        (tmp_path / name).write_text(owner(start="0"))
    with Lock(tmp_path / "lock", "there").held():
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_begin_together_one_works(links, tmp_path, monkeypatch):
    """From nothing, and after one that was killed; with and without hard links."""
    import threading

    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    path = tmp_path / "lock"
    for stale in (False, True) * 10:
        if stale:
            path.write_text(owner(start="0"))
        start, done, working, most = threading.Barrier(8), threading.Barrier(8), [], []

        def work(start=start, done=done, working=working, most=most):
            start.wait()
            with contextlib.suppress(UsageError):
                with Lock(path, "there").held():
                    working.append(1)
                    most.append(len(working))
                    time.sleep(0.01)
                    working.pop()
            done.wait()

        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert most and max(most) == 1
        assert not list(tmp_path.iterdir())


def test_a_lock_is_touched_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.01)
    path = tmp_path / "lock"
    with Lock(path, "there").held():
        os.utime(path, (0, 0))
        deadline = time.monotonic() + HANG
        while path.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_lost_a_folder_writes_no_more(tmp_path):
    folder = Folder(tmp_path / "out")
    with folder.held():
        (folder.own / "lock").write_text(owner(host="elsewhere"))
        with pytest.raises(UsageError, match="taken over"):
            with folder.staged():
                pass
    assert (folder.own / "lock").exists()  # the other's


def test_what_is_no_plain_file_is_neither_waited_for_nor_read_to_its_end(tmp_path):
    folder = Folder(tmp_path)
    with folder.staged() as stage:
        (stage / "table.csv").write_text("ours")
    with (tmp_path / "table.csv").open("r+b") as file:
        file.truncate(2**42)
    with pytest.raises(UsageError, match="table.csv, changed or damaged"):
        folder.check(["table.csv"])
    manifest = tmp_path / OWN / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(UsageError, match=r"manifest\.json cannot be read"):
        folder.check(["table.csv"])
