"""A user's own problems and estimators, and the errors in them."""

import numpy as np
import pandas as pd
import pytest

import estimators
from experiments.command_line import main
from tests.experiments.helpers.command import USER_FILE, WRONG_CLASSES, refused


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    return path


def test_a_users_problem_and_estimator(user_file, capsys, tmp_path):
    out = tmp_path / "out"
    chosen = [f"{user_file}:Scaled[scale=1.0]", f"{user_file}:Scaled[3]", "StraightThrough"]
    arguments = ["--problem", f"{user_file}:Cubic[logit=0.25]", "--samples", "64"]
    assert main(["compare", *arguments, "--output", str(out), "--estimators", *chosen]) == 0
    assert "Cubic[logit=0.25]" in capsys.readouterr().out
    rows = pd.read_parquet(out / "results.parquet")
    assert set(rows["problem"]) == {"Cubic[logit=0.25]"}
    variance = rows[rows["metric"] == "variance"].set_index("estimator")["value"]
    assert variance["Scaled[scale=1.0]"] == pytest.approx(variance["StraightThrough"], rel=1e-5)
    assert variance["Scaled[scale=3.0]"] == pytest.approx(9 * variance["StraightThrough"], rel=1e-5)
    # E f = 2 p + 6 p^2 for two bits of probability p.
    p = 1 / (1 + np.exp(-0.25))
    norm = np.sqrt(2) * p * (1 - p) * (1 + 6 * p)
    assert rows.set_index("metric").loc["truth_norm", "value"].iloc[0] == pytest.approx(norm)


def test_an_edited_file_is_another_run(user_file, capsys, tmp_path):
    out = tmp_path / "out"
    arguments = ["compare", "--problem", f"{user_file}:Cubic", "--samples", "32"]
    arguments += ["--estimators", "StraightThrough", "--output", str(out)]
    assert main(arguments) == 0
    user_file.write_text(USER_FILE.replace("** 3", "** 4"))
    capsys.readouterr()
    assert "another run" in refused(capsys, *arguments)


def test_two_files_of_one_name(user_file, tmp_path):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "mine.py"
    other.write_text(USER_FILE.replace("Scaled", "Rescaled"))
    chosen = [f"{user_file}:Scaled", f"{other}:Rescaled"]
    arguments = ["--samples", "32", "--output", str(tmp_path / "out"), "--estimators", *chosen]
    assert main(["compare", "--problem", f"{user_file}:Cubic", *arguments]) == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("import nothing_of_this_name\n", ["ModuleNotFoundError"]),
        ("def f(:\n", ["SyntaxError", "line 1"]),
        ("raise ValueError('two\\nlines')\n", ["ValueError: two lines"]),
        ("import sys\nsys.exit('bye')\n", ["SystemExit: bye"]),
        ("", ["defines no subclass of Problem"]),
        ("from experiments.problems import VAE as Mine\n", ["defines no subclass of Problem"]),
        (USER_FILE, ["unknown name 'Mine'", "Cubic"]),
    ],
)
def test_an_error_in_loading_a_users_file_is_one_line(content, says, capsys, tmp_path):
    path, out = tmp_path / "broken.py", tmp_path / "out"
    path.write_text(content)
    line = refused(capsys, "compare", "--problem", f"{path}:Mine", "--output", out)
    for words in says:
        assert words in line
    assert not out.exists()


