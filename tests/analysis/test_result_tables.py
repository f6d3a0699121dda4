import dataclasses
import io
import re

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import formats
from analysis.names import natural, short_names, without, wrap
from analysis.render.latex import escape
from tests.analysis.helpers import synthetic_rows as synthetic

USER = "My_Own%Estimator[path_a=C:\\x~1,k=50%,s={a|b}#&$^]"


@pytest.fixture(scope="module")
def rows():
    return synthetic.comparison()


@pytest.fixture(scope="module")
def table(rows):
    return analysis.comparison_table(rows)


@pytest.fixture(scope="module")
def study():
    return analysis.temperature_table(synthetic.temperature_study())


def value(rows, estimator, metric, column="value"):
    chosen = rows[(rows["estimator"] == estimator) & (rows["metric"] == metric)]
    return chosen[column].iloc[0]


def only(table, frame):
    """The table with some of its lines."""
    return dataclasses.replace(table, frame=frame)


def with_value(rows, estimator, metric, numbers):
    """The rows, with value, low and high of one metric replaced."""
    rows = rows.copy()
    chosen = (rows["estimator"] == estimator) & (rows["metric"] == metric)
    rows.loc[chosen, ["value", "low", "high"]] = numbers
    return rows


def test_one_line_per_estimator_by_error(rows, table):
    table = table.frame
    assert sorted(table["estimator"]) == sorted(synthetic.ESTIMATORS)
    assert table["equal_cost_error"].is_monotonic_increasing
    assert table["estimator"][0] == "Exact"
    for line in table.itertuples():
        for metric in ("squared_bias", "variance", "mse", "cosine_mean", "seconds"):
            assert getattr(line, metric) == value(rows, line.estimator, metric)
        assert line.variance_high == value(rows, line.estimator, "variance", "high")
        assert line.evaluations == synthetic.ESTIMATORS[line.estimator][1]


def test_rows_are_left_as_they_were(rows):
    before = rows.copy()
    analysis.to_text(analysis.comparison_table(rows))
    pd.testing.assert_frame_equal(rows, before)


