"""Each format is read as it is, and a truncated, corrupt, wrong or missing file gives one line."""

import gzip
import hashlib
import lzma
import os
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from experiments.data import DataError, files
from experiments.data.amat import read_amat
from experiments.data.chardata import read_chardata
from experiments.data.idx import read_idx

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
IDX = bytes.fromhex("00000803 00000002 00000003 00000004") + VALUES.tobytes()
PACKS = {".xz": lzma.compress, ".gz": gzip.compress, "": bytes}


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write(path, content):
    path.write_bytes(content)
    return path


def refused(message, read, *arguments):
    with pytest.raises(DataError, match=message) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)


# idx.


@pytest.mark.parametrize("ending", PACKS)
def test_idx(tmp_path, ending):
    path = write(tmp_path / f"images-idx3-ubyte{ending}", PACKS[ending](IDX))
    values = read_idx(path, (2, 3, 4), sha256(IDX))
    np.testing.assert_array_equal(values, VALUES)
    assert values.dtype == np.uint8 and not values.flags.writeable


@pytest.mark.parametrize(("ending", "kind"), [(".xz", "xz-compressed"), (".gz", "gzip-compressed")])
@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-6],
        lambda packed: packed[:20],
        lambda packed: packed[:30] + bytes([packed[30] ^ 1]) + packed[31:],
        lambda packed: packed[:10] + b"\xff" * 30,
        lambda packed: packed + b"more",
        lambda packed: IDX,
        lambda packed: b"",
    ],
    ids=["truncated", "stump", "flipped", "nonsense", "longer", "uncompressed", "empty"],
)
def test_damaged_compression(tmp_path, ending, kind, damage):
    path = write(tmp_path / f"images{ending}", damage(PACKS[ending](IDX)))
    message = f"images{ending}(: expected an idx file| is not a complete {kind} file)"
    refused(message, read_idx, path, (2, 3, 4), sha256(IDX))


@pytest.mark.parametrize("ending", PACKS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "expected 24 values, .* holds 23"),
        (lambda raw: raw + b"\0", "expected 24 values, .* holds 25"),
        (lambda raw: raw[:5], "starts with 00000803 00000002 .*, but it starts with 00000803 00"),
        (lambda raw: b"", "expected an idx file"),
        (lambda raw: b"\0\0\x0d\3" + raw[4:], "unsigned bytes of shape .* starts with 00000d03"),
        (lambda raw: raw[:8] + b"\0\0\0\4\0\0\0\3" + raw[16:], r"of shape \(2, 3, 4\)"),
        (
            lambda raw: raw[:-1] + b"\0",
            f"expected sha256 {sha256(IDX)[7:]}, but found 40 bytes with",
        ),
    ],
    ids=["short", "long", "header", "empty", "type", "shape", "content"],
)
def test_another_idx(tmp_path, ending, change, message):
    path = write(tmp_path / f"images{ending}", PACKS[ending](change(IDX)))
    refused(f"images{ending}: .*{message}", read_idx, path, (2, 3, 4), sha256(IDX))


@pytest.mark.parametrize("ending", [".xz", ".gz"])
def test_a_small_file_of_endless_zeros_is_left_at_the_size_that_is_expected(tmp_path, ending):
    compressor = {".xz": lzma.LZMACompressor(), ".gz": zlib.compressobj(wbits=31)}[ending]
    zeros = bytes(2**24)
    packed = [compressor.compress(IDX), *(compressor.compress(zeros) for _ in range(8))]
    path = write(tmp_path / f"images{ending}", b"".join([*packed, compressor.flush()]))
    tracemalloc.start()
    refused("holds 25 or more", read_idx, path, (2, 3, 4), sha256(IDX))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25  # of 2^27


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path, make):
    path = tmp_path / "images"
    make(path)
    refused("images (is not a file|cannot be read: Is a directory)", files.read, path)


def test_a_file_far_too_large_is_not_read(tmp_path):
    path = tmp_path / "images"
    with path.open("wb") as file:
        file.truncate(2**40)
    refused("images has 1,099,511,627,776 bytes", files.read, path)


def test_a_link_to_a_file_is_read(tmp_path):
    write(tmp_path / "there", b"x")
    (tmp_path / "images").symlink_to("there")
    assert files.read(tmp_path / "images") == b"x"


def test_missing_idx(tmp_path):
    refused("images.gz cannot be read: No such", read_idx, tmp_path / "images.gz", (2,), "")


# amat.

BITS = np.random.default_rng(0).integers(2, size=(5, 784))
AMAT = b"".join(" ".join(map(str, line)).encode() + b"\n" for line in BITS)


def test_amat(tmp_path):
    assert len(AMAT) == 5 * 1568  # as the published 15,680,000 bytes are of 10,000 lines
    path = write(tmp_path / "bits.amat", AMAT)
    bits = read_amat(path, 5, sha256(AMAT))
    np.testing.assert_array_equal(bits, BITS)
    assert bits.dtype == np.uint8 and not bits.flags.writeable


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-2],
        lambda content: content[:1568],
        lambda content: (b"1" if content[:1] == b"0" else b"0") + content[1:],
        lambda content: b"",
    ],
    ids=["truncated", "one line", "flipped", "empty"],
)
def test_another_amat(tmp_path, damage):
    path = write(tmp_path / "bits.amat", damage(AMAT))
    message = f"bits.amat: expected {sha256(AMAT).replace(':', ' ')}, but found .* bytes with"
    refused(message, read_amat, path, 5, sha256(AMAT))


