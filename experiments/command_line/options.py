"""Options shared by several commands, and parsers of their values."""

import argparse
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import estimators
from analysis.page import DEFAULT_FORMATS, FORMATS, WIDTHS
from analysis.units import UNITS
from experiments import problems
from experiments.system import paths
from experiments.system.errors import UsageError
from experiments.system.text import nearest

T = TypeVar("T")

Number = tuple[str, Callable[[str], float], str, str]
"""A numeric option: its name, parser, metavar and help."""

_NAMES = """\
{problems}
estimators, by family:
{families}
Brackets set fields: VAE[latent=Categorical,size=3,classes=4,kl=sampled],
ScoreFunction[baseline=LeaveOneOut[num_samples=4]]. A class of your own is named
with its file: my_file.py:MyEstimator[scale=2]. Quote names that have brackets.
"""

_WIDTHS = (2, 20)  # inches
_SEEDS = 2**32
_COUNTER = 2**31
"""Steps and samples are counted with 32 bits."""


def add_device(command: argparse.ArgumentParser) -> None:
    """Add `--device` and `--data`."""
    command.add_argument(
        "--device",
        type=choice("auto", "cpu", "gpu"),
        default="auto",
        metavar="{auto,cpu,gpu}",
        help="the device (default: a GPU if JAX finds one, else the CPU)",
    )
    command.add_argument(
        "--data",
        type=path,
        metavar="DIR",
        help="folder of data sets that are not part of estimax (default: $ESTIMAX_DATA)",
    )


def names() -> str:
    """Return the part of a help text that lists problems and estimators."""
    return _NAMES.format(
        problems=listed("problems", (cls.__name__ for cls in problems.ALL)),
        families="\n".join(
            textwrap.indent(listed(family, (cls.__name__ for cls in members), 78), "  ")
            for family, members in estimators.FAMILIES.items()
        ),
    )


def listed(title: str, names: Iterable[str], width: int = 80) -> str:
    """Return `title: name, name, ...` in lines of at most a number of columns."""
    text = f"{title}: {', '.join(names)}"
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)


def add_estimators(
    command: argparse.ArgumentParser, default: str = "all, in their default variants"
) -> None:
    """Add `--estimators`; `default` describes those that are used without it."""
    command.add_argument(
        "--estimators",
        nargs="+",
        metavar="NAME",
        help=f"estimators, families of them, or `all` (default: {default})",
    )


def add_groups(command: argparse.ArgumentParser, shown: str = "a block of the table") -> None:
    """Add `--group`; `shown` says what each of several has."""
    command.add_argument(
        "--group",
        nargs="+",
        metavar="NAME",
        help="parameters to differentiate with respect to: logits, encoder, decoder, prior, all; "
        "with several stochastic layers also those of one, as logits_2 or encoder_2; of several, "
        f"the same gradients are measured, with {shown} for each (default: the problem's own; for "
        "a VAE, the encoder)",
    )


def add_coordinates(command: argparse.ArgumentParser) -> None:
    """Add `--coordinates`."""
    command.add_argument(
        "--coordinates",
        action="store_true",
        help="keep mean and variance of every coordinate of the gradients in results.parquet, and "
        "draw their histogram",
    )


def add_scale(command: argparse.ArgumentParser, scales: Sequence[str]) -> None:
    """Add `--budget`, the name of a scale."""
    command.add_argument(
        "--budget",
        type=choice(*scales),
        default="laptop",
        metavar=f"{{{','.join(scales)}}}",
        help="size of the run (default: laptop)",
    )


def containing(texts: Sequence[str] | None, named: Mapping[str, T], what: str) -> list[T]:
    """Return the values whose names contain one of the texts; `what` says what a value is.

    Raises:
        UsageError: for a text in no name.
    """
    for text in texts or []:
        if not any(text in name for name in named):
            near = nearest(text, named)
            raise UsageError(f"no {what} has {text!r} in its name{near}; --list names them")
    return [one for name, one in named.items() if any(text in name for text in texts or [])]


def add_output(command: argparse.ArgumentParser) -> None:
    """Add `--output`, `--force`, `--save` and `--dry-run`."""
    option = command.add_argument
    option("--output", type=path, metavar="DIR", help="results folder (default: one in ./results)")
    option("--force", action="store_true", help="run again and replace the results in the folder")
    option(
        "--save",
        type=path,
        metavar="FILE",
        help="write the study file of this command, which `estimax run FILE` runs",
    )
    add_dry_run(command)


def add_dry_run(command: argparse.ArgumentParser) -> None:
    """Add `--dry-run`."""
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="print the parts, which are done, and the time expected; run and write nothing",
    )


DRAWING = ("width", "only", "format", "no_title")
"""The names of the options of `add_drawing`."""


def add_against(command: argparse.ArgumentParser) -> None:
    """Add `--against`; it does not change what is measured."""
    command.add_argument(
        "--against",
        type=choice(*UNITS),
        default="steps",
        metavar=f"{{{','.join(UNITS)}}}",
        help="what curves are drawn and estimators compared against: training steps, evaluations "
        "of f, or seconds of training; the table is at the largest budget that all runs have "
        "reached, and says which estimator is first at parts of it (default: steps)",
    )


