"""Makes command lines and runs them: `python -m tests.fuzz.fuzz_commands --number 1000`.

Faults are: another status than 0 and 2, a traceback, no end, not exactly one line that says what is
wrong, a line that is overlong or not printable, a file of the user's that is not as it was, a good
file of the user's that is blamed, and an end in 0 that leaves nothing.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

from experiments.command_line import parser
from experiments.running.results import FILE
from tests.experiments.helpers.command import USER_FILE, WRONG_CLASSES
from tests.fuzz import fuzzing

NOTES = ["checkpoints/resnet.pt", "unfinished/thesis.tex", "notes.txt", "x.png"]
MINE = ["mine/table.csv", *(f"mine/{name}" for name in NOTES), *(f"shared/{x}" for x in NOTES)]
"""Files of the user's: `mine` cannot be written into without loss, `shared` can."""

PROBLEMS = ["Quadratic", "Quadratic[target=0.3]", "Coupled[bits=2]", "mine.py:Cubic"]
ESTIMATORS = ["Exact", "ScoreFunction", "StraightThrough", "GumbelSoftmax[0.5]", "mine.py:Scaled"]
WRONG = re.findall(r"^class (\w+)", WRONG_CLASSES, re.MULTILINE)
WRONG_FILES = [f"mine.py:{name}" for name in WRONG] + ["broken.py", "exits.py", "model.py"]

TEXTS = ["", " ", "[", "]", "=", ",", "[" * 2000, "a[" * 2000, "x" * 100_000, "\x1b[31mred", "a\nb"]
TEXTS += [
    "a\0b",
    "\udc80",
    "ä" * 300,
    "None",
    "-",
    "--",
    "--force",
    "*",
    "{}",
    "%s",
    "../..",
    "nan",
]
NAMES = [*TEXTS, "Vae", "VAE[size=0]", "VAE[size=1000000000]", "Quadratic[target=nan]", "Exact[1]"]
NAMES += ["Quadratic[target=1e39]", "Quadratic[target=[1]]", f"Coupled[bits={'9' * 400}]", "Normal"]
NAMES += ["Coupled[bits=-1]", "GumbelSoftmax[1e-300]", "GumbelSoftmax", "GumbelRao[0.5,1000000000]"]
NAMES += ["Average[Average[Exact,2],2]", "ARMS[num_samples=3.5]", "VAE[depth=9]", "NVIL", "VIMCO"]
NAMES += ["nothing.py:X", "folder.py:X", "dangling.py:X", "/dev/null.py:X", f"{'x' * 300}.py:X"]
NAMES += ["broken.py:X", "exits.py:X", "empty.py:X", "mine.py:", "mine.py:Missing", ".py:X"]
NAMES += [f"mine.py:{name}" for name in WRONG]
NUMBERS = [
    "0",
    "-1",
    "3.5",
    "1e300",
    "1e-300",
    "nan",
    "inf",
    "1" * 400,
    "9" * 5000,
    "٣",
    "1_0",
    "0x1",
]
NUMBERS += ["4294967296", "1" + "0" * 12, "1e39", "1e38", *TEXTS[:6]]
PATHS = ["mine", "file", "/dev/null", "/dev/full", "/proc/estimax", "dangling", "link", "~nobody/x"]
PATHS += ["x" * 300, "d/" * 3000, "pipe", "new/deep/er", "empty", *TEXTS[:9], "a\0b", "\udc80"]
MODELS = [
    "model.py:good",
    "model.py:vector",
    "model.py:exits",
    "model.py:three",
    "model.py:missing",
]
MODELS += ["model.py:uncalled", *NAMES]

