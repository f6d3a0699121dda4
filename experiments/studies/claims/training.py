"""Claims about training with estimators."""

import operator
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    ARM,
    DARN,
    NVIL,
    REBAR,
    RELAX,
    VIMCO,
    Average,
    DisARM,
    Estimator,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MuProp,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbelSoftmax,
)
from experiments.optimisers import SGD
from experiments.problems import VAE, EvaluatedProblem, StructuredPrediction
from experiments.problems.toy import Polynomial, Quadratic
from experiments.statistics import Estimate, sample_mean
from experiments.studies.claims.claim import Claim, ClaimStudy, Region, Scale, above, below, between
from experiments.studies.claims.quantities import paired, share
from experiments.studies.claims.training_runs import TrainingRuns
from experiments.studies.figures import toy_curves
from experiments.studies.figures.integrality import DISCRETE, RELAXED, graph_losses
from experiments.studies.figures.traces import ascend

Makers = Mapping[str, Callable[[], Estimator]]
"""Estimators by name, made when a study runs."""

Train = Callable[[Scale, Estimator], np.ndarray]
"""Trains with an estimator; returns the final loss of each run. Runs share seeds."""

_BETTER, _NO_WORSE = below(0.0, effect=0.5), below(0.5, effect=0.5)


def _comparison(
    name: str,
    title: str,
    source: str,
    makers: Makers,
    train: Train,
    *claims: tuple[str, str, str, Region],
) -> ClaimStudy:
    """Return a study of claims that training with one estimator ends at a lower loss.

    Args:
        name: name of the study.
        title: title of the study.
        source: source of the claims.
        makers: the estimators; only those named by claims are trained.
        train: trains with an estimator.
        *claims: the statement of each, the names of two estimators, and the region of the
            difference of their losses.
    """
    used = {one: makers[one] for _, *pair, _ in claims for one in pair}

    def difference(first: str, second: str) -> Callable[..., Estimate]:
        return lambda losses: paired(losses[first], losses[second])

    return ClaimStudy(
        name,
        title,
        lambda scale: {one: train(scale, make()) for one, make in used.items()},
        tuple(
            Claim(statement, source, " less ".join(pair), difference(*pair), region)
            for statement, *pair, region in claims
        ),
    )


def _bounds(make: Callable[[], EvaluatedProblem], *settings, **more) -> Train:
    """Return a function that trains a problem and returns its bounds on test images."""
    return lambda scale, one: TrainingRuns(make(), *settings, **more).bounds(scale, one)


def _by_momentum(make: Callable[[], EvaluatedProblem]) -> Train:
    return _bounds(make, 2000, 3e-3, optimiser=SGD(momentum=0.9))


def _centred() -> NVIL:
    return NVIL(normalise=True, network=None)


_JANG: Makers = {
    "GS": lambda: GumbelSoftmax(1.0),
    "ST-GS": lambda: StraightThroughGumbelSoftmax(1.0),
    "MuProp": lambda: MuProp(_centred()),
    "ST": StraightThrough,
    "DARN": DARN,
    "SF": lambda: ScoreFunction(_centred()),
}


