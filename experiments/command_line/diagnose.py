"""The command `diagnose`: which estimator for a model in the user's own file."""

import argparse
from pathlib import Path

import jax
import pandas as pd

import analysis
import estimators
from experiments.command_line import options
from experiments.diagnosis import diagnose
from experiments.progress import Progress
from experiments.user_code import parse_estimator, parse_model

_EPILOG = """
MODEL is FILE.py:NAME, a function without arguments that returns (loss, model, batch):
loss(model, estimator, key, batch) calls the estimator for its discrete variables and returns a
scalar; model is a flax nnx module, an equinox module or any pytree of arrays.
"""


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("diagnose", _run, "Measure all estimators on your model; recommend one.")
    command.epilog = _EPILOG
    command.add_argument("model", metavar="MODEL", help="FILE.py:NAME")
    options.add_estimators(command)
    option = command.add_argument
    option(
        "--samples",
        type=options.positive,
        default=1024,
        metavar="N",
        help="gradients drawn of each estimator (default: 1024)",
    )
    option("--seed", type=options.seed, default=0, metavar="N", help="seed (default: 0)")
    option(
        "--budget",
        type=options.positive_number,
        default=100.0,
        metavar="N",
        help="evaluations of f at which errors are compared (default: 100)",
    )
    option(
        "--output", type=Path, metavar="STEM", help="keep the table as STEM.txt, .md, .csv, .tex"
    )


def _run(given: argparse.Namespace) -> None:
    loss, model, batch = parse_model(given.model)
    everything = [one for cls in estimators.ALL for one in cls.examples()]
    candidates = [parse_estimator(text) for text in given.estimators or []] or everything
    with Progress(len(candidates)) as progress:
        found = diagnose(
            loss,
            model,
            jax.random.key(given.seed),
            batch,
            candidates=candidates,
            samples=given.samples,
            budget=given.budget,
            progress=progress,
        )
    table = analysis.comparison_table(pd.DataFrame(found.rows))
    if given.output:
        analysis.save_table(table, given.output)
    print(f"{analysis.to_text(table)}\n{found}", flush=True)
