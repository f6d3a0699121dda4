"""A part of the fuzz of damaged files; all of it is `python -m tests.fuzz.fuzz_files`."""

import pytest

from tests.fuzz import fuzz_files


def test_damaged_files_are_refused_or_harmless():
    assert fuzz_files.fuzz(15, seed=7, names=fuzz_files.QUICK) == []


@pytest.mark.slow
def test_a_thousand_damaged_files_are_refused_or_harmless():
    assert fuzz_files.fuzz(1000, seed=8) == []