def _log_speedups(scale: Scale) -> np.ndarray:
    """Return the log ratio of the steps of NVIL and MuProp to NVIL's final loss, by run."""
    problem = VAE("Categorical", 200, 10, kl="sampled")
    training = TrainingRuns(problem, 600, 1e-3, 6, SGD(momentum=0.9))
    _, reference = training.run(scale, ScoreFunction(NVIL(normalise=True)))
    _, faster = training.run(scale, MuProp(NVIL(network=None)))
    smooth = [_smoothed(losses) for losses in (reference, faster)]
    target = smooth[0][:, -1:]
    reached = smooth[1] <= target
    # A run that never reaches the target counts as taking all its steps.
    steps = np.where(reached.any(1), reached.argmax(1) + 1, reached.shape[1])
    return np.log(reached.shape[1] / steps)


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Return running means of the noisy losses, `[runs, steps]`."""
    width = max(losses.shape[1] // 20, 1)
    window = np.ones(width) / width
    return np.stack([np.convolve(run, window, "valid") for run in losses])


_SPEEDUP = "log of NVIL's steps over MuProp's", sample_mean


def _concrete(**settings) -> Train:
    """Return a function that trains with Concrete or VIMCO, five samples (Maddison et al.)."""

    def train(scale: Scale, estimator: Estimator) -> np.ndarray:
        problem = VAE(
            kl="relaxed-density" if estimator.relaxes else "sampled",
            size=200,
            num_samples=5,
            batch_size=64,
            prior_temperature=0.5,
            **settings,
        )
        return TrainingRuns(problem, 2000, 1e-3, 4).bounds(scale, estimator)

    return train


_CONCRETE: Makers = {"Concrete": lambda: GumbelSoftmax(2 / 3), "VIMCO": VIMCO}


_COLD, _WARM = 0.3, 8.0


def _gaps(scale: Scale) -> dict[float, np.ndarray]:
    """Return the loss of the discrete network minus that of the relaxed one, by run."""
    problem = StructuredPrediction("Bernoulli", 100, depth=2)
    images = jnp.asarray(problem.data("test"))[: scale.samples(1000)]
    images = problem.examples(jax.random.key(1), images)
    length = scale.steps(2000), scale.seeds(4)

    def gap(temperature: float) -> np.ndarray:
        key, advance = jax.random.key(2)[None], scale.advance(f"training at {temperature:g}")
        rows = graph_losses(problem, temperature, *length, images, key, advance)
        discrete, relaxed = (
            np.array([row["value"] for row in rows if row["graph"] == graph])
            for graph in (DISCRETE, RELAXED)
        )
        return discrete - relaxed

    return {temperature: gap(temperature) for temperature in (_COLD, _WARM)}


def _toy(target: float, steps: int) -> Train:
    """Return a function that trains one bit from probability 1/2 and returns the exact losses."""

    def train(scale: Scale, estimator: Estimator) -> np.ndarray:
        last, advance = scale.steps(steps), scale.advance(f"training with {estimator}")
        rows = toy_curves.curves(target, estimator, last, last, scale.seeds(32), advance)
        return np.array([row["value"] for row in rows if row["metric"] == toy_curves.LOSS])

    return train


def _chances(scale: Scale) -> dict[str, np.ndarray]:
    """Return the final probabilities of gradient ascent on E (z - 0.501)^2, by run."""
    steps, seeds = scale.steps(4000), scale.seeds(64)

    def keys(seed):  # the keys of training runs with these seeds
        run = jax.vmap(lambda step: jax.random.fold_in(jax.random.key(seed), step))
        return jax.vmap(lambda key: jax.random.split(key)[1])(run(1 + jnp.arange(steps + 1)))

    noise = jax.vmap(keys)(jnp.arange(seeds, dtype=jnp.uint32))
    found = {}
    for name, estimator in {"true": Exact(), "ARM": ARM(), "REINFORCE": ScoreFunction()}.items():
        scale.note(f"training with {estimator}")
        logits, _ = ascend(Quadratic(0.501, 0.0), estimator, noise)
        found[name] = np.asarray(jax.nn.sigmoid(logits[:, -1]), float)
    return found


_POWERS = 1.5, 2.0, 3.0


def _polynomial(scale: Scale) -> dict[float, Estimate]:
    """Return the final loss of ReinMax minus straight-through Gumbel-softmax, by power."""

    def difference(power: float) -> Estimate:
        training = TrainingRuns(Polynomial(power, 128, "Categorical", 0.01), 3000, 1e-3, 6)
        pair = ReinMax(), StraightThroughGumbelSoftmax(1.0)
        return paired(*(training.exact_losses(scale, Average(one, 64)) for one in pair))

    return {power: difference(power) for power in _POWERS}


STUDIES = (
    _comparison(
        "jang-vae-bernoulli",
        "784-200-784 Bernoulli VAE, 2,000 steps of SGD at 3e-3, 6 seeds, test bound of 100 samples",
        "Jang et al. 2017, table 1",
        _JANG,
        _by_momentum(lambda: VAE(size=200, kl="sampled", prior="uniform")),
        ("Gumbel-softmax is below MuProp on the Bernoulli VAE", "GS", "MuProp", _BETTER),
        (
            "Gumbel-softmax is below its straight-through form on the Bernoulli VAE",
            "GS",
            "ST-GS",
            _BETTER,
        ),
        ("Gumbel-softmax is below straight-through on the Bernoulli VAE", "GS", "ST", _BETTER),
    ),
    _comparison(
        "jang-vae-categorical",
        "784-(20x10)-784 VAE, 2,000 steps of SGD at 3e-3, 6 seeds, test bound of 100 samples",
        "Jang et al. 2017, table 1",
        _JANG,
        _by_momentum(lambda: VAE("Categorical", 20, 10, kl="sampled", prior="uniform")),
        ("Gumbel-softmax is below MuProp on the categorical VAE", "GS", "MuProp", _BETTER),
        (
            "Gumbel-softmax is below its straight-through form on the categorical VAE",
            "GS",
            "ST-GS",
            _BETTER,
        ),
        (
            "MuProp is below straight-through Gumbel-softmax on the categorical VAE (the "
            "table, against the text)",
            "MuProp",
            "ST-GS",
            _BETTER,
        ),
        ("Gumbel-softmax is below DARN on the categorical VAE", "GS", "DARN", _BETTER),
    ),
    _comparison(
        "jang-sbn-bernoulli",
        "392-200-200-392 Bernoulli network, 2,000 steps of SGD at 3e-3, 6 seeds, bound of 100",
        "Jang et al. 2017, table 1 and figure 3a",
        _JANG,
        _by_momentum(lambda: StructuredPrediction("Bernoulli", 200)),
        ("Gumbel-softmax is below straight-through on the Bernoulli SBN", "GS", "ST", _BETTER),
        ("Gumbel-softmax is below MuProp on the Bernoulli SBN", "GS", "MuProp", _BETTER),
        (
            "Straight-through Gumbel-softmax is about equal to straight-through on the "
            "Bernoulli SBN",
            "ST-GS",
            "ST",
            between(-1.0, 1.0),
        ),
        (
            "The score function is far worse than straight-through on the Bernoulli SBN",
            "ST",
            "SF",
            below(-5.0, effect=1.0),
        ),
    ),
    _comparison(
        "jang-sbn-categorical",
        "392-(20x10)-(20x10)-392 network, 2,000 steps of SGD at 3e-3, 6 seeds, bound of 100",
        "Jang et al. 2017, table 1 and figure 3b",
        _JANG,
        _by_momentum(lambda: StructuredPrediction("Categorical", 20, 10)),
        ("Gumbel-softmax is below MuProp on the categorical SBN", "GS", "MuProp", _BETTER),
        (
            "Straight-through Gumbel-softmax is below MuProp on the categorical SBN",
            "ST-GS",
            "MuProp",
            _BETTER,
        ),
        (
            "Straight-through Gumbel-softmax is below straight-through on the categorical SBN",
            "ST-GS",
            "ST",
            _BETTER,
        ),
    ),
    _comparison(
        "gu-generative",
        "SBN 200-784, 2,000 steps of SGD at 3e-3, 6 seeds, test bound of 100 samples",
        "Gu et al. 2016, table 3",
        {
            "MuProp": lambda: MuProp(NVIL(network=None)),
            "NVIL": lambda: ScoreFunction(NVIL(normalise=True)),
            "ST": StraightThrough,
        },
        _by_momentum(lambda: VAE(size=200, kl="sampled")),
        ("Straight-through is poor on generative tasks: above MuProp", "MuProp", "ST", _BETTER),
        ("Straight-through is poor on generative tasks: above NVIL", "NVIL", "ST", _BETTER),
    ),
    ClaimStudy(
        "gu-categorical-speed",
        "(200x10)-784, 600 steps of SGD at 1e-3, 6 seeds, steps to NVIL's final training bound",
        _log_speedups,
        (
            Claim(
                "On categorical variables MuProp converges faster than NVIL",
                "Gu et al. 2016, figure 3",
                *_SPEEDUP,
                above(0.0, effect=0.2),
            ),
            Claim(
                "On categorical variables MuProp converges at least three times as fast as NVIL",
                "Gu et al. 2016, figure 3",
                *_SPEEDUP,
                above(float(np.log(3)), effect=0.2),
            ),
        ),
    ),
    _comparison(
        "maddison-linear",
        "784-200-784 linear, bound of 5, 2,000 steps of Adam at 1e-3, 4 seeds, test bound of 100",
        "Maddison et al. 2017, table 1",
        _CONCRETE,
        _concrete(),
        (
            "On a linear network VIMCO is below Concrete",
            "Concrete",
            "VIMCO",
            above(0.0, effect=0.5),
        ),
    ),
    _comparison(
        "maddison-nonlinear",
        "784-200-784 with two tanh layers, bound of 5, 2,000 steps of Adam at 1e-3, 4 seeds, test "
        "bound of 100",
        "Maddison et al. 2017, table 1",
        _CONCRETE,
        _concrete(hidden="200-200"),
        ("On a nonlinear network Concrete is below VIMCO", "Concrete", "VIMCO", _BETTER),
    ),
    ClaimStudy(
        "integrality-gap",
        "392-100-100-392, Gumbel-softmax at two temperatures, 2,000 steps of Adam at 1e-3, 4 seeds",
        _gaps,
        (
            Claim(
                "At a high temperature the discrete network is worse than the relaxed one",
                "Maddison et al. 2017, figure 4",
                "gap at temperature 8, in nats",
                lambda gaps: sample_mean(gaps[_WARM]),
                above(0.0, effect=1.0),
            ),
            Claim(
                "The gap between discrete and relaxed network grows with the temperature",
                "Maddison et al. 2017, figure 4",
                "gap at temperature 8, less that at 0.3",
                lambda gaps: paired(gaps[_WARM], gaps[_COLD]),
                above(0.0, effect=1.0),
            ),
        ),
    ),
    _comparison(
        "disarm-training",
        "784-200-784, batch 50, 3,000 steps of Adam at 1e-3, 6 seeds, test bound of 100 samples",
        "Dong et al. 2020, abstract",
        {"DisARM": DisARM, "ARM": ARM, "LOO": lambda: ScoreFunction(LeaveOneOut(2))},
        _bounds(lambda: VAE(size=200, kl="sampled-no-score", batch_size=50), 3000, 1e-3),
        ("Training with DisARM is better than with ARM", "DisARM", "ARM", _BETTER),
        (
            "Training with DisARM is at least as good as with leave-one-out",
            "DisARM",
            "LOO",
            _NO_WORSE,
        ),
    ),
    _comparison(
        "rebar-training",
        "784-200-784, batch 24, 3,000 steps of Adam at 1e-3, 6 seeds, test bound of 100 samples",
        "Tucker et al. 2017; Grathwohl et al. 2018, figure 3",
        {
            "REBAR": lambda: REBAR(0.5),
            "NVIL": lambda: ScoreFunction(NVIL()),
            "RELAX": lambda: RELAX(temperature=0.5, relaxes_objective=True),
        },
        _bounds(lambda: VAE(size=200, kl="sampled-no-score", batch_size=24), 3000, 1e-3),
        ("Training with REBAR is at least as good as with NVIL", "REBAR", "NVIL", _NO_WORSE),
        ("Training with RELAX is at least as good as with NVIL", "RELAX", "NVIL", _NO_WORSE),
    ),
    _comparison(
        "relax-toy",
        "(b - 0.499)^2, 10,000 steps of Adam at 0.01, 32 seeds, exact loss at the end",
        "Grathwohl et al. 2018, figure 1",
        toy_curves.ESTIMATORS,
        _toy(0.499, 10_000),
        (
            "On the toy with t = 0.499 RELAX ends below REBAR",
            "RELAX",
            "REBAR",
            below(0.0, effect=2e-4),
        ),
        (
            "On the toy with t = 0.499 RELAX ends below REINFORCE",
            "RELAX",
            "REINFORCE",
            below(0.0, effect=2e-4),
        ),
    ),
    _comparison(
        "rebar-toy",
        "(b - 0.45)^2, 2,000 steps of Adam at 0.01, 32 seeds, exact loss at the end",
        "Tucker et al. 2017, figure 1",
        toy_curves.ESTIMATORS,
        _toy(0.45, 2000),
        (
            "On the toy with t = 0.45 REBAR ends below REINFORCE",
            "REBAR",
            "REINFORCE",
            below(0.0, effect=0.005),
        ),
        (
            "On the toy with t = 0.45 REBAR ends no higher than MuProp",
            "REBAR",
            "MuProp",
            below(0.002, effect=0.002),
        ),
    ),
    ClaimStudy(
        "arm-toy",
        "(z - 0.501)^2 maximised by gradient ascent at rate 1, 4,000 steps, 64 seeds",
        _chances,
        (
            Claim(
                "REINFORCE may converge to the wrong end",
                "Yin and Zhou 2019, figure 1",
                "share of REINFORCE's runs at the wrong end",
                lambda chances: share(chances["REINFORCE"] > 0.5),
                above(0.05, effect=0.15),
            ),
            Claim(
                "ARM does not converge to the wrong end",
                "Yin and Zhou 2019, figure 1",
                "share of ARM's runs at the wrong end",
                lambda chances: share(chances["ARM"] > 0.5),
                below(0.1, effect=0.1),
            ),
            Claim(
                "ARM is indistinguishable from the true gradient",
                "Yin and Zhou 2019, figure 1",
                "distance of ARM's probability from the true gradient's",
                lambda chances: sample_mean(np.abs(chances["ARM"] - chances["true"])),
                below(0.05, effect=0.05),
            ),
        ),
    ),
    ClaimStudy(
        "polynomial-programme",
        "128 two-way variables, 64 samples a step, 3,000 steps of Adam at 1e-3, 6 seeds",
        _polynomial,
        tuple(
            Claim(
                "ReinMax ends below straight-through Gumbel-softmax on the polynomial programme, "
                f"p = {power:g}",
                "Liu et al. 2023, polynomial programming experiment",
                f"ReinMax less STGS, p = {power:g}",
                operator.itemgetter(power),
                below(0.0, effect=0.002),
            )
            for power in _POWERS
        ),
    ),
)
