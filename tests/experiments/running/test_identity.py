"""A run's identity is what determines its numbers: no more, and no less."""

import ast
import dataclasses

import jax
import jax.numpy as jnp
import pandas as pd
import pytest

from estimators import Bernoulli
from experiments.running import code
from experiments.running.identity import environment, identity
from experiments.running.results import FILE
from experiments.running.user_code import parse_estimator, parse_problem
from experiments.studies.comparison.settings import CompareSettings
from experiments.studies.comparison.study import comparison
from experiments.studies.diagnosis.model import Model
from experiments.studies.diagnosis.study import DiagnoseSettings, diagnosis_study
from experiments.studies.temperature.study import temperature_sweep
from experiments.system.errors import UsageError
from experiments.system.folder import Folder
from tests.experiments.helpers.results import CONFIGURATION, ROW, opened


def settings(**changes):
    plain = {"problem": "Quadratic", "estimators": ["ScoreFunction"]} | changes
    problem = parse_problem(plain.pop("problem"))
    return CompareSettings(problem, [*map(parse_estimator, plain.pop("estimators"))], **plain)


@pytest.mark.parametrize(
    "changes",
    [
        {"problem": "Quadratic[target=0.4]"},
        {"estimators": ["MuProp"]},
        {"estimators": ["ScoreFunction", "MuProp"]},
        {"group": "all"},
        {"samples": 64},
        {"seed": 1},
        {"train_steps": 1},
        {"tuning_steps": 1},
        {"budget": 10.0},
    ],
    ids=str,
)
def test_every_setting_is_part_of_the_identity(changes):
    default = identity(settings().configuration("compare"), environment())
    assert identity(settings().configuration("compare"), environment()) == default
    assert identity(settings().configuration("temperature"), environment()) != default
    assert identity(settings(**changes).configuration("compare"), environment()) != default


def test_the_order_of_settings_does_not_matter():
    assert identity(CONFIGURATION, environment()) == identity(
        dict(reversed(CONFIGURATION.items())), environment()
    )


SOURCES = {
    "estimators/__init__.py": "from estimators.core import noise\n",
    "estimators/core/__init__.py": "",
    "estimators/core/noise.py": '"""Noise."""\n\nSCALE = 2.0\n"""Of it."""\n',
    "experiments/__init__.py": "",
    "experiments/study.py": """
def run(x):
    \"\"\"Run it.\"\"\"
    import experiments.deep.late
    from estimators import noise

    return noise.SCALE * x  # twice
""",
    "experiments/deep/__init__.py": "",
    "experiments/deep/late.py": "import analysis\n",
    "experiments/other.py": "from experiments import study\n",
    "analysis/__init__.py": "",
}


@pytest.fixture
def digest(tmp_path):
    """Write sources, changed or new ones by name, and return the digest of `experiments.study`."""

    def of(changes):
        for name, text in (SOURCES | changes).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return code.digest(["experiments.study"], tmp_path)

    return of


def edited(name, before, after):
    assert before in SOURCES[name]
    return {name: SOURCES[name].replace(before, after)}


@pytest.mark.parametrize(
    "changes",
    [
        edited("experiments/study.py", "Run it.", "Run it again."),
        edited("experiments/study.py", '    """Run it."""\n', ""),
        edited("experiments/study.py", "# twice", "# two times"),
        edited("experiments/study.py", "noise.SCALE * x", "(noise.SCALE\n            * x)"),
        edited("estimators/core/noise.py", '"""Of it."""', '"""Of noise."""'),
        edited("estimators/core/noise.py", '"""Noise."""\n', ""),
        {"experiments/other.py": "SCALE = 3.0\n"},  # which the study does not import
        {"experiments/new.py": "SCALE = 3.0\n"},
        {"analysis/__init__.py": "SCALE = 3.0\n"},  # it draws what is there
    ],
    ids=str,
)
def test_what_computes_no_number_keeps_the_identity(changes, digest):
    assert digest({}) == digest(changes)


@pytest.mark.parametrize(
    "changes",
    [
        edited("experiments/study.py", "* x", "+ x"),
        edited("experiments/study.py", "noise.SCALE", "'text' and noise.SCALE"),
        edited("estimators/core/noise.py", "2.0", "2.5"),  # two imports away
        edited("experiments/deep/late.py", "import analysis", "import analysis\nSCALE = 1"),
        {"estimators/core/__init__.py": "SCALE = 1\n"},  # a package on the way
    ],
    ids=str,
)
def test_code_that_the_study_imports_is_part_of_the_identity(changes, digest):
    assert digest({}) != digest(changes)


def test_the_code_of_a_study_is_what_it_imports(monkeypatch):
    modules = comparison(settings()).modules
    assert "experiments.studies.comparison.point_study" in modules
    sweep = temperature_sweep(settings()).modules
    assert "experiments.studies.temperature.study" in sweep - modules
    first = code.digest(modules)
    assert first != code.digest(["experiments.studies.training.study"])
    monkeypatch.delattr(ast, "parse")  # no source is parsed twice
    assert code.digest(modules) == first
    monkeypatch.undo()
    assert environment(modules) != environment()


