"""The fixed binarisation is an exact draw, made once and kept."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from experiments.data import DataError, load
from experiments.data import fixed as module
from experiments.data.fixed import draw, fixed


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """The cache folder of MNIST's bits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "estimax" / "MNIST"


def never(*_):
    raise AssertionError("drawn again")


def test_a_draw_is_exact():
    images = np.repeat(np.arange(256, dtype=np.uint8)[None], 4000, axis=0)
    bits = draw(images, 0)
    assert bits.dtype == np.uint8 and set(np.unique(bits)) == {0, 1}
    assert not bits[:, 0].any() and bits[:, 255].all()
    probability = np.arange(1, 255) / 255
    error = np.sqrt(probability * (1 - probability) / len(bits))
    z = (bits[:, 1:255].mean(0) - probability) / error
    assert np.abs(z).max() < 5 and abs(z.std() - 1) < 0.2


def test_the_mean_is_that_of_the_grey_values():
    probability = load("MNIST", "test").images / 255
    error = np.sqrt((probability * (1 - probability)).sum()) / probability.size
    assert abs(fixed("MNIST", "test").mean() - probability.mean()) < 4 * error


def test_drawn_once_and_read_back(cache, monkeypatch):
    bits = fixed("MNIST", "test")
    np.testing.assert_array_equal(bits, draw(load("MNIST", "test").images, (0, 2)))
    assert [path.name for path in cache.iterdir()] == ["test-fixed-seed0.bits"]
    monkeypatch.setattr(module, "draw", never)
    again = fixed("MNIST", "test")
    np.testing.assert_array_equal(again, bits)
    assert again.shape == (10_000, 784) and again.dtype == np.uint8 and not again.flags.writeable


def test_another_process_reads_the_same_bits(cache):
    digest = hashlib.sha256(fixed("MNIST", "test")).hexdigest()
    code = (
        "import hashlib, experiments.data.fixed as module; module.draw = None; "
        "print(hashlib.sha256(module.fixed('MNIST', 'test')).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == digest


def test_numpy_still_draws_these_bits():
    # Where this fails, a new user's bits are no longer those of earlier ones: pin NumPy, or say so.
    digest = hashlib.sha256(np.packbits(fixed("MNIST", "test"))).hexdigest()
    assert digest == "3a1519073840fa35ba8f064f7484824d132c8dca0a77fed5986716ebf98dc20d"


def test_seeds_and_splits_are_drawn_apart():
    bits = fixed("MNIST", "test")
    assert (bits != fixed("MNIST", "test", seed=1)).any()
    # Noise shared by two splits would give equal images equal bits.
    grey = np.full((1, 784), 128, np.uint8)
    streams = [draw(grey, (0, stream)).tobytes() for stream in module._STREAM.values()]
    assert len(set(streams)) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[content.index(b"\n") + 1 :],
        lambda content: content.replace(b"seed 0", b"seed 1", 1),
        lambda content: content.replace(b"test", b"train", 1),
        lambda content: content[:20],
        lambda content: b"",
    ],
    ids=["truncated", "longer", "flipped", "no header", "seed", "split", "stump", "empty"],
)
def test_damaged_bits_are_refused(cache, damage):
    bits = fixed("MNIST", "test")
    path = cache / "test-fixed-seed0.bits"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        DataError, match=f"{path}: expected the bits of MNIST, test.*delete it"
    ) as e:
        fixed("MNIST", "test")
    assert "\n" not in str(e.value)
    path.unlink()
    np.testing.assert_array_equal(fixed("MNIST", "test"), bits)


def test_a_kill_leaves_no_partial_file(cache, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        fixed("MNIST", "test")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="test-fixed-seed0.bits cannot be written: Not a directory"):
        fixed("MNIST", "test")
