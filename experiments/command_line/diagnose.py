"""The command `diagnose`: which estimator for a model in the user's own file."""

import argparse

import jax

import analysis
from analysis.figures import bias_variance, error_cost
from experiments.command_line import options, unused
from experiments.command_line.output import TABLE_FILES, conclude, figure_files, opened, shown
from experiments.running.progress import Progress
from experiments.running.user_code import parse_estimators, parse_model, source_of_model
from experiments.studies.diagnosis.diagnosis import STUDY, diagnose, fingerprint
from experiments.training.convergence import TUNING_STEPS

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

model is a flax nnx module, an equinox module or any pytree, as it is now: the answer is for these
parameters, so ask early in training and late. docs/which_estimator.md walks through an example.
"""


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("diagnose", _run, "Measure all estimators on your model; recommend one.")
    command.epilog = _EPILOG
    option = command.add_argument
    option("model", metavar="MODEL", help="FILE.py:NAME")
    options.add_estimators(command)
    for name, kind, default, text in (
        ("samples", options.positive, 1024, "gradients drawn of each estimator"),
        ("seed", options.seed, 0, "seed of everything random"),
        (
            "tuning-steps",
            options.count,
            TUNING_STEPS,
            "the most tuning steps of estimators that learn",
        ),
        ("budget", options.positive_number, 100.0, "evaluations of f to compare errors at"),
    ):
        help_text = f"{text} (default: {default:g})"
        option(f"--{name}", type=kind, default=default, metavar="N", help=help_text)
    options.add_output(command, "measure again what is there, replace other results")


def _run(given: argparse.Namespace) -> None:
    loss, model, batch = parse_model(given.model)
    chosen = parse_estimators(given.estimators)
    unused.of_estimators(given, chosen)
    unused.without_effect(given, "on a model that brings its data", "data")
    asked = {
        "samples": given.samples,
        "tuning_steps": given.tuning_steps,
        "budget": given.budget,
    }
    configuration = {
        "study": STUDY,
        "problem": given.model,
        "user_code": source_of_model(given.model),
        "numbers": fingerprint(model, batch),
        "estimators": [str(one) for one in chosen.estimators],
        "seed": given.seed,
        **asked,
    }
    files = [*TABLE_FILES, *figure_files("bias_variance", "error_cost")]
    with opened(given, STUDY, configuration, files) as results:
        if results.reopened:  # before the recommendation reads the rows
            shown(results, analysis.comparison_table)
        with Progress(len(chosen.estimators)) as progress:
            found = diagnose(
                loss,
                model,
                jax.random.key(given.seed),
                batch,
                candidates=chosen.estimators,
                progress=progress,
                results=results,
                **asked,
            )
        figures = {"bias_variance": bias_variance, "error_cost": error_cost}
        conclude(results, analysis.comparison_table, figures)
        print(f"\n{found}", flush=True)
