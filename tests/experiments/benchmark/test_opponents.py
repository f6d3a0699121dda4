"""Gradients of other libraries: what agrees, what does not, and what cannot be run."""

import dataclasses
import sys

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.studies import readable
from analysis.tables.opponents import LEVEL
from experiments.benchmark.opponents import agreement, environments
from experiments.benchmark.opponents.environments import LIBRARIES, CannotInstall, Library
from experiments.benchmark.opponents.study import OpponentsSettings, compared, opponents, server
from experiments.command_line import main
from experiments.running.progress import Progress
from experiments.running.study import run
from experiments.system.folder import Folder

FAKE = """
import json, sys
import numpy as np

mode = sys.argv[1]
say = lambda answer: print(json.dumps(answer), flush=True)
about = json.loads(sys.stdin.readline())
logits, weights = (np.array(about["classes"][name]) for name in ("logits", "weights"))
p = np.exp(logits) / np.exp(logits).sum()
f = (weights - about["classes"]["centre"]) ** 2
chance = np.random.default_rng(1)
if mode == "hangs":
    sys.stdin.read()
say({"preparing": "imports"})
tasks = [["classes", "ScoreFunction", "score"]]
say({"version": "1.2", "tasks": tasks, "failed": [["bits", "ARM", "arm", "ValueError: no"]]})
for line in sys.stdin:
    if mode == "crashes":
        raise RuntimeError("out of order")
    drawn = chance.choice(len(p), about["count"], p=p)
    gradients = f[drawn, None] * (np.eye(len(p))[drawn] - p)
    losses = f[drawn]
    if mode == "wrong":
        gradients += 0.1
    if mode == "loss":
        losses = losses + 0.1
    if mode == "noisy":
        gradients += chance.normal(size=gradients.shape)
    say({"value": 1.0, "losses": losses.tolist(), "gradients": gradients.tolist()})
"""
SETTINGS = OpponentsSettings(gradients=500, rounds=2, patience=60)
OPTAX = LIBRARIES["optax"]


@pytest.fixture
def fake(tmp_path):
    """Return what starts a library that is not one."""
    (tmp_path / "fake.py").write_text(FAKE)
    return lambda mode: lambda library, report: [sys.executable, str(tmp_path / "fake.py"), mode]


def table_of(rows):
    frame = pd.DataFrame(rows)
    frame.attrs |= {"configuration": {"study": "opponents"}, "complete": True}
    return readable(frame)


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        ("right", "agrees"),
        ("wrong", "wrong"),
        ("loss", "wrong value"),
        ("noisy", "other variance"),
    ],
)
def test_the_verdict(fake, mode, verdict):
    rows = compared(OPTAX, SETTINGS, [], fake(mode), lambda message: None)
    table = table_of(rows)
    lines = table.frame.set_index("call")
    assert lines["verdict"].to_dict() == {"score": verdict, "arm": "fails"}
    assert lines["note"]["arm"] == "ValueError: no"
    line = lines.loc["score"]
    assert line["version"] == "1.2" and line["time_ratio"] > 1000  # 1 s each
    assert abs(line["own_truth_z"]) < LEVEL
    assert (abs(line["truth_z"]) > 10) == (mode == "wrong")
    if mode == "right":
        assert line["variance_ratio_low"] < 1 < line["variance_ratio_high"]


@pytest.mark.parametrize(
    ("mode", "patience", "reason"),
    [
        ("crashes", 60.0, "optax's process ended: RuntimeError: out of order"),
        ("hangs", 1.0, "optax did not answer within 1 s"),
    ],
)
def test_a_process_that_ends_or_hangs_is_said(fake, mode, patience, reason):
    settings = dataclasses.replace(SETTINGS, patience=patience)
    rows = compared(OPTAX, settings, [], fake(mode), lambda message: None)
    (line,) = table_of(rows).frame.to_dict("records")
    assert (line["verdict"], line["note"]) == ("not run", reason)


def test_what_cannot_be_installed_is_said_and_the_others_run(fake, tmp_path):
    def command(library, report):
        if library.name == "SynJax":
            raise CannotInstall("synjax is not on the package index")
        return fake("right")(library, report)

    study = opponents(SETTINGS, ["optax", "SynJax"], ["ScoreFunction"], command)
    folder = Folder(tmp_path / "out")
    with folder.held():
        results = study.open(folder)
        run(study, results, Progress(len(study.parts), silent=True))
        assert results.complete
        table = readable(results.table())
    verdicts = table.frame.set_index("opponent")["verdict"].to_dict()
    assert verdicts == {"optax": "agrees", "SynJax": "not run"}
    for width in (60, 80, 200):
        text = analysis.to_text(table, width)
        assert "synjax is not on the package" in text and max(map(len, text.splitlines())) <= width


def test_the_reasons_are_those_of_pip(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "cache", lambda: tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said = []
    absent = Library("Absent", "", "3.11", ("estimax-absent==1",))
    for _ in range(2):  # a failed one is tried again
        with pytest.raises(CannotInstall, match="estimax-absent==1 is not on the package index"):
            environments.python_of(absent, said.append)
    assert said == ["installing Absent: estimax-absent==1"] * 2
    later = dataclasses.replace(absent, python="3.99")
    with pytest.raises(CannotInstall, match=r"needs Python 3\.99"):
        environments.python_of(later, said.append)


def test_an_environment_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "cache", lambda: tmp_path)
    said = []
    nothing = Library("Nothing", "", "3.11", ("pip",))  # which every environment has
    python = environments.python_of(nothing, said.append)
    assert python.exists() and environments.python_of(nothing, said.append) == python
    assert len(said) == 1


def test_every_version_is_pinned():
    for library in LIBRARIES.values():
        if library.adapter:
            assert all("==" in one for one in library.requirements), library.name


def test_scores_and_ratios_are_the_known_ones():
    chance = np.random.default_rng(0)
    one, other = chance.normal(0.0, 1.0, (4000, 3)), chance.normal(0.0, 2.0, (4000, 3))
    other[:, 1] += 1.0
    expected = -1 / np.sqrt((1 + 4) / 4000)
    assert agreement.z_score(one, other) == pytest.approx(expected, abs=3)
    found = agreement.variance_ratio(other, one)
    assert found is not None and found[1] < 4 < found[2] and found[2] - found[1] < 0.5
    constant = np.full((10, 2), 0.3)
    assert agreement.variance_ratio(constant, constant) is None
    assert agreement.variance_ratio(one, constant) == (np.inf,) * 3
    assert abs(agreement.z_score(constant, constant * (1 + 1e-7))) < 1
    assert abs(agreement.z_score(constant, constant * 1.001)) > 100


def test_an_unknown_library(capsys):
    assert main(["benchmark", "--opponents", "optix"]) == 2
    assert "optix" in capsys.readouterr().err


@pytest.mark.slow
def test_optax_is_run(tmp_path, monkeypatch):
    """With the network: optax is installed into an environment of its own."""
    monkeypatch.setattr(environments, "cache", lambda: tmp_path)
    rows = compared(OPTAX, SETTINGS, [], server, lambda message: None)
    frame = table_of(rows).frame
    if set(frame["verdict"]) == {"not run"}:
        pytest.skip(frame["note"][0])
    # Its noise is not integrated out, so that it varies more than the score function.
    assert set(frame["verdict"]) <= {"agrees", "other variance"}
    assert frame["variance_ratio"].gt(1).all() and set(frame["version"]) == {"0.2.8"}
