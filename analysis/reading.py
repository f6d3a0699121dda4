"""Reading of untrusted results files, with one-line errors."""

import hashlib
import importlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis import rows
from analysis.files import FILE as FILE
from analysis.files import FORMAT as FORMAT
from analysis.files import read_plain
from analysis.schema import names
from analysis.studies import STUDIES

pc: Any = importlib.import_module("pyarrow.compute")  # its functions are created on import

# Limits on a file and on its decompressed contents.
_MOST_BYTES = 2**30
_MOST_UNPACKED = 2**32
_MOST_ROWS = 10**7
_MOST_COLUMNS = 1000

_MOST_MANIFEST = 2**24

_LISTS = names("numbers")

OWN = ".estimax"
"""The folder in which the command line keeps its internal files, next to the results."""

_ATTRIBUTES = {
    "format": int,
    "identity": str,
    "complete": bool,
    "configuration": dict,
    "provenance": dict,
}


def read(path: str | os.PathLike) -> pd.DataFrame:
    """Return the table of a results file, with its metadata in `attrs`.

    Args:
        path: the file; links, pipes and devices are refused.

    Raises:
        ValueError: if the file is damaged or too large, or its metadata or columns do not match its
            study; the message names the file.
        OSError: if it is missing or cannot be read.
    """
    content = read_plain(path, _MOST_BYTES)
    try:
        _check_digest(Path(path), content)
        table = _parsed(content)
        _check_attributes(table.attrs)
        study = STUDIES.get(table.attrs["configuration"]["study"])
        rows.check(table, study.columns if study else ())
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} cannot be read: {error}") from error
    return table


def _check_digest(path: Path, content: bytes) -> None:
    """Raise ValueError if the folder's manifest records another digest for the file."""
    try:
        if path.parent.joinpath(OWN).is_symlink():
            raise ValueError("the folder is a link")
        about = json.loads(read_plain(path.parent / OWN / "manifest.json", _MOST_MANIFEST))
        known = [*map(str, about["files"].get(path.name, []))]
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its folder's {OWN}/manifest.json is damaged ({error})") from error
    if known and hashlib.sha256(content).hexdigest() not in known:
        raise ValueError("it was changed or damaged after estimax wrote it")


def _parsed(content: bytes) -> pd.DataFrame:
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        _check_size(file.metadata)
        texts = _check_types(file.schema_arrow)
        # Read as dictionaries, so that repeated text is stored once; page checksums are verified.
        packed = pq.ParquetFile(
            io.BytesIO(content), read_dictionary=texts, page_checksum_verification=True
        ).read()
        packed.validate(full=True)
        if sum(map(_unpacked, packed.columns)) > _MOST_UNPACKED:
            raise ValueError("it is too large when unpacked")
        table = pd.read_parquet(io.BytesIO(content))
        # Columns without values have type object, which does not compare with numbers.
        nothing = [field.name for field in file.schema_arrow if pa.types.is_null(field.type)]
        table[nothing] = table[nothing].astype(float)
    except Exception as error:  # pyarrow, pandas and json raise any type on damaged bytes
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    return table.reset_index(drop=True)


def _check_size(about: pq.FileMetaData) -> None:
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    for what, found, most in (
        ("rows", about.num_rows, _MOST_ROWS),
        ("columns", about.num_columns, _MOST_COLUMNS),
        ("unpacked bytes", unpacked, _MOST_UNPACKED),
    ):
        if not 0 <= found <= most:
            raise ValueError(f"it declares {found:,} {what}; at most {most:,} are allowed")


def _check_types(schema: pa.Schema) -> list[str]:
    """Return the names of the text columns."""
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("two columns have the same name")
    texts = []
    for field in schema:
        kind = field.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts.append(field.name)
        elif not (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_null(kind)
            or (
                field.name in _LISTS
                and pa.types.is_list(kind)
                and pa.types.is_floating(kind.value_type)
            )
        ):
            raise ValueError(f"the column {field.name} holds {kind}, not text or numbers")
    return texts


def _unpacked(column: pa.ChunkedArray) -> int:
    """Return the size of a column in bytes after its dictionary is expanded."""
    if not pa.types.is_dictionary(column.type):
        return column.nbytes
    total = 0
    for chunk in column.chunks:
        counts = pc.value_counts(chunk.indices.drop_null())
        lengths = pc.binary_length(chunk.dictionary).take(counts.field("values"))
        sizes = pc.multiply(pc.cast(lengths, "int64"), counts.field("counts"))
        total += (pc.sum(sizes).as_py() or 0) + 8 * len(chunk)
    return total


def _check_attributes(about: dict[Any, Any]) -> None:
    """Raise ValueError if metadata are missing or have an unexpected type."""
    if "format" not in about:
        raise ValueError("it is not an estimax results file: its metadata have no format")
    if about["format"] != FORMAT:
        raise ValueError(f"its format is {about['format']!r}, not {FORMAT}")
    for name, kind in _ATTRIBUTES.items():
        _check_type(name, about.get(name), kind)
    given = about["configuration"]
    _check_type("study", given.get("study"), str)
    _check_type("title", given.get("title", ""), str)
    problems = given.get("problem", "")  # several in merged results
    for problem in problems if isinstance(problems, list) and problems else [problems]:
        _check_type("problem", problem, str)
    study = STUDIES.get(given["study"])
    if "budget" in given and study and study.budget:
        _check_type("budget", given["budget"], study.budget)
    _check_type("sources", about.get("sources", []), list)
    for source in about.get("sources", []):
        _check_type("sources", source, dict)
        for name, kind in (_ATTRIBUTES | {"environment": dict}).items():
            if name != "format":
                _check_type(f"{name} of a source", source.get(name), kind)
    _check_type("environment", about.get("environment", {}), dict)
    _check_type("seconds", about.get("seconds", {}), dict)
    for seconds in about.get("seconds", {}).values():
        _check_type("seconds", seconds, float)
    _check_type("notes", given.get("notes", []), list)
    for note in given.get("notes", []):
        _check_type("notes", note, str)
    _check_type("spent", given.get("spent", {}), dict)
    _check_type("images", given.get("spent", {}).get("images") or 0, int)


def _check_type(name: str, value: Any, kind: type) -> None:
    # isinstance would accept a bool as an int; an int is accepted as a float.
    wanted = (int, float) if kind is float else (kind,)
    if type(value) not in wanted:
        found = "missing" if value is None else type(value).__name__
        raise ValueError(f"{name} in its metadata is {found}, not {kind.__name__}")
