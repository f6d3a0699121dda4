"""BibTeX of exactly the estimators used, that BibTeX can read."""

import re

import pytest

from estimators import (
    BIBLIOGRAPHY,
    NVIL,
    Average,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    MuProp,
    ScoreFunction,
    StraightThrough,
    citation,
)
from tests.estimators.helpers.examples import EXAMPLES


def cited(*members):
    return re.findall(r"^@\w+\{(\w+),$", citation(*members), re.MULTILINE)


@pytest.mark.parametrize(
    ("members", "keys"),
    [
        ([], []),
        ([Exact()], []),
        ([MuProp()], ["gu2016"]),
        ([MuProp(), MuProp()], ["gu2016"]),
        ([GumbelSoftmax(0.5), MuProp(), GumbelSoftmax(1)], ["jang2017", "gu2016"]),
        ([ScoreFunction()], ["williams1992"]),
        ([ScoreFunction(MovingAverage(0.9))], ["williams1992"]),
        ([ScoreFunction(NVIL())], ["mnih2014", "williams1992"]),
        ([NVIL()], ["mnih2014"]),
        ([Average(ScoreFunction(LeaveOneOut(2)), 3)], ["kool2019", "williams1992"]),
        ([Average(MuProp(), 3), MuProp()], ["gu2016"]),
    ],
    ids=str,
)
def test_exactly_what_is_used(members, keys):
    assert cited(*members) == keys


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_estimator(example):
    keys = cited(example)
    assert set(keys) <= BIBLIOGRAPHY.keys()
    assert (example.paper in keys) or example.paper == ""


def parsed(text):
    """Read one entry strictly: its type, its key and its fields, in whose values braces match."""
    kind, key, body = re.fullmatch(r"@(\w+)\{(\w+),\n(.*)\n\}", text, re.DOTALL).groups()
    lines = [re.fullmatch(r"  (\w+) = \{(.*)\},", line).groups() for line in body.split("\n")]
    fields = dict(lines)
    assert len(fields) == len(lines), "a field twice"
    for value in fields.values():
        depth = 0
        for character in value:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
        assert depth == 0 and value.strip("{} ")
    return kind, key, fields


@pytest.mark.parametrize("key", BIBLIOGRAPHY)
def test_every_entry_is_bibtex(key):
    paper = BIBLIOGRAPHY[key]
    kind, name, fields = parsed(paper.bibtex)
    assert name == key
    needed = {"misc": set(), "article": {"journal"}, "inproceedings": {"booktitle"}}[kind]
    assert {"author", "title", "year"} | needed <= fields.keys()
    assert re.fullmatch(r"(19|20)\d\d", fields["year"]) and paper.short.endswith(fields["year"])
    assert all(author.count(",") == 1 for author in fields["author"].split(" and "))
    assert not re.search(r"(?<!\\)[&%$#_]", "".join(fields.values()).replace("_", ""))
    if "eprint" in fields:
        assert re.fullmatch(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}", fields["eprint"])
        assert fields["archiveprefix"] == "arXiv"
        assert paper.link == f"https://arxiv.org/abs/{fields['eprint']}"
    else:
        assert kind != "misc" and paper.link.partition("?")[0] in (
            "",
            "https://openreview.net/forum",
        )


def test_entries_in_full():
    assert citation(ScoreFunction(), StraightThrough()) == (
        r"""@article{williams1992,
  author = {Williams, Ronald J.},
  title = {{Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement """
        r"""Learning}},
  journal = {Machine Learning},
  volume = {8},
  year = {1992},
}

@misc{bengio2013,
  author = {Bengio, Yoshua and Léonard, Nicholas and Courville, Aaron},
  title = {{Estimating or Propagating Gradients Through Stochastic Neurons for Conditional """
        r"""Computation}},
  year = {2013},
  eprint = {1308.3432},
  archiveprefix = {arXiv},
  url = {https://arxiv.org/abs/1308.3432},
}"""
    )


@pytest.mark.parametrize("wrong", [MuProp, "MuProp", None])
def test_what_is_no_estimator(wrong):
    with pytest.raises(TypeError, match="takes estimators"):
        citation(wrong)


def test_papers_that_are_not_listed(monkeypatch):
    monkeypatch.setattr(MuProp, "paper", "nobody1900")
    with pytest.raises(ValueError, match="nobody1900"):
        citation(MuProp())