GOOD = {
    "samples": ["32"],
    "steps": ["2", "3"],
    "seed": ["0", "7"],
    "seeds": ["1", "2"],
    "problem": PROBLEMS,
    "estimators": ESTIMATORS,
    "measure": ESTIMATORS,
    "temperatures": ["0.5", "2"],
    "learning_rates": ["0.01", "1e38"],
    "tuning_steps": ["2"],
    "tune_steps": ["2"],
    "train_steps": ["2"],
    "budget": ["100", "1e-30", "1e6", "3e38"],
    "group": ["logits", "all"],
    "device": ["cpu", "auto"],
    "optimiser": ["Adam", "SGD[momentum=0.9]"],
    "schedule": ["learning_rate=Cosine[start=1,end=0.1,steps=2]"],
    "measure_at": ["0", "2"],
    "checkpoint_seconds": ["0"],
    "evaluations": ["1", "2"],
    "bound_samples": ["2"],
    "evaluation_examples": ["2"],
    "log_steps": ["1"],
    "title": ["A title"],
    "datasets": ["MNIST"],
    **dict.fromkeys(("a", "b", "results"), ["empty", "mine"]),
    "file": ["study.toml"],
    "save": ["saved.toml"],
    "rows": ["0", "3"],
}
BAD = {
    **dict.fromkeys(("problem", "estimators", "measure", "optimiser", "schedule"), NAMES),
    **dict.fromkeys(("output", "data", "json", "results", "a", "b", "file", "save"), PATHS),
    "model": MODELS,
    "datasets": NAMES,
    **dict.fromkeys(("table", "figure"), [*TEXTS, "densities2", "jang2017", "toys"]),
    **dict.fromkeys(("only", "cells", "points", "group", "device", "binarisation", "title"), TEXTS),
}
STOPPED = {
    **dict.fromkeys(("reproduce", "claims", "atlas"), ["--list"]),
    "benchmark": ["--estimators", "Vae"],
}
"""What stops commands that take minutes, whatever else is given; figures have no right name."""

STUDY = """
estimators = ["Exact", "GumbelSoftmax[0.5]"]
problem = "Coupled[bits=2]"
samples = 32

[[part]]
name = "trained"
command = "train"
steps = 2

[[part]]
name = "compared"
command = "compare"
at = "trained"
"""
MODEL = """
import sys
import jax.numpy as jnp
from estimators import Bernoulli

def loss(model, estimator, key, batch):
    return estimator(key, Bernoulli(model), lambda z: ((z - 0.45) ** 2).sum())

def good():
    return loss, jnp.zeros(2), None

def vector():
    return lambda model, estimator, key, batch: model, jnp.zeros(2), None

def uncalled():
    return lambda model, estimator, key, batch: model.sum(), jnp.zeros(2), None

def exits():
    sys.exit()

def three():
    return 3
"""


