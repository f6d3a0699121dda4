"""The command `fetch`: data sets downloaded beforehand."""

import argparse
from typing import get_args

from experiments import data
from experiments.command_line import options, unused
from experiments.data import Dataset, Part
from experiments.running.user_code import named
from experiments.system import signals

_EPILOG = """
data sets:
{datasets}

Files go to the folder that --data or $ESTIMAX_DATA names, by default to the
cache, ~/.cache/estimax or $XDG_CACHE_HOME/estimax. Those that are there already
are not downloaded again. All are checked against their checksums.

The published binarisation of MNIST has no download: put
binarized_mnist_{{train,valid,test}}.amat into the folder.

For example:

  estimax fetch FashionMNIST
  estimax fetch all --data ~/data
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG.format(datasets="\n".join(map(_listed, data.SOURCES)))
    command.add_argument(
        "datasets",
        nargs="+",
        type=options.text,
        metavar="DATASET",
        help="a data set, or `all`",
    )


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    groups: dict[str, list[Dataset]] = {one: [one] for one in data.SOURCES}
    groups["all"] = list(data.SOURCES)
    chosen: list[Dataset] = []
    for text in given.datasets:
        chosen += named("data set", text, groups)
    unused.without_effect(given, "on downloads", "device")
    with signals.handled(signals.interrupt):  # so that an unfinished download is removed
        for dataset in dict.fromkeys(chosen):
            print(f"{dataset}: {_fetched(dataset)}", flush=True)


def _fetched(dataset: Dataset) -> str:
    """Download the missing files of a data set and verify all; return what was done."""
    files = [data.bring(source) for source in data.SOURCES[dataset]]
    for part in get_args(Part):
        data.load_part(dataset, part)  # which verifies its files
    if not files:
        return "part of estimax"
    folders = " and ".join(sorted({str(path.parent) for path, _ in files}))
    size = sum(size for _, size in files)
    return f"downloaded to {folders} ({size / 1e6:.1f} MB)" if size else f"already in {folders}"


def _listed(dataset: Dataset) -> str:
    urls = [source.url for source in data.SOURCES[dataset]]
    place = "/".join(urls[0].split("/")[2:5]) if urls else "part of estimax"
    return f"  {dataset:<14}{place}"
