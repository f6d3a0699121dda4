"""The project's files agree on its version, its licence and the supported Pythons."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def test_the_version():
    assert CITATION["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version = {{{PROJECT['version']}}}" in (ROOT / "README.md").read_text()


def test_the_licence_and_authors():
    assert CITATION["license"] == PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert [one["name"] for one in CITATION["authors"]] == [
        one["name"] for one in PROJECT["authors"]
    ]


def test_the_workflow_tests_the_supported_pythons():
    tested = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]
    named = re.findall(r":: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert set(named) <= set(tested)
    assert PROJECT["requires-python"] == f">={min(tested, key=lambda one: int(one[2:]))}"
    assert {"run": ".ci/run"} in WORKFLOW["jobs"]["test"]["steps"]


def test_results_are_not_part_of_a_clone():
    assert "/results/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_constraints_install_on_the_oldest_python():
    """Debian 12 has Python 3.11.2, and a package may need a later patch of 3.11."""
    least = PROJECT["requires-python"].removeprefix(">=") + ".0"
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    installed = {name: one for name in pinned for one in _installed(name)}
    assert len(installed) > len(pinned) / 2
    needs = {name: one.metadata["Requires-Python"] or "" for name, one in installed.items()}
    assert {name for name in needs if not SpecifierSet(needs[name]).contains(least)} == set()


def _installed(name):
    try:
        return [importlib.metadata.distribution(name)]
    except importlib.metadata.PackageNotFoundError:
        return []
