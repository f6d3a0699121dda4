"""The data sets: what they hold, how they are divided and binarised, where files are found."""

import gzip
import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pooch
import pytest
import requests

from experiments import data
from experiments.data import (
    Binarisation,
    DataError,
    Split,
    amat,
    chardata,
    datasets,
    describe,
    load,
    mnist_family,
    pixels,
    use_folder,
)
from experiments.data.download import Bounded
from experiments.system.errors import UsageError
from tests.experiments.helpers.data import sha256


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """No test fetches anything, nor sees the user's folder or cache."""

    def retrieve(url, *_, **__):
        raise requests.ConnectionError(f"a chain of causes for {url}")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.delenv("ESTIMAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# MNIST, which is there.


@pytest.mark.parametrize(
    ("splits", "per_class"),
    [
        # Examples per digit, 0 to 9, as published with MNIST.
        (("train", "validation"), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        (("test",), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
    ids=["train", "test"],
)
def test_mnist_holds_its_digits(splits, per_class):
    parts = [load("MNIST", split) for split in splits]
    labels = np.concatenate([part.labels for part in parts])
    assert np.bincount(labels).tolist() == per_class
    for images, labels in parts:
        assert images.shape == (len(labels), 28, 28)
        assert images.dtype == labels.dtype == np.uint8
        assert not images.flags.writeable and not labels.flags.writeable


def test_mnist_is_divided_in_the_order_of_the_file():
    everything = mnist_family.mnist("train").images
    train, validation = load("MNIST", "train").images, load("MNIST", "validation").images
    assert [len(train), len(validation), len(load("MNIST", "test").images)] == [50000, 10000, 10000]
    np.testing.assert_array_equal(np.concatenate([train, validation]), everything)


def test_no_mnist_image_is_in_two_splits():
    splits = [set(map(bytes, load("MNIST", split).images)) for split in get_args(Split)]
    assert len(set.union(*splits)) == sum(map(len, splits))


def test_mnist_pixels_have_their_known_mean():
    # 0.1307: the mean by which MNIST is customarily normalised.
    assert mnist_family.mnist("train").images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_what_is_loaded_is_remembered():
    assert load("MNIST", "test") is load("MNIST", "test")
    assert pixels("MNIST", "test", "threshold") is pixels("MNIST", "test", "threshold")


# Vectors of pixels.


@pytest.mark.parametrize("binarisation", ["threshold", "fixed", "dynamic", "real"])
def test_pixels_are_read_only_bytes(binarisation):
    vectors = pixels("MNIST", "test", binarisation)
    assert vectors.dtype == np.uint8 and vectors.shape == (10_000, 784)
    assert not vectors.flags.writeable
    assert vectors.max() == (1 if binarisation in ("threshold", "fixed") else 255)


def test_grey_values_and_their_threshold():
    grey, bits = pixels("MNIST", "test", "real"), pixels("MNIST", "test", "threshold")
    np.testing.assert_array_equal(grey, load("MNIST", "test").images.reshape(-1, 784))
    assert np.shares_memory(grey, pixels("MNIST", "test", "dynamic"))
    np.testing.assert_array_equal(bits, grey >= 128)
    assert {127, 128} <= set(np.unique(grey))  # the edge is there to be got wrong


@pytest.mark.parametrize(
    ("dataset", "binarisation", "line"),
    [
        ("MNIST", "threshold", "MNIST, binarised by threshold (1 above 127 of 255)"),
        ("MNIST", "fixed", "MNIST, fixed binarisation (seed 0; not the published static file)"),
        ("Omniglot", "fixed", "Omniglot, fixed binarisation (seed 0)"),
        ("MNIST", "published", "MNIST, published static binarisation (Larochelle and Murray 2011)"),
    ],
)
def test_describe(dataset, binarisation, line):
    assert describe(dataset, binarisation) == line


def test_descriptions_differ():
    lines = {describe("MNIST", binarisation) for binarisation in get_args(Binarisation)}
    assert len(lines) == len(get_args(Binarisation))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load("CIFAR", "train"), "one of MNIST, FashionMNIST, Omniglot, not 'CIFAR'"),
        (lambda: load("MNIST", "valid"), "one of train, validation, test, not 'valid'"),
        (lambda: pixels("MNIST", "valid", "published"), "one of train, validation, test, not 'val"),
        (lambda: pixels("MNIST", "test", "round"), "one of threshold, fixed, .*, not 'round'"),
        (lambda: describe("MNIST", "round"), "binarisation must be one of"),
        (lambda: describe("MNISt", "real"), "one of .* 'MNISt' .did you mean 'MNIST'.."),
        (lambda: pixels("Omniglot", "test", "published"), "for MNIST only, not for Omniglot"),
        (lambda: describe("FashionMNIST", "published"), "not for FashionMNIST"),
    ],
)
def test_unknown_names_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


# Fashion-MNIST.


@pytest.mark.parametrize("place", ["", "FashionMNIST", "FashionMNIST/raw"])
@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), ("", bytes)]
)
def test_fashion_mnist_from_a_folder(fashion, monkeypatch, tmp_path, ending, pack, place):
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name, content in fashion.items():
        (tmp_path / place / f"{name}{ending}").write_bytes(pack(content))
    splits = {split: load("FashionMNIST", split) for split in get_args(Split)}
    assert {split: len(part.images) for split, part in splits.items()} == {
        "train": 45,
        "validation": 15,
        "test": 10,
    }
    whole = b"".join(splits[split].images.tobytes() for split in ("train", "validation"))
    assert whole == fashion["train-images-idx3-ubyte"][16:]
    assert splits["validation"].labels.tobytes() == fashion["train-labels-idx1-ubyte"][-15:]
    assert pixels("FashionMNIST", "test", "fixed").shape == (10, 784)


