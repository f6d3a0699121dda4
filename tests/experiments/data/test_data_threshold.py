"""Threshold bits are those of the grey values, whatever is in the cache folder."""

import numpy as np
import pytest

from experiments.data import load
from experiments.data import threshold as module
from experiments.data.threshold import threshold


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """The cache folder of MNIST's bits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "estimax" / "MNIST"


@pytest.fixture(scope="module")
def bits():
    return (load("MNIST", "test").images > 127).reshape(10_000, 784)


def assert_equal(found, bits):
    np.testing.assert_array_equal(found, bits)
    assert found.dtype == np.uint8 and not found.flags.writeable


def test_read_from_the_images_once(cache, bits, monkeypatch):
    assert_equal(threshold("MNIST", "test"), bits)
    assert [path.name for path in cache.iterdir()] == ["test-threshold127.bits"]
    monkeypatch.delattr(module, "load")
    assert_equal(threshold("MNIST", "test"), bits)


@pytest.mark.parametrize("damage", [lambda kept: kept[:-1], lambda kept: b"", bytes.swapcase])
def test_a_damaged_file_is_replaced(cache, bits, damage):
    threshold("MNIST", "test")
    (path,) = cache.iterdir()
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert_equal(threshold("MNIST", "test"), bits)
    assert path.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_done_without(cache, bits):
    cache.parent.write_text("a file")
    assert_equal(threshold("MNIST", "test"), bits)
    assert cache.parent.read_text() == "a file"
