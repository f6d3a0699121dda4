"""The table of estimators in choose.md, made by `python -m docs.estimator_table`."""

import re
from pathlib import Path

import jax.numpy as jnp

import estimators
from estimators import Bernoulli, Estimator

PAGE = Path(__file__).parent / "choose.md"
_BEGIN = "<!-- made by `python -m docs.estimator_table` -->\n\n"
_HEAD = """\
| family | estimator | unbiased? | needs the gradient of f? | evaluations of f | paper |
| --- | --- | --- | --- | --- | --- |
"""
# By the evaluations with two and three bits, or with the bound of as many samples.
_FORMULAS = {
    (4, 8): "2^D or K^D",
    (2, 4): "1 + K (K - 1) / 2",
    (3, 4): "1 + D (K - 1)",
    (4, 6): "n D K",
    (8, 12): "n D K",
}
_COUNTS = {(3, 4): "1 + D"}
_BOUNDS = {(2, 3): "m", (3, 4): "m + 1", (4, 6): "2 m"}


def table() -> str:
    """Return the table; of variants that differ only in numbers, the first one."""
    rows = []
    for family, classes in estimators.FAMILIES.items():
        title = family.replace("_", " ")
        variants = {
            re.sub(r"[\d.]+", "#", str(one)): one for cls in classes for one in cls.examples()[::-1]
        }
        names = [str(one) for cls in classes for one in cls.examples()]
        for one in sorted(variants.values(), key=lambda one: names.index(str(one))):
            rows.append(f"| {' | '.join((title, *_row(one)))} |\n")
            title = ""
    return _HEAD + "".join(rows)


def _row(estimator: Estimator) -> tuple[str, ...]:
    counts = tuple(estimator.evaluations(Bernoulli(jnp.zeros(size))) for size in (2, 3))
    formulas = _BOUNDS if estimator.needs_bound else _FORMULAS
    if Bernoulli not in estimator.distributions:
        formulas = _COUNTS
    source = estimators.BIBLIOGRAPHY.get(estimator.paper)
    return (
        f"`{estimator}`",
        estimator.unbiased,
        "yes" if estimator.differentiates else "no",
        formulas.get(counts, str(counts[0])),
        (f"[{source.short}]({source.link})" if source.link else source.short) if source else "",
    )


def renewed(text: str) -> str:
    """Return the page's text with the table in its place."""
    before, after = text.split(_BEGIN)
    return before + _BEGIN + table() + after[re.search(r"^(?!\|)", after, re.MULTILINE).start() :]


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
