"""Tables as text at every width of a terminal."""

import pandas as pd
import pytest

import analysis
from analysis import names
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_claims import claim
from tests.analysis.test_hostile_folders import studies
from tests.analysis.test_reproduction import expected, ours, target

LONG = "OfAUser" * 9 + "[path=a/b/c,inner=Another[" + "x" * 70 + "],k=12]"


def shortened(rows):
    """The rows with short names, without the names of fields."""
    return rows.assign(short_name=rows["estimator"].str.replace(r"\w+=", "", regex=True))


def tables():
    user = synthetic.ESTIMATORS | {LONG: ("no", 1, 0.1, 0.3, 1e-4)}
    compared = synthetic.comparison(user, {LONG + "2": "an unbroken_reason_of_some_length " * 4})
    block = "a part of a table with a name that is long itself"
    published = [target(label, 1e3, block=block) for label in ("A", "B" * 40, "C")]
    published += [expected("A", "C", block=block), *ours("A", 104.0, 106.0), *ours("C", 95.0, 96.0)]
    words = "what a long statement claims of an estimator and of its bias " * 3
    return {
        "comparison": analysis.comparison_table(compared),
        "short": analysis.comparison_table(shortened(compared)),
        "temperature": analysis.temperature_table(synthetic.temperature_study()),
        "training": analysis.training_table(synthetic.training()),
        "training of one": analysis.training_table(
            shortened(synthetic.training({"Exact": (9, 9)}))
        ),
        "reproduction": analysis.reproduction_table(pd.DataFrame(published)),
        "claims": analysis.claims_table(
            pd.DataFrame([claim(10.0, low=0.0, claim=words, metric="the quantity " * 9)])
        ),
        "opponents": analysis.opponents_table(studies()["opponents"]),
        "skipped": analysis.comparison_table(synthetic.comparison(estimators={})),
    }


@pytest.fixture(scope="module", params=tables())
def table(request):
    return tables()[request.param]


@pytest.mark.parametrize("width", [60, 61, 80, 100, 120, 170, 200])
def test_no_line_is_longer_than_the_terminal(table, width):
    text = analysis.to_text(table, width)
    assert max(map(len, text.splitlines())) <= width
    shown = " ".join(text.split())
    first = table.columns[table.key + 1]
    assert first.short[1] in shown  # the most important column stays
    columns = table.columns[table.key :]
    left_out = [column.title for column in columns if column.short[1] not in shown]
    if left_out:
        _, said = shown.split("Not shown for lack of width: ")
        assert all(title in said for title in left_out)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_long_names_have_lines_of_their_own(width):
    found = analysis.comparison_table(shortened(synthetic.comparison()))
    lines = analysis.to_text(found, width).splitlines()
    for name in found.frame["short_name"]:
        line = next(line for line in lines if line == name or line.startswith(name + " "))
        assert (line == name) == (len(name) > width / 3)


def test_wider_terminals_show_more():
    found = analysis.comparison_table(shortened(synthetic.comparison()))
    titles = [
        analysis.to_text(found, width).splitlines()[3].split() for width in (60, 80, 120, 220)
    ]
    counts = list(map(len, titles))
    assert counts == sorted(counts) and counts[0] < counts[-1]
    assert "Not shown" not in analysis.to_text(found, 220)


def test_names_that_two_would_share_stay_canonical():
    both = synthetic.comparison(
        {name: ("no", 1, 0.1, 0.3, 1e-4) for name in ("A[s=1]", "A[t=1]", "B[s=2]")}, {}
    )
    text = analysis.to_text(analysis.comparison_table(shortened(both)))
    assert "A[s=1]" in text and "A[t=1]" in text and "B[2]" in text and "B[s=2]" not in text
    assert names.short_names(shortened(both))["B[s=2]"] == "B[2]"
    csv = analysis.to_csv(analysis.comparison_table(shortened(both)))
    assert "B[s=2]" in csv  # data keep the canonical name
