"""Results folders that somebody else made: their report harms nobody, and says what it left out."""

import html.parser
import importlib
import os
import re
import shutil
import struct
import subprocess
import unicodedata
import zlib
from importlib import resources

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import report, report_tables
from analysis.tables import claims
from analysis.tables import opponents as opponent_table
from analysis.text import https, printable
from experiments.command_line import main
from tests.analysis.helpers import synthetic_atlas as atlas
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_report import CHROMIUM, FLAGS, needs_browser, write
from tests.analysis.test_reproduction import expected, ours, target

TEXTS = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</table></section><iframe src=https://example.com>",
    "{{ 7 * 7 }}{% for x in y %}",
    "two\nlines\r\nand\ttabs\x00\x85\u2028\u2029",
    "right\u202eto\u2066left\u200b\ufeff",
    "javascript:alert(1)",
    r"\input{/etc/passwd}\write18{id}%$^^5c",
    "`code` | **bold** [link](javascript:alert(1)) ![x](https://example.com/x.png) <b>",
    "&lt;&#60;script&amp;",
    "=HYPERLINK(1)",
)
ALL = " ".join(TEXTS)
LINKS = (
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " https://example.com",
    "java\nscript:alert(1)",
    "file:///etc/passwd",
    "data:text/html,<script>alert(1)</script>",
    "http://example.com",
    "//example.com",
    "https:example.com",
    "https:///etc/passwd",
    "https://arxiv.org@example.com",
    "https://arxiv.org\\@example.com",
    "https://[::1",
    "https://example.com:port",
    "https://example.com/\x1b[31m",
    'https://example.com/"onclick="alert(1)',
    "vbscript:x",
    "ftp://example.com",
    "C:\\autoexec.bat",
    "\\\\server\\share",
    "",
)
# Of these a table's text may be anything; what the code reads words from stays.
NAMED = "estimator problem objective group data note optimiser unbiased source units".split()
NAMED += "title claim deciding block label".split()


def studies():
    """Return the rows of every study that has a table, made up."""
    reproduced = [target("A", 100.0), target("B", 101.0), expected("A", "B")]
    reproduced += [*ours("A", 104.0, 106.0), *ours("B", 95.0, 96.0)]
    claimed = dict.fromkeys(claims.COLUMNS, 1.0) | dict.fromkeys(claims.COLUMNS[:5], "x")
    two = {name: synthetic.ESTIMATORS[name] for name in ("DisARM", "GumbelSoftmax")}
    return {
        "compare": synthetic.comparison(two),
        "temperature": synthetic.temperature_study((0.5,)),
        "train": synthetic.training(),
        "reproduce": pd.DataFrame(reproduced),
        "claims": pd.DataFrame([claimed | {"confidence": 0.95, "power": 0.9}]),
        "opponents": opponents(),
        "figure": predictions(),
        "atlas": atlas.rows({("P", 0): {"A": 1.0, "C": 2.0}, ("Q", 3): {"A": 1.0}}),
    }


def predictions():
    """Return rows of a figure's predictions: one that held, and one that is undecided."""
    facts = {"study": "figure", "figure": "f", "task": "predictions", "metric": "prediction"}
    facts |= {"claim": "a", "source": "us", "region_low": 1.0, "region_high": np.inf, "note": ""}
    found = [(2.0, 1.5, 2.5), (np.nan, np.nan, np.nan)]
    ends = ("value", "low", "high")
    return pd.DataFrame([facts | dict(zip(ends, one, strict=True)) for one in found])


def opponents():
    """Return rows of two calls, of which one is wrong, and of a library that was not run."""
    facts = dict.fromkeys(opponent_table.COLUMNS, "x") | {"low": np.nan, "high": np.nan, "note": ""}
    found = {"loss_z": 0.5, "mean_z": -1.0, "truth_z": 9.0, "own_truth_z": 1.0, "time_ratio": 2.0}
    rows = [
        facts | {"call": call, "unbiased": unbiased, "metric": metric, "value": value}
        for call, unbiased in (("wrong", "yes"), ("agrees", "no"))
        for metric, value in found.items()
    ]
    spread = {"metric": "variance_ratio", "value": 1.1, "low": 0.9, "high": 1.3}
    rows += [facts | {"call": "wrong"} | spread, facts | {"call": "agrees"} | spread]
    absent = {"opponent": "y", "call": "", "metric": "skipped", "value": np.nan}
    return pd.DataFrame([*rows, facts | absent | {"note": "not on the index"}])


