"""Study files: what one file in TOML says as the arguments of commands, a run for each.

    problem = ["Quadratic", "Coupled[bits=3]"]
    samples = 64

    [[part]]
    name = "trained"
    command = "train"
    ...

The keys are the options of the commands without their dashes. The top level holds for every part
whose command has the option. A list of values of an option that takes one is a choice, and a part
is run at the product of its choices.
"""

import dataclasses
import itertools
import math
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.command_line import parser
from experiments.command_line.study_words import (
    COMMANDS,
    OF_PROCESS,
    Words,
    choices_of,
    key_of,
    options_of,
    parser_of,
    words_of,
)
from experiments.system import paths
from experiments.system.errors import UsageError
from experiments.system.folder import slug
from experiments.system.text import nearest

_OWN = ("command", "part", "output", *OF_PROCESS)
"""The keys of the top level that are not options of the parts."""

_MOST_BYTES = 2**20
_MOST_RUNS = 1000
_NAME = re.compile(r"\w[\w .+-]{0,99}")

Settings = dict[str, list[Words]]
"""The choices of each option, by its name without dashes; one choice of most."""


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One run of a command.

    Attributes:
        part: the name of the part.
        command: the command.
        arguments: its arguments, but for `--at` earlier runs.
        choices: what was chosen of the options that have several values in the file.
        after: the earlier runs at whose checkpoints it measures.
        shared: the options that it has in common with other parts.
    """

    part: str
    command: str
    arguments: Sequence[str]
    choices: Mapping[str, str]
    after: "Sequence[Run]" = ()
    shared: Collection[str] = ()

    def __str__(self) -> str:
        """Return what tells it from the other runs of the file."""
        return ", ".join([self.part, *(f"{key} {word}" for key, word in self.choices.items())])


def in_its_words(error: UsageError) -> str:
    """Return what is wrong with an argument, named as in a file."""
    return re.sub(r"^argument (?:--)?([\w-]+)(?:/\S+)?: ", r"\1: ", str(error))


def file_name(first: str, choices: Mapping[str, str]) -> str:
    """Return a readable file name of a part or a kind of study, and of choices."""
    words = [
        word if key in ("part", "problem") else f"{key} {word}" for key, word in choices.items()
    ]
    return slug(re.sub(r"\W+", " ", " ".join([first, *words])).strip())


@dataclasses.dataclass(frozen=True)
class StudyFile:
    """A study file that was read.

    Attributes:
        path: the file.
        own: the keys of the top level that are not options of parts.
        runs: its runs, each after those that it needs.
    """

    path: Path
    own: Mapping[str, str | bool]
    runs: Sequence[Run]


def read(path: Path, given: Mapping[str, Any] = {}) -> StudyFile:
    """Return the runs of a study file.

    Args:
        path: the file.
        given: options that win over those of the file in every part whose command has them, with
            values as in a file.

    Raises:
        UsageError: for a file that cannot be read, or says what cannot be run; in one line with the
            name of the file.
    """
    content = _content(path)
    try:
        return StudyFile(path, *_understood(content, given))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _content(path: Path) -> dict[str, Any]:
    """Return the tables of a file."""
    try:
        if not path.exists():
            raise UsageError(f"no such file: {path}")
        if not path.is_file():
            raise UsageError(f"{path} is not a file")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}") from error
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{path} is larger than {_MOST_BYTES:,} bytes, too large for a study file")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: it is not UTF-8 text") from error
    except RecursionError as error:
        raise UsageError(f"{path}: it is nested too deeply") from error
    except ValueError as error:  # also of a number with thousands of digits
        said = str(error)
        found = re.fullmatch(
            r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", said, re.DOTALL
        )
        last = content.rstrip().count(b"\n") + 1
        place, said = (f", line {found[2] or last}", found[1]) if found else ("", said)
        raise UsageError(f"{path}{place}: {said}") from error


def _understood(
    content: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, str | bool], list[Run]]:
    """Return the own keys of a file's top level, and its runs."""
    tables = _tables(content)
    parts = [_Part.of(table, content, number) for number, table in enumerate(tables, 1)]
    options = {key: value for key, value in content.items() if key not in _OWN}
    _check_known(options, parts, "of the commands of this file")
    _check_known(given, parts, "of the commands of this file", dashes="--")
    names = [one.name for one in parts] if "part" in content else []
    runs: list[Run] = []
    for part in parts:
        before = {run.part for run in runs}
        if part.name in before:
            raise UsageError(f"two parts are called {part.name!r}")
        try:
            runs += part.runs(options, given, runs, names)
        except UsageError as error:
            named = f"part {part.name!r}: " if "part" in content else ""
            raise UsageError(f"{named}{error}") from error
        if len(runs) > _MOST_RUNS:
            raise UsageError(f"it has more than {_MOST_RUNS:,} runs")
    return _own(content), runs


