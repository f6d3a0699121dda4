import jax
import pytest


@pytest.fixture
def float64():
    """Double precision, so that what is exact is compared to rounding."""
    with jax.enable_x64(True):
        yield
