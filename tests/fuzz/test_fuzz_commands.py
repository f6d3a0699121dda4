"""A part of the fuzz of command lines; all of it is `python -m tests.fuzz.fuzz_commands`."""

import contextlib
import shutil

import pytest

from experiments.command_line import exit_status
from experiments.running import user_code
from experiments.running.results import Results
from experiments.system.folder import Folder
from tests.fuzz import fuzz_commands


def test_command_lines_end_in_a_status_and_a_line():
    assert fuzz_commands.fuzz(25, seed=7) == []


@pytest.mark.slow
def test_a_thousand_command_lines_end_in_a_status_and_a_line():
    assert fuzz_commands.fuzz(1000, seed=8) == []


# Broken on purpose ------------------------------------------------------------------------------


def deletes(monkeypatch):
    """A run begins with an empty folder."""
    before = Folder.held

    @contextlib.contextmanager
    def held(self):
        with before(self):
            for path in self.path.iterdir():
                if path != self.own:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield

    monkeypatch.setattr(Folder, "held", held)


def writes_nothing(monkeypatch):
    """Results stay in memory."""
    monkeypatch.setattr(Results, "add", lambda self, rows: self.rows.extend(map(dict, rows)))
    monkeypatch.setattr(Results, "finish", lambda self: setattr(self, "complete", True))


def has_a_traceback(monkeypatch):
    """Bad input is a defect's traceback."""

    def ended(status, line):
        raise RuntimeError(line)

    monkeypatch.setattr(exit_status, "ended", ended)


def says_nothing(monkeypatch):
    """Bad input ends in 2, without a line."""
    monkeypatch.setattr(exit_status, "ended", lambda status, line: status)


def blames_the_user(monkeypatch):
    """A defect is blamed on the user's file."""
    add = Results.add

    def broken(self, rows):
        if "mine_" in str(self.configuration.get("user_code")):
            raise IndexError("a defect")
        add(self, rows)

    monkeypatch.setattr(Results, "add", broken)
    monkeypatch.setattr(user_code, "blame", lambda error: f"mine.py, line 3: {error}")


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (deletes, "is not as it was"),
        (writes_nothing, "left nothing"),
        (has_a_traceback, "RuntimeError"),
        (says_nothing, "no line says why"),
        (blames_the_user, "a good file is blamed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_broken_on_purpose_is_found(break_it, says, monkeypatch):
    break_it(monkeypatch)
    (fault,) = fuzz_commands.fuzz(120, seed=3, first=True)
    assert says in fault
