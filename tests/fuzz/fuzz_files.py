"""Damages files that commands read and runs them: `python -m tests.fuzz.fuzz_files --number 1000`.

Faults are: another status than 0 and 2, a traceback, no end, a file of the user's that is not as it
was, and damage that changes what is shown without a word.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

from experiments.command_line import main
from experiments.data import DataError, fixed, mnist_family
from experiments.running.results import FILE, Results
from experiments.system.folder import OWN
from tests.fuzz import fuzzing

TOY = ["--problem", "Quadratic", "--samples", "64", "--device", "cpu"]
TRAINED = ["train", "--problem", "Coupled[bits=3]", "--steps", "8", "--device", "cpu"]
IMAGES = ["--evaluation-examples", "8", "--bound-samples", "2", "--device", "cpu"]
COMMANDS = {
    "compare": ["compare", *TOY, "--estimators", "ScoreFunction", "GumbelSoftmax[0.5]"],
    "figure": ["figure", "densities", "--budget", "smoke", "--device", "cpu"],
    "begun": [*TRAINED, "--estimators", "DisARM", "--checkpoint-seconds", "0"],
    "claims": ["claims", "--budget", "smoke", "--only", "gapped", "--device", "cpu"],
    "reproduce": ["reproduce", "toys", "--budget", "smoke", "--cells", "Three bits, all"],
    "train": ["train", "--problem", "VAE[size=2,batch_size=4]", "--steps", "8", *IMAGES]
    + ["--estimators", "DisARM"],
}
"""What leaves a folder of each study; "begun" is stopped where its last checkpoint is."""

UNSAID = "nothing says that a table was left out"

QUICK = ("compare", "figure", "begun")

IDX = ("images-idx3", "labels-idx1")

MINE = {"mine.txt": "my notes", "checkpoints/resnet.pt": "my network", "pictures-me.npz": "mine"}


def make(root: Path, names: tuple[str, ...]) -> None:
    """Make a whole folder of each study, with some files of the user's in it."""
    for name in names:
        folder = root / name
        for mine, text in MINE.items():
            (folder / mine).parent.mkdir(parents=True, exist_ok=True)
            (folder / mine).write_text(text)
        stopped = mock.patch.object(Results, "add", side_effect=KeyboardInterrupt)
        with stopped if name == "begun" else contextlib.nullcontext():
            status = main([*COMMANDS[name], "--output", str(folder)])
        if status != (130 if name == "begun" else 0):
            raise RuntimeError(f"{name} ended with status {status}")


# Damage ----------------------------------------------------------------------------------------


def _flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 8])):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content) + 1)])


def _zeros(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    start = chance.randrange(len(content) + 1)
    content[start : start + 512] = bytes(len(content[start : start + 512]))
    path.write_bytes(content)


def _more(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.choice([1, 1000])))


def _noise(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(chance.choice([0, 3, 4096])))


def _vast(path: Path, chance: random.Random) -> None:
    del chance
    with path.open("r+b") as file:
        file.truncate(2**42)


def _swap(path: Path, chance: random.Random) -> None:
    others = sorted(one for one in path.parent.iterdir() if one.is_file() and one.suffix)
    other = chance.choice(others or [path])
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def _instead(make: Callable[[Path], Any]) -> Callable[[Path, random.Random], None]:
    def damage(path: Path, chance: random.Random) -> None:
        del chance
        path.unlink()
        make(path)

    return damage


def _moved(path: Path) -> None:
    """Leave a link to the file's own content, elsewhere."""
    elsewhere = path.with_name(f"{path.name}.elsewhere")
    elsewhere.write_bytes(b"secret")
    path.symlink_to(elsewhere)


BYTES = {
    "flip": _flip,
    "cut": _cut,
    "zeros": _zeros,
    "more": _more,
    "noise": _noise,
    "vast": _vast,
    "swap": _swap,
    "missing": lambda path, _: path.unlink(),
    "folder": _instead(Path.mkdir),
    "pipe": _instead(os.mkfifo),
    "loop": _instead(lambda path: path.symlink_to(path.name)),
    "device": _instead(lambda path: path.symlink_to("/dev/zero")),
    "nowhere": _instead(lambda path: path.symlink_to("nowhere/at/all")),
    "link": _instead(_moved),
}


def _column(change: Callable[[pd.Series], Any]):
    def damage(table: pd.DataFrame, chance: random.Random) -> pd.DataFrame:
        name = chance.choice(list(table.columns))
        table[name] = change(table[name])
        return table

    return damage


