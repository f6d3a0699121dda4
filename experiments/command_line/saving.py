"""Writing of the study file of a command."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.command_line.study_words import OF_PROCESS, key_of, options_of
from experiments.system.output_file import OutputFile


def save(given: argparse.Namespace) -> None:
    """Write the study file of a command to the file that `--save` names.

    Raises:
        UsageError: if it cannot be written, or exists and is another one.
    """
    text = written(_said(given))
    content = text.encode()
    OutputFile(given.save, "--save", force=given.force, ours=lambda it: it == content).write(text)


def written(said: Mapping[str, Any]) -> str:
    """Return keys and their values in TOML, a line for each."""
    return "".join(f"{key} = {_shown(value)}\n" for key, value in said.items())


def _said(given: argparse.Namespace) -> dict[str, Any]:
    """Return the command and the options that were given, so that defaults stay defaults."""
    said: dict[str, Any] = {"command": given.command}
    said |= {key: getattr(given, key) for key in OF_PROCESS if key in given.options}
    for action in options_of(given.command).values():
        if action.dest in given.options or not action.option_strings:
            said[key_of(action)] = getattr(given, action.dest)
    return said


def _shown(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Path):
        path = str(value)
        return _shown(f"./{path}" if path.startswith("-") else path)
    if isinstance(value, str):  # a JSON string is one of TOML, but for the delete character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
