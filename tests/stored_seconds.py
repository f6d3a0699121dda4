"""`python -m tests.stored_seconds RESULTS ...`: the seconds that parts took, stored with estimax.

Adds those of runs of claims, published tables and figures to the file that `--dry-run` reads; a
part that is there already takes the new time. The runs should be of two cores of a CPU.
"""

import csv
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import experiments.command_line
from analysis.files import FILE
from analysis.reading import read
from experiments.command_line.earlier import STORED, settings_hash

COLUMNS = ("study", "settings", "part", "seconds")
KINDS = ("claims", "figure", "opponents", "reproduce")


def rows_of(folder: Path) -> Iterator[dict[str, str]]:
    """Yield a row for each part of the results in a folder."""
    table = read(folder / FILE)
    about = table.attrs["configuration"]
    if about["study"] not in KINDS:
        raise ValueError(f"{folder}: results of {about['study']}, whose times are measured")
    seconds = table.attrs.get("seconds", {})
    if about["study"] == "claims":
        seconds = table.groupby("deciding")["seconds"].first().to_dict()
    names = [about.get(key) for key in ("study", "figure", "table", "budget")]
    shared = {"study": " ".join(filter(None, names)), "settings": settings_hash(about)}
    for part, one in seconds.items():
        yield shared | {"part": part, "seconds": f"{one:.2g}"}


def main() -> None:
    """Add the times of the folders that are named."""
    path = Path(str(resources.files(experiments.command_line) / STORED))
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    for folder in sys.argv[1:]:
        rows += rows_of(Path(folder))
    last = {(row["study"], row["settings"], row["part"]): row for row in rows}
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([last[key][name] for name in COLUMNS] for key in sorted(last))


if __name__ == "__main__":
    main()
