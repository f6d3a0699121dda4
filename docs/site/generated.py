"""Puts into pages of the site what stands elsewhere: docstrings, columns, the README."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import estimators
from analysis import schema
from experiments import optimisers, problems
from experiments.training import schedules

ROOT = Path(__file__).parents[2]
# Links of the files beside docs/, as links of its pages.
_LINKS = {"](docs/": "](", "](CONTRIBUTING.md": "](contributing.md", "](README.md": "](index.md"}
_LINKS |= {"](LICENSE": "](../LICENSE"}


def _file(name: str) -> str:
    text = (ROOT / name).read_text("utf-8")
    for link, moved in _LINKS.items():
        text = text.replace(link, moved)
    return text


def _family(name: str) -> str:
    parts = [part for part in estimators.PARTS if f"estimators.{name}." in part.__module__]
    return _classes("estimators", estimators.FAMILIES[name]) + _classes("estimators", parts)


def _problems() -> str:
    abstract = [problems.Problem, problems.EvaluatedProblem, problems.Turn]
    return _classes("experiments.problems", problems.ALL) + _classes(
        "experiments.problems", abstract, ":members:", ":inherited-members:"
    )


def _settings(module) -> str:
    return _classes(module.__name__, module.ALL, level="###")


def _schema() -> str:
    sections = []
    for study, names in schema.STUDIES.items():
        columns = {name: schema.COLUMNS[name] for name in names}
        sections.append(f"### `{study}`\n\n{_described(columns)}")
    return "\n".join(sections)


def _described(columns: Mapping[str, schema.Described]) -> str:
    lines = ["| name | type | unit | meaning |", "| --- | --- | --- | --- |"]
    for name, column in columns.items():
        lines.append(f"| `{name}` | {column.kind} | {column.unit} | {column.meaning} |")
    return "\n".join([*lines, ""])


def _classes(module: str, classes: Iterable[type], *options: str, level: str = "##") -> str:
    """Return a section for each class, as Markdown."""
    return "".join(
        "\n".join(
            [
                f"\n{level} {cls.__name__}\n",
                "```{eval-rst}",
                f".. autoclass:: {module}.{cls.__name__}",
                *(f"   {option}" for option in options),
                "```\n",
            ]
        )
        for cls in classes
    )


# By page: what is put in the place of the marks `<!-- NAME -->`.
PAGES = {
    "index": {"readme": lambda: _file("README.md")},
    "contributing": {"contributing": lambda: _file("CONTRIBUTING.md")},
    **{
        f"reference/{name}": {name: lambda name=name: _family(name)} for name in estimators.FAMILIES
    },
    "reference/problems": {"problems": _problems},
    "schema": {"columns": _schema, "metrics": lambda: _described(schema.METRICS)},
    "reference/training": {
        "optimisers": lambda: _settings(optimisers),
        "schedules": lambda: _settings(schedules),
    },
}


# Pages that a study wrote, which have no title.
TITLES = {
    "results/best-temperature-laptop/table": "Best temperatures during training: the table",
    "results/layer-noise-laptop/table": "Noise by layer: the table",
    "results/claims-laptop/table": "Claims, at the scale of a laptop",
    "results/opponents/table": "Gradients of other libraries: the table",
    "results/memory-laptop/table": "The neural stack, soft and hard: predictions",
    "results/rounding-laptop/table": "Rounding a latent vector: predictions",
    "results/experts-laptop/table": "Routers of a mixture of experts: predictions",
    "results/jang2017-table1-laptop/table": "Jang et al. 2017, table 1, at the scale of a laptop",
    "results/hooper2026-polynomial-laptop/table": "Hooper and Shekhovtsov 2026: the polynomials",
}


def extended(page: str, text: str) -> str:
    """Return a page's text with its marks replaced; ValueError if it lacks one."""
    if page in TITLES:
        text = f"# {TITLES[page]}\n\n{text}"
    for name, made in PAGES.get(page, {}).items():
        before, mark, after = text.partition(f"<!-- {name} -->")
        if not mark:
            raise ValueError(f"{page} lacks the mark <!-- {name} -->")
        text = before + made() + after
    return text


def _extend(app, page, source):
    source[0] = extended(page, source[0])


def setup(app):
    app.connect("source-read", _extend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
