"""Tables in LaTeX: a line a row, numbers aligned, no wider than the page, and they compile."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.render.latex import escape
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_claims import claim
from tests.analysis.test_reproduction import expected, ours, target

USER = "My_Own%Estimator[path_a=C:\\x~1,k=50%,s={a|b}#&$^]"
LONG = "StraightThroughGumbelSoftmaxOfAVeryLongName[first=0.123456,second=0.654321]"
# In points: a digit of 8 pt type, and the widths of a two-column article of 10 pt.
DIGIT = 4.25
WIDTHS = {"table": 229.5, "table*": 469.0}


@pytest.fixture(scope="module")
def tables():
    user = {USER: ("yes", 2, 0.0, 0.3, 1e-4), "[Odd]": ("no", 1, 0.1, 0.3, 1e-4)}
    user |= {LONG: ("no", 1, 0.1, 0.3, 1e-4)}
    comparison = analysis.comparison_table(synthetic.comparison())
    rows = [target("A", 100.0), target("B & C", 101.0), expected("A", "B & C")]
    rows += [*ours("A", 104.0, 106.0), *ours("B & C", 95.0, 96.0)]
    return {
        "comparison": comparison,
        "chosen": analysis.comparison_table(
            synthetic.comparison({name: synthetic.ESTIMATORS[name] for name in ("REBAR", "ARM")})
        ).chosen(["equal_cost_error"]),
        "temperature": analysis.temperature_table(synthetic.temperature_study()),
        "user": analysis.comparison_table(synthetic.comparison(user, {USER: "needs 5 % & {more}"})),
        "skipped": analysis.comparison_table(synthetic.comparison(estimators={})),
        "training": analysis.training_table(synthetic.training()),
        "reproduction": analysis.reproduction_table(pd.DataFrame(rows)),
        "claims": analysis.claims_table(
            pd.DataFrame([claim(10.0, low=0.0, claim="a long statement " * 9, metric="its " * 30)])
        ),
    }


ALL = pytest.mark.parametrize(
    "which",
    "comparison chosen temperature user skipped training reproduction claims".split(),
)


@ALL
def test_parts_of_a_table(tables, which):
    text = analysis.to_latex(tables[which], label="tab:one")
    for part in ("\\toprule", "\\midrule", "\\bottomrule", "\\label{tab:one}"):
        assert text.count(part) == 1
    assert text.count("{") == text.count("}") and not re.search(r"(?<!\\)[_#]", text)
    assert re.search(r"\\\\\s*\[", text) is None  # else a bracket is the length of a line break
    assert "resizebox" not in text and text.count("\\begin{tabular*}{\\linewidth}") == 1
    caption, notes = text.split("\\begin{tabular*}")[0], text.split("\\end{tabular*}")[1]
    assert "95 \\%" in notes and "95" not in caption
    assert "(1)" not in text  # notes have marks


def body(text):
    return text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()


def test_a_line_is_a_row(tables):
    table = tables["comparison"]
    lines = body(analysis.to_latex(table))
    names = [line.split(" & ")[0] for line in lines if "\\multicolumn" not in line]
    assert len(names) == len(table.frame) and len(lines) - len(names) <= 1
    rebar = next(line for line in lines if line.startswith("\\texttt{REBAR}"))
    row = table.frame.set_index("estimator").loc["REBAR"]
    side = max(row["variance_high"] - row["variance"], row["variance"] - row["variance_low"])
    shown = re.fullmatch(r"(\d\.\d+)\((\d+)\)e(-?\d+)", rebar.split(" & ")[3].removesuffix(r" \\"))
    value, digits, power = float(shown[1]), int(shown[2]), int(shown[3])
    unit = 10.0 ** (power - len(shown[1].partition(".")[2]))
    assert np.isclose(value * 10.0**power, row["variance"], rtol=6e-3)
    assert np.isclose(digits * unit, side, atol=0.51 * unit)


def test_what_is_not_a_number_is_braced(tables):
    lines = body(analysis.to_latex(tables["comparison"]))
    assert any(r"{\num{<" in line for line in lines)
    missing = synthetic.comparison()
    missing.loc[missing["metric"] == "variance", ["value", "low", "high"]] = np.nan, np.nan, np.nan
    table = analysis.comparison_table(missing).chosen(["variance"])
    assert all(line.endswith(r"& {\textendash} \\") for line in body(analysis.to_latex(table))[:3])


def test_times_share_a_unit(tables):
    text = analysis.to_latex(tables["comparison"].chosen(["seconds"]))
    assert r"{time ($\mu$s)} \\" in text and r"\texttt{Exact} & 2000 \\" in text


def size(cell):
    """Return the width of a cell in points, with typical widths of Computer Modern at 8 pt."""
    digit = DIGIT * (1.15 if cell.startswith(r"\bfseries ") else 1)
    cell = cell.replace(r"\bfseries ", "")
    cell = re.sub(r"\\tnote\{(\d+)\}", "", cell)  # set into the margin of the next column
    cell = re.sub(r"\\(texttt|num|quad|multicolumn\{\d+\}\{[^ ]*l\})", "", cell)
    cell = cell.replace(r"\allowbreak", "").replace(r"\textendash", "-").replace(r"$\mu$", "u")
    power = re.search(r"e-?(\d+)\b", cell) if re.search(r"\de-?\d", cell) else None
    cell = re.sub(r"\\textbackslash|\\text\w+|[{}\\$]", "", re.sub(r"(?<=\d)e-?\d+", "", cell))
    return digit * (len(cell) + (4.4 + len(power[1]) if power else 0))


@ALL
def test_it_fits_the_page(tables, which):
    text = analysis.to_latex(tables[which])
    environment = re.search(r"\\begin\{(table\*?)\}", text)[1]
    rows = text.split("\\toprule\n")[1].split("\\bottomrule")[0].splitlines()
    cells = [line.removesuffix(r" \\").split(" & ") for line in rows if line != "\\midrule"]
    spread = [line[0] for line in cells if len(line) == 1 and "multicolumn" in line[0]]
    count = max(map(len, cells))
    columns = zip(*(line for line in cells if len(line) == count), strict=True)
    total = sum(max(map(size, column)) for column in columns) + 6 * (count - 1)
    assert total <= WIDTHS[environment], (total, environment)
    for line in spread:  # longer ones are in boxes
        assert "\\parbox[t]{\\linewidth}" in line or size(line) <= WIDTHS[environment]


def test_wide_tables_span_the_page(tables):
    assert "\\begin{table*}[t]" in analysis.to_latex(tables["comparison"])
    assert "% Left out for lack of width: " in analysis.to_latex(tables["comparison"])
    narrow = analysis.to_latex(tables["chosen"])
    assert "\\begin{table}[t]" in narrow and "Left out" not in narrow
    assert "\\begin{table*}" in analysis.to_latex(tables["chosen"], environment="table*")


@ALL
def test_words_of_notes_fit_a_column(tables, which):
    text = analysis.to_latex(tables[which])
    notes = text.split("\\begin{tablenotes}")[1].split("\\end{tablenotes}")[0]
    for word in re.split(r"\s+|\\allowbreak\{\}", notes):
        assert size(word) <= WIDTHS["table"]


def test_labels_and_hyphens(tables):
    assert "\\label{tab:compare}" in analysis.to_latex(tables["comparison"])
    assert escape("--budget, ---") == "-{}-budget, -{}-{}-"


@ALL
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX engine")
def test_it_compiles(tables, which, tmp_path):
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs,siunitx,threeparttable}"
    text = analysis.to_latex(tables[which])
    start = rf"\documentclass[twocolumn]{{article}}{packages}\begin{{document}}"
    (tmp_path / "page.tex").write_text(rf"{start}{text}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout
