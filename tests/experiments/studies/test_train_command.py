"""`estimax train` as a user meets it: whole results, bad input in one line, several processes."""

import functools
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest

from experiments.command_line import main
from experiments.measurement.moments import Sampler
from experiments.measurement.timing import Timer
from experiments.running.results import FILE
from experiments.system.folder import OWN, Folder
from tests.experiments.helpers.command import refused

TOY = ["train", "--problem", "Coupled[bits=3]", "--steps", "40", "--device", "cpu"]
IMAGES = ["--evaluation-examples", "24", "--bound-samples", "5"]
VAE = ["train", "--problem", "VAE[size=2,batch_size=4]", "--steps", "40", *IMAGES]
WITH_DATA = """
import dataclasses

import jax.numpy as jnp
from estimators import Bernoulli
from experiments.problems import Problem


@dataclasses.dataclass(frozen=True)
class Shifted(Problem):
    def data(self, split="train"):
        return jnp.array([0.1, 0.6])

    def initial(self, key):
        return {"logits": jnp.ones(2)}

    def distribution(self, params, batch):
        return Bernoulli(params["logits"])

    def loss(self, params, estimator, key, batch):
        return estimator(key, self.distribution(params, batch), lambda z: ((z - batch) ** 2).sum())
"""


def train(capsys, *arguments):
    """Run, and return the table and what was printed."""
    assert main([str(argument) for argument in arguments]) == 0
    printed = capsys.readouterr()
    folder = arguments[arguments.index("--output") + 1]
    return pd.read_parquet(folder / FILE), printed


def test_parameters_that_diverge_under_a_finite_loss(tmp_path, capsys):
    # A bit whose logit is infinite is one: the loss is finite, and nothing else is.
    out = tmp_path / "out"
    arguments = ["train", "--problem", "Quadratic", "--steps", "20", "--evaluations", "2"]
    arguments += ["--estimators", "ScoreFunction", "--learning-rates", "1e38", "1e-3"]
    assert main([*arguments, "--output", str(out)]) == 0
    rows = pd.read_parquet(out / "results.parquet")
    (lost,) = rows[rows["metric"] == "diverged"].to_dict("records")
    assert lost["learning_rate"] == pytest.approx(1e38) and "not finite" in lost["note"]
    exact = rows[rows["metric"] == "exact_loss"]
    assert set(exact["learning_rate"]) == {1e-3} and np.isfinite(exact["value"]).all()


def test_a_batch_of_runs(capsys, tmp_path):
    chosen = ["ScoreFunction", "GumbelSoftmax[0.5]"]
    rates, temperatures = ["0.01", "0.1"], ["0.3", "1"]
    arguments = [*VAE, "--estimators", *chosen, "--seeds", "2", "--learning-rates", *rates]
    arguments += ["--temperatures", *temperatures, "--output", tmp_path / "out"]
    table, printed = train(capsys, *arguments)
    # Temperatures are for what has one.
    names = {"ScoreFunction", *(f"GumbelSoftmax[temperature={float(t)}]" for t in temperatures)}
    assert set(table["estimator"]) == names
    runs = table.groupby(["estimator", "learning_rate", "seed"])
    assert len(runs) == 3 * 2 * 2
    for _, rows in runs:
        loss = rows[rows["metric"] == "loss"]
        assert loss["step"].tolist() == list(range(1, 41)) and (loss["split"] == "train").all()
        for split in ("validation", "test"):
            own = rows[rows["split"] == split].set_index("metric")
            assert set(own.index) == {"negative_elbo", "negative_bound"}
            assert (own["step"] == 40).all()
            assert own["bound_samples"].to_dict() == {"negative_elbo": 1, "negative_bound": 5}
            # Never above the ELBO of the same samples (Jensen).
            assert own.loc["negative_bound", "value"] <= own.loc["negative_elbo", "value"] + 1e-3
            assert (own["low"] < own["value"]).all() and (own["value"] < own["high"]).all()
    assert (table["objective"] == "kl=analytic").all()
    assert table["data"].str.startswith("MNIST").all()
    assert "GumbelSoftmax[0.3]" in printed.out and str(tmp_path / "out") in printed.out
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {FILE, OWN, "table.txt", "table.md", "training.pdf", "training.csv"} <= made
    assert any(name.startswith("pictures-") and name.endswith(".png") for name in made)
    # A finished run is not run again.
    before = (tmp_path / "out" / FILE).read_bytes()
    _, printed = train(capsys, *arguments)
    assert "--force runs it again" in printed.err
    assert (tmp_path / "out" / FILE).read_bytes() == before


