"""The command `benchmark`: speed, beside PyTorch where it is installed."""

import argparse
import json
from pathlib import Path

from experiments.command_line import options
from experiments.command_line.output import say
from experiments.errors import UsageError
from experiments.user_code import parse_estimator


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("benchmark", _run, "Time gradients and training steps on this machine.")
    options.add_estimators(command)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="keep the figures in FILE (default: print)"
    )
    command.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")


def _run(given: argparse.Namespace) -> None:
    from experiments import benchmark

    if given.json and not given.json.absolute().parent.is_dir():
        raise UsageError(f"--json {given.json}: there is no such folder")
    named = [parse_estimator(text) for text in given.estimators or []]
    figures = benchmark.run(named or None, quick=given.quick, report=say)
    print(benchmark.render(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