def _attribute(table: pd.DataFrame, chance: random.Random) -> pd.DataFrame:
    about = table.attrs
    if chance.random() < 0.5 and about["configuration"]:
        about = about["configuration"]
    name = chance.choice(sorted(about))
    value = chance.choice([None, 1, -1.5, True, "text", [], ["x"], {}, {"a": {"b": 1}}])
    if value is None:
        del about[name]
    else:
        about[name] = value
    return table


TABLES = {
    "dropped": lambda table, chance: table.drop(columns=chance.choice(list(table.columns))),
    "renamed": lambda table, chance: table.rename(columns={chance.choice(list(table)): "other"}),
    "empty": lambda table, _: table.iloc[:0],
    "nothing": lambda table, _: table.iloc[:, :0],
    "text": _column(lambda values: "text"),
    "number": _column(lambda values: 1.5),
    "truth": _column(lambda values: True),
    "missing values": _column(lambda values: values.where(values.index % 2 == 0)),
    "all missing": _column(lambda values: None),
    "infinite": _column(lambda values: float("inf")),
    "twice": lambda table, _: pd.concat([table, table], ignore_index=True),
    "metadata": _attribute,
}


def rewrite(folder: Path, kind: str, chance: random.Random) -> None:
    """Write a folder's table anew, changed; its manifest is told, or gone."""
    path, manifest = folder / FILE, folder / OWN / "manifest.json"
    table = pd.read_parquet(path)
    changed = TABLES[kind](table.copy(), chance)
    changed.attrs = table.attrs
    changed.to_parquet(path, write_page_checksum=True)
    if chance.random() < 0.5:
        manifest.unlink()
    else:
        seal(folder)


def seal(folder: Path) -> None:
    """Let a folder's manifest say that its table is as estimax wrote it."""
    manifest = folder / OWN / "manifest.json"
    about = json.loads(manifest.read_text())
    about["files"][FILE] = [hashlib.sha256((folder / FILE).read_bytes()).hexdigest()]
    manifest.write_text(json.dumps(about))


# Cases -----------------------------------------------------------------------------------------


def files(folder: Path) -> dict[Path, bytes]:
    """Return the plain files of a folder, small ones with their content."""
    there = (one for one in sorted(folder.rglob("*")) if one.is_file() and not one.is_symlink())
    return {
        one.relative_to(folder): one.read_bytes() if one.stat().st_size < 2**24 else b""
        for one in there
    }


def shown(page: str) -> str:
    """Return what a page says, without its pictures."""
    return re.sub(r"(<figure>.*?</figure>|\n)+", "\n", page, flags=re.DOTALL)


def a_report(root: Path, folder: Path, name: str, semantic: bool) -> str:
    """Report a damaged folder beside a whole one; return the fault."""
    before = files(folder)
    ended = fuzzing.run(["report", str(folder.parent)])
    if ended.fault:
        return ended.fault
    if ended.status != 0:
        return f"no report of the folder that is whole: {ended.err}"
    page = (folder.parent / "report.html").read_text(encoding="utf-8")
    after = files(folder)
    if before != after:
        return "the report changed the folder"
    sections = [*re.findall(r"<section.*?</section>", page, re.DOTALL)]
    whole = (root / f"{name}.html").read_text(encoding="utf-8")
    (right,) = re.findall(r"<section.*?</section>", whole, re.DOTALL)
    said = "left out: " in ended.err
    if len(sections) == 1 and not said:
        return UNSAID
    pictures = set(re.findall('base64,([^"]*)', right))
    damaged = [one for one in sections if 'id="results-0"' in one] if len(sections) == 2 else []
    if damaged and not semantic and shown(damaged[0]) != shown(right):
        return "what is shown changed without a word"
    if damaged and not set(re.findall('base64,([^"]*)', damaged[0])) <= pictures:
        return "a damaged picture is shown"
    return ""


def a_resume(root: Path, folder: Path, name: str, semantic: bool) -> str:
    """Run the folder's command again; return the fault."""
    before = files(folder)
    ended = fuzzing.run([*COMMANDS[name], "--output", str(folder)])
    if ended.fault:
        return ended.fault
    after = files(folder)
    if ended.status == 2:
        lost = [one for one, content in before.items() if after.get(one, content) != content]
        lost += [one for one in before if one not in after]
        lost = [one for one in lost if OWN not in one.parts]
        return f"refused, and yet changed {lost[0]}" if lost else ""
    if name != "begun" and not semantic:
        right = pd.read_parquet(root / name / FILE)
        found = pd.read_parquet(folder / FILE)
        if not found.equals(right):
            return "the run went on with a damaged table"
    return ""


