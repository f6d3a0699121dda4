"""The site is built without a warning, and opens from disk without a network."""

import html.parser
import json
import re
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

import estimators

pytest.importorskip("sphinx")
pytest.importorskip("myst_parser")

DOCS = Path(__file__).parents[1] / "docs"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"),
)
SCRIPT = """
window.addEventListener("load", () => {
  const maths = [...document.querySelectorAll("math")];
  const isDrawn = node => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.height > 0;
  };
  const isStacked = fraction => {
    const [above, below] = [...fraction.children].map(one => one.getBoundingClientRect());
    return above.bottom <= below.top + 1;
  };
  document.title = JSON.stringify({
    formulas: maths.length,
    drawn: maths.every(isDrawn),
    stacked: [...document.querySelectorAll("mfrac")].every(isStacked),
    styled: getComputedStyle(document.querySelector("article")).display !== "",
    elsewhere: performance.getEntriesByType("resource").map(one => one.name)
      .filter(name => !/^(file|data|blob):/.test(name)),
  });
});
"""


class _Page(html.parser.HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        for name in "href", "src":
            if name in given and tag != "base":
                (self.targets if tag == "a" else self.loaded).append(given[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site; a warning is an error, and nothing else is printed."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, folder]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if run.returncode or run.stdout or run.stderr:
        pytest.fail(f"{run.stdout}{run.stderr}", pytrace=False)
    return folder


@pytest.fixture(scope="module")
def pages(site):
    found = sorted(site.rglob("*.html"))
    return {path: _Page(path) for path in found if "_static" not in path.relative_to(site).parts}


def test_no_link_is_broken(site, pages):
    for path, page in pages.items():
        for target in page.targets + page.loaded:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            there = (
                (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            )
            assert there.is_file(), f"{path.relative_to(site)} refers to {target}"
            if parts.fragment and there in pages:
                assert urllib.parse.unquote(parts.fragment) in pages[there].anchors, (path, target)


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        for target in page.loaded:
            assert not re.match(r"\w+:(?!image)|//", target), (path.relative_to(site), target)


def test_everything_public_is_in_the_reference(pages):
    anchors = {anchor for page in pages.values() for anchor in page.anchors}
    public = [
        name
        for name, value in vars(estimators).items()
        if not name.startswith("_") and type(value).__name__ != "module"
    ]
    assert [name for name in public if f"estimators.{name}" not in anchors] == []


def test_reference_pages_link_to_the_source(site):
    for family, classes in estimators.FAMILIES.items():
        text = (site / "reference" / f"{family}.html").read_text("utf-8")
        for cls in classes:
            assert f"_modules/{cls.__module__.replace('.', '/')}.html" in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("name", ["ground/concrete.html", "reference/antithetic.html"])
def test_in_a_browser(site, tmp_path, name):
    """Formulas are drawn, fractions are stacked, and nothing is requested but files."""
    assert CHROMIUM
    page = site / name
    looked_at = page.with_name(f"looked-at-{page.name}")
    text = page.read_text("utf-8")
    looked_at.write_text(text.replace("</head>", f"<script>{SCRIPT}</script></head>"), "utf-8")
    flags = [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    run = subprocess.run(
        [CHROMIUM, *flags, looked_at.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    looked_at.unlink()
    # The theme itself logs what it does.
    assert not re.search(r"CONSOLE.*(Uncaught|Failed|Refused|ERR_)", run.stderr)
    (title,) = re.findall("<title>(.*?)</title>", run.stdout)
    found = json.loads(title)
    assert found.pop("formulas") == text.count("<math ") > 5
    assert found == {"drawn": True, "stacked": True, "styled": True, "elsewhere": []}
