"""A user's file in a folder like those of research code: neighbours, and packages of our names."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[3]

HELPER = """
import jax.numpy as jnp

def cube(z):
    return jnp.sum(z) ** 3

def broken(z):
    raise ValueError("of the helper")
"""

MINE = """
import dataclasses
import jax
import jax.numpy as jnp
from estimators import Bernoulli
from experiments.problems.toy import Toy
from helper import broken, cube
from nets import layers

@dataclasses.dataclass(frozen=True)
class Cubic(Toy):
    def logits(self):
        return jnp.zeros(layers.WIDTH)

    def f(self, logits, sample):
        import late  # in a function, long after this file was loaded
        return late.twice(cube(sample))

@dataclasses.dataclass(frozen=True)
class Broken(Cubic):
    def f(self, logits, sample):
        return broken(sample)

def loss(logits, estimator, key, batch):
    return estimator(key, Bernoulli(logits), cube)

def model():
    return loss, jnp.zeros(3), None

def broken_model():
    return lambda logits, estimator, key, batch: broken(logits), jnp.zeros(3), None
"""


@pytest.fixture
def folder(tmp_path):
    """A research folder, which is the current one and in PYTHONPATH."""
    for name, content in {
        "mine.py": MINE,
        "helper.py": HELPER,
        "late.py": "def twice(x):\n    return 2 * x\n",
        "nets/__init__.py": "",
        "nets/layers.py": "from helper import cube\nWIDTH = 2\n",
        "experiments/__init__.py": "raise SystemExit('not this one')\n",
        "experiments/runs.py": "",
        "analysis/__init__.py": "raise SystemExit('not this one')\n",
        "estimators.py": "raise SystemExit('not this one')\n",
        "hidden.py": "\nimport experiments.runs\n",
        "imported.py": "from mine import Cubic\n",
        "elsewhere/mine.py": MINE.replace("late", "other"),
        "elsewhere/helper.py": HELPER,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def estimax(folder, *arguments, start=("-m", "estimax")):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


SMALL = "--problem", "{file}:{name}", "--estimators", "DisARM"
COMMANDS = {
    "compare": ["compare", *SMALL, "--samples", "32"],
    "train": ["train", *SMALL, "--steps", "2"],
    "diagnose": ["diagnose", "{file}:{model}", "--estimators", "DisARM", "--samples", "32"],
}


def arguments(command, **names):
    return [word.format(**names) for word in COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_neighbours_and_packages_of_our_names(command, folder):
    run = arguments(command, file="mine.py", name="Cubic", model="model")
    done = estimax(folder, *run, "--output", "out")
    assert done.returncode == 0, done.stderr
    assert set(pd.read_parquet(folder / "out/results.parquet")["estimator"]) == {"DisARM"}
    wrong = arguments(command, file="mine.py", name="Broken", model="broken_model")
    line = HELPER.splitlines().index('    raise ValueError("of the helper")') + 1
    done = estimax(folder, *wrong, "--output", "wrong")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2
    assert last == f"estimax: {folder / 'helper.py'}, line {line}: ValueError: of the helper"


def test_a_package_that_ours_hides(folder):
    run = arguments("compare", file="hidden.py", name="Cubic", model="")
    done = estimax(folder, *run, "--output", "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "hidden.py, line 2: ModuleNotFoundError: No module named 'experiments.runs'" in (
        done.stderr
    )
    assert f"hides {folder / 'experiments'}: rename yours" in done.stderr


def test_in_python(folder):
    content = """
import estimax
found = estimax.compare("imported.py:Cubic", "DisARM", samples=32)
assert len(found.frame) > 5
try:
    estimax.compare("elsewhere/mine.py:Cubic", "DisARM", samples=32)
except estimax.UsageError as error:
    print(error)
"""
    done = estimax(folder, content, start=["-c"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder / 'elsewhere'} and {folder} both have a module helper\n"
    done = estimax(
        folder, "import sys; sys.modules['analysis'] = sys\nimport estimax", start=["-c"]
    )
    assert "ImportError: estimax has a package called analysis, but another one" in done.stderr


def test_an_edited_neighbour_is_another_run(folder):
    run = arguments("compare", file="mine.py", name="Cubic", model="")
    assert estimax(folder, *run, "--output", "out").returncode == 0
    (folder / "helper.py").write_text(HELPER.replace("** 3", "** 4"))
    assert "another run" in estimax(folder, *run, "--output", "out").stderr
