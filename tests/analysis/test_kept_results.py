"""The kept results: what they were computed with, and that their predictions came first."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "docs/results").glob("*/results.parquet"))
ATTRIBUTES = {path.parent.name: pd.read_parquet(path).attrs for path in KEPT}
PREDICTED = sorted(
    name for name, each in ATTRIBUTES.items() if each["configuration"].get("predictions")
)


def test_predictions_are_kept():
    assert {"memory-laptop", "rounding-laptop"} <= set(PREDICTED)


@pytest.mark.parametrize("name", PREDICTED)
def test_predictions_were_committed_before_the_run(name):
    """Clean and committed, the revision contains the predictions that the run's identity names."""
    origin = ATTRIBUTES[name]["provenance"]
    assert origin["dirty"] is False
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "cat-file", "-e", f"{origin['revision']}^{{commit}}"]).returncode:
        pytest.skip("the history is not here")
    is_ancestor = [*git, "merge-base", "--is-ancestor", origin["revision"], "HEAD"]
    assert subprocess.run(is_ancestor).returncode == 0


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_kept_results_are_complete_and_name_no_place(name):
    assert ATTRIBUTES[name]["complete"]
    command = ATTRIBUTES[name]["provenance"]["command"]
    assert not any(word.startswith(("/", "~")) for word in command.split())
