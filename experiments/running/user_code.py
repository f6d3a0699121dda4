"""Values named on the command line, from the project's classes or a user file."""

import ast
import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TypeVar, get_args

import jax

import estimators
from estimators import Estimator, Unbiased, naming
from experiments import problems
from experiments.problems import EvaluatedProblem, Problem
from experiments.running.code import LIBRARIES, PACKAGES
from experiments.system import paths
from experiments.system.errors import UsageError
from experiments.system.text import described, nearest

T = TypeVar("T")

_PREFIX = "estimax_user_"

_OWN = (*PACKAGES, "analysis", "estimax")
"""The packages of estimax."""

_folders: set[Path] = set()
"""The folders of the user's files that were loaded."""


def parse_problem(text: str) -> Problem:
    """Return the problem that `Name[field=value,...]` or `FILE.py:Name[...]` names.

    Raises:
        UsageError: for a bad name.
    """
    name, own = _split(text, Problem)
    known = own or {cls.__name__: cls for cls in problems.ALL}
    problem = _parse(name, known, Problem)
    if hasattr(problem, "log_weight") and not isinstance(problem, EvaluatedProblem):
        raise UsageError(f"{_place(type(problem))} has log_weight: make it an EvaluatedProblem")
    return problem


def parse_estimator(text: str, required: Mapping[str, Any] = {}) -> Estimator:
    """Return the estimator that `Name[field=value,...]` or `FILE.py:Name[...]` names.

    Args:
        text: the name.
        required: values of fields without a default, used where the name does not give them.

    Raises:
        UsageError: for a bad name.
    """
    name, own = _split(text, Estimator)
    parts = {cls.__name__: cls for cls in (*estimators.ALL, *estimators.PARTS)}
    estimator = _parse(name, parts | own, Estimator, required)
    _check_stated(estimator)
    return estimator


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Estimators chosen on the command line.

    Attributes:
        estimators: the estimators, without duplicates.
        named: the names of those that were chosen by name, not with a family or by default; it is
            an error if one of them does not fit.
    """

    estimators: list[Estimator]
    named: frozenset[str] = frozenset()


def parse_estimators(
    texts: Sequence[str | Estimator] | None, required: Mapping[str, Any] = {}
) -> Chosen:
    """Return the estimators that texts name, as `parse_estimator`, or themselves; by default, all.

    The name of a family (`estimators.FAMILIES`) stands for its estimators in their default
    variants, and "all" for all families.

    Args:
        texts: the names, or estimators.
        required: as for `parse_estimator`.

    Raises:
        UsageError: for a bad name, or two estimators with the same name.
    """
    families = estimators.FAMILIES
    single = [cls.__name__ for cls in (*estimators.ALL, *estimators.PARTS)]
    found: dict[str, Estimator] = {}
    named = set()
    for text in ["all"] if texts is None else texts:
        if text == "all":
            members = [one for cls in estimators.ALL for one in cls.examples()]
        elif isinstance(text, str) and text in families:
            members = [one for cls in families[text] for one in cls.examples()]
        elif isinstance(text, str) and text.isidentifier() and text not in single:
            near = nearest(text, [*single, *families, "all"])
            choices = ", ".join([*families, "all", *(cls.__name__ for cls in estimators.ALL)])
            raise UsageError(f"unknown estimator or family {text!r}{near}; choose from {choices}")
        else:
            members = [parse_estimator(text, required) if isinstance(text, str) else text]
            named.add(str(members[0]))
        for one in members:
            if type(found.setdefault(str(one), one)) is not type(one):
                raise UsageError(f"two estimators are called {one}")
    return Chosen(list(found.values()), frozenset(named))


def parse_part(text: str, known: Sequence[type[T]]) -> T:
    """Return the value that `Name[field=value,...]` names among the project's classes.

    Raises:
        UsageError: for a bad name.
    """
    try:
        return naming.parse(text, {cls.__name__: cls for cls in known})
    except ValueError as error:
        raise UsageError(str(error)) from error


def named(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return the value of a name; `kind` says what it names.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in known:
        near = nearest(name, known)
        raise UsageError(f"unknown {kind} {name!r}{near}; choose from {', '.join(known)}")
    return known[name]


def parse_model(text: str) -> tuple[Callable, Any, Any]:
    """Return the loss, the model and the batch that the function `FILE.py:NAME` returns.

    Raises:
        UsageError: if there is no such function, or it returns something else.
    """
    file, separator, name = text.rpartition(".py:")
    if not separator:
        raise UsageError(f"{text} is not FILE.py:NAME")
    functions = {key: one for key, one in vars(_load(Path(file + ".py"))).items() if callable(one)}
    if name not in functions:
        raise UsageError(f"{file}.py has no function {name}{nearest(name, functions)}")
    make = functions[name]
    if isinstance(make, type):
        raise UsageError(f"{name} is a class: name a function that returns (loss, model, batch)")
    made = make()
    if not (isinstance(made, tuple) and len(made) == 3 and callable(made[0])):
        raise UsageError(f"{name} must return (loss, model, batch), not {type(made).__name__}")
    return made


def _parse(text: str, known: dict[str, Any], kind: type[T], required: Mapping[str, Any] = {}) -> T:
    try:
        value = naming.parse(text, known, required)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not isinstance(value, kind):
        kinds = "an estimator" if kind is Estimator else "a problem"
        raise UsageError(f"{text} is a component, not {kinds}")
    return value


def _split(text: str, kind: type) -> tuple[str, dict[str, type]]:
    file, separator, name = text.rpartition(".py:")
    if not separator:
        return text, {}
    path = Path(file + ".py")
    module = _load(path)
    own = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, kind) and _is_users(value.__module__)
    }
    if not own:
        raise UsageError(f"{path} defines no subclass of {kind.__name__}")
    for cls in (own[word] for word in re.findall(r"\w+", name) if word in own):
        _check_decorated(cls)
    return name, own


def _check_decorated(cls: type) -> None:
    """Check that `Name[field=value]` can build a class: it needs the required decorator.

    Raises:
        UsageError: if it cannot.
    """
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise UsageError(f"{_place(cls)} must define {missing}")
    parameters: Any = vars(cls).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        wanted = "pytree" if issubclass(cls, Estimator) else "dataclasses.dataclass(frozen=True)"
        raise UsageError(f"{_place(cls)} needs the decorator @{wanted}")
    if issubclass(cls, Estimator) and jax.tree_util.all_leaves([object.__new__(cls)]):
        raise UsageError(f"{_place(cls)} needs the decorator @pytree of estimators")


def _check_stated(estimator: Estimator) -> None:
    """Check the facts that an estimator's class states.

    Raises:
        UsageError: if a table cannot hold them.
    """
    place, allowed = _place(type(estimator)), get_args(Unbiased)
    if estimator.unbiased not in allowed:
        words = ", ".join(map(repr, allowed))
        raise UsageError(f"{place}: unbiased is {estimator.unbiased!r}; choose from {words}")
    if not isinstance(estimator.paper, str):
        raise UsageError(f"{place}: paper is {estimator.paper!r}, not a string")


def modules_of(values: Iterable[object]) -> set[str]:
    """Return the names of the modules of values and of the components in their fields."""
    found: set[str] = set()
    for value in values:
        found.add(type(value).__module__)
        if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            found |= modules_of(getattr(value, field.name) for field in fields)
    return found


def sources(modules: Collection[str]) -> dict[str, list[str]]:
    """Return the names and digests of the user's files among modules, as `user_code`, if any."""
    own = (module.removeprefix(_PREFIX) for module in modules if module.startswith(_PREFIX))
    found = sorted({name.rpartition("_")[0] for name in own})  # without the digest of its path
    return {"user_code": found} if found else {}


