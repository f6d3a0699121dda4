"""Claims about training with estimators."""

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
from experiments.problems import VAE, StructuredPrediction
from experiments.problems.toy import Polynomial, Quadratic
from experiments.studies.claims.claim import Claim, Deciding, Effort, Quantity
from experiments.studies.claims.quantities import mean, paired, share
from experiments.studies.claims.work import Given, Training
from experiments.training.optimisers import SGD

_BETTER = {"high": 0.0, "effect": 0.5}


def _below(values: Mapping[str, np.ndarray], first: str, second: str) -> tuple[str, Quantity]:
    """Return the difference of two estimators' bounds, in nats, and its name."""
    return f"{first} less {second}", paired(values[first], values[second])


def _jang(effort: Effort, problem, estimators: Mapping[str, Callable[[], Estimator]], pairs):
    training = Training(problem, 2000, 3e-3, optimiser=SGD(momentum=0.9))
    values = training.each(effort, {name: make() for name, make in estimators.items()})
    return dict(_below(values, *pair) for pair in pairs)


def _centred() -> NVIL:
    return NVIL(normalise=True, network=None)


_JANG: dict[str, Callable[[], Estimator]] = {
    "GS": lambda: GumbelSoftmax(1.0),
    "ST-GS": lambda: StraightThroughGumbelSoftmax(1.0),
    "MuProp": lambda: MuProp(_centred()),
    "ST": StraightThrough,
    "DARN": DARN,
    "SF": lambda: ScoreFunction(_centred()),
}


def _chosen(*names: str) -> dict[str, Callable[[], Estimator]]:
    return {name: _JANG[name] for name in names}


def _vae_bernoulli(effort: Effort) -> Mapping[str, Quantity]:
    problem = VAE(size=200, kl="sampled", prior="uniform")
    names = _chosen("GS", "ST-GS", "MuProp", "ST")
    pairs = [("GS", "MuProp"), ("GS", "ST-GS"), ("GS", "ST")]
    return _jang(effort, problem, names, pairs)


def _vae_categorical(effort: Effort) -> Mapping[str, Quantity]:
    problem = VAE("Categorical", 20, 10, kl="sampled", prior="uniform")
    names = _chosen("GS", "ST-GS", "MuProp", "DARN")
    pairs = [("GS", "MuProp"), ("GS", "ST-GS"), ("MuProp", "ST-GS"), ("GS", "DARN")]
    return _jang(effort, problem, names, pairs)


def _sbn_bernoulli(effort: Effort) -> Mapping[str, Quantity]:
    problem = StructuredPrediction("Bernoulli", 200)
    names = _chosen("GS", "ST-GS", "ST", "MuProp", "SF")
    pairs = [("GS", "ST"), ("GS", "MuProp"), ("ST-GS", "ST"), ("ST", "SF")]
    return _jang(effort, problem, names, pairs)


def _sbn_categorical(effort: Effort) -> Mapping[str, Quantity]:
    problem = StructuredPrediction("Categorical", 20, 10)
    names = _chosen("GS", "ST-GS", "MuProp", "ST")
    pairs = [("GS", "MuProp"), ("ST-GS", "MuProp"), ("ST-GS", "ST")]
    return _jang(effort, problem, names, pairs)


def _generative(effort: Effort) -> Mapping[str, Quantity]:
    problem = VAE(size=200, kl="sampled")
    training = Training(problem, 2000, 3e-3, optimiser=SGD(momentum=0.9))
    values = training.each(
        effort,
        {
            "MuProp": MuProp(NVIL(network=None)),
            "NVIL": ScoreFunction(NVIL(normalise=True)),
            "ST": StraightThrough(),
        },
    )
    return dict([_below(values, "MuProp", "ST"), _below(values, "NVIL", "ST")])


