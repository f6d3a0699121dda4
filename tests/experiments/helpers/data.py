"""What tests of data sets share."""

import hashlib

from experiments.data import datasets, load, pixels

SIZES = {"train": 60, "test": 10}
"""Number of images in each part of a small data set."""


def forget():
    """Forget what the process remembers of the data sets."""
    for one in (load, datasets.load_part, datasets._omniglot, pixels):
        one.cache_clear()


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
