"""The table of published numbers and ours, with verdicts on predictions."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.columns import COUNT, ESTIMATE, SETTING, WORD, Column, Form, Kind, number
from analysis.readable import ReadableTable
from analysis.rows import check, configuration, is_complete
from analysis.statistics.agreement import Agreement, rank_agreement
from analysis.statistics.seeds import over_seeds
from analysis.statistics.student import quantile
from analysis.statistics.ties import may_be_least

_PLACE = ("table", "budget", "stage", "cell", "block", "label", "metric", "split")
COLUMNS = (*_PLACE, "value", "units", "source", "scale", "higher_is_better", "is_known", "note")
_CELL = ("cell", "metric", "split")  # one value per seed
_RUN = ("seed", "step", "low", "high")  # cells that were run
_NORMAL = 1.96
_ROUNDING = 1e-6
_ENDS = ("label", "other")  # a predicted pair
VERDICTS = ("held", "broke", "undecided", "not run")


def _tried_text(line: pd.Series, field: str, _: Form) -> str:
    """Write how many candidates were compared, and the steps of each: `2 x 2,000`."""
    if pd.isna(line[field]):
        return "-"
    return f"{line[field]:.0f} x {line['tried_steps']:,.0f}"


def _number(form: str) -> Kind:
    """Return the kind of a number in a form, or a dash where there is none."""
    return number(lambda value: "-" if pd.isna(value) else form.format(value))


_ALWAYS = ("block", "label", "published", "ours")
_COLUMNS = (
    Column("part of the table", ("", "part of the table"), "block", WORD),
    Column("estimator", ("", "estimator"), "label", WORD),
    Column("published", ("", "published"), "published", _number("{:.6g}")),
    Column("ours", ("", "ours"), "ours", ESTIMATE),
    Column("difference", ("differ-", "ence"), "difference", _number("{:+.3g}")),
    Column("learning rate", ("learning", "rate"), "learning_rate", SETTING),
    Column(
        "tried: candidates x steps",
        ("tried:", "each steps"),
        "tried",
        Kind(_tried_text, "setting"),
    ),
    Column("seeds", ("", "seeds"), "seeds", COUNT),
)


def reproduction_table(rows: pd.DataFrame) -> ReadableTable:
    """Return published numbers with ours, in the order of publication.

    Args:
        rows: the tidy table of `estimax reproduce`, all of one table and scale.

    Returns:
        One line per published number: its `block` and `label` (part of the table, estimator), the
        `published` value, its `units` and `source`; `ours` with `ours_low` and `ours_high`, and the
        `difference`; the number of `seeds`; the `estimator`, `variant` and `learning_rate` chosen
        on validation images from `tried` candidates of `tried_steps` steps each; `note`. Intervals
        are 95 %: Student's t over seeds, or for a single seed that of its evaluation. `ours_tied`
        marks the best of each block and what is not distinguishable from it, in a test paired by
        seed. Below the table are the rank agreement by block, and the verdicts on predictions.

    Raises:
        ValueError: if the table is empty, lacks a column, or holds several tables.
    """
    lines = compared(rows)
    table, scale = rows["table"].iloc[0], rows["budget"].iloc[0]
    parts = [configuration(rows).get("title", table), f"budget {scale}", *_spent(rows)]
    return ReadableTable(
        frame=lines.drop(columns="is_known"),
        columns=tuple(_columns(lines)),
        heading=", ".join(parts + ([] if is_complete(rows) else ["run not complete"])),
        notes=_footnotes(lines, rows) + list(configuration(rows).get("notes", ())),
        sections=_sections(lines, predictions(rows, lines)),
        context={"table": table, "budget": scale},
        is_grouped=True,
    )


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of `reproduction_table`, with `is_known` for exactly known numbers."""
    check(rows, COLUMNS)
    for name in ("table", "budget"):
        if rows[name].nunique() > 1:
            raise ValueError(f"the result table holds several values of {name}, not one")
    rows = rows.assign(note=rows["note"].fillna(""))
    targets = rows[rows["stage"] == "published"]
    if targets.empty:
        raise ValueError("the result table holds no published number")
    if rows["stage"].isin(["final", "tried"]).any():
        check(rows, _RUN)
    if (rows["stage"] == "prediction").any():
        check(rows, _ENDS)
    blocks = list(targets["block"].unique())
    targets = targets.sort_values(
        "block", key=lambda names: names.map(blocks.index), kind="stable", ignore_index=True
    )
    runs = _finished(rows[rows["stage"] == "final"])
    ours = _ours(runs)
    lines = targets[["block", "label", "cell", "metric", "split"]].assign(
        published=targets["value"],
        units=targets["units"],
        source=targets["source"],
        published_note=targets["note"],
    )
    lines = lines.merge(ours, how="left", on=["cell", "metric", "split"])
    scale = targets["scale"].astype(float)
    scaled = lines[["ours", "ours_low", "ours_high"]].mul(scale, axis=0)
    lines["ours"] = scaled["ours"]
    lines["ours_low"] = scaled[["ours_low", "ours_high"]].min(axis=1)
    lines["ours_high"] = scaled[["ours_low", "ours_high"]].max(axis=1)
    comparable = configuration(rows).get("is_comparable", True)
    lines["difference"] = lines["ours"] - lines["published"] if comparable else np.nan
    for name in ("higher_is_better", "is_known"):
        lines[name] = targets[name].astype(bool)
    lines["ours_tied"] = _ties(lines.assign(scale=scale), runs)
    tried = _tried(rows).reindex(lines["cell"])
    lines["tried"], lines["tried_steps"] = tried["tried"].values, tried["steps"].values
    notes = _notes(rows)
    lines["note"] = [notes.get(cell, "") for cell in lines["cell"]]
    return lines