def hostile(rows, text):
    """Return rows whose every name ends in a hostile text."""
    rows = rows.copy()
    for name in set(NAMED) & set(rows.columns):
        rows[name] = rows[name].map(lambda x: f"{x}{text}", na_action="ignore")
    if "other" in rows:  # names labels
        rows["other"] = rows["other"].map(lambda x: f"{x}{text}", na_action="ignore")
    return rows


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    for study, rows in studies().items():
        about = {"title": f"{study}{ALL}", "problem": ALL, "notes": list(TEXTS)}
        write(folder / study, hostile(rows, ALL), study, **about)
    rows = synthetic.comparison({name: synthetic.ESTIMATORS["DisARM"] for name in LINKS})
    write(folder / "links", rows.assign(paper_link=rows["estimator"]), "compare", problem="")
    return folder


class Reader(html.parser.HTMLParser):
    """Keeps the tags, attributes and texts of a page."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.tag = set(), [], {}, ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.tag = tag

    def handle_data(self, data):
        self.texts.setdefault(self.tag, []).append(data)


def is_clean(text):
    return all(c == "\n" or unicodedata.category(c)[0] not in "C" for c in text) and not (
        set(text) & set("\u2028\u2029")
    )


@pytest.fixture(scope="module")
def page(folders):
    text, left_out = report.report(report.find(folders), "mine" + TEXTS[0])
    assert not left_out
    return text


def test_a_page_of_hostile_names_holds_them_as_text(page):
    assert is_clean(page)
    reader = Reader()
    reader.feed(page)
    template = (resources.files("analysis") / "report.html.j2").read_text()
    assert reader.tags <= set(re.findall(r"<(\w+)", template))
    assert {"script", "style", "td", "img"} - reader.tags == {"img"}
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name == "srcdoc"]
    for name in ("href", "src"):
        links = [value for key, value in reader.attributes if key == name]
        assert all(re.match(r"#results-\d+$|data:,$", link) for link in links), links
    assert reader.texts["script"][0] == (resources.files("analysis") / "report.js").read_text()
    shown = "".join(text for texts in reader.texts.values() for text in texts)
    for text in TEXTS:
        assert printable(text) in shown, text


def test_the_page_allows_its_own_script_alone_and_no_network(page):
    (policy,) = re.findall('Content-Security-Policy" content="(.*?)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.replace("&#39;", "'").split("; "))
    assert rules.pop("img-src") == "data:" and rules["default-src"] == "'none'"
    hashes = [rules.pop(name) for name in ("script-src", "style-src")]
    assert all(re.fullmatch(r"'sha256-[\w+/=]{44}'", one) for one in hashes)
    assert set(rules.values()) == {"'none'"}


@needs_browser
def test_a_script_that_got_into_the_page_does_not_run(page, tmp_path):
    assert CHROMIUM
    path = tmp_path / "report.html"
    injected = "<script>document.title = 'owned'</script><img src=x onerror=document.title='owned'>"
    path.write_text(page.replace("<h1>", f"{injected}<h1>"), encoding="utf-8")
    flags = [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    run = subprocess.run(
        [CHROMIUM, *flags, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "<title>owned" not in run.stdout and "Content Security Policy" in run.stderr
    assert "injected" not in run.stdout and "<title>mine" in run.stdout


@pytest.mark.parametrize("link", LINKS)
def test_what_is_no_link_of_a_paper(link):
    assert https(link) is None


def test_links_of_papers_are_links():
    for source in importlib.import_module("estimators").BIBLIOGRAPHY.values():
        if source.link:
            assert https(source.link) == source.link
    assert https("https://example.com:443/a?b=c&d=(e)#f") and https(None) is None


TABLES = {
    "compare": analysis.comparison_table,
    "temperature": analysis.temperature_table,
    "train": analysis.training_table,
    "reproduce": analysis.reproduction_table,
    "claims": analysis.claims_table,
}


@pytest.mark.parametrize("study", TABLES)
def test_texts_hold_no_control_characters_and_no_markup(study):
    table = TABLES[study](hostile(studies()[study], ALL))
    rendered = {
        name: getattr(analysis, f"to_{name}")(table)
        for name in ("text", "markdown", "csv", "latex")
    }
    for name, found in rendered.items():
        assert is_clean(found), name
    assert "".join(printable(ALL).split()) in "".join(rendered["text"].split())
    # As LaTeX every command of the text is spelled out.
    for command in ("input", "write"):
        assert f"\\{command}" not in rendered["latex"]
    assert "`" not in rendered["latex"]
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    reader = Reader()
    reader.feed(markdown.render(rendered["markdown"]))
    tags = {"p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code", "ul", "li", "br"}
    assert reader.tags <= tags
    shown = "".join(text for texts in reader.texts.values() for text in texts)
    assert "".join(printable(ALL).split()) in "".join(shown.split())


# Files that are none ---------------------------------------------------------------------------


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width=1, height=1, *, rows=None):
    """Return a grey picture; one that claims more than it holds where `rows` is given."""
    pixels = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(rows or height)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def sparse(path):
    with open(path, "wb") as file:
        file.write(png())
        file.truncate(2**40)


SECRET = png(3, 2)
PICTURES = {
    "link": lambda path: path.symlink_to(path.parents[1] / "secret"),
    "link inside": lambda path: path.symlink_to("good.png"),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
    "page": lambda path: path.write_text("<svg onload=alert(1)>"),
    "passwords": lambda path: shutil.copy("/etc/passwd", path),
    "empty": lambda path: path.touch(),
    "signature": lambda path: path.write_bytes(png()[:8]),
    "cut": lambda path: path.write_bytes(png()[:-6]),
    "more": lambda path: path.write_bytes(png() + b"<script>"),
    "flipped": lambda path: path.write_bytes(png().replace(b"\x08\0\0\0\0", b"\x09\0\0\0\0")),
    "vast": lambda path: path.write_bytes(png(60_000, 60_000, rows=1)),
    "sparse": sparse,
}


@pytest.fixture
def results(tmp_path):
    """Return a results folder with a picture, beside a secret."""
    (tmp_path / "secret").write_bytes(SECRET)
    folder = tmp_path / "results"
    write(folder / "one", studies()["compare"], "compare", problem="VAE")
    (folder / "one" / "good.png").write_bytes(png())
    return folder


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_is_none_is_left_out(kind, results):
    bad = results / "one" / "bad.png"
    PICTURES[kind](bad)
    page, (line,) = report.report(report.find(results))
    assert str(bad) in line and page.count("data:image/png") == 1
    assert (np.array(re.findall('base64,([^"]*)', page)) == report._encoded(png())).all()


def test_pictures_beyond_count_are_left_out(results, monkeypatch):
    monkeypatch.setattr(report, "MAX_FILES", 3)
    for number in range(6):
        (results / "one" / f"{number}.png").write_bytes(png())
    page, (line,) = report.report(report.find(results))
    assert page.count("data:image/png") == 3 and "4 of 7 pictures" in line


FILES = {
    "link": lambda path, good: path.symlink_to(good),
    "loop": lambda path, good: path.symlink_to(path),
    "device": lambda path, good: path.symlink_to("/dev/zero"),
    "pipe": lambda path, good: os.mkfifo(path),
    "folder": lambda path, good: path.mkdir(),
    "sparse": lambda path, good: sparse(path),
    "empty": lambda path, good: path.touch(),
    "text": lambda path, good: path.write_text("PAR1 no table PAR1"),
    "cut": lambda path, good: path.write_bytes(good.read_bytes()[:-300]),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_table_that_is_none_is_left_out_and_the_others_shown(kind, results, capsys):
    good, bad = results / "one" / report.RESULTS, results / "a" / report.RESULTS
    bad.parent.mkdir()
    FILES[kind](bad, good)
    assert main(["report", str(results)]) == 0
    printed = capsys.readouterr()
    (line,) = [line for line in printed.err.splitlines() if line.startswith("left out: ")]
    assert str(bad) in line and "Traceback" not in printed.err
    page = (results / "report.html").read_text()
    assert page.count("<section") == 1 and "compare VAE" in page
    # Of a folder with nothing else there is no report.
    assert main(["report", str(bad.parent)]) == 2
    assert str(bad) in capsys.readouterr().err and not (bad.parent / "report.html").exists()


def test_folders_are_not_followed_out_nor_round_in_circles(results, tmp_path):
    write(tmp_path / "elsewhere", studies()["compare"], "compare", problem="")
    (results / "out").symlink_to(tmp_path / "elsewhere")
    (results / "round").symlink_to(results)
    deep = results
    for _ in range(report._DEEPEST):
        deep = deep / "d"
    for folder in (deep, deep / "d"):
        write(folder, studies()["compare"], "compare", problem="")
    assert report.find(results) == [deep, results / "one"]


def test_folders_beyond_count_are_refused(results, monkeypatch):
    monkeypatch.setattr(report, "MAX_FOLDERS", 2)
    for name in "ab":
        write(results / name, studies()["compare"], "compare", problem="")
    with pytest.raises(ValueError, match="more than 2 results"):
        report.find(results)


def test_a_table_too_long_for_a_page_is_left_out(results, monkeypatch):
    monkeypatch.setattr(report_tables, "MAX_LINES", 3)
    with pytest.raises(ValueError, match=r"results\.parquet: 1 tables of 4 estimators"):
        report.report(report.find(results))


def test_names_of_folders_are_no_control_characters_either(tmp_path, capsys):
    name = tmp_path / "\x1b[31mred\nline"
    write(name, studies()["compare"], "compare", title="")
    (name / "\x1b[2Jbad.png").touch()
    assert main(["report", str(tmp_path)]) == 0
    assert is_clean(capsys.readouterr().err)
    assert is_clean((tmp_path / "report.html").read_text())
