"""The command line as a user meets it: bad input in one line, help, families of estimators."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pandas as pd
import pytest

import estimators
from experiments.command_line import main, parser
from experiments.running.user_code import parse_estimators
from tests.experiments.helpers.command import SMALL, contents, refused

# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["required: COMMAND"]),
        (["compre"], ["'compre' (did you mean 'compare'?)", "temperature", "benchmark"]),
        (["xyzzy"], ["unknown command 'xyzzy'; choose from compare"]),
        (["compare", "--sample", "3"], ["'--sample'", "did you mean '--samples'?"]),
        (["compare", "--sampels=3"], ["did you mean '--samples'?"]),
        (["train", "--estimatrs", "Exact"], ["'--estimatrs' (did you mean '--estimators'?)"]),
        (["compare", "--nonsense"], ["unknown option '--nonsense'\n"]),  # only dashes are alike
        (["compare", "DisARM"], ["unexpected argument 'DisARM'"]),
        (["temperature", "--temperature", "1"], ["did you mean '--temperatures'?"]),
        (["compare", "--samples", "0"], ["--samples", "at least 1, not '0'"]),
        (["compare", "--samples", "-5"], ["at least 1, not '-5'"]),
        (["compare", "--samples", "many"], ["whole number", "'many'"]),
        (["compare", "--seed", "-1"], ["--seed", "at least 0"]),
        (["compare", "--seed", "4294967296"], ["--seed", "below 2^32"]),
        (["compare", "--budget", "0"], ["--budget", "above zero"]),
        (["compare", "--budget", "inf"], ["--budget", "above zero"]),
        (["compare", "--problem", "Vae"], ["'Vae'", "did you mean 'VAE'?", "Quadratic"]),
        (["compare", "--problem", "VAE[siz=3]"], ["'siz'", "did you mean 'size'?", "latent"]),
        (["compare", "--problem", "VAE[size=0]"], ["size must be at least 1, not 0"]),
        (["compare", "--problem", "VAE[size=8.5]"], ["size must be an integer, not '8.5'"]),
        (["compare", "--problem", "VAE[kl=exact]"], ["analytic, sampled, sampled-no-score"]),
        (["compare", "--problem", "Quadratic[target=abc]"], ["target must be a number, not 'abc'"]),
        (["compare", "--problem", "Quadratic[target=nan]"], ["target must be finite"]),
        (["compare", "--problem", "ScoreFunction"], ["unknown name", "VAE"]),
        # What float32 takes for infinity, or for zero.
        (["compare", "--problem", "Quadratic[target=1e39]"], ["finite", "1e+39", "3.4e+38"]),
        (["compare", "--problem", f"Quadratic[target=1{'0' * 400}]"], ["finite"]),
        (["compare", "--problem", f"VAE[size={'9' * 5000}]"], ["size must be an integer"]),
        (["compare", "--estimators", "GumbelSoftmax[1e39]"], ["not 1e+39", "float32 holds"]),
        (["compare", "--estimators", "GumbelSoftmax[1e-300]"], ["above zero"]),
        (["compare", "--estimators", "GumbelSoftmax[1e-40]"], ["above zero"]),
        (["temperature", "--temperatures", "1e-300", "1e300"], ["--temperatures", "'1e-300'"]),
        (["temperature", "--temperatures", "1e39"], ["3.4e+38", "'1e39'"]),
        (["compare", "--problem", "[" * 2000], ["cannot read"]),
        (["compare", "--problem", "VAE[" * 2000 + "]" * 2000], ["nested more than 20 deep"]),
        (["compare", "--problem", "VAE[dataset=FashonMNIST]"], ["did you mean 'FashionMNIST'?"]),
        (["compare", "--estimators", "antithetc"], ["did you mean 'antithetic'?", "Exact"]),
        (["compare", "--estimators", "DISARN"], ["did you mean 'DisARM'?", "all"]),
        (["compare", "--columns", "varianc"], ["(did you mean 'variance'?); choose from"]),
        (["claims", "--only", "gumbel-roa"], ["(did you mean 'gumbel-rao-law'?); --list"]),
        (["compare", "--estimators", "GumbelSoftmx[1]"], ["did you mean 'GumbelSoftmax'?"]),
        (["compare", "--estimators", "GumbelSoftmax[temp=1]"], ["'temp'", "temperature"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=0]"], ["above zero", "not 0"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=-1]"], ["above zero", "not -1"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=nan]"], ["above zero"]),
        (
            ["compare", "--estimators", "GumbelSoftmax[temperature=warm]"],
            ["a number, not 'warm'"],
        ),
        (["compare", "--estimators", "Average[GumbelSoftmax[0],2]"], ["above zero"]),
        (["compare", "--estimators", "GumbelSoftmax"], ["needs temperature"]),
        (["compare", "--estimators", "GumbelSoftmax[temperature=0.5"], ["closing ]"]),
        (["compare", "--estimators", "MovingAverage[0.9]"], ["a component, not an estimator"]),
        (["compare", "--estimators"], ["--estimators", "at least one"]),
        (["compare", "--device", "tpu"], ["'tpu'", "auto, cpu, gpu"]),
        (
            ["compare", "--problem", "VAE[size=200]", "--estimators", "Exact"],
            ["Exact", "10^60 states", "at most 1,048,576"],
        ),
        (
            ["compare", "--problem", "Quadratic", "--estimators", "Pathwise"],
            ["Pathwise", "Normal", "not Bernoulli"],
        ),
        (
            ["compare", "--problem", "VAE[kl=relaxed-density]", "--estimators", "MuProp"],
            ["kl=relaxed-density", "GumbelSoftmax"],
        ),
        (["compare", *SMALL, "--group", "encoder"], ["'encoder'", "logits, all"]),
        (["compare", "--group", "encodr"], ["'encodr'", "encoder", "decoder", "prior", "logits"]),
        (["temperature", "--temperatures", "1", "0"], ["--temperatures", "above zero", "'0'"]),
        (["temperature", *SMALL, "--estimators", "MuProp"], ["temperature"]),
        (["compare", "--problem", "nothing.py:Mine"], ["no such file: nothing.py"]),
        (["benchmark", "--json", "no/such/folder/x.json"], ["no such folder"]),
        (["benchmark", "--estimators", "Gumbel[1]"], ["unknown name 'Gumbel'"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = ["--output", "out/deep"] if arguments[:1] in (["compare"], ["temperature"]) else []
    for given in (arguments, arguments + output):
        line = refused(capsys, *given)
        for words in says:
            assert words in line
        assert contents(tmp_path) == {}  # nothing was written, nor a folder made


def test_a_device_that_is_not_there(capsys, tmp_path):
    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU here")
    out = tmp_path / "out"
    line = refused(capsys, "compare", *SMALL, "--device", "gpu", "--output", out)
    assert "--device gpu" in line and "only cpu" in line
    assert not out.exists()


def test_output_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    # /proc takes no folder, not even from root.
    for folder in (tmp_path / "file", tmp_path / "file" / "inside", Path("/proc/estimax")):
        line = refused(capsys, "compare", *SMALL, "--output", folder)
        assert f"--output {folder} cannot be written" in line
    assert contents(tmp_path) == {"file": b"mine"}


def test_results_of_another_run_are_not_overwritten(capsys, tmp_path):
    out = tmp_path / "out"
    common = ["compare", *SMALL, "--estimators", "Exact", "--output", str(out)]
    assert main(common) == 0
    before = contents(out)
    capsys.readouterr()
    assert "another run" in refused(capsys, *common, "--seed", "1")
    (study,) = set(pd.read_parquet(out / "results.parquet")["study"])
    assert study == "compare" and contents(out) == before
    tempered = ["temperature", *SMALL, "--estimators", "GumbelSoftmax[1]", "--output", str(out)]
    assert "another run" in refused(capsys, *tempered)
    assert contents(out) == before
    assert main([*common, "--seed", "1", "--force"]) == 0
    assert set(pd.read_parquet(out / "results.parquet")["seed"]) == {1}


# Help -------------------------------------------------------------------------------------------

DRAWING = {
    "--width": "text",
    "--only": "all",
    "--format": "pdf and png",
    "--no-title": None,
}
OPTIONS = {
    "compare": DRAWING
    | {
        "--device": "the CPU",
        "--data": "$ESTIMAX_DATA",
        "--problem": "VAE",
        "--estimators": "those of the best-known papers",
        "--group": "the encoder",
        "--coordinates": None,
        "--samples": "1024",
        "--seed": "0",
        "--seeds": "1",
        "--train-steps": "300",
        "--tuning-steps": "8000",
        "--budget": "100",
        "--precision": None,
        "--most-samples": "1048576",
        "--at": None,
        "--step": "the last",
        "--trained-with": "any",
        "--output": "one in ./results",
        "--force": None,
        "--save": None,
        "--dry-run": None,
    },
    "benchmark": {
        "--device": "the CPU",
        "--data": "$ESTIMAX_DATA",
        "--estimators": "",
        "--json": "print",
        "--opponents": "NumPyro, optax",
        "--output": "one in ./results",
        "--force": None,
        "--dry-run": None,
        "--quick": None,
    },
    "train": DRAWING
    | {
        "--device": "the CPU",
        "--data": "$ESTIMAX_DATA",
        "--problem": "VAE",
        "--estimators": None,
        "--steps": "10000",
        "--seeds": "1",
        "--seed": "0",
        "--evaluations": "1",
        "--bound-samples": "100",
        "--learning-rates": "0.001",
        "--temperatures": "their own",
        "--optimiser": "Adam",
        "--schedule": None,
        "--tuning-rate": "as published",
        "--log-steps": "steps / 50",
        "--evaluation-examples": "all",
        "--measure": None,
        "--measure-at": "the first, the middle and the last",
        "--group": "the encoder",
        "--samples": "1024",
        "--checkpoint-seconds": "30",
        "--keep-steps": "the last",
        "--distributed": None,
        "--against": "steps",
        "--output": "one in ./results",
        "--force": None,
        "--save": None,
        "--dry-run": None,
    },
}
OPTIONS["temperature"] = OPTIONS["compare"] | {
    "--estimators": "all, in their default variants",
    "--temperatures": "13 from 0.05 to 5",
}
OPTIONS["compare"] |= {
    "--columns": None,
    "--sort": "the error at equal cost",
    "--cost": "evaluations",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_mentions_every_option_with_its_default(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    for name in (*(cls.__name__ for cls in estimators.ALL), "VAE", "Polynomial", "my_file.py"):
        assert name in text
    # From one option to the next, and to the epilogue.
    entries = text.split("options:")[1].split("problems:")[0].split("\n  -")
    described = {}
    for entry in entries:
        words = " ".join(entry.split())
        if words.startswith("-"):
            described["-" + words.split()[0]] = words
    assert described.keys() == OPTIONS[command].keys()
    for option, default in OPTIONS[command].items():
        if default is not None:
            assert f"(default: {default}"[:10] in described[option], option
            assert default in described[option].split("(default:")[1], option


@pytest.mark.parametrize("command", parser.COMMANDS)
def test_help_fits_a_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert text.count("\n") > 10 and max(map(len, text.splitlines())) <= 80


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(command in text for command in OPTIONS)


# A process of its own ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_real_command(tmp_path):
    # The path that a user walks: devices and cache are set before JAX starts.
    command = [sys.executable, "-m", "experiments.command_line", "compare", *SMALL]
    command += ["--estimators", "ScoreFunction", "--output", str(tmp_path / "out")]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "ScoreFunction" in done.stdout
    assert list((tmp_path / "cache" / "estimax" / "compiled").iterdir())
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    assert rows.attrs["provenance"]["device"].startswith(f"{cores} x ")
    refusal = subprocess.run([*command[:4], "--problem", "Vae"], capture_output=True, text=True)
    assert refusal.returncode == 2 and refusal.stderr.count("\n") == 1


def test_imports_do_not_start_jax():
    """Or the number of CPU devices could not be set any more, and all would run on one."""
    code = (
        "import jax; from experiments.command_line import parser; "
        "[parser.of_command(name) for name in parser.COMMANDS]; "
        "jax.config.update('jax_num_cpu_devices', 3); "
        "assert jax.device_count('cpu') == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Families of estimators -------------------------------------------------------------------------


def test_a_family_stands_for_its_estimators():
    chosen = parse_estimators(["antithetic", "Exact", "DisARM"])
    family = [one for cls in estimators.FAMILIES["antithetic"] for one in cls.examples()]
    assert list(map(str, chosen.estimators)) == [*map(str, family), "Exact"]
    assert chosen.named == {"Exact", "DisARM"}
    everything = parse_estimators(None)
    assert len(everything.estimators) == sum(len(cls.examples()) for cls in estimators.ALL)
    assert not everything.named


def test_of_a_family_what_does_not_fit_is_left_out(capsys, tmp_path):
    out = tmp_path / "out"
    compare = ["compare", "--problem", "Quadratic", "--samples", "32", "--output", out]
    assert "no estimator fits Quadratic" in refused(capsys, *compare, "--estimators", "bounds")
    assert "VIMCO does not fit" in refused(capsys, *compare, "--estimators", "bounds", "VIMCO")
    for command in (compare, ["train", *compare[1:3], "--steps", "2"], ["benchmark", "--quick"]):
        line = refused(capsys, *command, "--estimators", "CARMS[2]")
        assert "takes Categorical, not Bernoulli; use ARM, ARMS or DisARM" in line
    train = ["train", "--problem", "Quadratic", "--steps", "2", "--output", out]
    assert main([*map(str, train), "--estimators", "enumeration", "bounds"]) == 0
    trained = set(pd.read_parquet(out / "results.parquet")["estimator"])
    family = [one for cls in estimators.FAMILIES["enumeration"] for one in cls.examples()]
    fits = {str(one) for one in family if estimators.Bernoulli in one.distributions}
    assert trained == fits < set(map(str, family))
