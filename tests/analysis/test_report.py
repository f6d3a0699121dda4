"""The report: one page, whole in itself, that sorts and filters."""

import html.parser
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from analysis import reading, report
from analysis.figures import bias_variance
from analysis.studies import STUDIES
from analysis.style import save_figure
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_reproduction import expected, ours, target

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"),
)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


def write(folder, rows, study, **configuration):
    """Write results as the command line does."""
    rows.attrs = {
        "format": reading.FORMAT,
        "identity": "0123456789ab",
        "complete": True,
        "configuration": {"study": study, **configuration},
        "provenance": {"device": "2 x cpu", "versions": {"jax": "0.10.2"}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / report.RESULTS)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a folder with the results of three studies, one of them with a figure."""
    folder = tmp_path_factory.mktemp("results")
    compared = synthetic.comparison().assign(paper_link="https://arxiv.org/abs/1611.01144")
    reproduced = pd.DataFrame(
        [
            target("A", 100.0),
            target("B & C", 101.0),
            expected("A", "B & C"),
            *ours("A", 104.0, 106.0),
            *ours("B & C", 95.0, 96.0),
        ]
    )
    tables = {"compare": compared, "train": synthetic.training(), "reproduce": reproduced}
    for study, rows in tables.items():
        write(folder / study, rows, study, problem="VAE", title=f"The {study}")
    figure = bias_variance.draw(compared)
    save_figure(figure, folder / "compare" / "bias_variance", bias_variance.data(compared))
    return folder


@pytest.fixture(scope="module")
def page(results):
    page, left_out = report.report(report.find(results), "A title <with> signs")
    assert not left_out
    return page


class Reader(html.parser.HTMLParser):
    """Checks that tags close in order; keeps addresses and the text of tables."""

    VOID = {"meta", "link", "img", "input", "br", "wbr"}

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.cells = [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open:
            self.cells[-1] += data


def test_the_page_is_whole_in_itself(page):
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    kinds = {address.partition(":")[0].partition("-")[0] for address in reader.addresses}
    assert kinds == {"data", "#results", "https"}
    outside = {address for address in reader.addresses if address.startswith("http")}
    assert outside == {"https://arxiv.org/abs/1611.01144"}  # papers, and nothing that is loaded
    assert not re.search(r'<(script|link|img)[^>]*"https?:', page)
    assert "A title &lt;with&gt; signs" in page and "B &amp; C" in page
    for text in ("The compare", "The train", "The reproduce", "2 x cpu", "jax 0.10.2"):
        assert text in page
    assert "undecided: A before B" in " ".join(page.split())
    assert "100" in reader.cells and "105.0 -8.3+8.3" not in reader.cells


def test_every_line_of_the_tables_is_there(page, results):
    rows = pd.read_parquet(results / "compare" / report.RESULTS)
    names = set(rows.loc[rows["metric"] != "skipped", "estimator"])
    reader = Reader()
    reader.feed(page)
    assert names <= set(reader.cells)


def test_what_ties_with_the_best_is_bold(page):
    # Of B & C, two seeds, and of the training runs.
    assert "<td><b>95.5 ±6.4</b></td>" in re.sub("<td [^>]*>", "<td>", page)
    assert page.count("Bold: not distinguishable from the best") >= 1


def test_figures_are_in_the_page(page):
    assert page.count('src="data:image/png;base64,') == 1
    caption = "Squared bias and variance of each estimator"
    assert f'alt="{caption}, The compare"' in page
    assert f"<figcaption>{caption}</figcaption>" in page


def test_every_figure_of_a_study_has_a_caption_in_words():
    names = {name for study in STUDIES.values() for name in study.figures}
    assert names == report.CAPTIONS.keys()
    assert all(" " in caption and "_" not in caption for caption in report.CAPTIONS.values())


def test_links_to_the_files_of_a_folder(results, tmp_path):
    odd = tmp_path / "a b#c%d:é" / "compare"
    shutil.copytree(results / "compare", odd)
    (odd / "table.csv").write_text("")
    (odd / "table.tex").symlink_to(odd / "table.csv")
    place = tmp_path / "pages"
    page, _ = report.report([odd], place=place)
    reader = Reader()
    reader.feed(page)
    found = [one for one in reader.addresses if one.startswith("..")]
    assert [Path(place, unquote(one)).resolve() for one in found] == [
        odd / report.RESULTS,
        odd / "table.csv",
    ]
    assert all(not set(one) & set("#:% ") - {"%"} for one in found)


def test_headings_are_distinct_and_dated(tmp_path):
    for place in ("one/run", "two/run", "three"):
        write(tmp_path / place, synthetic.comparison(), "compare", problem="VAE")
        os.utime(tmp_path / place / report.RESULTS, (1e9, 1e9))
    page, _ = report.report(report.find(tmp_path))
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == ["compare VAE", "compare VAE (three)", "compare VAE (two)"] or (
        len(set(headings)) == 3 and all(one.startswith("compare VAE") for one in headings)
    )
    assert page.count("Results of 2001-09-09") == 3
    assert re.search(r"Page of 20\d\d-\d\d-\d\d", page)


def test_the_table_ends_in_its_conclusion(page):
    assert "A zero gradient would score" in page


def test_an_unfinished_run_is_marked_with_how_it_goes_on(tmp_path, page):
    assert 'class="unfinished"' not in page
    rows = synthetic.comparison()
    write(tmp_path / "one", rows, "compare", problem="VAE")
    rows = pd.read_parquet(tmp_path / "one" / report.RESULTS)
    rows.attrs |= {"complete": False}
    rows.attrs["provenance"] |= {"command": "estimax compare --estimators 'A<b>'"}
    rows.to_parquet(tmp_path / "one" / report.RESULTS)
    checkpoints = tmp_path / "begun" / ".estimax" / "checkpoints"
    for place in ("A<i>/7", "A<i>/1200", "A<i>/other", "B/30000"):
        (checkpoints / place).mkdir(parents=True)
    (checkpoints / "C").symlink_to(tmp_path / "one")
    page, left_out = report.report(report.find(tmp_path))
    assert not left_out
    marked = re.findall('<p class="unfinished">(.*)</p>', page)
    assert marked == [
        "No part of this run is finished. Checkpoints: A&lt;i&gt; at step 1,200, B at step 30,000. "
        "To continue, run the same command again.",
        "This run is not finished. To continue, run the same command again. "
        "<code>estimax compare --estimators &#39;A&lt;b&gt;&#39;</code>",
    ]
    assert "<h2>begun</h2>" in page and page.count("How it was run") == 1
    (page, _) = report.report(report.find(tmp_path / "begun"))  # alone
    assert "not finished" in page or "No part" in page


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"contains no results\.parquet"):
        report.find(tmp_path)


SCRIPT = """
addEventListener("load", () => {
  const table = document.querySelector("table");
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex(head => head.textContent.startsWith("variance"));
  const keys = () => [...table.tBodies[0].rows].map(row => Number(row.cells[column].dataset.key));
  const sorted = sign => keys().every((x, i, all) => !i || sign * (x - all[i - 1]) >= 0);
  const button = heads[column].firstElementChild;
  button.click();
  const up = sorted(1);
  button.click();
  const down = sorted(-1);
  const input = document.querySelector("input[data-filters]");
  input.value = "gumbel";
  input.dispatchEvent(new Event("input"));
  const left = [...table.tBodies[0].rows].filter(row => !row.hidden);
  const filtered = left.length && left.every(row => /gumbel/i.test(row.textContent));
  const images = [...document.images].every(image => image.complete && image.naturalWidth > 0);
  const wide = document.documentElement.scrollWidth <= innerWidth;
  input.value = "";
  input.dispatchEvent(new Event("input"));
  const inside = box => box.left >= -1 && box.right <= innerWidth + 1 && box.width > 40;
  const box = cell => cell.getBoundingClientRect();
  const key = innerWidth < 600 || inside(box(heads[1]));
  let names = true, scrolls = false;
  for (const frame of document.querySelectorAll(".wide")) {
    const few = [...frame.querySelectorAll("td.name")];
    scrolls ||= frame.scrollWidth > frame.clientWidth;
    frame.scrollLeft = 1e6;
    const fits = cell => box(cell).width < innerWidth / 2 && cell.scrollWidth <= cell.clientWidth;
    names &&= few.length && few.every(cell => inside(box(cell)) && fits(cell));
    frame.scrollLeft = 0;
  }
  const apart = [...document.querySelectorAll("section")].every(section => {
    const boxes = [...section.children].map(box);
    return boxes.every((one, i) => !i || one.top >= boxes[i - 1].bottom - 1);
  });
  const cells = [...table.tBodies[0].rows].slice(0, 3).every(row => {
    const boxes = [...row.cells].map(box);
    return boxes.every((one, i) => !i || one.left >= boxes[i - 1].right - 1);
  });
  const figure = document.querySelector("figure button");
  const small = box(figure.firstElementChild).width;
  figure.click();
  const large = document.querySelector("dialog[open] img");
  const opens = large !== null && box(large).width > small;
  const measured = { key, names: Boolean(names), apart, cells, opens };
  if (innerWidth < 600) measured.scrolls = scrolls;
  Object.assign(measured, { up, down, filtered: Boolean(filtered), images, wide });
  document.title = Object.entries(measured).filter(([, good]) => !good).join() || "good";
});
"""


@needs_browser
@pytest.mark.parametrize("width", [1400, 1280, 390])
def test_in_a_browser(page, tmp_path, width):
    """It loads without an error, sorts, filters, shows its images, and fits a phone.

    On a phone names stay in sight while numbers scroll; figures open large.
    """
    assert CHROMIUM
    path = tmp_path / "report.html"
    # The page runs no other script than its own: this one is allowed by its hash too.
    page = page.replace("script-src ", f"script-src {report._hash(SCRIPT)} ")
    page = page.replace("</body>", f"<script>{SCRIPT}</script></body>")
    path.write_text(page, encoding="utf-8")
    flags = [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    run = subprocess.run(
        [CHROMIUM, *flags, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in run.stderr
    (title,) = re.findall("<title>(.*?)</title>", run.stdout)
    assert title == "good"
