"""The options of commands as the keys of a study file, and their values as words."""

import argparse
import functools
import re
from typing import Any

from experiments.command_line import parser
from experiments.system.errors import UsageError

COMMANDS = ("compare", "temperature", "train", "diagnose", "reproduce", "claims", "figure", "atlas")
"""The commands that a part can have: those that run a study."""

OF_PROCESS = ("device", "data", "distributed")
"""The options that hold for the whole process, and so for all parts."""

_LEFT_OUT = ("help", "force", "list", "output", "save", "dry-run", *OF_PROCESS)
"""Options of commands that a file does not give: they say how to run, not what."""

_SHOWING = ("width", "sort", "cost", "checkpoint_seconds")
"""Options that take one value and change no number, so that there is nothing to choose."""

_NUMBER = re.compile(r"-\.?\d.*")

Words = tuple[str, ...] | bool
"""A value of an option, as words of the command line; whether it is given, if it takes none."""


@functools.cache
def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a command, which takes a while to make."""
    return parser.of_command(command)


@functools.cache
def options_of(command: str) -> dict[str, argparse.Action]:
    """Return the options of a command that a file can give, and its arguments, by key."""
    found: dict[str, argparse.Action] = {}
    for action in parser_of(command)._actions:
        names = [one.removeprefix("--") for one in action.option_strings] or [action.dest]
        if not set(names) & {"-h", *_LEFT_OUT}:
            found |= dict.fromkeys(names, action)
    return found


def key_of(action: argparse.Action) -> str:
    """Return the first name of an option, without dashes; of an argument, its own."""
    return action.option_strings[0].removeprefix("--") if action.option_strings else action.dest


def all_options() -> dict[str, list[argparse.Action]]:
    """Return the options that files can give, by key; those of several commands for each."""
    found: dict[str, list[argparse.Action]] = {}
    for command in COMMANDS:
        for key, action in options_of(command).items():
            if action.option_strings:
                found.setdefault(key, []).append(action)
    return found


def choices_of(key: str, action: argparse.Action, value: Any) -> list[Words]:
    """Return the choices that a value of the file gives an option."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UsageError(f"{key}: must be true or false, not {value!r}")
        return [value]
    several = value if isinstance(value, list) else [value]
    if not several:
        raise UsageError(f"{key}: the list is empty")
    words = [_word(key, one) for one in several]
    if action.nargs not in (None, "?"):
        return [tuple(words)]
    if len(words) > 1 and action.dest in _SHOWING:
        raise UsageError(f"{key}: takes one value")
    return [(one,) for one in dict.fromkeys(words)]


def _word(key: str, value: Any) -> str:
    """Return a value of a file as a word of the command line."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        kind = {dict: "a table", list: "a list in a list", bool: str(value).lower()}
        shown = kind.get(type(value), f"a {type(value).__name__}")
        raise UsageError(f"{key}: must be text, a number or a list of these, not {shown}")
    word = value if isinstance(value, str) else repr(value)
    if word.startswith("-") and not _NUMBER.fullmatch(word):
        raise UsageError(f"{key}: {word!r} begins with a dash")
    return word


def words_of(value: Words) -> tuple[str, ...]:
    """Return the words of a value, none of an option that takes none."""
    return value if isinstance(value, tuple) else ()
