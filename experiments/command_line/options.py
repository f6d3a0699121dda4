"""Options that several commands share, and readers of what options may be given as."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from estimators.naming import nearest
from experiments.system import paths
from experiments.system.errors import UsageError

_SEEDS = 2**32
_COUNTER = 2**31
"""Steps and samples are counted in 32 bits."""


def add_estimators(command: argparse.ArgumentParser) -> None:
    """Add `--estimators`."""
    command.add_argument(
        "--estimators",
        nargs="+",
        metavar="NAME",
        help="estimators, or families of them (default: all, in their default variants)",
    )


def add_group(command: argparse.ArgumentParser) -> None:
    """Add `--group`."""
    command.add_argument(
        "--group",
        metavar="NAME",
        help="parameters of the gradient: logits, encoder, decoder, prior, all "
        "(default: the problem's own, of a VAE the encoder)",
    )


def add_budget(command: argparse.ArgumentParser, budgets: Sequence[str]) -> None:
    """Add `--budget`, one of the named ones."""
    command.add_argument(
        "--budget",
        type=choice(*budgets),
        default="laptop",
        metavar=f"{{{','.join(budgets)}}}",
        help="what to spend (default: laptop)",
    )


def add_output(command: argparse.ArgumentParser, force: str) -> None:
    """Add `--output`, and `--force` with what it does."""
    option = command.add_argument
    option("--output", type=path, metavar="DIR", help="results folder (default: one of its own)")
    option("--force", action="store_true", help=force)


def path(text: str) -> Path:
    """Read the name of a file or folder."""
    try:
        return paths.named(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def text(text: str) -> str:
    """Read a text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def choice(*allowed: str) -> Callable[[str], str]:
    """Return a reader of one of the allowed words."""

    def read(text: str) -> str:
        if text not in allowed:
            choices = ", ".join(allowed)
            raise argparse.ArgumentTypeError(
                f"{text!r} is none of {choices}{nearest(text, allowed)}"
            )
        return text

    return read


def seed(text: str) -> int:
    """Read a seed: a whole number below 2^32."""
    value = _whole(text, 0)
    if value >= _SEEDS:
        raise argparse.ArgumentTypeError(f"must be below 2^32, not {text!r}")
    return value


def check_seeds(first: int, seeds: int) -> None:
    """Raise UsageError where not all of so many seeds, from the first on, are below 2^32."""
    if first + seeds > _SEEDS:
        raise UsageError(f"--seed must be at most {_SEEDS - seeds} for {seeds} seeds, not {first}")


def count(text: str) -> int:
    """Read a whole number of at least 0, which 32 bits count."""
    return _counted(text, 0)


def positive(text: str) -> int:
    """Read a whole number of at least 1, which 32 bits count."""
    return _counted(text, 1)


def positive_number(text: str) -> float:
    """Read a finite number above zero, which float32 holds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    limits = np.finfo(np.float32)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above zero, not {text!r}")
    if not float(limits.tiny) <= value <= float(limits.max):
        raise argparse.ArgumentTypeError(
            f"must be a number from {limits.tiny:.2g} to {limits.max:.2g} (float32), not {text!r}"
        )
    return value


def number_from_zero(text: str) -> float:
    """Read a finite number of at least zero."""
    return 0.0 if text.strip() in ("0", "0.0") else positive_number(text)


def _counted(text: str, least: int) -> int:
    value = _whole(text, least)
    if value > _COUNTER:
        raise argparse.ArgumentTypeError(f"must be at most {_COUNTER:,}, not {text!r}")
    return value


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least {least}, not {text!r}"
        )
    return value