def test_survives_parquet(rows, table, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    again = analysis.comparison_table(pd.read_parquet(tmp_path / "rows.parquet"))
    assert analysis.to_text(again) == analysis.to_text(table)


def test_reads_the_run_from_attrs(rows, tmp_path):
    """The form in which the studies write them; and tables can be written as parquet again."""
    half = rows.copy()
    half.attrs = {"configuration": {"budget": 50.0}, "complete": False}
    table = analysis.comparison_table(half)
    text = analysis.to_text(table)
    assert "budget of 50 evaluations" in text and "run not complete" in text
    table.frame.to_parquet(tmp_path / "table.parquet")
    again = only(table, pd.read_parquet(tmp_path / "table.parquet"))
    assert analysis.to_text(again) == text


@pytest.mark.parametrize(
    ("width", "written", "limit"),
    [(220, formats.bracketed, "0 (< {}"), (100, formats.tight, "<{}")],
)
def test_text_says_the_numbers(table, width, written, limit):
    lines = analysis.to_text(table, width).splitlines()
    for line in table.frame.itertuples():
        at = next(i for i, text in enumerate(lines) if text.split()[:1] == [line.estimator])
        # A long name has a line of its own.
        text = lines[at + (lines[at] == line.estimator)]
        fields = ["variance", "equal_cost_error"]
        if line.squared_bias_low > 0:
            fields.append("squared_bias")
        elif line.estimator != "Exact":
            assert limit.format(formats.scientific(line.squared_bias_high, 2)) in text
        for field in fields:
            ends = (getattr(line, field + end) for end in ("", "_low", "_high"))
            assert written(*ends) in text
        if width > 200:
            assert formats.duration(line.seconds) in text
            assert f"{line.cosine_mean:.3f}" in text and f"{line.cosine_sample:.3f}" in text


def test_text_fits_the_terminal(table, study):
    for each in (table, study):
        assert max(map(len, analysis.to_text(each).splitlines())) <= 120
    wide = analysis.to_text(table, width=200)
    assert "[" in wide.split("REBAR")[1].split("\n")[0] and "±" not in wide


def test_text_says_what_it_is_of(table):
    text = analysis.to_text(table)
    for part in ("Quadratic[target=0.499]", "kl=analytic", "logits", "1,000 samples", "0.312"):
        assert part in text.split("estimator")[0]
    assert "budget of 100 evaluations" in text and "95 %" in text
    # Seed and step only where they tell something.
    assert "step" not in text.split("estimator")[0]


def test_zero_bias_is_said(rows, table):
    lines = table.frame
    for line in lines.itertuples():
        expected = line.squared_bias_low <= 0 and line.estimator != "Exact"
        text = analysis.to_text(only(table, lines[lines["estimator"] == line.estimator]), 200)
        assert (f"0 (< {line.squared_bias_high:.1e}".replace("e-0", "e-") in text) == expected
    # A negative estimate is never printed, even with a lower bound that is not zero.
    odd = with_value(rows, "ReinMax", "squared_bias", [-2e-5, -1e-4, 3e-4])
    text = analysis.to_text(analysis.comparison_table(odd), 200)
    assert "-2.00e-5" not in text and "0 (< 3.0e-4)" in text


def test_skipped_estimators_are_listed_with_reasons(table):
    for render in (analysis.to_text, analysis.to_markdown, analysis.to_csv, analysis.to_latex):
        text = render(table)
        for name, reason in synthetic.SKIPPED.items():
            written = escape if render is analysis.to_latex else str
            assert written(name) in text and written(reason) in text
    none = analysis.comparison_table(synthetic.comparison(estimators={}))
    assert none.frame.empty and "VIMCO" in analysis.to_text(none)
    assert "VIMCO" in analysis.to_markdown(none) and "VIMCO" in analysis.to_latex(none)
    assert len(pd.read_csv(io.StringIO(analysis.to_csv(none)))) == 2


def test_missing_metrics_and_a_single_estimator():
    one = synthetic.comparison({"DisARM": synthetic.ESTIMATORS["DisARM"]}, skipped={})
    one = one[one["metric"].isin(["variance", "mse"])]
    table = analysis.comparison_table(one)
    assert len(table.frame) == 1 and np.isnan(table.frame["seconds"][0])
    name, error, bias, *_, seconds, cosine, each = analysis.to_text(table).splitlines()[5].split()
    assert (name, error, bias, seconds, cosine, each) == ("DisARM", *"-----")
    assert "budget of" not in analysis.to_text(analysis.comparison_table(one.copy().pipe(no_attrs)))


def no_attrs(rows):
    rows.attrs = {}
    return rows


def test_diverged_is_printed_and_noted(rows):
    bad = with_value(rows, "REBAR", "variance", [np.inf, np.nan, np.nan])
    bad.loc[(bad["estimator"] == "REBAR") & (bad["metric"] == "variance"), "note"] = "diverged"
    text = analysis.to_text(analysis.comparison_table(bad))
    assert re.search(r"REBAR \(1\) .* inf ", text) and "(1) diverged." in text


def _number(text):
    return float(text or "nan")


def test_csv_has_every_number_exactly(table, study):
    for each in (table, study):
        # By Python's own reader of numbers: that of older versions of pandas rounds.
        text, each = analysis.to_csv(each), each.frame
        exact = {name: _number for name, kind in each.dtypes.items() if kind.kind == "f"}
        read = pd.read_csv(io.StringIO(text), converters=exact)
        read = read[: len(each)]
        for column in each.columns:
            if each[column].dtype.kind == "f":
                np.testing.assert_array_equal(read[column], each[column], err_msg=column)
        assert set(read["problem"]) == {"Quadratic[target=0.499]"} and set(read["budget"]) == {100}
        assert list(read["evaluations"]) == list(each["evaluations"])
    assert ",1024," in analysis.to_csv(table)  # an integer


def test_markdown_is_a_table(table):
    named = synthetic.comparison({USER: ("yes", 2, 0.0, 0.3, 1e-4)}, skipped={})
    for each in (table, analysis.comparison_table(named)):
        lines = [line for line in analysis.to_markdown(each).splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert len(lines) == len(each.frame) + 2
    rebar = next(line for line in analysis.to_markdown(table).splitlines() if "REBAR" in line)
    row = table.frame.set_index("estimator").loc["REBAR"]
    assert formats.bracketed(row["variance"], row["variance_low"], row["variance_high"]) in rebar


def test_temperatures_in_order(study):
    text, study = analysis.to_text(study), study.frame
    tempered = study[study["temperature"].notna()]
    for family, lines in tempered.groupby("family"):
        assert lines["temperature"].is_monotonic_increasing and len(lines) == 9
        assert "temperature" not in family
    assert "GumbelRao[num_samples=10]" in set(tempered["family"])
    assert study["temperature"].isna().to_numpy()[-5:].all()
    assert "0.05 (1)" in text and "(1) too few samples for this temperature." in text
    assert text.count("GumbelRao[num_samples=10]") == 1


def test_saved_files_are_the_renderings(table, tmp_path):
    paths = analysis.save_table(table, tmp_path / "new" / "table.v1", label="tab:x")
    assert [path.name for path in paths] == [f"table.v1.{e}" for e in ("txt", "md", "csv", "tex")]
    assert paths[0].read_text(encoding="utf-8") == analysis.to_text(table)
    assert paths[3].read_text(encoding="utf-8") == analysis.to_latex(table, label="tab:x")
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths)


def test_bad_input_is_one_clear_error(rows):
    for build in (analysis.comparison_table, analysis.temperature_table):
        with pytest.raises(ValueError, match="lacks the column group, value"):
            build(rows.drop(columns=["group", "value"]))
        with pytest.raises(ValueError, match="is empty"):
            build(rows[:0])
        with pytest.raises(ValueError, match="variance of REBAR twice"):
            chosen = (rows["estimator"] == "REBAR") & (rows["metric"] == "variance")
            build(pd.concat([rows, rows[chosen]]))
        with pytest.raises(ValueError, match=r"several values of step \(0, 1\)"):
            build(pd.concat([rows, rows.assign(step=1)]))
    with pytest.raises(ValueError, match="lacks the column p_temperature"):
        analysis.temperature_table(rows.drop(columns="p_temperature"))


def test_contexts_split(rows):
    both = pd.concat([rows, rows.assign(group="encoder"), rows.assign(step=7)])
    parts = dict((f"{c['group']}{c['step']}", part) for c, part in analysis.contexts(both))
    assert list(parts) == ["logits0", "encoder0", "logits7"]
    unnamed = rows.assign(objective=None)
    ((context, part),) = analysis.contexts(unnamed)
    assert len(part) == len(rows) and context["problem"] == "Quadratic[target=0.499]"
    assert "None" not in analysis.to_text(analysis.comparison_table(part))
    assert "step 7" in analysis.to_text(analysis.comparison_table(parts["logits7"]))


@pytest.mark.parametrize(
    "number, text",
    [
        (1.234e-4, "1.23e-4"), (0.0, "0"), (-0.0, "0"), (12345.0, "1.23e4"), (9.999, "1.00e1"),
        (-2.5e-11, "-2.50e-11"), (np.nan, "-"), (np.inf, "inf"), (np.float32(0.1), "1.00e-1"),
    ],
)  # fmt: skip
def test_scientific(number, text):
    assert formats.scientific(number) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (1.0, "1.00 s"), (0.9999, "1.00 s"), (0.0123, "12.3 ms"), (4.56e-4, "456 µs"),
        (123.4, "123 s"), (9.8e-8, "98.0 ns"), (np.nan, "-"),
    ],
)  # fmt: skip
def test_duration(seconds, text):
    assert formats.duration(seconds) == text