def module_of_model(text: str) -> str:
    """Return the name of the module of the user's file in `FILE.py:NAME`."""
    return _load(Path(text.rpartition(":")[0])).__name__


def blame(error: BaseException) -> str | None:
    """Return one line for an error caused by a user file, or None if estimax caused it.

    It names the line that raised, or else the class of a value in the raising code, such as when a
    method returned a bad value.
    """
    frames = list(reversed(list(traceback.walk_tb(error.__traceback__))))
    for frame, line in frames:
        if _is_users(frame.f_globals.get("__name__")):
            return f"{frame.f_code.co_filename}, line {line}: {described(error)}"
    # Outer frames always hold a user's problem, even if it is not at fault.
    own = (frame for frame, _ in frames if _is_own(frame.f_globals.get("__name__")))
    for value in _at_hand(next(own, None)):
        if _is_users(type(value).__module__):
            return f"{_place(type(value))}: {described(error)}"
    return None


def failure(error: BaseException) -> str:
    """Return one line that says why an estimator failed, and where."""
    if isinstance(error, UsageError):
        return str(error)
    if line := blame(error):
        return line
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in described(error):
        return f"not enough memory ({described(error)})"
    places = [
        f" ({name}, line {line})"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_own(name := frame.f_globals.get("__name__"))
    ]
    return described(error) + (places[-1] if places else "")


