"""Whether two revisions compute the same numbers, to the bit: `python -m tests.same_numbers REV`.

Runs a list of small studies of every kind with a clone of REV and with this tree, and compares all
tables of results; what was timed is left out. A change of structure must not be seen here. Ends in
1 where something differs, and says what. Takes some half an hour on two cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

TREE = Path(__file__).resolve().parent.parent
TIMED = {
    "metric": ["seconds", "plain_seconds", "steps_per_second"],
    "column": ["seconds", "training_seconds"],
}
WORDS = ["title", "source", "note", "claim"]  # prose, which may be reworded

_MAIN = "from experiments.command_line import main; raise SystemExit(main())"
_VAE = "VAE[size=2,batch_size=4]"
_TRAIN = ["--log-steps", "2", "--evaluation-examples", "8", "--bound-samples", "2"]
_MODEL = """
import jax.numpy as jnp
from estimators import Bernoulli, Categorical


def _bits(logits, estimator, key, batch):
    return estimator(key, Bernoulli(logits), lambda z: (z.sum() - batch) ** 3)


def _classes(model, estimator, key, batch):
    return estimator(key, Categorical(model["logits"]), lambda z: ((z @ model["w"]) ** 2).sum())


def bits():
    return _bits, jnp.array([1.0, -0.5]), 5.0


def classes():
    return _classes, {"logits": jnp.ones((2, 3)), "w": jnp.arange(3.0)}, None
"""
RUNS = {
    "quadratic": ["compare", "--problem", "Quadratic", "--samples", "64"],
    "simplex": ["compare", "--problem", "SimplexQuadratic", "--samples", "64"],
    "vae": ["compare", "--problem", _VAE, "--samples", "32", "--train-steps", "4"],
    "categorical": [
        *("compare", "--problem", "VAE[latent=Categorical,size=2,classes=3,batch_size=4]"),
        *("--samples", "32", "--train-steps", "4", "--group", "decoder"),
    ],
    "layers": [
        *("compare", "--problem", "VAE[size=2,depth=2,batch_size=4]", "--samples", "32"),
        *("--train-steps", "4", "--estimators", "ScoreFunction", "DisARM", "GumbelSoftmax[0.5]"),
    ],
    "temperature": [
        *("temperature", "--problem", "Quadratic", "--samples", "64"),
        *("--estimators", "GumbelSoftmax[0.5]", "REBAR[0.5]", "--temperatures", "0.1", "1"),
    ],
    "temperature-vae": [
        *("temperature", "--problem", _VAE, "--samples", "32", "--train-steps", "4"),
        *("--estimators", "GumbelSoftmax[0.5]", "--temperatures", "0.1", "1"),
    ],
    "train": [
        *("train", "--problem", "Coupled[bits=3]", "--steps", "16", "--log-steps", "4"),
        *(
            "--estimators",
            "ScoreFunction",
            "RELAX",
            "--seeds",
            "2",
            "--learning-rates",
            ".01",
            ".1",
        ),
        *("--measure", "DisARM", "--measure-at", "0", "16", "--samples", "64"),
    ],
    "train-vae": [
        *("train", "--problem", _VAE, "--steps", "8", *_TRAIN, "--evaluations", "2"),
        *("--estimators", "REBAR[0.5]", "GumbelSoftmax[0.5]", "--temperatures", "0.3", "1"),
    ],
    "train-semi-supervised": [
        *("train", "--problem", "SemiSupervised[size=2,batch_size=4]", "--steps", "4", *_TRAIN),
        *("--estimators", "GumbelSoftmax[0.5]"),
    ],
    "diagnose": ["diagnose", "model.py:bits", "--samples", "64"],
    "diagnose-classes": ["diagnose", "model.py:classes", "--samples", "64"],
    "claims": ["claims", "--budget", "smoke", "--only", "gapped", "without", "bias", "arm"],
    "atlas": ["atlas", "--budget", "smoke"],
    **{
        f"figure-{name}": ["figure", name, "--budget", "smoke"]
        for name in (
            *("relaxed-samples", "densities", "variance-by-evaluations", "gumbel-rao-simplex"),
            *("gradient-traces", "toy-curves", "bias-variance", "integrality-gap", "vae-pictures"),
            *("training-curves", "variance-along-training"),
        )
    },
    **{
        f"reproduce-{name}": ["reproduce", name, "--budget", "smoke"]
        for name in ("jang2017-table2", "gu2016-table2", "yin2019-table2", "liu2023-vae", "toys")
    },
}


def run(tree: Path, folder: Path, names: list[str]) -> None:
    """Run the studies with the code of a tree; results go to a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "model.py").write_text(_MODEL)
    command = [sys.executable, "-c", _MAIN]
    for name in names:
        print(f"{tree.name}: {name}", flush=True)
        done = subprocess.run(
            [*command, *RUNS[name], "--device", "cpu", "--output", name],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{' '.join(RUNS[name])} ended in {done.returncode}:\n{done.stderr}")


def numbers(file: Path) -> pd.DataFrame:
    """Return a table of results by estimator, without what was timed."""
    table = pd.read_parquet(file)
    table.attrs = {}
    timed = table["metric"].isin(TIMED["metric"]) if "metric" in table else [False] * len(table)
    kept = table[[not one for one in timed]].reset_index(drop=True)
    if "estimator" in kept:  # classes, and so columns, may be listed in another order
        kept = kept.sort_values("estimator", kind="stable", ignore_index=True)
    kept = kept.drop(columns=TIMED["column"] + WORDS, errors="ignore")
    return kept[sorted(kept)]


def differences(before: Path, after: Path, names: list[str]) -> list[str]:
    """Return what differs between two folders of results, a line each."""
    found = []
    for name in names:
        files = [
            {str(path.relative_to(folder / name)) for path in (folder / name).iterdir()}
            for folder in (before, after)
        ]
        if files[0] != files[1]:
            found.append(f"{name}: files {sorted(files[0] ^ files[1])}")
        one, other = (numbers(folder / name / "results.parquet") for folder in (before, after))
        try:
            pd.testing.assert_frame_equal(one, other, check_exact=True)
        except AssertionError as error:
            found.append(f"{name}: {error}")
    return found


def main() -> int:
    """Compare, print what differs, and return whether anything does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--only", nargs="+", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--keep", type=Path, help="folder of the old tables, made if missing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="estimax-same-") as scratch:
        clone, after = Path(scratch, "clone"), Path(scratch, "after")
        before = given.keep or Path(scratch, "before")
        missing = [name for name in given.only if not (before / name).exists()]
        if missing:
            subprocess.run(["git", "clone", "--quiet", str(TREE), str(clone)], check=True)
            subprocess.run(["git", "-C", str(clone), "checkout", "-q", given.revision], check=True)
            run(clone, before, missing)
        run(TREE, after, given.only)
        found = differences(before, after, given.only)
    print("\n".join(found) or f"{len(given.only)} studies: the same numbers")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
