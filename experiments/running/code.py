"""A hash of the code that computes a run's numbers; comments and docstrings do not change it."""

import ast
import contextlib
import functools
import hashlib
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path

from analysis.files import write_text
from experiments.system import paths

ROOT = Path(__file__).parents[2]
PACKAGES = ("estimators", "experiments")

LIBRARIES = tuple(
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_FORMAT = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The text of a syntax tree depends on the version of Python."""

_MOST_KEPT = 10_000

Summary = tuple[str, list[str]]
"""The hash of a module, and the names that it imports, as its source has them."""


def digest(modules: Collection[str], root: Path = ROOT) -> str:
    """Return the hash of modules and of all that they import, directly or not.

    Imports are read from the source: other loaded modules make no difference.

    Args:
        modules: names of modules of `PACKAGES`, or of loaded modules of the user's.
        root: the folder that holds `PACKAGES`.
    """
    found: dict[str, str] = {}
    pending, seen, known = list(modules), set[str](), _known()
    count = len(known)
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if file := _file(name, root):
            source = file.read_bytes()
            key = hashlib.sha256(source).hexdigest()
            if key not in known:
                known[key] = _summary(source)
            found[name], imports = known[key]
            package = name if file.stem == "__init__" else name.rpartition(".")[0]
            pending += _imported(imports, package)
    if len(known) > count:
        _keep(known)
    return hashlib.sha256(" ".join(sorted(found.values())).encode()).hexdigest()[:12]


def _file(name: str, root: Path) -> Path | None:
    """Return the file of a module of `PACKAGES` or of the user's, None for any other name."""
    if name.partition(".")[0] in PACKAGES:
        path = root.joinpath(*name.split("."))
        files = path / "__init__.py", path.with_suffix(".py")
        return next(filter(Path.is_file, files), None)
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    is_library = any(map(Path(file).is_relative_to, (*LIBRARIES, ROOT / "analysis")))
    return Path(file) if file.endswith(".py") and not is_library else None


def _summary(source: bytes) -> Summary:
    """Return the hash of a module without comments and docstrings, and the names it imports."""
    tree = ast.parse(source)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (f"{node.module}." if node.module else "")
            names |= {module + alias.name for alias in node.names}
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not _is_docstring(line)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), sorted(names)


def _imported(names: Collection[str], package: str) -> set[str]:
    """Return the absolute names of imported modules, with the packages that they are in."""
    found = set()
    for name in names:
        with contextlib.suppress(ImportError):  # relative, in a file outside any package
            words = importlib.util.resolve_name(name, package).split(".")
            found |= {".".join(words[:end]) for end in range(1, len(words) + 1)}
    return found


def _is_docstring(line: ast.stmt) -> bool:
    """Return whether a statement is a docstring, including those of attributes."""
    if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)):
        return False
    return isinstance(line.value.value, str)


@functools.cache
def _known() -> dict[str, Summary]:
    """Return cached summaries of sources by hash, since parsing them takes time."""
    try:
        kept = json.loads(_cache().read_bytes())
        return {str(key): (str(found), [*map(str, names)]) for key, (found, names) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _keep(known: dict[str, Summary]) -> None:
    newest = dict(list(known.items())[-_MOST_KEPT:])
    with contextlib.suppress(OSError):
        write_text(_cache(), json.dumps(newest))


def _cache() -> Path:
    return paths.cache() / f"sources-{_FORMAT}.json"
