"""The command `diagnose`: recommends an estimator for a model in the user's file."""

import argparse
import functools

from analysis.kept_atlas import sentence
from experiments.command_line import jobs, options, rough, unused
from experiments.command_line.output import drawing
from experiments.running.results import Results
from experiments.running.user_code import module_of_model, parse_estimators, parse_model
from experiments.studies.diagnosis.diagnose import diagnosis
from experiments.studies.diagnosis.model import Model
from experiments.studies.diagnosis.study import DiagnoseSettings, diagnosis_study
from experiments.training.saved import restored

_EPILOG = """\
MODEL names a function without arguments that returns (loss, model, batch):

    import jax
    from flax import nnx
    from estimators import Bernoulli

    def loss(model, estimator, key, images):
        def one(key, image):
            def f(bits):                        # of one sample: a scalar
                return ((model.decoder(bits) - image) ** 2).sum()
            return estimator(key, Bernoulli(model.encoder(image)), f)
        return jax.vmap(one)(jax.random.split(key, len(images)), images).mean()

    def mine():
        return loss, load_my_model(), load_a_batch()

    estimax diagnose my_model.py:mine

The model is a flax nnx module, an equinox module or any pytree. The
recommendation holds at its present parameters only: diagnose it early and late
in training. docs/which_estimator.md has an example.
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG
    command.add_argument("model", metavar="MODEL", help="your model: FILE.py:NAME")
    options.add_estimators(command)
    options.add_numbers(
        command,
        DiagnoseSettings(),
        ("samples", options.positive, "N", "gradients per estimator"),
        *options.MEASURING,
    )
    command.add_argument(
        "--seed", type=options.seed, default=0, metavar="N", help="random seed (default: 0)"
    )
    options.add_precision(command, DiagnoseSettings())
    option = command.add_argument
    option(
        "--at",
        type=options.path,
        metavar="DIR",
        help="the model's arrays are those that orbax saved in this folder, of the model, its "
        "state or any pytree with the same paths",
    )
    option(
        "--step", type=options.count, metavar="N", help="step of this checkpoint (default: last)"
    )
    options.add_output(command)
    options.add_drawing(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    loss, model, batch = parse_model(given.model)
    step = 0
    if given.at:
        model, step = restored(model, given.at, given.step)
    else:
        unused.without_effect(given, "without --at", "step")
    chosen = parse_estimators(given.estimators)
    unused.of_estimators(given, chosen)
    unused.without_effect(given, "on a model with its own data", "data")
    drawn = drawing(given, chosen.estimators)
    checked = Model.of(loss, model, batch)
    study = diagnosis_study(
        checked,
        chosen.estimators,
        given.seed,
        DiagnoseSettings(
            samples=given.samples,
            tuning_steps=given.tuning_steps,
            budget=given.budget,
            precision=given.precision,
            most_samples=given.most_samples,
        ),
        source=given.model,
        module=module_of_model(given.model),
        step=step,
    )

    def own(results: Results) -> None:
        found = diagnosis(results.rows, chosen.estimators, given.budget)
        name = found.recommended
        beside = sentence(name, name) if name else None
        print("\n".join(["", str(found), *([beside] if beside else [])]), flush=True)

    return jobs.Job(study, drawn, own=own, rough=functools.partial(rough.seconds, study, checked))