def add_drawing(command: argparse.ArgumentParser) -> None:
    """Add the options of how figures are drawn; they do not change what is measured."""
    option = command.add_argument
    option(
        "--width",
        type=figure_width,
        default=WIDTHS["text"],
        metavar="{column,text,INCHES}",
        help="width of figures: of a column (3.25 inches), of the text of NeurIPS (5.5), or in "
        "inches (default: text)",
    )
    option(
        "--only",
        nargs="+",
        type=text,
        default=(),
        metavar="NAME",
        help="estimators that figures show, by name or class (default: all)",
    )
    option(
        "--format",
        nargs="+",
        type=choice(*FORMATS),
        default=DEFAULT_FORMATS,
        metavar="FORMAT",
        help=f"formats of figures, of {', '.join(FORMATS)} (default: pdf and png)",
    )
    option("--no-title", action="store_true", help="draw figures without titles, for a caption")


def figure_width(text: str) -> float:
    """Parse the width of a figure: a named one, or inches."""
    try:
        value = WIDTHS[text] if text in WIDTHS else float(text)
    except ValueError:
        value = 0.0
    low, high = _WIDTHS
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(WIDTHS)} or from {low} to {high} inches, not {text!r}"
        )
    return value


def add_numbers(command: argparse.ArgumentParser, defaults: Any, *options: Number) -> None:
    """Add numeric options; `defaults` has their defaults as attributes."""
    for name, read, metavar, text in options:
        default = getattr(defaults, name.replace("-", "_"))
        plain = default if isinstance(default, int) else f"{default:g}"
        shown = f"{text} (default: {plain})"
        command.add_argument(f"--{name}", type=read, default=default, metavar=metavar, help=shown)


def add_problem(command: argparse.ArgumentParser) -> None:
    """Add `--problem`."""
    shown = "the problem (default: VAE, with 8 latent bits)"
    command.add_argument("--problem", default="VAE", metavar="NAME", help=shown)


def add_at(command: argparse.ArgumentParser) -> None:
    """Add `--at`, `--step` and `--trained-with`."""
    option = command.add_argument
    option(
        "--at",
        nargs="+",
        type=path,
        metavar="RUN",
        help="results folders of `estimax train`: measure at their checkpoints, with their problem "
        "and their first seed unless --seed names another one; or, with --problem, pytrees that "
        "orbax saved",
    )
    option(
        "--step",
        nargs="+",
        type=count,
        metavar="N",
        help="steps of these checkpoints (default: the last; `estimax train --keep-steps` keeps "
        "more)",
    )
    option(
        "--trained-with",
        metavar="NAME",
        help="the estimator of the training runs (default: any)",
    )


def path(text: str) -> Path:
    """Parse the name of a file or a folder."""
    try:
        return paths.named(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def text(text: str) -> str:
    """Parse a nonempty text."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def choice(*allowed: str) -> Callable[[str], str]:
    """Return a parser of one of the allowed words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(
                f"unknown value {text!r}{nearest(text, allowed)}; choose from {', '.join(allowed)}"
            )
        return text

    return read


def seed(text: str) -> int:
    """Parse a seed: an integer from 0 to 2^32 - 1."""
    value = _whole(text, 0)
    if value >= _SEEDS:
        raise argparse.ArgumentTypeError(f"must be below 2^32, not {text!r}")
    return value


def check_seeds(first: int, seeds: int) -> None:
    """Raise UsageError unless `first` and the following seeds are below 2^32."""
    if first + seeds > _SEEDS:
        raise UsageError(f"--seed must be at most {_SEEDS - seeds} for {seeds} seeds, not {first}")


def count(text: str) -> int:
    """Parse an integer from 0 to 2^31."""
    return _counted(text, 0)


def positive(text: str) -> int:
    """Parse an integer from 1 to 2^31."""
    return _counted(text, 1)


def positive_number(text: str) -> float:
    """Parse a positive, finite float32 number."""
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


def fraction(text: str) -> float:
    """Parse a fraction above zero and below one, such as 0.05 or 5%."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 100%, such as 5%, not {text!r}")
    return value


MEASURING: tuple[Number, ...] = (
    ("tuning-steps", count, "N", "maximum number of steps that tune an estimator's own parameters"),
    ("budget", positive_number, "N", "evaluations of f that the error at equal cost allows"),
)
"""The numeric options of every measurement of estimators."""


def add_precision(command: argparse.ArgumentParser, defaults: Any) -> None:
    """Add `--precision` and `--most-samples`; `defaults` has their defaults as attributes."""
    command.add_argument(
        "--precision",
        type=fraction,
        metavar="PERCENT",
        help="draw as many samples as it takes for 95%% intervals of variance and error at equal "
        "cost that reach so far from their values, such as 5%%; --samples is the least number",
    )
    add_numbers(command, defaults, ("most-samples", positive, "N", "most samples for --precision"))


def number_from_zero(text: str) -> float:
    """Parse a nonnegative, finite float32 number."""
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