def test_amat_of_another_size(tmp_path):
    path = write(tmp_path / "bits.amat", AMAT)
    refused("expected 6 lines of 784 zeros and ones", read_amat, path, 6, sha256(AMAT))


def test_missing_amat(tmp_path):
    refused("bits.amat cannot be read", read_amat, tmp_path / "bits.amat", 5, sha256(AMAT))


# chardata.mat.

COUNTS = {"train": 6, "test": 3}


def variables(**changes):
    rng = np.random.default_rng(0)
    return {
        "data": rng.random((784, 6)),
        "target": np.eye(50)[:, rng.integers(50, size=6)],
        "targetchar": rng.integers(1, 56, size=(1, 6)),
        "testdata": rng.random((784, 3)),
        "testtarget": np.eye(50)[:, rng.integers(50, size=3)],
        **changes,
    }


def save(path, content):
    savemat(path, content, do_compression=True)
    return path, COUNTS, sha256(path.read_bytes())


def test_chardata_is_upright_as_matlab_stored_it(tmp_path):
    picture = np.zeros((28, 28))
    picture[3, 5:20] = 1  # a horizontal stroke
    picture[4, 5] = 100 / 255 + 0.001  # rounded
    content = variables()
    content["data"][:, 2] = picture.ravel(order="F")
    content["target"][:, 2] = np.eye(50)[31]
    parts = read_chardata(*save(tmp_path / "chardata.mat", content))
    images, labels = parts["train"]
    expected = np.zeros((28, 28), np.uint8)
    expected[3, 5:20] = 255
    expected[4, 5] = 100
    np.testing.assert_array_equal(images[2], expected)
    assert labels[2] == 31
    assert {part: value.images.shape for part, value in parts.items()} == {
        "train": (6, 28, 28),
        "test": (3, 28, 28),
    }
    assert images.flags.c_contiguous and not images.flags.writeable and not labels.flags.writeable


def test_chardata_of_single_precision(tmp_path):
    content = variables(data=np.full((784, 6), 0.2, np.float32))
    parts = read_chardata(*save(tmp_path / "chardata.mat", content))
    assert (parts["train"].images == 51).all()


ONE_HOT = np.eye(50)[:, :6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.zeros((784, 5))}, r"expected data of shape \(784, 6\), but it is \(784, 5\)"),
        ({"data": np.zeros((6, 784))}, r"expected data of shape \(784, 6\), but it is \(6, 784\)"),
        ({"data": np.full((784, 6), 1.5)}, "from 0 to 1, but it is float64 from 1.5 to 1.5"),
        ({"data": np.full((784, 6), -0.1)}, "from 0 to 1, but it is float64 from -0.1"),
        ({"testdata": np.full((784, 3), np.nan)}, "expected testdata to be .* from nan"),
        ({"data": np.ones((784, 6), np.uint8)}, "to be floating, .* it is uint8 from 1 to 1"),
        ({"target": ONE_HOT + ONE_HOT[:, ::-1]}, "each column of target to be one-hot"),
        ({"target": np.zeros((50, 6))}, "each column of target to be one-hot"),
        ({"target": 2 * ONE_HOT - ONE_HOT[:, ::-1]}, "each column of target to be one-hot"),
        ({"target": np.full((50, 6), 0.02)}, "each column of target to be one-hot"),
        ({"testtarget": ONE_HOT[:49, :3]}, r"testtarget of shape \(50, 3\), but it is \(49, 3\)"),
    ],
)
def test_another_chardata(tmp_path, changes, message):
    arguments = save(tmp_path / "chardata.mat", variables(**changes))
    refused(f"chardata.mat: .*{message}", read_chardata, *arguments)


def test_chardata_without_a_variable(tmp_path):
    content = variables()
    del content["testdata"]
    arguments = save(tmp_path / "chardata.mat", content)
    message = r"a variable testdata of shape \(784, 3\), but found data, target, targetchar, testt"
    refused(message, read_chardata, *arguments)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-50],
        lambda content: content[:1000] + bytes([content[1000] ^ 1]) + content[1001:],
        lambda content: b"<html>",
        lambda content: b"",
    ],
    ids=["truncated", "flipped", "web page", "empty"],
)
def test_damaged_chardata(tmp_path, damage):
    path, counts, checksum = save(tmp_path / "chardata.mat", variables())
    write(path, damage(path.read_bytes()))
    refused("chardata.mat: expected sha256 .* bytes with", read_chardata, path, counts, checksum)


def test_missing_chardata(tmp_path):
    path = tmp_path / "chardata.mat"
    refused("chardata.mat cannot be read: No such file", read_chardata, path, COUNTS, "md5:0")