def test_other_versions_and_devices_are_another_run(monkeypatch, tmp_path):
    from importlib import metadata

    opened(tmp_path).add([ROW])
    version, devices = metadata.version, jax.devices()
    for package in ("jax", "jaxlib", "numpy", "optax", "flax"):

        def newer(name, package=package):
            return version(name) + "1" * (name == package)

        with monkeypatch.context() as patch:
            patch.setattr(metadata, "version", newer)
            with pytest.raises(UsageError, match=rf"another run \({package} {version(package)}\)"):
                opened(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(jax, "devices", lambda: devices[:1])
        with pytest.raises(UsageError, match=rf"another run \(devices {len(devices)}\)"):
            opened(tmp_path)
    assert opened(tmp_path).rows == [ROW]


@pytest.mark.parametrize(
    ("name", "value"),
    [("enable_x64", True), ("default_matmul_precision", "highest"), ("default_prng_impl", "rbg")],
)
def test_numbers_of_two_arithmetics_are_not_mixed(name, value, tmp_path):
    opened(tmp_path).add([ROW])
    before = getattr(jax.config, f"jax_{name}")
    jax.config.update(f"jax_{name}", value)
    try:
        with pytest.raises(UsageError, match=rf"another run \(jax_{name} {before}\)"):
            opened(tmp_path)
    finally:
        jax.config.update(f"jax_{name}", before)
    assert opened(tmp_path).rows == [ROW]


USER = """
import dataclasses
from experiments.problems.toy import Quadratic

@dataclasses.dataclass(frozen=True)
class Mine(Quadratic):
    shift = {}
"""


def test_identity_is_of_the_users_own_file(tmp_path):
    # Or an edited file would find its old results and measure nothing.
    path = tmp_path / "mine.py"
    found = []
    for shift in (1, 2, 1):
        path.write_text(USER.format(shift))
        problem = f"{path}:Mine"
        assert parse_problem(problem).shift == shift
        found.append(comparison(settings(problem=problem)).identity)
    assert found[0] == found[2] != found[1]


def test_identity_is_of_what_the_users_own_file_imports(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path, helper = tmp_path / "mine.py", tmp_path / "helper_of_mine.py"
    path.write_text("import helper_of_mine\n" + USER.format(1))
    found = []
    for text in ("SCALE = 1", "SCALE = 1  # one", "SCALE = 2"):
        helper.write_text(text)
        found.append(comparison(settings(problem=f"{path}:Mine")).identity)
    assert found[0] == found[1] != found[2]


def test_identity_is_of_what_the_users_package_imports(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package, path = tmp_path / "package_of_mine", tmp_path / "mine.py"
    package.mkdir()
    path.write_text("import package_of_mine.inner\n" + USER.format(1))
    (package / "__init__.py").touch()
    (package / "inner.py").write_text("from . import first\nfrom .second import SCALE\n")
    found = []
    for first, second in ((1, 1), (2, 1), (2, 2)):
        (package / "first.py").write_text(f"SCALE = {first}")
        (package / "second.py").write_text(f"SCALE = {second}")
        found.append(comparison(settings(problem=f"{path}:Mine")).identity)
    assert len(set(found)) == 3


def test_identity_is_of_the_users_code_in_the_project_s_folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path, helper = tmp_path / "mine.py", tmp_path / "other_helper_of_mine.py"
    path.write_text("import other_helper_of_mine\n" + USER.format(1))
    helper.write_text("SCALE = 1")
    chosen = settings(problem=f"{path}:Mine")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    before = comparison(chosen).identity
    helper.write_text("SCALE = 2")
    assert comparison(chosen).identity != before


OWN_ESTIMATOR = """
from estimators import Bernoulli, Estimator, Objective, pytree

@pytree
class Own(Estimator[Bernoulli, Objective]):
    def estimate(self, key, distribution, f):
        return {} * f(distribution.sample(key))
"""


def test_identity_is_of_the_users_own_component(tmp_path):
    path, found = tmp_path / "own.py", []
    for factor in (1, 2):
        path.write_text(OWN_ESTIMATOR.format(factor))
        found.append(
            comparison(
                settings(estimators=[f"{path}:Average[estimator=Own,num_samples=2]"])
            ).identity
        )
    assert found[0] != found[1]


def _loss(model, estimator, key, batch):
    return estimator(key, Bernoulli(model), jnp.sum)


def test_identity_of_a_diagnosis_is_of_the_users_own_estimator(tmp_path):
    path, found = tmp_path / "own.py", []
    for factor in (1, 2):
        path.write_text(OWN_ESTIMATOR.format(factor))
        model = Model.of(_loss, jnp.zeros(1), ())
        own = [parse_estimator(f"{path}:Own")]
        study = diagnosis_study(
            model, own, 0, DiagnoseSettings(), source="model.py:make", module=__name__
        )
        found.append(study.identity)
    assert found[0] != found[1]


def test_an_edit_during_a_run_leaves_its_identity(tmp_path, monkeypatch):
    study, again = (
        dataclasses.replace(comparison(settings()), configuration=CONFIGURATION) for _ in range(2)
    )
    results = study.open(Folder(tmp_path))
    monkeypatch.setattr(code, "digest", lambda modules: "edited")
    results.add([ROW])
    assert pd.read_parquet(tmp_path / FILE).attrs["identity"] == study.identity
    with pytest.raises(UsageError, match="another run"):
        again.open(Folder(tmp_path))
