import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest

import experiments.data
from experiments.data import binarise, load_mnist
from experiments.data.idx import read_idx

LABELS = Path(experiments.data.__file__).parent / "mnist" / "t10k-labels-idx1-ubyte.xz"
LABELS_SHA256 = "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"


@pytest.mark.parametrize(
    ("split", "per_class"),
    [
        # Examples per digit, 0 to 9, as published with MNIST.
        ("train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
)
def test_mnist(split, per_class):
    images, labels = load_mnist(split)
    assert images.shape == (sum(per_class), 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == per_class
    assert not images.flags.writeable and not labels.flags.writeable
    assert load_mnist(split)[0] is images


def test_mnist_pixels_have_their_known_mean():
    # 0.1307: the mean by which MNIST is customarily normalised.
    assert load_mnist("train")[0].mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_unknown_split():
    with pytest.raises(ValueError, match="one of train, test, not 'valid'"):
        load_mnist("valid")


def test_truncated_file(tmp_path):
    path = tmp_path / "labels.xz"
    path.write_bytes(LABELS.read_bytes()[:-100])
    with pytest.raises(ValueError, match="labels.xz: expected a whole xz-compressed file"):
        read_idx(path, (10_000,), LABELS_SHA256)


def test_corrupt_compression(tmp_path):
    path = tmp_path / "labels.xz"
    content = bytearray(LABELS.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="labels.xz: expected a whole xz-compressed file"):
        read_idx(path, (10_000,), LABELS_SHA256)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "expected 10000 values, .* holds 9999"),
        (lambda raw: raw + b"\0", "expected 10000 values, .* holds 10001"),
        (lambda raw: raw[:5], "starts with 00000801 00002710, but it starts with 00000801 00"),
        (lambda raw: b"\0\0\x0d\1" + raw[4:], "unsigned bytes of shape .* starts with 00000d01"),
        (lambda raw: raw[:-1] + b"\3", f"expected uncompressed SHA-256 {LABELS_SHA256}"),
    ],
    ids=["short", "long", "header", "type", "content"],
)
def test_wrong_content(tmp_path, change, message):
    path = tmp_path / "labels.xz"
    path.write_bytes(lzma.compress(change(lzma.decompress(LABELS.read_bytes()))))
    with pytest.raises(ValueError, match=f"labels.xz: .*{message}"):
        read_idx(path, (10_000,), LABELS_SHA256)


def test_another_file(tmp_path):
    path = tmp_path / "images.xz"
    shutil.copy(LABELS, path)
    with pytest.raises(ValueError, match=r"images.xz: expected .* shape \(10000, 28, 28\)"):
        read_idx(path, (10_000, 28, 28), LABELS_SHA256)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="images.xz"):
        read_idx(tmp_path / "images.xz", (10_000,), LABELS_SHA256)


def test_binarise():
    images = np.array([[[0, 1], [127, 128]], [[254, 255], [0, 51]]], np.uint8)
    np.testing.assert_array_equal(binarise(images, "threshold"), [[0, 0, 0, 1], [1, 1, 0, 0]])
    np.testing.assert_allclose(binarise(images, "real")[1], [254 / 255, 1, 0, 0.2], rtol=1e-7)
    for how, seed in [("threshold", None), ("real", None), ("stochastic", 0)]:
        vectors = binarise(images, how, seed)
        assert vectors.dtype == np.float32 and vectors.shape == (2, 4)


def test_stochastic_binarisation():
    images = np.repeat(np.arange(256, dtype=np.uint8)[None, None], 4000, axis=0)
    sample = binarise(images, "stochastic", seed=0)
    np.testing.assert_array_equal(sample, binarise(images, "stochastic", seed=0))
    assert (sample != binarise(images, "stochastic", seed=1)).any()
    assert set(np.unique(sample)) == {0, 1}
    assert not sample[:, 0].any() and sample[:, 255].all()
    probability = np.arange(1, 255) / 255
    error = np.sqrt(probability * (1 - probability) / len(sample))
    z = (sample[:, 1:255].mean(0) - probability) / error
    assert np.abs(z).max() < 5 and abs(z.std() - 1) < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"how": "round"}, "one of threshold, real, stochastic, not 'round'"),
        ({"how": "stochastic"}, "'stochastic' with seed None"),
        ({"how": "real", "seed": 0}, "'real' with seed 0"),
        ({"images": np.zeros((2, 28, 28), np.float32)}, r"not float32 \[2, 28, 28\]"),
        ({"images": np.zeros((2, 784), np.uint8)}, r"not uint8 \[2, 784\]"),
    ],
)
def test_binarise_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        binarise(**{"images": np.zeros((2, 28, 28), np.uint8), "how": "threshold", **arguments})
