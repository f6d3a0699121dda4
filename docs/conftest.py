"""Every page is a doctest, and shows the figures that running it makes."""

import re
import shutil

import jax
import pytest
from matplotlib.testing.compare import compare_images

# `pytest docs` alone has the tests' JAX as well.
from tests.conftest import own_cache, pytest_configure  # noqa: F401

TOLERANCE = 1.0  # root mean square over the pixels, of 255; a moved curve is several


def pytest_addoption(parser):
    parser.addoption(
        "--renew-figures",
        action="store_true",
        help="keep the figures that the pages of docs/ make now, instead of comparing them",
    )


def pytest_runtest_setup(item):
    # A page prints what its reader sees, who has XLA's optimisations: also in what earlier tests
    # compiled without them.
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()


@pytest.fixture(autouse=True)
def figures(request, monkeypatch, tmp_path):
    """Run a page in a folder of its own; it makes what it shows, and that is what is kept."""
    monkeypatch.chdir(tmp_path)
    yield
    page = request.node.path
    kept = page.parent / "figures"
    shown = set(re.findall(r"!\[[^]]*\]\(figures/([^)]+)\)", page.read_text()))
    made = {path.name: path for path in sorted(tmp_path.glob("figures/*.png"))}
    assert shown == made.keys(), f"{page.name} shows {shown} and makes {set(made)}"
    for name, path in made.items():
        if request.config.getoption("--renew-figures"):
            kept.mkdir(exist_ok=True)
            shutil.copy(path, kept / name)
        else:
            difference = compare_images(str(kept / name), str(path), TOLERANCE)
            assert difference is None, f"{difference}\nto keep it: pytest docs --renew-figures"