def test_a_diverging_run_is_a_row_and_the_others_go_on(capsys, tmp_path):
    arguments = [*VAE, "--estimators", "ScoreFunction", "--optimiser", "SGD"]
    arguments += ["--learning-rates", "1e-3", "1e37", "--output", tmp_path / "out"]
    table, printed = train(capsys, *arguments)
    (row,) = table[table["metric"] == "diverged"].to_dict("records")
    assert row["learning_rate"] == 1e37 and 0 < row["value"] < 40
    assert f"the loss of step {row['value']:.0f} is" in row["note"]
    lost = table[(table["learning_rate"] == 1e37) & table["metric"].isin(["loss", "negative_elbo"])]
    assert (lost["step"] <= row["value"]).all() and np.isfinite(lost["value"]).all()
    kept = table[(table["learning_rate"] == 1e-3) & (table["metric"] == "negative_elbo")]
    assert len(kept) == 2 and np.isfinite(kept["value"]).all()
    assert "diverged" in printed.out


@pytest.mark.slow
def test_all_runs_diverge(capsys, tmp_path):
    arguments = [*VAE, "--estimators", "ScoreFunction", "--optimiser", "SGD"]
    arguments += ["--learning-rates", "1e37", "--output", tmp_path / "out"]
    table, printed = train(capsys, *arguments)
    assert (table["metric"] == "diverged").sum() == 1 and table.attrs["complete"]
    assert "diverged" in printed.out


def test_gradients_are_measured_along_the_way(capsys, tmp_path):
    arguments = [*TOY, "--estimators", "ScoreFunction[MovingAverage[0.9]]", "--seeds", "2"]
    arguments += ["--measure", "ScoreFunction", "StraightThrough", "--measure-at", "0", "7", "40"]
    arguments += ["--samples", "2048", "--output", tmp_path / "out"]
    table, _ = train(capsys, *arguments)
    measured = table[table["measured"] != ""]
    assert set(measured["seed"]) == {0}
    keys = measured.groupby(["measured", "step"])["metric"].nunique()
    assert keys.index.tolist() == [
        (name, step) for name in ("ScoreFunction", "StraightThrough") for step in (0, 7, 40)
    ]
    values = measured.set_index(["measured", "metric", "step"]).sort_index()
    biased = values.loc["StraightThrough", "squared_bias"]
    assert (biased["low"] > 0).all()
    assert (values.loc["ScoreFunction", "squared_bias"]["low"] == 0).all()
    # The point moves.
    assert values.loc["ScoreFunction", "truth_norm"]["value"].nunique() == 3
    assert (tmp_path / "out" / "along_training.png").exists()
    exact = table[table["metric"] == "exact_loss"]
    assert len(exact) == 2 and (exact["step"] == 40).all()


