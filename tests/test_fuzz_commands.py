"""A part of the fuzz of command lines; all of it is `python -m tests.fuzz_commands`."""

import pytest

from tests import fuzz_commands


def test_command_lines_end_in_a_status_and_a_line():
    assert fuzz_commands.fuzz(40, seed=7) == []


@pytest.mark.slow
def test_a_thousand_command_lines_end_in_a_status_and_a_line():
    assert fuzz_commands.fuzz(1000, seed=8) == []
