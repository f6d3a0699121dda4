"""The pages of docs/ lead somewhere; that what they print is so, they prove themselves."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = {page.name: page.read_text() for page in PAGES}


@pytest.mark.parametrize("page", TEXTS)
def test_linked_files_are_there(page):
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS[page]):
        assert target.startswith("https://") or (DOCS / target.partition("#")[0]).exists(), target


def test_no_figure_is_left_behind():
    shown = {name for text in TEXTS.values() for name in re.findall(r"\(figures/([^)]+)\)", text)}
    assert {path.name for path in DOCS.glob("figures/*")} == shown