def test_groups_are_measured_along_the_way_with_the_same_gradients(capsys, tmp_path):
    arguments = [*VAE, "--estimators", "DisARM", "--measure", "DisARM", "--measure-at", "0", "40"]
    arguments += ["--samples", "64", "--format", "png"]
    groups = ["logits", "decoder", "all"]
    table, _ = train(capsys, *arguments, "--group", *groups, "--output", tmp_path / "several")
    assert table.attrs["configuration"]["group"] == groups
    several = table[table["measured"] != ""]
    sizes = several.groupby(["group", "step"], sort=False).size()
    assert len(sizes) == len(groups) * 2 and list(several["group"].unique()) == groups
    times = several[several["metric"] == "seconds"].groupby("step")["value"]
    assert (times.nunique() == 1).all()  # of all groups together
    alone, _ = train(capsys, *arguments, "--group", "decoder", "--output", tmp_path / "alone")
    assert alone.attrs["configuration"]["group"] == "decoder"
    columns = ["step", "metric", "value", "low", "high"]
    found, expected = (
        rows.loc[(rows["group"] == "decoder") & (rows["metric"] != "seconds"), columns]
        for rows in (several, alone)
    )
    for name in columns[2:]:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-4)
    drawn = pd.read_csv(tmp_path / "several" / "along_training.csv")
    assert list(drawn["group"].unique()) == groups and len(drawn) == len(groups) * 2


def test_a_problem_with_data_and_nothing_to_evaluate(capsys, tmp_path):
    """Its exact loss is that of the minibatch on which gradients are measured."""
    path = tmp_path / "own.py"
    path.write_text(WITH_DATA)
    arguments = ["train", "--problem", f"{path}:Shifted", "--steps", "4", "--estimators", "Exact"]
    table, _ = train(capsys, *arguments, "--output", tmp_path / "out")
    (exact,) = table[table["metric"] == "exact_loss"]["value"]
    (loss,) = table[(table["metric"] == "loss") & (table["step"] == 4)]["value"]
    assert loss > exact > 0


@pytest.mark.slow
def test_what_is_named_twice_is_trained_and_measured_once(capsys, tmp_path):
    arguments = [*TOY, "--estimators", "Exact", "Exact[]", "--measure", "DisARM", "DisARM"]
    arguments += ["--measure-at", "0", "0", "--samples", "32", "--output", tmp_path / "out"]
    table, _ = train(capsys, *arguments)
    assert not table.duplicated(["estimator", "measured", "metric", "step", "split"]).any()
    assert set(table["measured"]) == {"", "DisARM"}


def test_two_estimators_of_one_name_are_refused(capsys, tmp_path):
    source = (
        "from estimators import StraightThrough, pytree\n"
        "@pytree\nclass Mine(StraightThrough):\n    pass\n"
    )
    files = [tmp_path / "one.py", tmp_path / "other.py"]
    for path in files:
        path.write_text(source)
    named = [f"{path}:Mine" for path in files]
    assert "two estimators are called Mine" in refused(capsys, *TOY, "--estimators", *named)


def test_evaluations_along_the_way(capsys, tmp_path):
    arguments = [*VAE, "--estimators", "DisARM", "--evaluations", "4", "--output", tmp_path / "out"]
    table, _ = train(capsys, *arguments)
    bound = table[(table["metric"] == "negative_bound") & (table["split"] == "test")]
    assert bound["step"].tolist() == [10, 20, 30, 40]


