"""Pages say what is so: their code runs, and their tables are the classes' own facts."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

import estimators
from docs import estimator_table
from docs.site.generated import PAGES
from experiments import command_line, problems
from experiments.running.user_code import parse_estimators, parse_problem

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
BLOCKS = [
    pytest.param(block, id=f"{name}-{i}")
    for name, text in TEXTS.items()
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
]


def _commands() -> set[str]:
    """Return the command lines of the pages."""
    found = set()
    for text in TEXTS.values():
        text = re.sub(r"```pycon.*?```", "", text, flags=re.DOTALL).replace("\\\n", " ")
        found |= set(re.findall(r"(?m)^(?:    .*|srun )\b(estimax [a-z]+(?: .*)?)$", text))
        found |= set(re.findall(r"`(estimax [a-z]+(?: [^`]*)?)`", text))
    return {one.strip() for one in found}


def _rows(page: str) -> list[list[str]]:
    lines = [line for line in TEXTS[page].splitlines() if re.match(r"\|.*\| `|\| `", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _block(page: str, name: str) -> str:
    (source,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", TEXTS[page], re.DOTALL)
        if name in block
    ]
    return source


@pytest.mark.parametrize("block", BLOCKS)
def test_code_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in re.findall(r"^import (equinox)", block, re.MULTILINE):
        pytest.importorskip(module)
    exec(compile(block, "a page's code", "exec"), {"__name__": "page"})


@pytest.mark.parametrize("page", TEXTS)
def test_linked_files_are_there(page):
    text = re.sub(r"```.*?```", "", TEXTS[page], flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", text):
        there = (ROOT / page).parent / target
        assert target.startswith("https://") or there.exists(), target


def test_no_figure_is_left_behind():
    pages = [text for name, text in TEXTS.items() if name.startswith("docs/ground/")]
    shown = {name for text in pages for name in re.findall(r"\(figures/([^)]+)\)", text)}
    assert {path.name for path in DOCS.glob("ground/figures/*")} == shown


def test_the_readme_is_short():
    text = TEXTS["README.md"]
    assert len(text.splitlines()) <= 130
    assert len(text) <= 11_000


@pytest.mark.parametrize("command", sorted({line.split()[1] for line in _commands()}))
def test_commands_have_the_options_that_pages_use(command, capsys):
    with pytest.raises(SystemExit):
        command_line.main([command, "--help"])
    known = capsys.readouterr().out
    for line in _commands():
        if line.split()[1] == command:
            for word in shlex.split(line, comments=True)[2:]:
                if word.startswith("--"):
                    assert re.search(rf"{word.partition('=')[0]}\b", known), line


@pytest.mark.parametrize("option", ["--problem", "--estimators"])
def test_names_in_commands_are_read(option):
    read = 0
    for line in _commands():
        words = shlex.split(line, comments=True)
        start = words.index(option) + 1 if option in words else len(words)
        given = itertools.takewhile(lambda word: not word.startswith("--"), words[start:])
        for word in given:
            if ".py:" in word or "..." in word or "$" in word or word.isupper():  # not ours
                continue
            read += 1
            if option == "--problem":
                parse_problem(word)
            else:
                needed = {"temperature": 0.5} if words[1] == "temperature" else {}
                parse_estimators([word], needed)
    assert read > 10


@pytest.mark.parametrize(
    ("kind", "block", "name", "shown"),
    [
        (
            "estimators",
            "DoubledStraightThrough",
            "DoubledStraightThrough",
            "DoubledStraightThrough",
        ),
        ("problem", "Parity(Problem)", "Parity[bits=4]", "Parity[bits=4], expectation"),
        ("problem", "Hash(Problem)", "Hash[bits=2,batch_size=4]", "Hash[bits=2,batch_size=4], exp"),
    ],
)
def test_own_classes_are_measured(kind, block, name, shown, tmp_path, capsys):
    (tmp_path / "my_file.py").write_text(_block("docs/own_model.md", block))
    options = {"estimators": "DisARM", "problem": "Quadratic"} | {
        kind: f"{tmp_path / 'my_file.py'}:{name}"
    }
    named = [word for option, value in options.items() for word in (f"--{option}", value)]
    sizes = ["--samples", "64", "--output", str(tmp_path / "out")]
    steps = ["--train-steps", "2"] if "Hash" in name else []
    assert command_line.main(["compare", *named, *sizes, *steps]) == 0
    assert shown in capsys.readouterr().out


def test_the_table_of_estimators_states_the_facts():
    text = TEXTS["docs/choose.md"]
    assert estimator_table.renewed(text) == text


@pytest.mark.parametrize("row", _rows("docs/choose.md"), ids=lambda row: row[1])
def test_the_table_names_estimators(row):
    name = row[1].strip("`")
    assert str(estimators.parse(name)) == name


def test_every_estimator_is_in_the_table():
    named = {re.match(r"`(\w+)", row[1])[1] for row in _rows("docs/choose.md")}
    assert named == {cls.__name__ for cls in estimators.ALL}


def test_every_problem_is_in_the_table():
    named = {re.match(r"`(\w+)", row[0])[1] for row in _rows("docs/reference/problems.md")}
    assert named == {cls.__name__ for cls in problems.ALL}


def test_every_family_has_a_page():
    for family in estimators.FAMILIES:
        assert f"<!-- {family} -->" in TEXTS[f"docs/reference/{family}.md"]
    for page, marks in PAGES.items():
        assert all(f"<!-- {mark} -->" in TEXTS[f"docs/{page}.md"] for mark in marks)
