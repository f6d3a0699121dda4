import matplotlib as mpl
import pytest


@pytest.fixture(autouse=True)
def letters_as_in_a_file():
    """Letters are as wide as `save_figure` makes them."""
    with mpl.rc_context({"text.hinting": "none"}):
        yield