@pytest.mark.slow
def test_a_reader_that_leaves_costs_nothing(tmp_path):
    arguments = [*TOY, "--estimators", "ScoreFunction", "--output", str(tmp_path / "out")]
    run = subprocess.Popen(
        [sys.executable, "-m", "experiments.command_line", *arguments],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run.stdout.close()
    assert "Traceback" not in run.stderr.read() and run.wait() == 0
    run.stderr.close()
    assert (tmp_path / "out" / "training.png").exists()


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--problem", "VAE[dataset=SVHN]"], ["dataset must be one of MNIST, FashionMNIST"]),
        (["--problem", "VAE[binarisation=hard]"], ["binarisation must be one of threshold"]),
        (["--problem", "VAE[kl=exact]"], ["kl must be one of analytic, sampled"]),
        (["--problem", "VAE[dataset=FashionMNIST,binarisation=published]"], ["FashionMNIST"]),
        (["--problem", "VAE[batch_size=60000]"], ["batch of 60000", "50000 examples"]),
        (["--learning-rates", "0"], ["--learning-rates", "above zero, not '0'"]),
        (["--learning-rates", "1e-3", "-1"], ["above zero, not '-1'"]),
        (["--tuning-rate", "0"], ["above zero"]),
        (["--temperatures", "0"], ["above zero"]),
        (["--steps", "0"], ["at least 1"]),
        (["--seeds", "0"], ["at least 1"]),
        (["--seed", "4294967295", "--seeds", "2"], ["--seed must be at most 4294967294"]),
        (["--optimiser", "Adm"], ["'Adm'", "did you mean 'Adam'?", "RAdam, SGD, RMSProp"]),
        (["--optimiser", "SGD[momentum=2]"], ["momentum must be at least 0 and below 1"]),
        (["--schedule", "temperature"], ["write FIELD=NAME"]),
        (["--schedule", "temperature=Exponentail"], ["did you mean 'Exponential'?"]),
        (["--schedule", "slope=Exponential"], ["has no slope to schedule", "temperature"]),
        (
            ["--schedule", "temperature=Exponential", "--temperatures", "1"],
            ["cannot be combined"],
        ),
        (["--estimators", "Pathwise"], ["Pathwise", "not Bernoulli"]),
        (["--estimators", "VIMCO"], ["needs a multi-sample bound"]),
        (
            ["--estimators", "GumbelSoftmax[0.5]", "GumbelSoftmax[2]", "--temperatures", "1"],
            ["GumbelSoftmax[temperature=1.0] would be trained twice"],
        ),
        (["--measure", "DisARM", "--measure-at", "50"], ["step 50", "training ends at 40"]),
        (["--measure", "DisRM"], ["did you mean 'DisARM'?"]),
        (["--group", "decodr"], ["'decodr'", "encoder, decoder"]),
        (["--data", "nowhere"], ["nowhere", "no such folder"]),
        (["--distributed"], ["--distributed", "srun"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bad_input(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.delenv("ESTIMAX_DATA", raising=False)
    given = [*VAE, "--estimators", "GumbelSoftmax[0.5]", "--output", tmp_path / "out", *arguments]
    line = refused(capsys, *given)
    assert all(part in line for part in says), line
    assert not (tmp_path / "out").exists()


def test_the_estimator_must_be_named(capsys):
    assert "--estimators" in refused(capsys, "train")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return what trains once, inside a test, and returns the run's folder."""

    @functools.cache
    def folder():
        out = tmp_path_factory.mktemp("finished") / "out"
        assert main([*TOY, "--estimators", "ScoreFunction", "--output", str(out)]) == 0
        return out

    return folder


@pytest.fixture
def trained(finished, capsys, tmp_path):
    """A copy of a finished run's folder, with the arguments that made it."""
    folder = shutil.copytree(finished(), tmp_path / "out")
    capsys.readouterr()
    return folder, [*TOY, "--estimators", "ScoreFunction", "--output", folder]


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_configuration_is_refused(capsys, trained):
    folder, arguments = trained
    before = everything(folder)
    assert "another run" in refused(capsys, *arguments, "--seeds", "2")
    (folder / FILE).unlink()  # as if it had been killed before its first rows
    line = refused(capsys, *arguments, "--seeds", "2")
    assert "checkpoint of another configuration" in line and "--force" in line
    (folder / FILE).write_bytes(before[folder / FILE])
    assert everything(folder) == before
    train(capsys, *arguments, "--seeds", "2", "--force")


def test_a_corrupt_checkpoint_is_refused(capsys, trained):
    folder, arguments = trained
    (folder / FILE).unlink()
    largest = max((folder / OWN / "checkpoints").rglob("d/*"), key=lambda path: path.stat().st_size)
    for spoil in (lambda content: content[:-20], lambda content: content[:40] + b"?" * 40):
        content = largest.read_bytes()
        largest.write_bytes(spoil(content))
        before = everything(folder)
        line = refused(capsys, *arguments)
        assert "damaged checkpoint" in line and "--force" in line
        assert logging.getLogger("asyncio").level == logging.NOTSET  # as before
        assert everything(folder) == before
        largest.write_bytes(content)
    (metadata,) = (folder / OWN / "checkpoints").rglob("_CHECKPOINT_METADATA")
    for file in (largest, metadata):
        content = file.read_bytes()
        file.unlink()
        os.mkfifo(file)  # where a program that reads it waits for good
        assert "not a regular file" in refused(capsys, *arguments)
        file.unlink()
        file.write_bytes(content)
    train(capsys, *arguments)  # from the checkpoint, which is whole again


def test_an_older_format_is_refused(capsys, trained):
    folder, arguments = trained
    table = pd.read_parquet(folder / FILE)
    table.attrs["format"] = 0
    with Folder(folder).staged() as stage:
        table.to_parquet(stage / FILE)
    before = everything(folder)
    assert "its format is 0, not 1" in refused(capsys, *arguments)
    assert everything(folder) == before


# Several processes ------------------------------------------------------------------------------


def free_job():
    """Return a Slurm job whose port, as JAX derives it from the number, is free."""
    for job in range(os.getpid(), os.getpid() + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", job % 4096 + 61440)):
                return job
    raise AssertionError("no free port")


def test_two_processes_of_a_slurm_job_train_one_batch(capsys, tmp_path):
    arguments = [*TOY, "--estimators", "ScoreFunction[MovingAverage[0.9]]", "--seeds", "3"]
    alone, _ = train(capsys, *arguments, "--output", tmp_path / "alone")
    slurm = {"SLURM_JOB_ID": str(free_job()), "SLURM_STEP_NODELIST": "localhost"}
    slurm |= {"SLURM_NTASKS": "2", "XDG_CACHE_HOME": str(tmp_path)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "experiments.command_line", *arguments]
            + ["--distributed", "--output", str(tmp_path / "together")],
            env=os.environ | slurm | {"SLURM_PROCID": str(n), "SLURM_LOCALID": str(n)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(2)
    ]
    printed = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], printed
    # One of them reports.
    assert "ScoreFunction" in printed[0][0] and "ScoreFunction" not in "".join(printed[1])
    together = pd.read_parquet(tmp_path / "together" / FILE)
    assert together.attrs["complete"]
    for name in ("loss", "exact_loss"):
        values = [
            table[table["metric"] == name].sort_values(["seed", "step"])["value"].to_numpy()
            for table in (alone, together)
        ]
        assert len(values[0]) and len(values[0]) == len(values[1])
        np.testing.assert_allclose(*values, rtol=1e-4)


def test_devices_do_not_change_the_runs(capsys, tmp_path, monkeypatch):
    arguments = [*TOY, "--estimators", "DisARM", "--seeds", "3", "--output"]
    four, _ = train(capsys, *arguments, tmp_path / "four")
    monkeypatch.setattr(jax, "devices", lambda *_: jax.local_devices()[:1])
    one, _ = train(capsys, *arguments, tmp_path / "one")
    losses = [table[table["metric"] == "loss"]["value"].to_numpy() for table in (four, one)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_signal_ends_a_measurement(capsys, tmp_path, monkeypatch):
    """While gradients are drawn: nothing is timed, and no other estimator is drawn."""
    draw, drawn = Sampler.draw_views, []

    def asked(self, *arguments, **options):
        drawn.append(arguments[0])
        signal.raise_signal(signal.SIGTERM)
        return draw(self, *arguments, **options)

    monkeypatch.setattr(Sampler, "draw_views", asked)
    monkeypatch.setattr(Timer, "rounds", lambda *_: pytest.fail("timed, though asked to end"))
    measured = ["--measure", "ScoreFunction", "StraightThrough", "--measure-at", "0"]
    arguments = [*TOY, "--estimators", "ScoreFunction", *measured, "--output", str(tmp_path / "o")]
    assert main(arguments) == 128 + signal.SIGTERM
    assert "is kept at step 0 of 40" in capsys.readouterr().err
    assert len(drawn) == 1