def _at_hand(frame: FrameType | None) -> Iterator[Any]:
    """Yield the values of a frame's variables, and of those captured by functions among them."""
    for value in frame.f_locals.values() if frame else ():
        yield value
        for cell in getattr(value, "__closure__", None) or ():
            with contextlib.suppress(ValueError):  # not set yet
                yield cell.cell_contents


def _is_own(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in _OWN


def _is_users(module: Any) -> bool:
    """Return whether a module, by name, is a user's file or a neighbour that it imported."""
    if not isinstance(module, str) or _is_own(module):
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return module.startswith(_PREFIX) or bool(file and _folder_of(file))


def _place(cls: type) -> str:
    """Return `FILE, line N: NAME` of a user's class."""
    try:
        line = f", line {inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        line = ""
    return f"{sys.modules[cls.__module__].__file__}{line}: {cls.__name__}"


def _load(path: Path) -> ModuleType:
    path = paths.named(str(path))
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    # Files may share a stem, and an edited file is a different module.
    digests = [hashlib.sha256(x).hexdigest()[:12] for x in (content, os.fsencode(path.resolve()))]
    name = "_".join((_PREFIX + path.stem, *digests))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module
    try:
        with _neighbours(path.resolve().parent, content):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[name]
        raise
    except UsageError:
        del sys.modules[name]
        raise
    except BaseException as error:
        del sys.modules[name]
        line = blame(error) or f"{path}: {described(error)}"
        raise UsageError(line + _hidden(error, path.resolve().parent)) from error
    return module


@contextlib.contextmanager
def _neighbours(folder: Path, content: bytes) -> Iterator[None]:
    """Let a user's file import the modules beside it, as a script can, also in its functions.

    Raises:
        UsageError: if it imports one whose name a file of another folder has imported.
    """
    for name in _imports(content):
        other = getattr(sys.modules.get(name), "__file__", None)
        is_here = (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()
        if is_here and other and _folder_of(other) not in (None, folder):
            raise UsageError(f"{folder} and {_folder_of(other)} both have a module {name}")
    _folders.add(folder)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()  # a file may be seconds old
    try:
        yield
    finally:
        # What estimax imports later does not come from there.
        sys.path.remove(str(folder))
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def _imports(content: bytes) -> set[str]:
    """Return the top-level names of the modules that a source imports."""
    names: set[str] = set()
    with contextlib.suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def _folder_of(file: str) -> Path | None:
    """Return the innermost folder of a user's files that holds a file, None for a library's."""
    if any(map(Path(file).is_relative_to, LIBRARIES)):
        return None
    return next((one for one in Path(file).resolve().parents if one in _folders), None)


def _hidden(error: BaseException, folder: Path) -> str:
    """Return a hint on a package of the user's that has the name of one of estimax's."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    is_hidden = isinstance(error, ImportError) and package in _OWN
    if not (is_hidden and (folder / package).is_dir()):
        return ""
    return f" ({package} is a package of estimax, which hides {folder / package}: rename yours)"
