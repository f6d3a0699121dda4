"""Study files: what they run, what they do not run again, and how bad ones are refused."""

import os
import signal
import time

import pandas as pd
import pytest

import estimax
from experiments.command_line import main
from experiments.running.results import FILE
from experiments.system.folder import OWN
from tests.experiments.helpers.command import numbers, refused
from tests.experiments.helpers.processes import HANG

pytestmark = pytest.mark.xdist_group("runs")

COMPARE = """
command = "compare"
problem = ["Quadratic", "Coupled[bits=2]"]
estimators = ["Exact", "ScoreFunction"]
seed = [0, 3]
samples = 32
"""
PARTS = """
problem = "Coupled[bits=2]"
samples = 32

[[part]]
name = "trained"
command = "train"
estimators = ["ScoreFunction", "Exact"]
steps = 4
keep-steps = [2, 4]

[[part]]
name = "sweep"
command = "temperature"
estimators = ["GumbelSoftmax"]
temperatures = [0.5, 1]
at = "trained"
step = [2, 4]
trained-with = "Exact"
"""


def written(folder, text, name="study.toml"):
    path = folder / name
    path.write_text(text)
    return path


def finished(out):
    """Return when the rows of each run in a folder of results were written, by the run's folder."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob(f"runs/*/{FILE}")}


def parts(out):
    return sorted(name.rpartition("-")[0] for name in finished(out))


def test_lists_are_choices_and_their_product_is_run(tmp_path, capsys):
    file, out = written(tmp_path, COMPARE), tmp_path / "out"
    assert main(["run", str(file), "--output", str(out)]) == 0
    printed = capsys.readouterr()
    problems = "Coupled-bits-2", "Quadratic"
    assert parts(out) == [f"compare-{name}-seed-{seed}" for name in problems for seed in "03"]
    rows = pd.read_parquet(out / "compare" / FILE)
    assert set(rows["problem"]) == {"Quadratic", "Coupled[bits=2]"} and set(rows["seed"]) == {0, 3}
    assert f"results in {out / 'compare'}" in printed.out
    assert (out / "compare" / "error_cost.pdf").exists()
    assert "run 4 of 4: compare, problem Coupled[bits=2], seed 3" in printed.err
    alone = ["compare", "--problem", "Quadratic", "--estimators", "Exact", "ScoreFunction"]
    alone += ["--seed", "3", "--samples", "32", "--output", str(tmp_path / "alone")]
    assert main(alone) == 0
    (same,) = out.glob("runs/*Quadratic-seed-3*")
    pd.testing.assert_frame_equal(numbers(same), numbers(tmp_path / "alone"))


def test_only_what_is_new_is_run(tmp_path, capsys):
    file, out = written(tmp_path, COMPARE), tmp_path / "out"
    command = ["run", str(file), "--output", str(out), "--problem", "Quadratic"]
    assert main(command) == 0
    before = finished(out)
    assert len(before) == 2
    assert main(command) == 0
    assert finished(out) == before
    capsys.readouterr()
    written(tmp_path, COMPARE.replace("seed = [0, 3]", "seed = [3, 5]"))
    assert main(command) == 0
    assert capsys.readouterr().err.count("(done before)") == 1
    after = finished(out)
    assert len(after) == 3 and before.items() <= after.items()
    assert set(pd.read_parquet(out / "compare" / FILE)["seed"]) == {3, 5}
    # Another name is not another run.
    written(tmp_path, COMPARE.replace("seed = [0, 3]", "[[part]]\nname = 'new'\nseed = 5\n#"))
    file.write_text(file.read_text().replace("#\nsamples = 32", "samples = 32"))
    assert main(command) == 0
    assert finished(out) == after
    assert main([*command, "--force"]) == 0
    assert finished(out).keys() == after.keys() and finished(out) != after


@pytest.mark.slow
def test_what_the_command_line_adds_wins(tmp_path):
    file, out = written(tmp_path, PARTS), tmp_path / "out"
    more = ["--samples", "64", "--problem", "Quadratic", "--steps=3", "--keep-steps", "1", "2"]
    assert main(["run", str(file), "--output", str(out), *more, "--step", "1", "--no-title"]) == 0
    rows = pd.read_parquet(out / "temperature" / FILE)
    assert set(rows["samples"]) == {64} | set(rows[rows["metric"] == "seconds"]["samples"])
    assert set(rows["problem"]) == {"Quadratic"} and set(rows["step"]) == {1}
    toy = {"samples": 64, "problem": "Quadratic", "steps": 3, "keep_steps": [1, 2]}
    found = estimax.run(file, output=out, step=2, **toy)
    assert set(found) == {"train", "temperature"}
    assert set(found["temperature"].frame["step"]) == {2}
    assert found["temperature"].folder == out / "temperature"


def test_what_one_table_cannot_hold_has_several(tmp_path, capsys):
    file, out = written(tmp_path, COMPARE + "tuning-steps = [0, 3]\n"), tmp_path / "out"
    assert main(["run", str(file), "--output", str(out), "--seed", "0"]) == 0
    assert (
        "2 tables, since one cannot hold runs that differ in tuning steps"
        in capsys.readouterr().err
    )
    for steps in 0, 3:
        rows = pd.read_parquet(out / f"compare-tuning-steps-{steps}" / FILE)
        assert set(rows["problem"]) == {"Quadratic", "Coupled[bits=2]"}


def test_a_part_measures_at_the_steps_of_another(tmp_path, capsys):
    file, out = written(tmp_path, PARTS), tmp_path / "out"
    assert main(["run", str(file), "--output", str(out)]) == 0
    assert parts(out) == ["sweep", "trained"]
    assert "no effect" not in capsys.readouterr().err  # samples hold for those that have them
    rows = pd.read_parquet(out / "temperature" / FILE)
    assert set(rows["step"]) == {2, 4} and set(rows["trained_with"]) == {"Exact"}
    assert "trained-" in rows.attrs["provenance"]["parameters"]
    # A choice of both is the same in both.
    chosen = PARTS.replace('"Coupled[bits=2]"', '["Coupled[bits=2]", "Quadratic"]')
    written(tmp_path, chosen)
    before = finished(out)
    assert main(["run", str(file), "--output", str(out)]) == 0
    assert before.items() <= finished(out).items()
    assert parts(out) == ["sweep", "sweep-Quadratic", "trained"] + ["trained-Quadratic"]
    (folder,) = out.glob("runs/sweep-Quadratic*")
    assert set(pd.read_parquet(folder / FILE)["problem"]) == {"Quadratic"}


def test_a_run_that_fails_leaves_the_others(tmp_path, capsys):
    bad = PARTS.replace("steps = 4", "steps = 4\nlearning-rates = 3e38").replace(
        "[[part]]",
        '[[part]]\nname = "plain"\ncommand = "compare"\nestimators = "Exact"\n\n[[part]]',
        1,
    )
    file, out = written(tmp_path, bad), tmp_path / "out"
    assert main(["run", str(file), "--output", str(out)]) == 2
    printed = capsys.readouterr()
    last = printed.err.splitlines()[-1]
    assert last.startswith(f"estimax: {file}: 1 of 3 runs failed; sweep: ")
    assert "run 3 of 3: sweep failed: " in printed.err
    assert "are not finite" in last
    assert f"results in {out / 'compare'}" in printed.out and (out / "train" / FILE).exists()


def test_a_file_that_is_killed_goes_on(tmp_path, runs):
    file, out = written(tmp_path, COMPARE), tmp_path / "out"
    command = ["run", file, "--output", out, "--device", "cpu"]
    for number in (signal.SIGKILL, signal.SIGTERM):
        before = len(list(out.glob(f"runs/*/{FILE}")))
        process, log = runs.start(*command)
        deadline = time.monotonic() + HANG
        while len(list(out.glob(f"runs/*/{FILE}"))) == before:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.002)
        os.kill(process, number)
        assert runs.wait() in (-number, 128 + number), log.read_text()
        assert "Traceback" not in log.read_text()
    _, log = runs.start(*command)
    assert runs.wait() == 0, log.read_text()
    assert main(["run", str(file), "--output", str(tmp_path / "whole")]) == 0
    one, other = numbers(out / "compare"), numbers(tmp_path / "whole" / "compare")
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert not list(out.glob(f"**/{OWN}/lock"))


BAD = [
    ("", ["it names no command: compare, temperature"]),
    ('command = "compar"', ["unknown command 'compar' (did you mean 'compare'?)"]),
    ("command = 3", ["unknown command 3; choose"]),
    ('command = "merge"', ["unknown command 'merge'"]),
    ('command = "compare"\nsampels = 3', ["no option sampels", "(did you mean 'samples'?)"]),
    ('command = "compare"\nforce = true', ["no option force"]),
    ('command = "compare"\nsteps = 3', ["no option steps of the commands of this file"]),
    ('command = "compare"\nsamples = "many"', ["samples: must be a whole number", "'many'"]),
    ('command = "compare"\nsamples = 0', ["samples: must be a whole number of at least 1"]),
    ('command = "compare"\nsamples = [32, -1]', ["samples: ", "not '-1'"]),
    ('command = "compare"\nsamples = true', ["samples: ", "not true"]),
    ('command = "compare"\nsamples = []', ["samples: the list is empty"]),
    ('command = "compare"\nsamples = [[1], [2]]', ["samples: ", "not a list in a list"]),
    ('command = "compare"\nsamples.a = 1', ["samples: ", "not a table"]),
    ('command = "compare"\nsamples = 1979-05-27', ["samples: ", "not a date"]),
    ('command = "compare"\nbudget = inf', ["budget: must be a number above zero"]),
    ('command = "compare"\nno-title = 1', ["no-title: must be true or false, not 1"]),
    ('command = "compare"\nwidth = [3, 4]', ["width: takes one value"]),
    ('command = "compare"\nproblem = "--force"', ["'--force' begins with a dash"]),
    ('command = "compare"\nproblem = "a\\u0000b"', ["NUL"]),
    ('command = "compare"\nproblem = "Vae"', ["compare: ", "did you mean 'VAE'?"]),
    ('command = "compare"\nproblem = ["VAE", "Vae"]', ["compare, problem Vae: ", "'VAE'?"]),
    ('command = "compare"\ndevice = "tpu"', ["toml: device: unknown value 'tpu'"]),
    ('command = ["compare"]', ["toml: unknown command ['compare']"]),
    ('command = "compare"\ndevice = 3', ["device: must be text"]),
    ('command = "compare"\noutput = ["a"]', ["output: must be text"]),
    ('command = "train"', ["it needs estimators"]),
    ('command = "train"\nestimator = "a"\nestimators = "b"', ["given twice"]),
    ('command = "figure"', ["it needs figure"]),
    ('command = "reproduce"', ["reproduce: name the table"]),
    ('command = "compare"\nname = "x"', ["no option name"]),
    ('command = "compare"\npart = 3', ["part must be tables"]),
    ('command = "compare"\npart = [3]', ["part must be tables"]),
    ('command = "compare"\npart = []', ["says nothing"]),
    ('command = "compare"\n[part]\nname = "x"', ["part must be tables"]),
    ("[[part]]", ["says nothing"]),
    ("[[part]]\nname = 'x'", ["part 1 names no command"]),
    ("[[part]]\ncommand = 'compare'", ["part 1 has no name"]),
    ("[[part]]\nname = 'a/b'\ncommand = 'compare'", ["part 1: a name is letters"]),
    ("[[part]]\nname = '..'\ncommand = 'compare'", ["part 1: a name is letters"]),
    ("[[part]]\nname = 3\ncommand = 'compare'", ["a name is letters", "not 3"]),
    (2 * "[[part]]\nname = 'a'\ncommand = 'compare'\n", ["two parts are called 'a'"]),
    ("[[part]]\nname = 'a'\ncommand = 'compare'\nat = 'a'", ["part 'a': at: the part 'a' is not"]),
    (
        "[[part]]\nname = 'trained'\ncommand = 'train'\nestimators = 'Exact'\n"
        "[[part]]\nname = 'b'\ncommand = 'compare'\nat = 'trainde'",
        ["part 'b': at: no earlier part or folder is called 'trainde' (did you mean 'trained'?)"],
    ),
    (
        "[[part]]\nname = 'a'\ncommand = 'compare'\noutput = 'a'",
        ["output: it is said once, at the"],
    ),
    ("[[part]]\nname = 'a'\ncommand = 'compare'\nstesp = 1", ["part 'a': no option stesp", "step"]),
    ("[[part]]\nname = 'a'\ncommand = 'compare'\nsamples = 0", ["part 'a': samples: must be"]),
    ("command = ", [", line 1: Invalid value"]),
    ("a = 1\n\nb = 'x", [", line 3: "]),
    ("a = 1\na = 2", [", line 2: "]),
    (f"a = {'9' * 5000}", ["digits"]),
    (f"a = {'[' * 100_000}", ["nested too deeply"]),
    ("#" * 2**20 + "#", ["too large for a study file"]),
    (f'command = "compare"\nseed = {[*range(40)]}\nbudget = {[*range(1, 40)]}', ["1,000 runs"]),
]


@pytest.mark.parametrize(("text", "says"), BAD, ids=lambda value: repr(value)[:50])
def test_bad_files_are_refused_in_a_line(text, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, text)
    line = refused(capsys, "run", "study.toml")
    assert line.startswith("estimax: study.toml")
    for words in says:
        assert words in line
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_what_is_no_file_is_refused(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"a = 1\nb = '\xff'")
    os.mkfifo(tmp_path / "pipe")
    says = {"folder": "is not a file", "pipe": "is not a file", "none": "no such file"}
    for name, words in {
        **says,
        "bytes": ", line 2: it is not UTF-8",
        "x" * 300: "too long",
    }.items():
        assert words in refused(capsys, "run", tmp_path / name)


@pytest.mark.parametrize("output", ["file", "file/deep", "link"])
def test_a_file_in_place_of_the_folder_is_refused_before_anything_is_run(output, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("file")
    study, out = written(tmp_path, COMPARE), tmp_path / output
    for more in ([], ["--dry-run"]):
        line = refused(capsys, "run", study, "--output", out, *more)
        assert line.startswith(f"estimax: --output {out} cannot be written: Not a directory")
    with pytest.raises(estimax.UsageError, match="Not a directory"):
        estimax.run(study, output=out)
    assert (tmp_path / "file").read_text() == "mine"


def test_options_that_no_part_has_are_refused(tmp_path, capsys):
    file = written(tmp_path, COMPARE)
    assert "no option --steps of the commands" in refused(capsys, "run", file, "--steps", "3")
    assert "(did you mean '--samples'?)" in refused(capsys, "run", file, "--sampels", "3")
    assert "samples: must be" in refused(capsys, "run", file, "--samples", "0")
    with pytest.raises(estimax.UsageError, match="no option --sampels"):
        estimax.run(file, sampels=3)