def test_durations_with_intervals():
    found = 1.234e-3, 1.2e-3, 1.31e-3
    assert formats.bracketed_duration(*found) == "1.23 [1.20, 1.31] ms"
    assert formats.relative_duration(*found) == "1.23 ms ±6.2%"
    assert formats.tight_duration(*found) == "1.2 ms±6%"
    assert formats.parenthesised_duration(*found) == "1.234(76) ms"
    assert formats.bracketed_duration(9.6e-4, 8e-4, 1.27e-3) == "960 [800, 1270] µs"
    for alone in (2.0, np.nan, np.nan), (2.0, 2.0, 2.0):
        assert formats.bracketed_duration(*alone) == "2.00 s" == formats.relative_duration(*alone)
        assert formats.parenthesised_duration(*alone) == "2.00 s"
        assert formats.tight_duration(*alone) == "2.0 s"
    assert formats.relative_duration(np.nan, np.nan, np.nan) == "-"


def test_times_have_intervals(rows):
    rows = rows.copy()
    is_time = rows["metric"] == "seconds"
    rows.loc[is_time, "value"] = 1e-3 * np.logspace(0, 1.3, is_time.sum())
    rows.loc[is_time, "low"] = 0.9 * rows["value"]
    rows.loc[is_time, "high"] = 1.2 * rows["value"]
    table = analysis.comparison_table(rows).chosen(["seconds"])
    assert "[" in analysis.to_text(table, 200) and " ms" in analysis.to_text(table, 200)
    narrow = analysis.to_text(table.chosen(["seconds", "variance", "mse"]), 80)
    assert (
        len(re.findall(" ms ?±20%", narrow)) == is_time.sum() and "±9%: the longer side" in narrow
    )
    for shown in (analysis.to_markdown(table), analysis.to_html(table)):
        assert shown.count("] ms") == is_time.sum()
    latex = analysis.to_latex(table)
    (column,) = re.findall(r"S\[table-format=([^]]+)\]", latex)
    assert column.endswith("(3)") or column.endswith("(2)")
    assert "time (ms)" in latex and "1.00(20)" in latex and "In parentheses" in latex