def test_the_folder_of_a_data_set_goes_before(fashion, monkeypatch, tmp_path):
    # MNIST's files have the same names.
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    (tmp_path / "FashionMNIST").mkdir()
    for name, content in fashion.items():
        (tmp_path / name).write_bytes(b"MNIST's")
        (tmp_path / "FashionMNIST" / name).write_bytes(content)
    assert len(load("FashionMNIST", "test").images) == 10


def test_mnist_is_no_fashion_mnist(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    for path in mnist_family.MNIST_FOLDER.glob("t10k*.xz"):
        shutil.copy(path, tmp_path)
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.xz: expected sha256 5b4141f0"):
        load("FashionMNIST", "test")


# Omniglot.


def test_omniglot(omniglot):
    splits = {split: load("Omniglot", split) for split in get_args(Split)}
    assert {split: len(part.images) for split, part in splits.items()} == {
        "train": 45,
        "validation": 15,
        "test": 10,
    }
    columns = omniglot["data"][:, -15:]
    upright = [column.reshape(28, 28, order="F") for column in columns.T]
    images, labels = splits["validation"]
    np.testing.assert_allclose(images / 255, upright, atol=0.5 / 255 + 1e-9)
    np.testing.assert_array_equal(np.eye(50)[:, labels], omniglot["target"][:, -15:])
    np.testing.assert_array_equal(
        pixels("Omniglot", "test", "real").reshape(-1, 28, 28), splits["test"].images
    )
    for part in splits.values():
        assert part.images.dtype == part.labels.dtype == np.uint8
        assert not part.images.flags.writeable and not part.labels.flags.writeable


def test_the_sizes_of_omniglot():
    # Those of google-research/disarm and of Burda et al. 2016.
    assert chardata.COUNTS == {"train": 23_000 + 1_345, "test": 8_070}
    assert datasets._VALIDATION["Omniglot"] == 1_345


# The published static binarisation.


def test_published(fresh, monkeypatch, tmp_path):
    bits = np.random.default_rng(0).integers(2, size=(10, 784))
    path = tmp_path / "binarized_mnist_valid.amat"
    np.savetxt(path, bits, fmt="%d")
    monkeypatch.setitem(amat.COUNTS, "validation", 10)
    monkeypatch.setitem(amat.CHECKSUMS, "validation", sha256(path.read_bytes()))
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    vectors = pixels("MNIST", "validation", "published")
    np.testing.assert_array_equal(vectors, bits)
    assert vectors.dtype == np.uint8 and not vectors.flags.writeable


def test_published_is_of_the_users_folder_only(fresh, monkeypatch, tmp_path):
    for folder in None, str(tmp_path):
        if folder:
            monkeypatch.setenv("ESTIMAX_DATA", folder)
        with pytest.raises(
            DataError, match="binarized_mnist_test.amat.* --data DIR .*ESTIMAX_DATA"
        ):
            pixels("MNIST", "test", "published")


# Where files are found.


@pytest.mark.parametrize("dataset", ["FashionMNIST", "Omniglot"])
def test_without_folder_and_network_the_line_says_both_ways(fresh, dataset):
    with pytest.raises(DataError) as caught:
        pixels(dataset, "train", "threshold")
    line = str(caught.value)
    assert "\n" not in line and "chain of causes" not in line
    assert line.startswith(dataset) and "no connection" in line and "https://github.com" in line
    for way in "--data DIR", "ESTIMAX_DATA", "connect to a network":
        assert way in line


def test_a_folder_without_the_file_is_named(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"chardata.mat is not in {tmp_path} and cannot be"):
        load("Omniglot", "test")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("SHA256 hash of downloaded file\ndoes not match"),
        requests.HTTPError("404 Client Error: Not Found"),
        PermissionError(13, "Permission denied"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_download_says_why(fresh, monkeypatch, error):
    def retrieve(*_, **__):
        raise error

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match=" ".join(str(error).split()).replace("[", r"\[")) as caught:
        load("Omniglot", "test")
    assert "\n" not in str(caught.value)


def test_a_cache_that_holds_something_else_is_not_waited_for(fresh, tmp_path):
    kept = tmp_path / "cache/estimax/Omniglot/chardata.mat"
    kept.parent.mkdir(parents=True)
    os.mkfifo(kept)
    with pytest.raises(DataError, match="chardata.mat is not a file; move it away"):
        load("Omniglot", "test")


def test_what_is_downloaded_where(fashion, monkeypatch, tmp_path):
    asked = []

    def retrieve(url, known_hash, fname, path, downloader):
        asked.append((url, known_hash, Path(path) / fname, type(downloader)))
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(gzip.compress(fashion[fname.removesuffix(".gz")]))
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))  # looked in first, but empty
    assert len(load("FashionMNIST", "test").images) == 10
    assert asked == [
        (
            f"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{name}.gz",
            mnist_family.FASHION[name].checksum,
            tmp_path / "cache/estimax/FashionMNIST" / f"{name}.gz",
            Bounded,
        )
        for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    ]


