"""A file that the user names: `report --output`, `benchmark --json`."""

import json
import os
import stat
import subprocess
import sys
import threading

import pytest

import analysis
from experiments import benchmark
from experiments.command_line import main
from experiments.running.results import Results
from experiments.system import process
from experiments.system.errors import UsageError
from experiments.system.folder import Folder
from experiments.system.output_file import OutputFile
from tests.experiments.helpers.command import refused


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder with results."""
    monkeypatch.chdir(tmp_path)
    configuration = {"study": "figure", "title": "a figure"}
    rows = [{"study": "figure", "figure": "none", "task": "none", "value": 1.0}]
    made = Results.open(Folder(tmp_path / "results"), configuration, {})
    made.add(rows)
    return tmp_path / "results"


@pytest.fixture
def timed(monkeypatch):
    """A benchmark that takes no time; returns whether it ran."""
    runs = []

    def run(*_, **__):
        runs.append(1)
        return {"figures": [1, 2]}

    monkeypatch.setattr(benchmark, "run", run)
    monkeypatch.setattr(analysis, "benchmark_text", lambda *_: "a table")
    return runs


COMMANDS = {"report": ["report", "--output"], "benchmark": ["benchmark", "--json"]}


@pytest.fixture(params=COMMANDS)
def command(request, results, timed):
    return [str(results.parent / x) if x == "results" else x for x in COMMANDS[request.param]]


def test_a_device_stays_a_device(command, capsys):
    before = os.stat("/dev/null").st_mode
    assert main([*command, "/dev/null"]) == 0
    assert stat.S_ISCHR(os.lstat("/dev/null").st_mode) and os.stat("/dev/null").st_mode == before


def test_a_full_device_is_one_line(command, capsys):
    assert main([*command, "/dev/full"]) == 2
    printed = capsys.readouterr()
    line = printed.err.splitlines()[-1]
    assert "/dev/full cannot be written: No space left on device" in line
    if command[0] == "benchmark":  # what took so long is not lost
        assert json.loads(printed.out.partition("\n")[2]) == {"figures": [1, 2]}


def test_a_pipe_is_written_to(command, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    assert main([*command, "pipe"]) == 0
    reader.join(10)
    assert "figure" in found[0] and stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)


def test_a_link_stays_and_leads_to_the_file(command, tmp_path, capsys):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "file")
    assert main([*command, "link"]) == 0
    assert (tmp_path / "link").is_symlink() and "figure" in (tmp_path / "deep/file").read_text()
    assert os.listdir(tmp_path / "deep") == ["file"]
    (tmp_path / "loop").symlink_to("loop")
    capsys.readouterr()
    refused(capsys, *command, "loop")
    assert (tmp_path / "loop").is_symlink()


def test_a_file_that_is_there_is_replaced_by_force_only(command, tmp_path, timed, capsys):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "mine").chmod(0o640)
    line = refused(capsys, *command, "mine")
    assert "mine exists" in line and "--force" in line
    assert (tmp_path / "mine").read_text() == "mine" and not timed
    assert main([*command, "mine", "--force"]) == 0
    assert "figure" in (tmp_path / "mine").read_text()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o640


@pytest.mark.parametrize("place", ["folder", "no/such/folder/x", "mine/x", "/proc/x", "x" * 300])
def test_a_place_that_takes_no_file_is_refused_before_the_run(
    place, command, tmp_path, timed, capsys, monkeypatch
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "mine").write_text("mine")
    monkeypatch.setattr("analysis.report.report", lambda *_: pytest.fail("computed"))
    line = refused(capsys, *command, place)
    assert command[1] in line and place[:50] in line and not timed
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_written_to_where_it_stands(name, tmp_path):
    """A shell's file is not begun anew, as it would be if it were opened again."""
    if name == "link":
        (tmp_path / "link").symlink_to("/proc/self/fd/1")
        name = tmp_path / "link"
    code = (
        "import sys, pathlib\nfrom experiments.system.output_file import OutputFile\n"
        "print('before')\n"
        "OutputFile(pathlib.Path(sys.argv[1]), '--json').write('text\\n')\nprint('after')"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code, name], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\ntext\nafter\n"


def test_a_page_of_estimax_is_replaced_unless_it_was_edited(results, capsys):
    command = ["report", str(results)]
    page = results / "report.html"
    for _ in range(2):
        assert main(command) == 0
    content = page.read_text()
    page.write_text(content.replace("a figure", "my figure"))
    capsys.readouterr()
    assert "report.html exists" in refused(capsys, *command)
    assert "my figure" in page.read_text()
    assert main([*command, "--force"]) == 0 and page.read_text() == content


def test_what_a_killed_process_left_is_removed(tmp_path):
    target = OutputFile(tmp_path / "a", "--json")
    gone, mine = (tmp_path / f"{target._prefix}{n}-00" for n in (2**22 + 1, os.getpid()))
    elsewhere = tmp_path / ".estimax-00000000-4194305-00"
    for path in (gone, mine, elsewhere):
        path.touch()
    OutputFile(tmp_path / "a", "--json").write("text")
    assert not gone.exists() and mine.exists() and elsewhere.exists()
    assert process.is_running(os.getpid())


def test_a_failing_write_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("before")
    target = OutputFile(tmp_path / "a", "--json", force=True)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "replace", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        target.write("after")
    assert (tmp_path / "a").read_text() == "before" and os.listdir(tmp_path) == ["a"]
