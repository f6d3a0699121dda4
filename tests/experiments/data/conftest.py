import hashlib

import numpy as np
import pytest
from scipy.io import savemat

from experiments.data import chardata, datasets, mnist_family
from tests.experiments.helpers.data import SIZES, forget, sha256


@pytest.fixture
def fresh():
    """What a process remembers of the data sets is forgotten, before and after."""
    forget()
    yield
    forget()


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def fashion(monkeypatch, fresh):
    """A Fashion-MNIST of 60 and 10 images: its files, uncompressed, by name."""
    rng = np.random.default_rng(0)
    files = {}
    for part, (images, labels) in mnist_family._NAMES.items():
        files[images] = idx(rng.integers(256, size=(SIZES[part], 28, 28), dtype=np.uint8))
        files[labels] = idx(rng.integers(10, size=SIZES[part], dtype=np.uint8))
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(mnist_family, "COUNTS", SIZES)
    monkeypatch.setattr(mnist_family, "FASHION_CHECKSUMS", digests)
    monkeypatch.setitem(datasets._VALIDATION, "FashionMNIST", 15)
    return files


@pytest.fixture
def omniglot(monkeypatch, fresh, tmp_path):
    """An Omniglot of 60 and 10 images, in the folder that is named."""
    rng = np.random.default_rng(0)
    variables = {}
    for part, (images, target) in chardata._VARIABLES.items():
        variables[images] = rng.random((784, SIZES[part]))
        variables[target] = np.eye(50)[:, rng.integers(50, size=SIZES[part])]
    path = tmp_path / "chardata.mat"
    savemat(path, variables)
    monkeypatch.setattr(chardata, "COUNTS", SIZES)
    source = chardata.SOURCE._replace(checksum=sha256(path.read_bytes()))
    monkeypatch.setattr(chardata, "SOURCE", source)
    monkeypatch.setitem(datasets._VALIDATION, "Omniglot", 15)
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    return variables
