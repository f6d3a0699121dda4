"""The command's arguments."""

import argparse
import importlib
import sys
import textwrap
from collections.abc import Sequence
from typing import NoReturn

import estimators
from estimators.naming import nearest
from experiments import data, problems
from experiments.command_line import options
from experiments.command_line.unused import given_options
from experiments.system import device
from experiments.system.errors import UsageError

_COMMANDS = (
    "compare",  # and temperature
    "diagnose",
    "train",
    "reproduce",
    "claims",
    "figure",
    "report",
    "benchmark",
)
"""Sibling modules; each adds its commands to the parser."""

_EPILOG = """\
problems:    {problems}
estimators, by family:
{families}
Names can set fields: VAE[latent=Categorical,size=3,classes=4,kl=sampled],
ScoreFunction[baseline=LeaveOneOut[num_samples=4]]. Your own class: my_file.py:MyEstimator[scale=2].
Quote names with brackets if your shell expands them.
"""


def run(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, and run the command that they name.

    Raises:
        UsageError: for bad arguments.
        SystemExit: from `--help`.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for text in arguments:
        if "\0" in text:  # no file name can have one
            raise UsageError(f"the argument {text!r} has a NUL character")
        if any("\ud800" <= sign <= "\udfff" for sign in text):  # how Python reads other bytes
            raise UsageError(f"the argument {text!r} is not {sys.getfilesystemencoding()} text")
        if text.startswith("--") and text.endswith("=--"):  # argparse drops it before Python 3.13
            raise UsageError(f"the argument {text!r} has no value")
    parser = _parser()
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        known = parser.known_options(given.command)
        raise UsageError(f"unknown option {unknown[0]!r}{nearest(unknown[0], known)}")
    given.options = given_options(parser.commands[given.command], arguments)
    if given.data:
        data.use_folder(given.data)
    # First, since building an estimator starts JAX.
    device.start(given.device, distributed=getattr(given, "distributed", False))
    given.run(given)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    commands: dict[str, argparse.ArgumentParser]

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)

    def known_options(self, command: str) -> list[str]:
        """Return the options of a command."""
        return list(self.commands[command]._option_string_actions)


def _listed(family: str) -> str:
    names = f"{family}: " + ", ".join(cls.__name__ for cls in estimators.FAMILIES[family])
    return textwrap.fill(names, 80, initial_indent="  ", subsequent_indent="    ")


def _parser() -> _Parser:
    parser = _Parser(
        prog="estimax",
        description="Compare gradient estimators for discrete random variables.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    epilog = _EPILOG.format(
        problems=", ".join(cls.__name__ for cls in problems.ALL),
        families="\n".join(map(_listed, estimators.FAMILIES)),
    )

    def add(name: str, run, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        command.add_argument(
            "--device",
            type=options.choice("auto", "cpu", "gpu"),
            default="auto",
            metavar="{auto,cpu,gpu}",
            help="the device (default: a GPU if JAX finds one, else the CPU)",
        )
        command.add_argument(
            "--data",
            type=options.path,
            metavar="DIR",
            help="folder of data sets that are not part of estimax (default: $ESTIMAX_DATA)",
        )
        return command

    for name in _COMMANDS:
        importlib.import_module(f"experiments.command_line.{name}").add(add)
    parser.commands = dict(commands.choices)
    return parser
