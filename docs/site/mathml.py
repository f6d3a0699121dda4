"""Renders mathematics as MathML when the site is built, so that pages need no script."""

import re
from xml.etree import ElementTree

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.util import logging

_WORD = re.compile(r"[A-Za-z]{2,}|\u2061")
_SCRIPTS = ("msub", "msup", "msubsup", "munder", "mover", "munderover")
_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_log = logging.getLogger(__name__)


def mathml(tex: str, display: str) -> str:
    r"""Return TeX as MathML.

    Raises:
        ValueError: for a command that the converter does not know.
    """
    tex = re.sub(r"\\arg\b", r"\\operatorname{arg}", tex)  # which the converter does not know
    tree = ElementTree.fromstring(convert(tex, display=display))
    for element in tree.iter():
        if "\\" in (element.text or ""):
            raise ValueError(f"unknown command {element.text} in {tex!r}")
    _space_functions(tree)
    ElementTree.register_namespace("", _NAMESPACE)
    return ElementTree.tostring(tree, encoding="unicode")


def _space_functions(row: ElementTree.Element) -> None:
    """Put TeX's thin spaces around the names of functions, as in `a log b` and `log(b)`."""
    for i, child in reversed(list(enumerate(row))):
        _space_functions(child)
        name = child
        while _tag(name) in _SCRIPTS and len(name):
            name = name[0]
        if _tag(name) not in ("mi", "mo") or not _WORD.fullmatch(name.text or ""):
            continue
        name.tag = _qualified("mi")
        if _tag(row) not in ("mrow", "math"):
            continue
        if i + 1 < len(row) and not _opens(row[i + 1]):
            row.insert(i + 1, _thin_space())
        if i and _tag(row[i - 1]) not in ("mo", "mspace"):
            row.insert(i, _thin_space())


def _opens(element: ElementTree.Element) -> bool:
    while len(element):
        element = element[0]
    return _tag(element) == "mo"


def _thin_space() -> ElementTree.Element:
    return ElementTree.Element(_qualified("mspace"), width="0.167em")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _qualified(tag: str) -> str:
    return f"{{{_NAMESPACE}}}{tag}"


def _renderer(display: str):
    def visit(translator, node):
        try:
            translator.body.append(mathml(node.astext(), display))
        except Exception as error:  # the converter's errors have no common class
            _log.warning("mathematics: %s", error, location=node)
        raise SkipNode

    return visit, None


def setup(app):
    app.add_html_math_renderer("mathml", _renderer("inline"), _renderer("block"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