def test_an_error_in_running_a_users_file_is_one_line(user_file, capsys, tmp_path):
    # It names the line, as the traceback would.
    out = tmp_path / "out"
    common = ["compare", "--samples", "32", "--output", str(out)]
    number = USER_FILE.splitlines().index("        return not_defined(sample)") + 1
    assert main([*common, "--problem", f"{user_file}:Wrong"]) == 2
    *progress, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"estimax: {user_file}, line {number}: NameError") and len(progress) < 3
    assert not out.exists()
    # An estimator that fails only when it is compiled.
    chosen = ["--problem", f"{user_file}:Cubic", "--estimators", f"{user_file}:Raising"]
    assert main([*common, *chosen]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("RuntimeError: two lines")
    assert not out.exists()


def test_an_estimator_that_fails_is_a_row_that_says_so(user_file, capsys, tmp_path):
    user_file.write_text(USER_FILE + WRONG_CLASSES)
    out = tmp_path / "out"
    # It fails when compiled; when traced, before anything is computed; and in no way.
    names = [f"{user_file}:Raising", f"{user_file}:Nothing", "StraightThrough"]
    arguments = ["--problem", f"{user_file}:Cubic", "--samples", "32", "--output", str(out)]
    assert main(["compare", *arguments, "--estimators", *names]) == 0
    printed = capsys.readouterr()
    rows = pd.read_parquet(out / "results.parquet")
    assert rows.attrs["complete"]
    skipped = rows[rows["metric"] == "skipped"].set_index("estimator")
    assert list(skipped.index) == ["Raising", "Nothing"]
    raised = '            raise RuntimeError("two" + chr(10) + "lines")'
    place = f"{user_file}, line {USER_FILE.splitlines().index(raised) + 1}"
    assert skipped.loc["Raising", "note"] == f"{place}: RuntimeError: two lines"
    assert "must return a scalar array" in skipped.loc["Nothing", "note"]
    measured = rows[rows["estimator"] == "StraightThrough"]
    assert {"variance", "seconds"} <= set(measured["metric"])
    for text in (printed.out, (out / "table.tex").read_text()):
        assert "RuntimeError" in text and "must return" in " ".join(text.split())


def test_an_estimator_of_ours_that_fails_is_a_row_with_the_place(monkeypatch, tmp_path):
    def evaluations(self, distribution):
        raise TypeError("no such thing")

    monkeypatch.setattr(estimators.ReinMax, "evaluations", evaluations)
    names = ["ReinMax", "StraightThrough"]
    arguments = ["--problem", "Quadratic", "--samples", "32", "--output", str(tmp_path)]
    assert main(["compare", *arguments, "--estimators", *names]) == 0
    rows = pd.read_parquet(tmp_path / "results.parquet").set_index("metric")
    skipped = rows.loc["skipped"]
    assert skipped["estimator"] == "ReinMax"
    assert skipped["note"].startswith("TypeError: no such thing (experiments.")
    assert ", line " in skipped["note"]


@pytest.mark.parametrize(
    ("option", "name", "says"),
    [
        ("estimators", "Undecorated", "decorator @pytree"),
        ("estimators", "NoPytree", "decorator @pytree"),
        ("estimators", "OnlyDataclass", "decorator @pytree"),
        ("estimators", "Nothing", "must return a scalar array, not NoneType"),
        ("estimators", "Text", "must return a scalar array, not str"),
        ("estimators", "Integer", "must return a scalar array, not int"),
        ("estimators", "Vector", "not float32 of shape (3,)"),
        ("estimators", "Exits", "SystemExit"),
        ("estimators", "Recursive", "RecursionError"),
        ("estimators", "Signature", "arguments"),
        ("estimators", "Many", "str"),
        ("estimators", "Unbiased", "unbiased is 7; choose from 'yes', 'no', 'up to scale'"),
        ("estimators", "Paper", "paper is ['a paper'], not a string"),
        ("problem", "Raw", "dataclass(frozen=True)"),
        ("problem", "NoDataclass", "dataclass(frozen=True)"),
        ("problem", "Melted", "dataclass(frozen=True)"),
        ("problem", "Unfinished", "must define f"),
        ("problem", "NotEvaluated", "make it an EvaluatedProblem"),
        ("problem", "VectorLoss", "shape: (2,)"),
        ("problem", "ListOfParams", "must be a dict of groups by name, not list"),
        ("problem", "ExitingProblem", "SystemExit"),
    ],
)
def test_a_wrong_class_in_a_users_file_is_one_line(option, name, says, capsys, tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(USER_FILE + WRONG_CLASSES)
    chosen = {"problem": f"{path}:Cubic", "estimators": "StraightThrough"}
    chosen[option] = f"{path}:{name}"
    arguments = ["--samples", "32", "--output", str(tmp_path / "out")]
    for key, value in chosen.items():
        arguments += [f"--{key}", value]
    assert main(["compare", *arguments]) == 2
    *progress, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"estimax: {path}, line ") and says in line and len(progress) < 3, line
    assert not (tmp_path / "out").exists()
