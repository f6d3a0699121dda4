"""What a terminal and a log show of a run."""

import io
import re
import sys

import pytest

from experiments.command_line.lines import of_study
from experiments.running import progress as module
from experiments.running.progress import Progress
from experiments.running.user_code import parse_estimators, parse_problem
from experiments.studies.comparison.settings import CompareSettings
from experiments.studies.comparison.study import comparison

NAMES = ["StraightThroughGumbelSoftmax[0.5]", "Exact", "ScoreFunction[LeaveOneOut[4]]"]
MESSAGE = "training VAE[latent=Categorical,size=3,classes=4,kl=sampled] for 300 steps"


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


def rows_of(name, value=1.23e-4):
    measured = {"equal_cost_error": value, "squared_bias": value / 10, "variance": 10 * value}
    return [
        {"short_name": name, "metric": metric, "value": x, "low": 0.9 * x, "high": 1.1 * x}
        for metric, x in measured.items()
    ]


def lines():
    settings = CompareSettings(parse_problem("Quadratic"), parse_estimators(["Exact"]).estimators)
    return of_study(comparison(settings))


def shown(monkeypatch, stream, width, clock=None):
    """Run tasks; return what the stream got."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", str(width))
    clock = clock or Clock()
    monkeypatch.setattr(module, "time", clock)
    with Progress(len(NAMES) + 1, lines=lines()) as progress:
        progress.say(MESSAGE)
        progress.note(f"{MESSAGE}, 50%")
        for name in NAMES:
            with progress.task(name) as advance:
                advance(0.5)
                clock.now += 60
                skipped = {"short_name": name, "metric": "skipped", "note": "too large " * 30}
                progress.finished(rows_of(name) if name != "Exact" else [skipped])
        with progress.task("time per gradient"):
            progress.finished([{"short_name": NAMES[0], "metric": "seconds"}])
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_terminal_shows_each_line_above_the_bar_within_its_width(width, monkeypatch):
    text = shown(monkeypatch, Terminal(), width)
    pieces = [re.sub(r"\x1b\[\w", "", piece).rstrip() for piece in re.split(r"[\r\n]", text)]
    assert max(map(len, pieces)) <= width
    whole = [line for line in text.split("\n")[:-1]]
    finished = [line.rpartition("\r")[2] for line in whole]
    assert finished[0].split()[0] == "estimator"
    assert [line.split()[0].rstrip("…") for line in finished[1:]] == [
        name if width > 60 else name[:29] for name in NAMES
    ]
    assert "skipped: too large" in finished[2]
    assert ("1.23e-4 ±10%" if width >= 100 else "1.2e-4") in finished[1]
    start = finished[0].rindex("var")
    assert all(finished[place][start - 1 : start + 3] == " 1.2" for place in (1, 3))
    # After a part of one minute, three are left.
    assert "03:00 left" in text and pieces[-1] == ""


def test_a_log_has_one_line_for_each_task(monkeypatch):
    clock = Clock()
    text = shown(monkeypatch, io.StringIO(), 60, clock)
    first, title, *rest = text.splitlines()
    assert first == MESSAGE and title.split()[0] == "estimator"
    assert rest.pop(1) == "about 03:00 left"  # once
    assert [line[:6] for line in rest] == ["[1/4] ", "[2/4] ", "[3/4] ", "[4/4] "]
    assert rest[0].startswith(f"[1/4] {NAMES[0]} ") and "1.23e-4 ±10%" in rest[0]
    assert rest[1].startswith("[2/4] Exact  skipped: too large")
    assert rest[3] == "[4/4] time per gradient"


def test_a_log_shows_a_long_task_and_the_time_that_is_left(monkeypatch):
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "time", clock)
    with pytest.raises(ZeroDivisionError), Progress(4) as progress:
        progress.skip("before")
        with progress.task("first") as advance:
            clock.now += 100
            progress.note("step 1")
            progress.note("step 2")
            advance(0.9)
        with progress.task("second"):
            clock.now += 40
            progress.note("step 3")
        with progress.task("third"):
            raise ZeroDivisionError
    assert stream.getvalue().splitlines() == [
        "[1/4] before (done before)",
        "[2/4] first",
        "  step 1",
        "about 03:20 left",
        "[3/4] second",
        "  step 3, 02:40 left",
        "[4/4] third",
    ]


def test_a_log_says_nothing_of_the_time_of_a_short_run(monkeypatch):
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "time", clock)
    with Progress(30) as progress:
        for number in range(30):
            with progress.task(str(number)):
                clock.now += 100 if number > 25 else 1
    assert "left" not in stream.getvalue()


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "log"])
def test_an_announcement_stays(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(1) as progress:
        progress.announce("five estimators")
        progress.say("a")
    assert stream.getvalue().count("five estimators\n") == 1


def test_silence(monkeypatch):
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress(1, silent=True, lines=lines()) as progress:
            progress.announce("0")
            progress.say("a")
            with progress.task("b") as advance:
                progress.note("c")
                advance(0.5)
                progress.finished(rows_of("Exact"))
        assert stream.getvalue() == ""