def _categorical_speed(effort: Effort) -> Mapping[str, Quantity]:
    training = Training(VAE("Categorical", 200, 10, kl="sampled"), 600, 1e-3, 6, SGD(momentum=0.9))
    _, reference = training.run(effort, ScoreFunction(NVIL(normalise=True)))
    _, faster = training.run(effort, MuProp(NVIL(network=None)))
    smooth = [_smoothed(losses) for losses in (reference, faster)]
    target = smooth[0][:, -1:]
    reached = smooth[1] <= target
    # A run that never reaches the target counts with all its steps.
    steps = np.where(reached.any(1), reached.argmax(1) + 1, reached.shape[1])
    return {"log of NVIL's steps over MuProp's": mean(np.log(reached.shape[1] / steps))}


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Return running means of the noisy losses, `[runs, steps]`."""
    width = max(losses.shape[1] // 20, 1)
    window = np.ones(width) / width
    return np.stack([np.convolve(run, window, "valid") for run in losses])


def _concrete(settings: dict, effort: Effort) -> Mapping[str, Quantity]:
    """Compare the bounds of Concrete and VIMCO with five samples, as Maddison et al. trained."""
    shared = {"size": 200, "num_samples": 5, "batch_size": 64, "prior_temperature": 0.5}
    training = Training(VAE(kl="sampled", **shared, **settings), 2000, 1e-3, 4)
    relaxed = VAE(kl="relaxed-density", **shared, **settings)
    values = {
        "Concrete": training.evaluated(effort, GumbelSoftmax(2 / 3), problem=relaxed),
        "VIMCO": training.evaluated(effort, VIMCO()),
    }
    return dict([_below(values, "Concrete", "VIMCO")])


def _integrality(effort: Effort) -> Mapping[str, Quantity]:
    problem = StructuredPrediction("Bernoulli", 100, depth=2)
    training = Training(problem, 2000, 1e-3, 4)
    images = jnp.asarray(problem.data("test"))[: effort.draws(1000)]
    images = problem.examples(jax.random.key(1), images)

    def gap(temperature: float) -> np.ndarray:
        """Return the loss of the discrete network less that of the relaxed one, by run."""
        estimator = GumbelSoftmax(temperature)
        runs, _ = training.run(effort, estimator)
        loss = jax.jit(problem.loss)
        key = jax.random.key(2)
        return np.array(
            [
                float(loss(params, ScoreFunction(), key, images))
                - float(loss(params, estimator, key, images))
                for params in runs
            ]
        )

    cold, warm = gap(0.3), gap(8.0)
    return {
        "gap at temperature 8, in nats": mean(warm),
        "gap at temperature 8, less that at 0.3": paired(warm, cold),
    }


def _disarm(effort: Effort) -> Mapping[str, Quantity]:
    training = Training(VAE(size=200, kl="sampled-no-score", batch_size=50), 3000, 1e-3)
    values = training.each(
        effort,
        {"DisARM": DisARM(), "ARM": ARM(), "LOO": ScoreFunction(LeaveOneOut(2))},
    )
    return dict([_below(values, "DisARM", "ARM"), _below(values, "DisARM", "LOO")])


def _rebar_bound(effort: Effort) -> Mapping[str, Quantity]:
    training = Training(VAE(size=200, kl="sampled-no-score", batch_size=24), 3000, 1e-3)
    estimators = {
        "REBAR": REBAR(0.5),
        "NVIL": ScoreFunction(NVIL()),
        "RELAX": RELAX(temperature=0.5, relaxes_objective=True),
    }
    values = training.each(effort, estimators)
    return dict([_below(values, "REBAR", "NVIL"), _below(values, "RELAX", "NVIL")])


def _toy(target: float, steps: int, names: tuple[str, ...], effort: Effort):
    """Train one bit from probability 1/2; return the final exact losses, by run."""
    makers: dict[str, Callable[[], Estimator]] = {
        "REINFORCE": ScoreFunction,
        "MuProp": MuProp,
        "REBAR": lambda: REBAR(0.5),
        "RELAX": lambda: RELAX(temperature=0.5),
    }
    training = Training(Quadratic(target, 0.0), steps, 0.01, 32)
    return {name: training.exact(effort, makers[name]()) for name in names}


def _relax_toy(effort: Effort) -> Mapping[str, Quantity]:
    found = _toy(0.499, 10_000, ("REINFORCE", "REBAR", "RELAX"), effort)
    return dict([_below(found, "RELAX", "REBAR"), _below(found, "RELAX", "REINFORCE")])


def _rebar_toy(effort: Effort) -> Mapping[str, Quantity]:
    found = _toy(0.45, 2000, ("REINFORCE", "MuProp", "REBAR"), effort)
    return dict([_below(found, "REBAR", "REINFORCE"), _below(found, "REBAR", "MuProp")])


def _arm_toy(effort: Effort) -> Mapping[str, Quantity]:
    # E (z - 0.501)^2 is maximised by gradient ascent at rate 1 from probability 1/2.
    problem = Given(lambda z: -jnp.sum((z - 0.501) ** 2), np.zeros(1))
    training = Training(problem, 4000, 1.0, 64, SGD(momentum=0.0))

    def chances(estimator: Estimator) -> np.ndarray:
        runs, _ = training.run(effort, estimator)
        return np.array([float(jax.nn.sigmoid(params["logits"][0])) for params in runs])

    true, arm, plain = chances(Exact()), chances(ARM()), chances(ScoreFunction())
    return {
        "share of REINFORCE's runs at the wrong end": share(plain > 0.5),
        "share of ARM's runs at the wrong end": share(arm > 0.5),
        "distance of ARM's probability from the true gradient's": mean(np.abs(arm - true)),
    }


def _polynomial(effort: Effort) -> Mapping[str, Quantity]:
    found = {}
    for power in (1.5, 2.0, 3.0):
        problem = Polynomial(power, 128, "Categorical", 0.01)
        training = Training(problem, 3000, 1e-3, 6)
        estimators = {"ReinMax": ReinMax(), "STGS": StraightThroughGumbelSoftmax(1.0)}
        values = {
            name: training.exact(effort, Average(estimator, 64))
            for name, estimator in estimators.items()
        }
        name, quantity = _below(values, "ReinMax", "STGS")
        found[f"{name}, p = {power:g}"] = quantity
    return found


def _claims(source: str, *lines: tuple[str, str, dict]) -> tuple[Claim, ...]:
    return tuple(
        Claim(statement, source, quantity, **region) for statement, quantity, region in lines
    )


STUDIES = (
    Deciding(
        "jang-vae-bernoulli",
        "784-200-784 Bernoulli VAE, 2,000 steps of SGD at 3e-3, 6 seeds, test bound of 100 samples",
        _vae_bernoulli,
        _claims(
            "Jang et al. 2017, table 1",
            ("Gumbel-softmax is below MuProp on the Bernoulli VAE", "GS less MuProp", _BETTER),
            (
                "Gumbel-softmax is below its straight-through form on the Bernoulli VAE",
                "GS less ST-GS",
                _BETTER,
            ),
            (
                "Gumbel-softmax is below straight-through on the Bernoulli VAE",
                "GS less ST",
                _BETTER,
            ),
        ),
    ),
    Deciding(
        "jang-vae-categorical",
        "784-(20x10)-784 VAE, 2,000 steps of SGD at 3e-3, 6 seeds, test bound of 100 samples",
        _vae_categorical,
        _claims(
            "Jang et al. 2017, table 1",
            ("Gumbel-softmax is below MuProp on the categorical VAE", "GS less MuProp", _BETTER),
            (
                "Gumbel-softmax is below its straight-through form on the categorical VAE",
                "GS less ST-GS",
                _BETTER,
            ),
            (
                "MuProp is below straight-through Gumbel-softmax on the categorical VAE (the "
                "table, against the text)",
                "MuProp less ST-GS",
                _BETTER,
            ),
            ("Gumbel-softmax is below DARN on the categorical VAE", "GS less DARN", _BETTER),
        ),
    ),
    Deciding(
        "jang-sbn-bernoulli",
        "392-200-200-392 Bernoulli network, 2,000 steps of SGD at 3e-3, 6 seeds, bound of 100",
        _sbn_bernoulli,
        _claims(
            "Jang et al. 2017, table 1 and figure 3a",
            (
                "Gumbel-softmax is below straight-through on the Bernoulli SBN",
                "GS less ST",
                _BETTER,
            ),
            ("Gumbel-softmax is below MuProp on the Bernoulli SBN", "GS less MuProp", _BETTER),
            (
                "Straight-through Gumbel-softmax is about equal to straight-through on the "
                "Bernoulli SBN",
                "ST-GS less ST",
                {"low": -1.0, "high": 1.0},
            ),
            (
                "The score function is far worse than straight-through on the Bernoulli SBN",
                "ST less SF",
                {"high": -5.0, "effect": 1.0},
            ),
        ),
    ),
    Deciding(
        "jang-sbn-categorical",
        "392-(20x10)-(20x10)-392 network, 2,000 steps of SGD at 3e-3, 6 seeds, bound of 100",
        _sbn_categorical,
        _claims(
            "Jang et al. 2017, table 1 and figure 3b",
            ("Gumbel-softmax is below MuProp on the categorical SBN", "GS less MuProp", _BETTER),
            (
                "Straight-through Gumbel-softmax is below MuProp on the categorical SBN",
                "ST-GS less MuProp",
                _BETTER,
            ),
            (
                "Straight-through Gumbel-softmax is below straight-through on the categorical SBN",
                "ST-GS less ST",
                _BETTER,
            ),
        ),
    ),
    Deciding(
        "gu-generative",
        "SBN 200-784, 2,000 steps of SGD at 3e-3, 6 seeds, test bound of 100 samples",
        _generative,
        _claims(
            "Gu et al. 2016, table 3",
            (
                "Straight-through is poor on generative tasks: above MuProp",
                "MuProp less ST",
                _BETTER,
            ),
            (
                "Straight-through is poor on generative tasks: above NVIL",
                "NVIL less ST",
                _BETTER,
            ),
        ),
    ),
    Deciding(
        "gu-categorical-speed",
        "(200x10)-784, 600 steps of SGD at 1e-3, 6 seeds, steps to NVIL's final training bound",
        _categorical_speed,
        _claims(
            "Gu et al. 2016, figure 3",
            (
                "On categorical variables MuProp converges faster than NVIL",
                "log of NVIL's steps over MuProp's",
                {"low": 0.0, "effect": 0.2},
            ),
            (
                "On categorical variables MuProp converges at least three times as fast as NVIL",
                "log of NVIL's steps over MuProp's",
                {"low": float(np.log(3)), "effect": 0.2},
            ),
        ),
    ),
    Deciding(
        "maddison-linear",
        "784-200-784 linear, bound of 5, 2,000 steps of Adam at 1e-3, 4 seeds, test bound of 100",
        lambda effort: _concrete({}, effort),
        _claims(
            "Maddison et al. 2017, table 1",
            (
                "On a linear network VIMCO is below Concrete",
                "Concrete less VIMCO",
                {"low": 0.0, "effect": 0.5},
            ),
        ),
    ),
    Deciding(
        "maddison-nonlinear",
        "784-200-784 with two tanh layers, bound of 5, 2,000 steps of Adam at 1e-3, 4 seeds, test "
        "bound of 100",
        lambda effort: _concrete({"hidden": "200-200"}, effort),
        _claims(
            "Maddison et al. 2017, table 1",
            ("On a nonlinear network Concrete is below VIMCO", "Concrete less VIMCO", _BETTER),
        ),
    ),
    Deciding(
        "integrality-gap",
        "392-100-100-392, Gumbel-softmax at two temperatures, 2,000 steps of Adam at 1e-3, 4 seeds",
        _integrality,
        _claims(
            "Maddison et al. 2017, figure 4",
            (
                "At a high temperature the discrete network is worse than the relaxed one",
                "gap at temperature 8, in nats",
                {"low": 0.0, "effect": 1.0},
            ),
            (
                "The gap between discrete and relaxed network grows with the temperature",
                "gap at temperature 8, less that at 0.3",
                {"low": 0.0, "effect": 1.0},
            ),
        ),
    ),
    Deciding(
        "disarm-training",
        "784-200-784, batch 50, 3,000 steps of Adam at 1e-3, 6 seeds, test bound of 100 samples",
        _disarm,
        _claims(
            "Dong et al. 2020, abstract",
            ("Training by DisARM is better than by ARM", "DisARM less ARM", _BETTER),
            (
                "Training by DisARM is equal to, or better than, by leave-one-out",
                "DisARM less LOO",
                {"high": 0.5, "effect": 0.5},
            ),
        ),
    ),
    Deciding(
        "rebar-training",
        "784-200-784, batch 24, 3,000 steps of Adam at 1e-3, 6 seeds, test bound of 100 samples",
        _rebar_bound,
        _claims(
            "Tucker et al. 2017, training bounds; Grathwohl et al. 2018, figure 3",
            (
                "Training by REBAR is equal to, or better than, by NVIL",
                "REBAR less NVIL",
                {"high": 0.5, "effect": 0.5},
            ),
            (
                "Training by RELAX is equal to, or better than, by NVIL",
                "RELAX less NVIL",
                {"high": 0.5, "effect": 0.5},
            ),
        ),
    ),
    Deciding(
        "relax-toy",
        "(b - 0.499)^2, 10,000 steps of Adam at 0.01, 32 seeds, exact loss at the end",
        _relax_toy,
        _claims(
            "Grathwohl et al. 2018, figure 1",
            (
                "On the toy with t = 0.499 RELAX ends below REBAR",
                "RELAX less REBAR",
                {"high": 0.0, "effect": 2e-4},
            ),
            (
                "On the toy with t = 0.499 RELAX ends below REINFORCE",
                "RELAX less REINFORCE",
                {"high": 0.0, "effect": 2e-4},
            ),
        ),
    ),
    Deciding(
        "rebar-toy",
        "(b - 0.45)^2, 2,000 steps of Adam at 0.01, 32 seeds, exact loss at the end",
        _rebar_toy,
        _claims(
            "Tucker et al. 2017, figure 1",
            (
                "On the toy with t = 0.45 REBAR ends below REINFORCE",
                "REBAR less REINFORCE",
                {"high": 0.0, "effect": 0.005},
            ),
            (
                "On the toy with t = 0.45 REBAR ends no higher than MuProp",
                "REBAR less MuProp",
                {"high": 0.002, "effect": 0.002},
            ),
        ),
    ),
    Deciding(
        "arm-toy",
        "(z - 0.501)^2 maximised by plain ascent at rate 1, 4,000 steps, 64 seeds",
        _arm_toy,
        _claims(
            "Yin and Zhou 2019, figure 1",
            (
                "REINFORCE may go to the wrong end",
                "share of REINFORCE's runs at the wrong end",
                {"low": 0.05, "effect": 0.15},
            ),
            (
                "ARM does not go to the wrong end",
                "share of ARM's runs at the wrong end",
                {"high": 0.1, "effect": 0.1},
            ),
            (
                "ARM cannot be told from the true gradient",
                "distance of ARM's probability from the true gradient's",
                {"high": 0.05, "effect": 0.05},
            ),
        ),
    ),
    Deciding(
        "polynomial-programme",
        "128 two-way variables, 64 samples a step, 3,000 steps of Adam at 1e-3, 6 seeds",
        _polynomial,
        _claims(
            "Liu et al. 2023, polynomial programming",
            *(
                (
                    f"ReinMax ends below straight-through Gumbel-softmax on the polynomial "
                    f"programme, p = {power:g}",
                    f"ReinMax less STGS, p = {power:g}",
                    {"high": 0.0, "effect": 0.002},
                )
                for power in (1.5, 2.0, 3.0)
            ),
        ),
    ),
)
