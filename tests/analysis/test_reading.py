"""A results file that is not what it should be is refused in one line that names it."""

import hashlib
import itertools
import json
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import reading, report
from analysis.studies import STUDIES
from experiments.command_line import main
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_hostile_folders import studies


def attributes(study, **changed):
    return {
        "format": reading.FORMAT,
        "identity": "0123456789ab",
        "complete": True,
        "configuration": {"study": study, "problem": "VAE", "title": "The title"},
        "provenance": {"device": "cpu", "versions": {"jax": "0.10.2"}},
    } | changed


def refused(path):
    with pytest.raises(ValueError) as raised:
        reading.read(path)
    assert str(raised.value).startswith(f"{path} cannot be read: ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / reading.FILE


WRONG = [1, 1.5, True, "text", ["list"], {"a": "dict"}, None]


@pytest.mark.parametrize("name", ["format", "identity", "complete", "configuration", "provenance"])
def test_metadata_of_another_type(name, path):
    rows, right = studies()["compare"], attributes("compare")
    for value in WRONG:
        if type(value) is type(right[name]):
            continue
        rows.attrs = right | {name: value}
        rows.to_parquet(path)
        assert name in refused(path)
    del rows.attrs[name]
    rows.to_parquet(path)
    assert name in refused(path)


@pytest.mark.parametrize(
    ("study", "name", "allowed"),
    [
        ("compare", "study", str),
        ("compare", "problem", (str, list)),
        ("train", "title", str),
        ("compare", "budget", (int, float)),
        ("claims", "budget", str),
        ("reproduce", "notes", list),
        ("reproduce", "spent", dict),
    ],
)
def test_a_configuration_of_another_type(study, name, allowed, path):
    for value in WRONG:
        if isinstance(value, allowed) and not isinstance(value, bool):
            continue
        rows = studies()[study]
        configuration = attributes(study)["configuration"] | {name: value}
        rows.attrs = attributes(study, configuration=configuration)
        rows.to_parquet(path)
        assert name in refused(path)


@pytest.mark.parametrize("study", studies())
def test_columns_that_are_missing_or_of_another_type(study, path):
    """Every one that a study must have: dropped, of another type, or empty."""
    rows = studies()[study]
    rows.attrs = attributes(study)
    rows.to_parquet(path)
    pd.testing.assert_frame_equal(reading.read(path), pd.read_parquet(path))
    rows = rows.head(3)
    for name in STUDIES[study].columns:
        changed = [rows.drop(columns=name), rows.rename(columns={name: name.upper()})]
        if name not in ("higher_is_better", "is_known"):
            is_text = pd.api.types.infer_dtype(rows[name], skipna=True) == "string"
            changed.append(rows.assign(**{name: 1.5 if is_text else "text"}))
            changed.append(rows.assign(**{name: pd.Timestamp("2026-01-01")}))
        if name in ("estimator", "stage", "deciding"):
            changed.append(rows.assign(**{name: rows[name].where(rows.index > 0)}))
        if name in ("seed", "step", "samples", "evaluations"):
            changed += [rows.assign(**{name: number}) for number in (0.5, np.inf, 1e300)]
        for table in changed:
            table.attrs = rows.attrs
            table.to_parquet(path)
            assert name in refused(path)
    for empty in rows.iloc[:0], pd.DataFrame():
        empty.attrs = rows.attrs
        empty.to_parquet(path)
        refused(path)


@pytest.mark.parametrize("study", studies())
def test_without_a_column_or_its_values_rows_are_shown_or_refused(study, path):
    rows = studies()[study]
    shown = 0
    for name, gone in itertools.product(rows.columns, (False, True)):
        less = rows.drop(columns=name) if gone else rows.assign(**{name: None})
        less.attrs = attributes(study)
        less.to_parquet(path)
        try:
            report.report([path.parent])
            shown += 1
        except ValueError as error:
            assert str(error).startswith(str(path))
    assert shown


def test_tables_that_pandas_did_not_write(path):
    whole = pa.table({"a": [1]})
    for table in (
        whole,
        whole.replace_schema_metadata({"PANDAS_ATTRS": "{"}),
        whole.replace_schema_metadata({"PANDAS_ATTRS": "[" * 5000}),
        whole.replace_schema_metadata({"PANDAS_ATTRS": "[1]", "pandas": "{}"}),
        whole.replace_schema_metadata({"pandas": "null"}),
        pa.table({"a": [[1]]}),
        pa.table({"a": [{"b": 1}]}),
        pa.table({"a": [b"bytes"]}),
        pa.table([[1], [2]], names=["a", "a"]),
    ):
        pq.write_table(table, path)
        refused(path)


def test_small_files_that_claim_much(path):
    """A text stands in a file once, however many rows have it; so do rows of one number."""
    long = pa.array(["x" * 2**20]).cast(pa.large_string())
    texts = pa.DictionaryArray.from_arrays(np.zeros(5000, np.int32), long)
    pq.write_table(pa.table({"a": texts}), path, store_schema=False)
    assert path.stat().st_size < 2**20 and "too large" in refused(path)
    pq.write_table(pa.table({"a": np.zeros(reading._MOST_ROWS + 1, np.int8)}), path)
    assert path.stat().st_size < 2**20 and "10,000,001 rows" in refused(path)
    pq.write_table(pa.table({f"a{i}": [1] for i in range(reading._MOST_COLUMNS + 1)}), path)
    assert "1,001 columns" in refused(path)


def test_a_flipped_bit_of_the_table_changes_no_number_unnoticed(path):
    """By the checksums of the pages alone, where there is no manifest."""
    rows = synthetic.comparison()
    rows.attrs = attributes("compare")
    rows.to_parquet(path, write_page_checksum=True)
    whole, right = path.read_bytes(), reading.read(path)
    chance = random.Random(0)
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    for _ in range(60):
        damaged, at = bytearray(whole), chance.randrange(8 * (len(whole) - footer))
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            found = reading.read(path)
        except ValueError:
            continue
        pd.testing.assert_frame_equal(found, right)


def test_a_file_that_its_manifest_does_not_know(path):
    """The footer, with the configuration and the provenance, has no checksum of its own."""
    rows = studies()["compare"]
    rows.attrs = attributes("compare")
    rows.to_parquet(path)
    manifest = path.parent / ".estimax" / "manifest.json"
    manifest.parent.mkdir()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps({"version": 1, "files": {path.name: ["", digest]}}))
    reading.read(path)
    path.write_bytes(path.read_bytes().replace(b"The title", b"Tha title"))
    assert "changed or damaged" in refused(path)
    for text in (
        "",
        "{",
        "[]",
        "null",
        '{"files": 1}',
        '{"files": {"results.parquet": 1}}',
        "[" * 5000,
    ):
        manifest.write_text(text)
        assert "manifest.json is damaged" in refused(path)
    manifest.unlink()
    reading.read(path)


def test_damage_is_named_and_the_others_are_reported(tmp_path, capsys):
    for study, rows in studies().items():
        rows.attrs = attributes(study)
        (tmp_path / study).mkdir()
        rows.to_parquet(tmp_path / study / reading.FILE)
    bad = tmp_path / "train" / reading.FILE
    rows.drop(columns="value").to_parquet(bad)
    assert main(["report", str(tmp_path)]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert str(bad) in line
    page = (tmp_path / "report.html").read_text()
    assert page.count("<section") == len(studies()) - 1
    # What a table cannot be made of, though every column is right.
    twice = pd.concat([studies()["compare"]] * 2)
    twice.attrs = attributes("compare")
    twice.to_parquet(bad)
    with pytest.raises(ValueError, match=r"train/results\.parquet: the result table .* twice"):
        report.report([bad.parent])
    broken = studies()["reproduce"].replace("B", "C").assign(other="D")
    broken.attrs = attributes("reproduce")
    broken.to_parquet(bad)
    with pytest.raises(ValueError, match=r"train/results\.parquet: a prediction names"):
        report.report([bad.parent])