def _ties(lines: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """Return which lines are not distinguishable from the best of their block, paired by seed.

    All cells have the same seeds. Known answers are not compared: all have the same one.

    Args:
        lines: the lines, with the `scale` of their numbers.
        runs: the runs behind them.
    """
    flags = pd.Series(False, index=lines.index)
    if "seed" not in runs:
        return flags
    seeds = runs.pivot(index=list(_CELL), columns="seed", values="value")
    seeds = seeds.reindex(pd.MultiIndex.from_frame(lines[list(_CELL)])).set_axis(lines.index)
    # The best is the least of these.
    signs = lines["scale"].where(~lines["higher_is_better"], -lines["scale"])
    for _, part in lines[~lines["is_known"]].groupby("block", sort=False):
        own = seeds.loc[part.index].mul(signs[part.index], axis=0)
        if own.notna().all(axis=1).sum() > 1:
            flags[part.index] = may_be_least(own.mean(axis=1), own)
    return flags


def _columns(lines: pd.DataFrame) -> Iterator[Column]:
    """Yield the non-empty columns."""
    for column in _COLUMNS:
        values = lines[column.field]
        if column.field in _ALWAYS or (values.notna() & (values != "")).any():
            yield column


def _compared_on(rows: pd.DataFrame) -> str:
    """Return the images on which candidates are compared: `validation`."""
    on_training = (rows.loc[rows["stage"] == "tried", "split"] == "train").any()
    return "training" if on_training else "validation"


def _footnotes(lines: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    found = [
        "Published: as printed. Ours: the mean over seeds with its 95 % interval (Student's t, or "
        "for a single seed, that of its evaluation)."
    ]
    if lines["tried"].notna().any():
        found.append(
            "Tried: the number of candidates (learning rates and schedules) compared on "
            f"{_compared_on(rows)} images, and the training steps of each."
        )
    compared = lines[lines["ours"].notna() & ~lines["is_known"]]
    if lines["ours_tied"].any():
        found.append("In each part of the table, the best of ours is marked; the seeds are pairs.")
    elif compared["block"].duplicated().any():
        found.append("No best one of ours is marked: pairs need two seeds or more, none diverged.")
    elif lines["is_known"].any():
        found.append("No best one of ours is marked: all estimate the same known answers.")
    return found


def _sections(lines: pd.DataFrame, predicted: pd.DataFrame) -> dict[str, list[str]]:
    """Return the rank agreement, the known answers and the verdicts on predictions, by title."""
    found: dict[str, list[str]] = {}
    order = {
        name: one
        for name, one in agreement(lines).items()
        if one.size > 2 and not np.isnan(one.tau)
    }
    if order:
        width = max(map(len, order))
        title = "Order of the estimators: Kendall's tau with the published order, 95 % interval"
        found[title] = [
            f"{block:<{width}}  {one.tau:.2f} [{one.low:.2f}, {one.high:.2f}]  "
            f"({one.size} estimators)"
            for block, one in order.items()
        ]
    if known := known_answers(lines):
        agreed, count = known
        found[f"Known answers: {agreed} of {count} within four standard errors"] = []
    if len(predicted):
        counts = predicted["verdict"].value_counts()
        summary = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
        width = max(map(len, VERDICTS))
        found[f"Predictions made before the run: {summary}"] = [
            f"{line['verdict']:<{width}}  {line['statement']}" for _, line in predicted.iterrows()
        ]
    return found


def known_answers(lines: pd.DataFrame) -> tuple[int, int] | None:
    """Return the number of exactly known values that agree with ours, and their total.

    Values agree if they differ by at most four standard errors or float32 rounding.

    Args:
        lines: from `compared`.
    """
    found = lines[lines["is_known"] & lines["ours"].notna()]
    if found.empty:
        return None
    errors = (found["ours_high"] - found["ours_low"]).fillna(0) / 2 / _NORMAL
    room = 4 * errors + _ROUNDING * (1 + found["published"].abs())
    return int((found["difference"].abs() <= room).sum()), len(found)


def agreement(lines: pd.DataFrame) -> dict[str, Agreement]:
    """Return the rank agreement of every block with the published order.

    Args:
        lines: from `compared`.
    """
    return {str(block): _agreement(part) for block, part in lines.groupby("block", sort=False)}


def predictions(rows: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions made before the run, one line per `statement` with its `verdict`.

    "held": in every pair the interval of the estimator expected to be better lies entirely on the
    better side of the other's. "broke": in some pair it lies entirely on the worse side.
    Otherwise "undecided" (intervals overlap) or "not run" (a cell has no value).

    Args:
        rows: the tidy table.
        lines: from `compared`.
    """
    pairs = rows[rows["stage"] == "prediction"]
    found = []
    by_name = {(line["block"], line["label"]): line for _, line in lines.iterrows()}
    named = {(pair["block"], pair[end]) for _, pair in pairs.iterrows() for end in _ENDS}
    if unknown := named - by_name.keys():
        raise ValueError(f"a prediction names {unknown.pop()}, which has no published number")
    for (statement, block), group in pairs.groupby(["note", "block"], sort=False):
        results = [
            _verdict(by_name[block, pair["label"]], by_name[block, pair["other"]])
            for _, pair in group.iterrows()
        ]
        verdict = next(
            (name for name in ("broke", "not run", "undecided") if name in results), "held"
        )
        counts = {f"pairs_{name.replace(' ', '_')}": results.count(name) for name in VERDICTS}
        found.append({"statement": statement, "block": block, "verdict": verdict} | counts)
    columns = ["statement", "block", "verdict"]
    return pd.DataFrame(found) if found else pd.DataFrame(columns=columns)


def _verdict(better: pd.Series, worse: pd.Series) -> str:
    if pd.isna(better["ours"]) or pd.isna(worse["ours"]):
        return "not run"
    if better["higher_is_better"]:
        better, worse = worse, better
        # From here on, the first is expected to be lower.
    if better["ours_high"] < worse["ours_low"]:
        return "held"
    return "broke" if worse["ours_high"] < better["ours_low"] else "undecided"


def _finished(final: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs that did not diverge, at the last step of their cell."""
    if final.empty:
        return final
    lost = final[final["metric"] == "diverged"][["cell", "seed"]].drop_duplicates()
    runs = final.merge(lost.assign(lost=True), how="left", on=["cell", "seed"])
    runs = runs[runs["lost"].isna()]
    return runs[runs["step"] == runs.groupby("cell")["step"].transform("max")]


def _ours(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over seeds of every cell's metrics."""
    by = list(_CELL)
    about = ["estimator", "variant", "learning_rate", "paper_link"]
    if runs.empty:
        return pd.DataFrame(columns=[*by, "ours", "ours_low", "ours_high", "seeds", *about])
    runs = runs.reindex(columns=[*runs.columns, *(name for name in about if name not in runs)])
    means = over_seeds(runs, by)
    means = means.rename(columns={"value": "ours", "low": "ours_low", "high": "ours_high"})
    return means.join(runs.groupby(by)[about].first()).reset_index()


def _tried(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the number of candidates compared for every cell, and the steps of each."""
    tried = rows[rows["stage"] == "tried"]
    if tried.empty:
        return pd.DataFrame(columns=["tried", "steps"], dtype=float)
    groups = tried.groupby("cell")["step"]
    return pd.DataFrame({"tried": groups.size(), "steps": groups.max()})


def _notes(rows: pd.DataFrame) -> dict[str, str]:
    """Return notes by cell: why it was skipped, or that seeds diverged."""
    final = rows[rows["stage"] == "final"]
    ends = rows[rows["stage"].isin(["skipped", "failed", "missing"])]
    ends = ends[~ends["cell"].isin(final["cell"])]
    notes = dict(zip(ends["cell"], ends["note"], strict=True))
    if "seed" not in final:
        return notes
    for cell, part in final.groupby("cell"):
        lost = part.loc[part["metric"] == "diverged", "seed"].nunique()
        if lost:
            notes[str(cell)] = f"{lost} of {part['seed'].nunique()} seeds diverged"
    return notes


def _agreement(part: pd.DataFrame) -> Agreement:
    part = part[part["ours"].notna() & part["published"].notna()]
    several = (part["seeds"] > 1).to_numpy(bool)
    freedom = np.where(several, part["seeds"].astype(float) - 1, np.inf)
    errors = (part["ours_high"] - part["ours_low"]).to_numpy(float) / 2 / quantile(freedom)
    return rank_agreement(
        part["published"].to_numpy(float),
        part["ours"].to_numpy(float),
        np.nan_to_num(errors),
        freedom,
    )


def _spent(rows: pd.DataFrame) -> list[str]:
    """Return the steps, seeds, bound samples and data of the cells as text."""
    final = rows[rows["stage"] == "final"]
    parts: list[str] = []
    if final.empty:
        return parts
    steps = final.groupby("cell")["step"].max().dropna() if "step" in final else []
    if len(steps) and max(steps):
        parts.append(f"{int(max(steps)):,} steps")
    if "seed" in final and final["seed"].notna().any():
        seeds = final.groupby("cell")["seed"].nunique().max()
        parts.append(f"{seeds} seed{'s' if seeds > 1 else ''}")
    images = configuration(rows).get("spent", {}).get("images")
    if images and (final["split"] == "test").any():
        parts.append(f"the first {images:,} test images")
    if "bound_samples" in final and final["bound_samples"].max() > 0:
        samples = int(final["bound_samples"].max())
        parts.append(f"bounds of {samples:,} sample{'s' if samples > 1 else ''}")
    if "data" in final:
        parts += list(final["data"].dropna().unique())
    return [part for part in parts if part]