def _tables(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of the parts; of a file without parts, one that says nothing."""
    tables = content.get("part", [{}])
    if not (isinstance(tables, list) and all(isinstance(one, dict) for one in tables)):
        raise UsageError("part must be tables, each below a line [[part]]")
    if not tables or ("part" in content and not all(tables)):
        raise UsageError("a [[part]] says nothing")
    return tables


def _own(content: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return the top level's keys for the whole run, checked."""
    found: dict[str, str | bool] = {}
    for key in ("output", *OF_PROCESS):
        if key in content:
            kind = bool if key == "distributed" else str
            if not isinstance(content[key], kind):
                raise UsageError(f"{key}: must be {'true or false' if kind is bool else 'text'}")
            found[key] = content[key]
    return found


@dataclasses.dataclass(frozen=True)
class _Part:
    """A part of a file: a command with settings of its own."""

    name: str
    command: str
    table: Mapping[str, Any]

    @classmethod
    def of(cls, table: Mapping[str, Any], content: Mapping[str, Any], number: int) -> "_Part":
        """Return the part of a table, the number-th of a file."""
        command = table.get("command", content.get("command"))
        what = f"part {number}: " if table else ""
        if command is None:
            who = f"part {number}" if table else "it"
            raise UsageError(f"{who} names no command: {', '.join(COMMANDS)}")
        if command not in COMMANDS:
            near = nearest(command, COMMANDS) if isinstance(command, str) else ""
            raise UsageError(
                f"{what}unknown command {command!r}{near}; choose from {', '.join(COMMANDS)}"
            )
        name = table.get("name", None if table else command)
        if name is None:
            raise UsageError(f"part {number} has no name")
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise UsageError(
                f"part {number}: a name is letters, digits, spaces and . + - _, not {name!r}"
            )
        return cls(name, command, {k: v for k, v in table.items() if k not in ("name", "command")})

    def runs(
        self,
        shared: Mapping[str, Any],
        given: Mapping[str, Any],
        before: Sequence[Run],
        names: Sequence[str],
    ) -> list[Run]:
        """Return the runs of this part.

        Args:
            shared: what the top level says.
            given: what wins over the file.
            before: the runs of earlier parts.
            names: the names of all parts.
        """
        _check_known(self.table, [self], f"of {self.command}")
        said = [self.settings(one) for one in (shared, self.table, given)]
        (at,) = next((one["at"] for one in reversed(said) if "at" in one), [()])
        earlier = {run.part for run in before}
        for name in words_of(at):
            if name in names and name not in earlier:
                raise UsageError(f"at: the part {name!r} is not an earlier one")
            if names and name not in names and not paths.named(name).exists():
                near = nearest(name, earlier)
                raise UsageError(f"at: no earlier part or folder is called {name!r}{near}")
        parts = [name for name in words_of(at) if name in earlier]
        found = said[0] | self._inherited(parts, before) | said[1] | said[2]
        if parts:
            found["at"] = [tuple(word for word in words_of(at) if word not in parts)]
        if math.prod(map(len, found.values())) > _MOST_RUNS:
            raise UsageError(f"its choices are more than {_MOST_RUNS:,} runs")
        unsaid = (said[0] | said[2]).keys() - said[1].keys() if len(names) > 1 else ()
        several = [key for key, choices in found.items() if len(choices) > 1]
        runs: list[Run] = []
        for chosen in itertools.product(*found.values()):
            one = dict(zip(found, chosen, strict=True))
            own = {key: " ".join(words_of(one[key])) for key in several}
            for after in _agreeing(parts, before, own):
                choices = own | {k: v for run in after for k, v in run.choices.items()}
                words = self._arguments(one)
                run = Run(self.name, self.command, words, choices, after, unsaid)
                self.check(run)
                runs.append(run)
        if not runs:
            raise UsageError(f"at: no run of {', '.join(parts)} has what this part chooses")
        return runs

    def check(self, run: Run) -> None:
        """Check the arguments of a run.

        Raises:
            UsageError: in the words of a file, for bad ones.
        """
        try:
            parser.parsed(parser_of(self.command), run.arguments)
        except UsageError as error:
            said = in_its_words(error)
            needed = "the following arguments are required: "
            if said.startswith(needed):
                missing = said.removeprefix(needed).split(", ")
                keys = ", ".join(self.key(one) for one in missing)
                said = f"it needs {keys}"
            raise UsageError(said) from error

    def key(self, shown: str) -> str:
        """Return the key of an argument that a message shows as `--one/--other` or `NAME`."""
        for key, action in options_of(self.command).items():
            if shown in ("/".join(action.option_strings), action.metavar, action.dest):
                return key
        return shown

    def settings(self, table: Mapping[str, Any]) -> Settings:
        """Return the choices of those keys of a table that are options of the command."""
        found: Settings = {}
        known = options_of(self.command)
        for key, value in table.items():
            if key in known:
                action = known[key]
                name = key_of(action)
                if name in found:
                    raise UsageError(f"{key}: given twice, as {name} is the same")
                found[name] = choices_of(key, action, value)
        return found

    def _inherited(self, parts: Sequence[str], before: Sequence[Run]) -> Settings:
        """Return the problem of the earlier parts at whose checkpoints this one measures."""
        words = [
            word.removeprefix("--problem=")
            for run in before
            if run.part in parts
            for word in run.arguments
            if word.startswith("--problem=")
        ]
        return {"problem": [(one,) for one in dict.fromkeys(words)]} if words else {}

    def _arguments(self, settings: Mapping[str, Words]) -> tuple[str, ...]:
        """Return settings as the arguments of the command."""
        known = options_of(self.command)
        found: list[str] = []
        for key, value in settings.items():
            action = known[key]
            if not action.option_strings:
                found[:0] = words_of(value)
            elif action.nargs is None:
                found += [f"--{key}={word}" for word in words_of(value)]
            elif value not in (False, ()):
                found += [f"--{key}", *words_of(value)]
        return tuple(found)


def _agreeing(
    parts: Sequence[str], before: Sequence[Run], own: Mapping[str, str]
) -> Iterator[tuple[Run, ...]]:
    """Yield a run of each of some earlier parts, that made the same choices as a run.

    Args:
        parts: the names of the earlier parts.
        before: the earlier runs.
        own: the choices of the run.
    """
    chosen = [[run for run in before if run.part == name] for name in parts]
    for runs in itertools.product(*chosen):
        sides = [own, *(run.choices for run in runs)]
        pairs = {(key, word) for side in sides for key, word in side.items()}
        if len(pairs) == len({key for key, _ in pairs}):
            yield runs


def _check_known(
    keys: Iterable[str], parts: Sequence[_Part], of_what: str, dashes: str = ""
) -> None:
    """Raise UsageError for a key that is no option of any of the parts' commands."""
    known = {key for part in parts for key in options_of(part.command)}
    for key in keys:
        if key in OF_PROCESS or key == "output":
            raise UsageError(f"{key}: it is said once, at the top of the file, for all parts")
        if key not in known:
            own = () if dashes else ("name", "command", "part", "output", *OF_PROCESS)
            near = nearest(key, [*sorted(known), *own])
            near = near.replace("mean '", f"mean '{dashes}")
            raise UsageError(f"no option {dashes}{key} {of_what}{near}")