def test_intervals():
    assert formats.tight(1.0, 0.9, 1.15) == "1.0e0±15%" and formats.tight(1.0, 1.0, 1.0) == "1.0e0"
    assert formats.below(1.24e-4) == "<1.2e-4" and formats.below(0.0) == "0"
    assert formats.parenthesised(1.234e-4, 1.1e-4, 1.3e-4) == "1.23(13)e-4"
    assert formats.parenthesised(9.85e-5, 7e-5, 3.7e-4) == "1(3)e-4"  # 0.99 would be 1
    assert formats.parenthesised(-2.0, -2.4, -1.9) == "-2.00(40)e0"
    assert formats.parenthesised(1.0, np.nan, np.nan) == "1.00e0"
    assert formats.uncertain_parenthesised(105.32, 105.11, 105.6) == "105.32(28)"
    assert formats.uncertain_parenthesised(105.3, np.nan, np.nan) == "105.3"
    assert formats.relative(1.0, 0.9, 1.1) == "1.00e0 ±10%"
    assert formats.relative(2.0, 1.9, 2.4) == "2.00e0 ±20%"
    assert formats.tight(1.0, 0.999, 1.001) == "1.0e0±<1%"
    assert formats.relative(1.0, np.nan, np.nan) == "1.00e0" == formats.bracketed(1.0, 1.0, 1.0)
    assert formats.relative(-1.0, -1.2, -0.8) == "-1.00e0 ±20%"
    assert formats.bracketed(1.0, 0.5, 12.0) == "1.00e0 [5.00e-1, 1.20e1]"


def test_short_names_are_those_of_the_rows_unless_two_would_share_one():
    rows = pd.DataFrame(
        {
            "estimator": ["A[k=1]", "A[k=1]", "B[s=1]", "B[t=1]", "C[u=1]", "D"],
            "short_name": ["A[1]", "A[1]", "B[1]", "B[1]", None, ""],
            "measured": ["", "E[v=2]", "", "", "", ""],
            "measured_short_name": ["", "E[2]", "", "", "", ""],
        }
    )
    assert short_names(rows) == {
        "A[k=1]": "A[1]", "B[s=1]": "B[s=1]", "B[t=1]": "B[t=1]", "C[u=1]": "C[u=1]", "D": "D",
    }  # fmt: skip
    assert short_names(rows, "measured") == {"": "", "E[v=2]": "E[2]"}
    assert short_names(rows[["estimator"]])["A[k=1]"] == "A[k=1]"


def test_names():
    assert without("temperature", "GumbelSoftmax[temperature=0.5]") == "GumbelSoftmax"
    assert without("temperature", "A[k=3,temperature=0.5,b=B[temperature=2]]") == (
        "A[k=3,b=B[temperature=2]]"
    )
    assert without("temperature", "REBAR") == "REBAR"
    assert sorted(["A[k=10]", "A[k=2]", "A"], key=natural) == ["A", "A[k=2]", "A[k=10]"]
    for width in (12, 20, 40):
        lines = wrap("ScoreFunction[baseline=LeaveOneOut[num_samples=2]]", width)
        assert max(map(len, lines)) <= width
        joined = lines[0] + "".join(line[2:] for line in lines[1:])
        assert joined == "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]"
