import functools
import io
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.experiments.helpers.processes import server


@functools.cache
def _blank(kind):
    file = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(file, format=kind)
    return file.getvalue()


@pytest.fixture(autouse=True)
def blank_pictures(request, monkeypatch):
    """Pictures are blank, as drawing them takes longer than most studies here.

    The tests of `analysis` draw every one; a test marked `draws` does too.
    """
    if request.node.get_closest_marker("draws"):
        return
    _blank("png"), _blank("pdf")

    def save(figure, path, *, format, **options):
        Path(path).write_bytes(_blank(format))

    monkeypatch.setattr(Figure, "savefig", save)
    monkeypatch.setattr(Figure, "get_layout_engine", lambda figure: None)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Starts runs of the command in processes that have imported it, with one compilation cache."""
    with server(tmp_path_factory.mktemp("runs")) as runs:
        yield runs
