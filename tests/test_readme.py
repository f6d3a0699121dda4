"""The README says what is so: its code runs, its tables are the classes' own facts."""

import re
from pathlib import Path

import pytest

import estimators
from docs import estimator_table
from experiments import command_line, problems

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def _rows(heading: str) -> list[list[str]]:
    section = README.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if re.match(r"\|.*\| `|\| `", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_code_runs(block):
    exec(compile(BLOCKS[block], f"README block {block}", "exec"), {"__name__": "readme"})


def test_own_estimator_is_measured(tmp_path, capsys):
    (source,) = [block for block in BLOCKS if "DoubledStraightThrough" in block]
    (tmp_path / "my_file.py").write_text(source)
    name = f"{tmp_path / 'my_file.py'}:DoubledStraightThrough"
    arguments = ["--problem", "Quadratic", "--samples", "64", "--output", str(tmp_path / "out")]
    assert command_line.main(["compare", "--estimators", name, *arguments]) == 0
    assert "DoubledStraightThrough" in capsys.readouterr().out


def test_own_problem_is_measured(tmp_path, capsys):
    (source,) = [block for block in BLOCKS if "Parity" in block]
    (tmp_path / "my_file.py").write_text(source)
    name = f"{tmp_path / 'my_file.py'}:Parity[bits=4]"
    arguments = ["--problem", name, "--samples", "64", "--output", str(tmp_path / "out")]
    assert command_line.main(["compare", "--estimators", "DisARM", *arguments]) == 0
    assert "Parity[bits=4], expectation" in capsys.readouterr().out


def test_the_table_states_the_facts():
    assert estimator_table.renewed(README.read_text()) == README.read_text()


@pytest.mark.parametrize("row", _rows("Estimators"), ids=lambda row: row[1])
def test_the_table_names_estimators(row):
    name = row[1].strip("`")
    assert str(estimators.parse(name)) == name


def test_every_estimator_is_in_the_table():
    named = {re.match(r"`(\w+)", row[1])[1] for row in _rows("Estimators")}
    assert named == {cls.__name__ for cls in estimators.ALL}


def test_every_problem_is_in_the_table():
    named = {re.match(r"`(\w+)", row[0])[1] for row in _rows("Problems")}
    assert named == {cls.__name__ for cls in problems.ALL}


def test_linked_files_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert target.startswith("https://") or (README.parent / target).exists(), target
