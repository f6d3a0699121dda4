"""Reads docstrings with Markdown's `code` and $mathematics$ as reStructuredText."""

import re

import estimators
from experiments import problems, training

# What must not be read again; it may run over a line.
_PIECES = re.compile(
    r"``.+?``|`(?P<code>[^`]+)`|\$\$(?P<display>.+?)\$\$|\$(?P<math>[^$]+)\$", re.DOTALL
)
_COLON = "\0"
_PUBLIC = {
    name: f"{module.__name__}.{name}"
    for module in (training, problems, estimators)
    for name, value in vars(module).items()
    if not name.startswith("_") and type(value).__name__ != "module"
}
_PUBLIC |= {name: f"estimax.{name}" for name in ("Result", "UsageError")}
"""The documented name of everything public."""


def converted(text: str) -> str:
    """Return a docstring with its mathematics as roles, and its code as links or literals."""

    def replace(found: re.Match) -> str:
        if found["display"]:
            return f".. math::\n\n   {' '.join(found['display'].split())}"
        if found["math"]:
            role = f":math:`{' '.join(found['math'].split())}`"
        elif found["code"]:
            code = found["code"]
            role = f":py:obj:`~{_PUBLIC[code]}`" if code in _PUBLIC else f"``{code}``"
        else:
            return found[0]
        # A role ends at a space or a sign of punctuation.
        before = "\\ " if text[: found.start()][-1:].isalnum() else ""
        after = "\\ " if text[found.end() :][:1].isalnum() else ""
        return f"{before}{role}{after}"

    return _PIECES.sub(replace, text)


def _process(app, what, name, obj, options, lines):
    lines[:] = converted("\n".join(lines)).splitlines()
    if what in ("attribute", "data", "property"):
        # Napoleon would take what precedes a colon for the type.
        lines[:] = [line.replace(":", _COLON) for line in lines]


def _restore(app, what, name, obj, options, lines):
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def _resolve(app, env, node, contnode):
    """Resolve a name by the module that defines it, as in annotations, to the documented one."""
    target = node.get("reftarget", "")
    known = _PUBLIC.get(target.rpartition(".")[2])
    if not target.startswith(("estimators.", "experiments.")) or known in (None, target):
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", known, node, contnode)


def setup(app):
    app.connect("autodoc-process-docstring", _process, priority=400)  # napoleon's is 500
    app.connect("autodoc-process-docstring", _restore, priority=600)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
