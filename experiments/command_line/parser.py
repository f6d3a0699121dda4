"""The command's arguments."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from experiments.system.errors import UsageError
from experiments.system.text import nearest

COMMANDS = {
    "compare": "Measure bias, variance, error and cost at one point.",
    "temperature": "Measure bias, variance and error as functions of temperature.",
    "diagnose": "Measure estimators on your own model, and recommend one.",
    "train": "Train on a problem with each of the named estimators.",
    "run": "Run what a study file says: commands, at every problem, group, seed, ....",
    "reproduce": "Rerun a published table, and compare the numbers.",
    "claims": "Test claims of papers: reproduced, not reproduced or undecided.",
    "figure": "Compute and draw a figure of the papers: PDF, PNG and CSV.",
    "atlas": "Measure every estimator on every problem, and rank them.",
    "diff": "Say which rows of two results differ by more than their errors.",
    "merge": "Merge the results of several runs of a study into one results folder.",
    "report": "Write one HTML page of everything in a results folder.",
    "fetch": "Download data sets for machines without a network.",
    "benchmark": "Time gradients and training steps on this machine.",
}
"""The help of each command, by name.

The sibling module of that name has `add_options(command)` and `run(given)`, which returns an exit
status unless it is zero. It is imported when the command is given, since all of them import JAX.
"""


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the command that they name, and return its exit status.

    Raises:
        UsageError: for bad arguments.
        SystemExit: from `--help` and `--version`.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _check_texts(arguments)
    if not arguments or arguments[0].startswith("-"):
        _without_command().parse_args(arguments)
        raise UsageError("the command must be the first argument")
    if arguments[0] not in COMMANDS:
        named = f"{arguments[0]!r}{nearest(arguments[0], COMMANDS)}"
        raise UsageError(f"unknown command {named}; choose from {', '.join(COMMANDS)}")
    given = parsed(of_command(arguments[0]), arguments[1:])
    # From here on JAX is needed anyway.
    from experiments import data
    from experiments.system import device

    if "prepare" in given:
        given.prepare(given)
    if given.data:
        data.use_folder(given.data)
    # First, since building an estimator starts JAX.
    device.start(given.device, distributed=getattr(given, "distributed", False))
    return given.run(given) or 0


def parsed(command: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command, and as `options` those that were given, as written.

    Raises:
        UsageError: for bad arguments.
        SystemExit: from `--help`.
    """
    _check_texts(arguments)
    _check_options(command, arguments)
    given, unknown = command.parse_known_args(arguments)
    if unknown:
        raise UsageError(f"unexpected argument {unknown[0]!r}")
    given.options = _written(command, arguments)
    return given


def of_command(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command, whose result has its function as `run`."""
    module = _module(name)
    from experiments.command_line import options

    command = _Parser(
        prog=f"estimax {name}",
        description=COMMANDS[name],
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_device(command)
    module.add_options(command)
    command.set_defaults(run=module.run, command=name)
    return command


def _without_command() -> argparse.ArgumentParser:
    """Return the parser of arguments that do not begin with a command: it only shows help."""
    parser = _Parser(
        prog="estimax",
        description="Compare gradient estimators for discrete random variables.",
        epilog="`estimax COMMAND --help` lists the options of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"experiments.command_line.{name}")
    except ValueError as error:
        if "environment" in str(error):  # JAX reads its environment variables when imported
            raise UsageError(f"JAX does not start: {error}") from error
        raise


def _check_texts(arguments: Sequence[str]) -> None:
    """Raise UsageError for a text that no argument can have."""
    for text in arguments:
        if "\0" in text:  # no file name can have one
            raise UsageError(f"the argument {text!r} has a NUL character")
        if any("\ud800" <= sign <= "\udfff" for sign in text):  # how Python reads other bytes
            raise UsageError(f"the argument {text!r} is not {sys.getfilesystemencoding()} text")
        if text.startswith("--") and text.endswith("=--"):  # argparse drops it before Python 3.13
            raise UsageError(f"the argument {text!r} has no value")


def _check_options(command: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Raise UsageError for an unknown option, before argparse misses the one that was meant."""
    known = command._option_string_actions
    for name in (text.partition("=")[0] for text in arguments):
        if name.startswith("--") and name != "--" and " " not in name and name not in known:
            raise UsageError(f"unknown option {name!r}{nearest(name, known)}")


def _written(command: argparse.ArgumentParser, arguments: Sequence[str]) -> dict[str, str]:
    """Return the options among the arguments of a command, as written, by name."""
    known = command._option_string_actions
    written = [text.partition("=")[0] for text in arguments]
    return {known[text].dest: text for text in written if text in known}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Version(argparse.Action):
    """Prints the version, which takes a while to find, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_) -> NoReturn:
        from experiments.system.version import version

        print(f"estimax {version('estimax') or '(not installed)'}")
        parser.exit()