def make(root: Path) -> None:
    """Make what command lines name: files of the user's, good and bad ones, and odd places."""
    for name in MINE:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
    files = {
        "mine.py": USER_FILE + WRONG_CLASSES,
        "model.py": MODEL,
        "study.toml": STUDY,
        "broken.py": "def f(:\n",
        "exits.py": "import sys\nsys.exit(0)\n",
        "empty.py": "",
        "file": "mine",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    (root / "folder.py").mkdir()
    (root / "empty").mkdir()
    (root / "dangling.py").symlink_to("nowhere")
    (root / "dangling").symlink_to("nowhere/at/all")
    (root / "link").symlink_to("mine")
    os.mkfifo(root / "pipe")


def command_line(chance: random.Random) -> list[str]:
    """Return a command line: options of one command, good values and bad ones."""
    if chance.random() < 0.03:
        return [chance.choice(TEXTS) for _ in range(chance.randrange(4))]
    commands = {name: parser.of_command(name) for name in parser.COMMANDS}
    command = chance.choice([*commands, "compare", "temperature", "train", "diagnose", "report"])
    bad = chance.choice([0, 0, 0, 1, 1, 2, 3])
    actions = [one for one in commands[command]._actions if "-h" not in one.option_strings]
    always = {"problem", "estimators", "samples", "steps", "train_steps", "tuning_steps", "device"}
    always |= {"tune_steps", "bound_samples", "evaluation_examples", "output"}
    chosen = [
        one
        for one in actions
        if not one.option_strings or one.dest in always or chance.random() < 0.2
    ]
    chosen = [one for one in chosen if one.dest != "distributed"]
    if command == "run":  # of what commands of other files have there are too many
        chosen = [one for one in chosen if one.help != argparse.SUPPRESS or chance.random() < 0.2]
    wrong = chance.sample(chosen, min(bad, len(chosen)))
    names = [one for one in chosen if one.dest in ("problem", "estimators", "model", "measure")]
    if wrong and names and chance.random() < 0.5:  # of these there are the most kinds
        wrong = [chance.choice(names)]
    arguments = [command]
    for one in chosen:
        dest = one.dest.removeprefix("option ").replace("-", "_")  # of the command `run`
        values = GOOD.get(dest, ["out"])
        if one in wrong or one.dest in ("table", "figure"):
            values = BAD.get(dest, NUMBERS)
        if one.dest == "output" and one not in wrong:
            values = [f"out-{chance.randrange(10**9)}", "shared"]
        if one.dest == "model" and one not in wrong:
            values = MODELS[:1]
        if one.dest == "data" and one not in wrong:
            values = ["empty"]
        flag = [chance.choice(one.option_strings)] if one.option_strings else []
        if one.nargs == 0:
            arguments += flag
            continue
        count = chance.choice([1, 1, 2]) if one.nargs == "+" else 1
        given = [chance.choice(values) for _ in range(count)]
        if flag and count == 1 and chance.random() < 0.3:
            arguments.append(f"{flag[0]}={given[0]}")
        else:
            arguments += flag + given
    return arguments + STOPPED.get(command, [])


ENVIRONMENTS = [{}, {}, {}, {"ESTIMAX_DATA": "nowhere"}, {"ESTIMAX_DATA": "file"}]
ENVIRONMENTS += [{"COLUMNS": "1"}, {"COLUMNS": "many"}, {"HOME": "/proc/nowhere"}]


def judge(arguments: list[str], ended: fuzzing.Ended, root: Path) -> str:
    """Return what is wrong with how a command ended, beside what `run` saw."""
    if ended.fault:
        return ended.fault
    lines = [line for line in ended.err.split("\n") if line.startswith("estimax: ")]
    if ended.status == 2 and len(lines) != 1:
        return f"{len(lines)} lines say why: {ended.err[-500:]}"
    for line in lines:
        if len(line) > 4000 or not line.isprintable():
            return f"an overlong line, or an unprintable one: {line[:300]!r}"
    for name in MINE:
        path = root / name
        if not path.is_file() or path.read_text() != "mine":
            return f"the user's {name} is not as it was"
    if (root / "file").read_text() != "mine" or not (root / "link").is_symlink():
        return "the user's file or link is not as it was"
    if ended.status == 0 and not (leaves_nothing(arguments) or is_left(arguments, ended, root)):
        return "it ended in 0 and left nothing"
    blamed = [line for line in lines if ".py, line " in line]
    if blamed and not any(name in one for one in arguments for name in WRONG_FILES):
        return f"a good file is blamed: {blamed[0]}"
    return ""


def leaves_nothing(arguments: list[str]) -> bool:
    """Return whether a command line asks for nothing that is kept."""
    command = arguments[0]
    return bool({"--help", "-h", "--list", "--dry-run"} & set(arguments)) or command in (
        "fetch",
        "benchmark",
    )


def is_left(arguments: list[str], ended: fuzzing.Ended, root: Path) -> bool:
    """Return whether a command that ended in 0 left results, or a page."""
    if arguments[0] == "report":
        name = ended.out.strip()  # what is written to a stream or a device has none
        return not name or (root / name).is_file()
    (folder,) = re.findall("results in (.*)", ended.out)[:1] or [""]
    return bool(folder) and (root / folder / FILE).is_file()


def fuzz(number: int, seed: int, *, first: bool = False) -> list[str]:
    """Return the faults that `number` command lines bring to light; the `first` alone."""
    print(f"fuzz of {number} command lines, seed {seed}", flush=True)
    chance, faults, statuses = random.Random(seed), [], {}
    with tempfile.TemporaryDirectory(prefix="estimax-fuzz-") as folder, contextlib.chdir(folder):
        for case in range(number):
            own = random.Random(chance.getrandbits(64))
            root = Path(folder) / str(case)
            root.mkdir()
            make(root)
            arguments, environment = command_line(own), own.choice(ENVIRONMENTS)
            with contextlib.chdir(root), mock.patch.dict(os.environ, environment):
                ended = fuzzing.run(arguments)
            statuses[ended.status] = statuses.get(ended.status, 0) + 1
            if fault := judge(arguments, ended, root):
                shown = " ".join(one if len(one) < 100 else f"{one[:100]}..." for one in arguments)
                faults.append(f"case {case}, {environment} {shown!r}: {fault}")
                print(faults[-1], flush=True)
                if first:
                    break
            elif case % 50 == 49:
                print(f"{case + 1} cases, {len(faults)} faults, statuses {statuses}", flush=True)
            shutil.rmtree(root)
    print(f"{number} command lines, {len(faults)} faults, statuses {statuses}", flush=True)
    return faults


if __name__ == "__main__":
    given = fuzzing.options(__doc__).parse_args()
    sys.exit(bool(fuzz(given.number, given.seed)))
