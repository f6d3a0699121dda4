"""How the command ends: one line and a status, whatever goes wrong inside it or around it."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.command_line import main, parser
from experiments.system.errors import UsageError
from experiments.system.text import one_line
from tests.experiments.helpers.command import USER_FILE, refused

LIST = ["claims", "--list"]
COMPARE = ["compare", "--problem", "Quadratic", "--samples", "32", "--estimators", "Exact"]


def fail(error):
    def failing(*arguments, **options):
        raise error

    return failing


@pytest.fixture
def fails(monkeypatch):
    """Return what lets `claims --list` fail by an error."""
    of_listing = "experiments.command_line.unused.of_listing"
    return lambda error: monkeypatch.setattr(of_listing, fail(error))


# Defects ----------------------------------------------------------------------------------------


def test_a_defect_is_told_from_bad_input(fails, capsys):
    fails(RuntimeError("a\ndefect"))
    assert main(LIST) == 70
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert "RuntimeError: a defect" in printed.err and "test_exit_status.py, line" in printed.err
    path = Path(re.search(r"traceback is in (\S+)", printed.err)[1])
    try:
        assert "Traceback (most recent call last)" in path.read_text()
        assert "in failing" in path.read_text()
    finally:
        path.unlink()


def test_a_traceback_that_cannot_be_kept(fails, capsys, monkeypatch, tmp_path):
    fails(RuntimeError("a defect"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert main(LIST) == 70
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "a defect" in err and "could not be saved" in err


class Hostile(Exception):
    def __str__(self):
        raise ValueError("no message")


@pytest.mark.parametrize("problem", ["Quadratic", "mine.py:Cubic"])
def test_a_defect_is_no_fault_of_a_user_whose_problem_is_measured(
    problem, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "mine.py").write_text(USER_FILE)
    monkeypatch.setattr("experiments.statistics.variance", fail(IndexError("a defect")))
    chosen = ["--problem", problem, "--estimators", "Exact", "--samples", "32"]
    assert main(["compare", *chosen, "--output", str(tmp_path / "out")]) == 70
    line = capsys.readouterr().err.splitlines()[-1]
    assert "a bug in estimax, IndexError: a defect" in line and "the traceback is in" in line


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (UsageError("it is\nso"), 2, r"it is\nso"),
        (OSError(28, "No space left on device", "out/x"), 2, "out/x: No space left on device"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (MemoryError(), 2, "not enough memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), 2, "memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Hostile(), 70, "Hostile"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_is_one_line(error, status, says, fails, capsys, monkeypatch, tmp_path):
    fails(error)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(LIST) == status
    err = capsys.readouterr().err
    assert err.startswith("estimax: ") and err.count("\n") == 1 and says in err


def test_what_fails_in_importing_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "experiments.command_line.claims", None)
    assert main(LIST) == 70  # an installation without a part
    assert "ModuleNotFoundError" in capsys.readouterr().err


def test_platforms_that_are_not_there(monkeypatch, capsys):
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    monkeypatch.setattr("jax.devices", fail(RuntimeError("Unknown backend abacus")))
    assert "JAX_PLATFORMS=abacus" in refused(capsys, *LIST)


# What is shown ----------------------------------------------------------------------------------


def test_messages_are_short_and_printable(capsys):
    for argument in ("V" * 100_000, "x " * 100_000, "\x1b]0;title\x07" * 1_000, "\udcff", "a\nb"):
        for arguments in (["--problem", argument], ["--estimators", argument], [argument]):
            line = refused(capsys, "compare", *arguments)
            assert len(line) < 3_000 and line[:-1].isprintable()
    for place in ("--output", "--problem"):
        assert "not utf-8 text" in refused(capsys, "compare", place, "a\udc80b")
    assert "NUL" in refused(capsys, "compare", "--problem", "VAE\0")
    # A list of what is known is no overlong argument.
    assert "Polynomial" in refused(capsys, "compare", "--problem", "V" * 100_000)
    assert one_line("a path/" + "x" * 100) == "a path/" + "x" * 100


def test_two_dashes_are_no_value_of_an_option(capsys):
    for command in parser.COMMANDS:
        for option in parser.of_command(command)._option_string_actions:
            if option.startswith("--"):
                assert f"'{option}=--' has no value" in refused(capsys, command, f"{option}=--")


# What is printed to -----------------------------------------------------------------------------


def test_an_encoding_without_the_signs(monkeypatch, tmp_path):
    written = io.BytesIO()
    ascii_only = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    monkeypatch.setattr("sys.stdout", ascii_only)
    arguments = ["StraightThrough", "--samples", "512", "--output", str(tmp_path / "out")]
    assert main([*COMPARE, *arguments]) == 0
    printed = written.getvalue().decode("ascii")
    assert "+/-" in printed and "?" not in printed
    # The unit of a time depends on the machine.
    assert "9.7 µs ±9%".encode("ascii", "estimax.degrade") == b"9.7 us +/-9%"
    assert ascii_only.errors == "strict"  # as before
    assert "±" in (tmp_path / "out" / "table.txt").read_text(encoding="utf-8")


def test_a_closed_pipe_ends_quietly(monkeypatch, capfd):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert main(LIST) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_disk_behind_the_output(monkeypatch, capsys, tmp_path):
    out = tmp_path / "out"
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main([*COMPARE, "--output", str(out)]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err == "estimax: standard output cannot be written: No space left on device"
    assert (out / "results.parquet").exists() and (out / "table.txt").exists()
    # What goes wrong with the error stream does not end a run.
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stderr", full)
        monkeypatch.setattr("sys.stdout", None)  # closed
        assert main([*COMPARE, "--output", str(tmp_path / "other")]) == 0


def test_a_disk_that_is_full_ends_in_one_line(monkeypatch, capsys, tmp_path):
    def full(self, path, *arguments, **options):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pandas.DataFrame.to_parquet", full)
    assert main([*COMPARE, "--output", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("estimax: ") and err.endswith("No space left on device")


# A process of its own ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirect", "environment", "status", "err"),
    [
        ("| head -1; exit ${PIPESTATUS[0]}", {}, 0, ""),
        (">/dev/full", {}, 2, "No space left"),
        (">&-", {}, 0, ""),
        ("2>&-", {}, 0, ""),
        (">&- 2>&-", {}, 0, ""),
        ("", {"JAX_PLATFORMS": "abacus"}, 2, "JAX_PLATFORMS=abacus"),
        ("", {"JAX_ENABLE_X64": "maybe"}, 2, "JAX_ENABLE_X64"),
        ("", {"PYTHONIOENCODING": "ascii"}, 0, ""),
    ],
)
def test_the_real_command(redirect, environment, status, err):
    command = f"{sys.executable} -m experiments.command_line claims --list {redirect}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == status
    assert done.stderr.count("\n") == bool(err) and err in done.stderr