def test_a_download_without_end_is_stopped(monkeypatch, tmp_path):
    class Endless:
        headers: dict = {}

        def raise_for_status(self):
            pass

        def iter_content(self, chunk_size):
            while True:
                yield bytes(chunk_size)

    monkeypatch.setattr("requests.get", lambda *_, **__: Endless())
    path = tmp_path / "file"
    with pytest.raises(OSError, match="sent more than 5,000 bytes"):
        Bounded(5000)("https://example.org/file", str(path), None)
    assert path.stat().st_size <= 5000


def test_use_folder(omniglot, monkeypatch, tmp_path):
    monkeypatch.setenv("ESTIMAX_DATA", "")
    with pytest.raises(DataError):
        load("Omniglot", "test")
    monkeypatch.chdir(tmp_path.parent)
    use_folder(tmp_path.name)  # relative, and left before anything is read
    monkeypatch.chdir("/")
    assert len(load("Omniglot", "test").images) == 10


def test_no_such_folder(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match="--data .*nowhere: there is no such folder"):
        use_folder(tmp_path / "nowhere")
    assert "ESTIMAX_DATA" not in os.environ
    monkeypatch.setenv("ESTIMAX_DATA", "nowhere")
    with pytest.raises(DataError, match="ESTIMAX_DATA names nowhere, but there is no such folder"):
        pixels("MNIST", "test", "published")


def test_importing_is_light():
    code = "import sys, experiments.data; print(*{'jax', 'pooch', 'scipy'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize("name", ["Binarisation", "Dataset", "Images", "Split", "DataError"])
def test_public_names(name):
    assert hasattr(data, name)


def test_checksums_are_whole():
    sums = [*mnist_family.FASHION_CHECKSUMS.values(), *mnist_family._MNIST_CHECKSUMS.values()]
    sums += [one.checksum.removeprefix("sha256:") for one in mnist_family.FASHION.values()]
    sums += [text.removeprefix("sha256:") for text in amat.CHECKSUMS.values()]
    assert len(set(sums)) == 15 and all(len(bytes.fromhex(text)) == 32 for text in sums)
    assert len(bytes.fromhex(chardata.SOURCE.checksum.removeprefix("md5:"))) == 16
