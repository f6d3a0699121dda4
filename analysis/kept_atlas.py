"""The kept atlas: cells of its last run at `laptop`, packaged beside this module, if there are any.

`python -m analysis.kept_atlas docs/results/atlas-laptop` packages those of a results folder.
"""

import csv
import functools
import io
import sys
from pathlib import Path
from typing import NamedTuple

from analysis.files import write_text

COLUMNS = (
    *("problem", "step", "law", "estimator", "short_name", "unbiased"),
    *("error", "variance", "ratio", "ratio_of_kind"),
)
FILE = "atlas.csv"
NEAR = 2.0
"""The factor of the best that counts as near."""


class Standing(NamedTuple):
    """How an estimator stands in the atlas.

    Attributes:
        near: at how many points its error is within a factor of `NEAR` of the best of all.
        points: at how many points it is compared.
        better: how many estimators have a larger share.
        estimators: how many there are.
    """

    near: int
    points: int
    better: int
    estimators: int


@functools.cache
def cells() -> list[dict[str, str]]:
    """Return the kept cells, `COLUMNS` of `analysis.atlas.cells` as text; none without a file."""
    try:
        with Path(__file__).with_name(FILE).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def standing(estimator: str, found: list[dict[str, str]]) -> Standing | None:
    """Return how an estimator stands among cells; None if it is not compared at any.

    Args:
        estimator: its name with all its settings.
        found: the result of `cells`.
    """
    ratios: dict[str, list[float]] = {}
    for cell in found:
        if cell["ratio"]:
            ratios.setdefault(cell["estimator"], []).append(float(cell["ratio"]))
    near = {name: sum(one <= NEAR for one in each) for name, each in ratios.items()}
    shares = {name: near[name] / len(each) for name, each in ratios.items()}
    if estimator not in shares:
        return None
    better = sum(share > shares[estimator] for share in shares.values())
    return Standing(near[estimator], len(ratios[estimator]), better, len(shares))


def sentence(estimator: str, name: str) -> str | None:
    """Return how an estimator stands in the kept atlas, in a sentence; None if it does not.

    Args:
        estimator: its name with all its settings.
        name: its name in the sentence.
    """
    found = standing(estimator, cells())
    if found is None:
        return None
    return (
        f"Atlas: {name} is within a factor of {NEAR:g} of the best at {found.near} of the "
        f"{found.points} points that it takes; {found.better} of {found.estimators} estimators "
        "have a larger share."
    )


def packaged(folder: Path) -> str:
    """Return the text of the packaged file, from a results folder of the atlas."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    with (folder / "atlas_map.csv").open(encoding="utf-8", newline="") as file:
        writer.writerows(csv.DictReader(file))
    return text.getvalue()


if __name__ == "__main__":
    write_text(Path(__file__).with_name(FILE), packaged(Path(sys.argv[1])))