def damaged_folder(root: Path, names: tuple[str, ...], chance: random.Random) -> tuple[str, str]:
    """Damage a copy of a folder and read it; return what was done, and the fault."""
    name = chance.choice(names)
    resumes = name == "begun" or chance.random() < 0.4
    place = Path(tempfile.mkdtemp(dir=root, prefix="case-"))
    try:
        folder = place / name  # which pages show, where there is no table
        shutil.copytree(root / name, folder)
        if not resumes:
            shutil.copytree(root / "whole", place / "whole")
        semantic = name != "begun" and chance.random() < 0.3
        anew = False  # without its results a folder is none, and a run begins again
        if semantic:
            kind = chance.choice(list(TABLES))
            rewrite(folder, kind, chance)
            done = f"{name}: table {kind}"
        else:
            mine = {Path(one) for one in MINE}
            there = [one for one in files(folder) if one not in mine]
            # Tables and what is estimax's own oftener than drawings.
            weights = [8 if OWN in one.parts or one.name == FILE else 1 for one in there]
            (path,) = chance.choices(there, weights)
            kind = chance.choice(list(BYTES))
            BYTES[kind](folder / path, chance)
            done = f"{name}: {kind} of {path}"
            anew = kind == "missing" and path.name == FILE
        fault = (a_resume if resumes else a_report)(root, folder, name, semantic or anew)
        if anew and fault == UNSAID:
            fault = ""
        for one, text in MINE.items():
            mine = folder / one
            if kind != "swap" and not (mine.is_file() and mine.read_text() == text):
                fault = fault or f"the user's {one} is lost"
        return f"{'run again' if resumes else 'report'}, {done}", fault
    finally:
        shutil.rmtree(place)


def damaged_data(root: Path, chance: random.Random) -> tuple[str, str]:
    """Damage a data file and load it; return what was done, and the fault."""
    place = Path(tempfile.mkdtemp(dir=root, prefix="case-"))
    try:
        if chance.random() < 0.7:
            shutil.copytree(mnist_family.MNIST_FOLDER, place / "mnist")
            path = place / "mnist" / f"t10k-{chance.choice(IDX)}-ubyte.xz"
            load = lambda: [one.tobytes() for one in mnist_family.mnist("test")]  # noqa: E731
        else:
            shutil.copytree(root / "cache", place / "cache")
            path = place / "cache" / "estimax" / "MNIST" / "test-fixed-seed0.bits"
            load = lambda: fixed.fixed("MNIST", "test").tobytes()  # noqa: E731
        patched = (
            mock.patch.object(mnist_family, "MNIST_FOLDER", place / "mnist"),
            mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(place / "cache")}),
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(patched["mnist" not in path.parts])
            right = load()
            kind = chance.choice(list(BYTES))
            BYTES[kind](path, chance)
            try:
                with fuzzing.limit(60):
                    fault = "" if load() == right else "other data were loaded"
            except DataError as error:
                fault = "" if "\n" not in str(error) else "two lines"
            except BaseException as error:
                fault = f"{type(error).__name__}: {error}"
        return f"load, {kind} of {path.name}", fault
    finally:
        shutil.rmtree(place)


def fuzz(number: int, seed: int, names: tuple[str, ...] = tuple(COMMANDS)) -> list[str]:
    """Return the faults that `number` damaged files bring to light."""
    print(f"fuzz of {number} damaged files, seed {seed}", flush=True)
    chance, faults = random.Random(seed), []
    with tempfile.TemporaryDirectory(prefix="estimax-fuzz-") as folder:
        root = Path(folder)
        with contextlib.redirect_stdout(sys.stderr):
            make(root, names)
        shutil.copytree(root / "figure", root / "whole")
        reported = tuple(name for name in names if name != "begun")
        for name in reported:
            if main(["report", str(root / name), "--output", str(root / f"{name}.html")]):
                raise RuntimeError(f"no report of {name}")
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(root / "cache")}):
            fixed.fixed("MNIST", "test")
        for case in range(number):
            own = random.Random(chance.getrandbits(64))
            if own.random() < 0.15:
                done, fault = damaged_data(root, own)
            else:
                done, fault = damaged_folder(root, names, own)
            if fault:
                faults.append(f"case {case}, {done}: {fault}")
                print(faults[-1], flush=True)
            elif case % 50 == 49:
                print(f"{case + 1} cases, {len(faults)} faults", flush=True)
    return faults


if __name__ == "__main__":
    parser = fuzzing.options(__doc__)
    parser.add_argument("--quick", action="store_true", help="only what is made in seconds")
    given = parser.parse_args()
    found = fuzz(given.number, given.seed, QUICK if given.quick else tuple(COMMANDS))
    print(f"{given.number} damaged files, {len(found)} faults")
    sys.exit(bool(found))
