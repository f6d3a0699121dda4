"""The columns of every study's results file, with units, which docs/schema.md shows."""

import functools
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple


class Described(NamedTuple):
    """A column.

    Attributes:
        kind: "text", "count" (a whole number), "number", "numbers" (a list of them) or "flag".
        meaning: what it holds.
        unit: its unit, "" without one.
        better: of a score of a trained model, whether "lower" or "higher" values are better.
    """

    kind: Literal["text", "count", "number", "numbers", "flag"]
    meaning: str
    unit: str = ""
    better: Literal["", "lower", "higher"] = ""


_text = functools.partial(Described, "text")
_count = functools.partial(Described, "count")
_number = functools.partial(Described, "number")
_numbers = functools.partial(Described, "numbers")
_flag = functools.partial(Described, "flag")

_ITS = "that of the metric"
COLUMNS: Mapping[str, Described] = {
    # The run and its point.
    "study": _text("the study that wrote the row"),
    "problem": _text("name of the problem, as on the command line"),
    "objective": _text("form of the objective, on which the variance depends"),
    "group": _text("parameters that the gradient is taken with respect to"),
    "data": _text("data set and binarisation"),
    "seed": _count("random seed; of a training run, its own"),
    "step": _count("training step of the row", "steps"),
    "steps": _count("training steps of the whole run", "steps"),
    "trained_with": _text(
        "with --at, and in the atlas: the training run whose parameters are measured, by its "
        "estimator and what else tells it from others"
    ),
    # The estimator.
    "estimator": _text("name of the estimator with all its settings"),
    "short_name": _text("its shortest positional name, as tables and figures show it"),
    "method": _text("class of the estimator"),
    "method_family": _text("its family; empty for a class of your own"),
    "relaxes": _flag("whether its loss is that of the relaxed model"),
    "unbiased": _text('"yes", "no" or "up to scale", as declared'),
    "paper_link": _text("address of the estimator's paper"),
    "evaluations": _count(
        "evaluations of f per gradient; of a training run, per step and example", "evaluations"
    ),
    "samples": _count("gradients drawn, or repetitions of a timing", "samples"),
    # The value.
    "metric": _text("the measured quantity; see Metrics"),
    "value": _number("its estimate", _ITS),
    "low": _number("lower end of its 95 % interval", _ITS),
    "high": _number("upper end of its 95 % interval", _ITS),
    "note": _text("cautions on the row, separated by semicolons"),
    "replicates": _text(
        "squared_bias and variance: the jackknife's pseudo-values, one for each block of samples, "
        "separated by spaces; blocks of the same number share their random keys"
    ),
    "coordinate_leaves": _text(
        "coordinates: the arrays that they are in, in row-major order, each with its shape, "
        "separated by semicolons, as encoder/0/layers/0/bias[8]"
    ),
    "coordinate_mean": _numbers("coordinates: the mean gradient", "g"),
    "coordinate_variance": _numbers("coordinates: the variance of one gradient", "g²"),
    "coordinate_truth": _numbers("coordinates: the true gradient", "g"),
    # Training.
    "optimiser": _text("optimiser of the model, with its settings"),
    "learning_rate": _number("learning rate of the model"),
    "split": _text('"train", "validation" or "test"; "" if there is none'),
    "bound_samples": _count("samples of the evaluated bound; 0 if there is none", "samples"),
    "batch_runs": _count("runs of the batch, which are one program", "runs"),
    "training_seconds": _number(
        "time of the training steps of the whole batch so far, of all its processes; without "
        "compilation, evaluation, measurement and checkpoints",
        "seconds",
    ),
    "measured": _text("estimator measured at the first run's parameters; else empty"),
    "measured_short_name": _text("its shortest positional name"),
    "measured_family": _text("its family"),
    "measured_unbiased": _text("its `unbiased`"),
    # Reproduction.
    "table": _text("the published table"),
    "budget": _text("scale of the run: smoke, laptop or paper"),
    "cell": _text("cell of the table"),
    "stage": _text(
        "published (the paper's number), prediction, tried (a candidate and its steps), candidate "
        "or final (our number), skipped, missing or failed",
    ),
    "block": _text("part of the table whose estimators are ranked together"),
    "label": _text("the paper's name of the estimator; of a prediction, the better one"),
    "other": _text("of a prediction, the worse estimator"),
    "variant": _text("candidate that was tried for the cell"),
    "units": _text("unit of the published number"),
    "spread": _text("the published uncertainty, as printed"),
    "source": _text("paper and place of the number or claim"),
    "scale": _number("factor from our unit to the published one"),
    "higher_is_better": _flag("whether higher values of the metric are better"),
    "is_known": _flag("whether the published value is exact, as in closed form"),
    # Claims.
    "deciding": _text("the study that decides the claim"),
    "title": _text("title of that study"),
    "doubts": _text("cautions on that study, such as tuning that has not converged"),
    "claim": _text("the statement"),
    "region_low": _number("lower end of the region that the claim asks for", _ITS),
    "region_high": _number("upper end of that region", _ITS),
    "effect": _number("effect that the study must detect", _ITS),
    "confidence": _number("confidence of the test"),
    "power": _number("power with which it must detect the effect"),
    "error": _number("standard error of the value", _ITS),
    "degrees": _number("degrees of freedom of the standard error"),
    "seconds": _number("run time of the study", "seconds"),
    # Other libraries.
    "opponent": _text("the other library"),
    "version": _text("its version; empty if it could not be installed"),
    "call": _text("what is called of it; empty if it could not be run"),
    # Figures.
    "figure": _text("name of the figure"),
    "task": _text("part of the figure's study"),
    "panel": _text("panel of the figure"),
    "kind": _text('"mean" or "sample"'),
    "text": _text("string that a generator drew"),
    "name": _text("name of the estimator in the figure"),
    "codes": _count("number of codes that a position of an autoencoder chooses from"),
    "load_weight": _number("weight of the load loss of a mixture of experts"),
    "penalty": _number("weight of the expected size", "nats / weight"),
    "law": _text(
        "law of the latent variable; of an explanation, that of the masks, on which the objective "
        "depends"
    ),
    "graph": _text("the evaluated model: relaxed or discrete; memory: soft or expectation"),
    "picture": _text("samples, reconstructions or traversals"),
    "temperature": _number("temperature of the relaxation"),
    "probability": _number("probability of the class at x; memory: of each bit of a machine"),
    "target": _number("target t of the quadratic toy"),
    "p0": _number("target of ARM's toy"),
    "logit": _number("the shared logit"),
    "chance": _number("probability that the bit is one"),
    "z": _number("place in [0, 1] at which a surrogate is evaluated"),
    "class": _count("class, from zero"),
    "number": _count("number of the sample, of the point or of the image, from zero"),
    "inner": _count("inner samples of Gumbel-Rao", "samples"),
    "x": _number("horizontal coordinate, or column of pixels"),
    "y": _number("vertical coordinate, or row of pixels"),
    "row": _count("row of the grid of pictures"),
    "column": _count("column of the grid of pictures"),
}
"""Every column. `p_NAME` besides is a setting of the estimator, `p_PART.NAME` of its component."""

_PLACE = ("study", "problem", "objective")
_ESTIMATOR = (
    *("estimator", "short_name", "method", "method_family", "relaxes", "unbiased", "paper_link"),
)
_VALUE = ("metric", "value", "low", "high", "note", "replicates")
_COORDINATES = tuple(name for name in COLUMNS if name.startswith("coordinate_"))
_MEASURED = (*_PLACE, "group", "seed", "step", *_ESTIMATOR, "evaluations", "samples", *_VALUE)
_RUN = (*_ESTIMATOR, "optimiser", "learning_rate", "seed", "step", "batch_runs", "training_seconds")
_EVALUATION = (
    *("split", "bound_samples", "measured", "measured_short_name", "measured_family"),
    *("measured_unbiased", "group"),
)
_TRAINED = (*_PLACE, "data", *_RUN, *_EVALUATION, "evaluations", "samples", *_VALUE)
_TABLE = ("table", "budget", "cell", "stage", "block", "label", "other", "variant")
_PUBLISHED = ("units", "spread", "source", "scale", "higher_is_better", "is_known")
_CLAIM = ("deciding", "title", "doubts", "claim", "source", "metric", "value", "error", "degrees")
_DECISION = ("region_low", "region_high", "effect", "confidence", "power", "seconds", "note")
_OPPONENT = ("opponent", "problem", "call")
_PREDICTION = ("claim", "source", "region_low", "region_high")
_FIGURE = tuple(list(COLUMNS)[list(COLUMNS).index("figure") :])

STUDIES: Mapping[str, tuple[str, ...]] = {
    "compare": (*_MEASURED, *_COORDINATES, "trained_with"),
    "temperature": (*_MEASURED, *_COORDINATES, "trained_with"),
    "diagnose": _MEASURED,
    "train": _TRAINED,
    "reproduce": tuple(dict.fromkeys((*_TRAINED, *_TABLE, *_PUBLISHED))),
    "claims": ("study", "budget", *_CLAIM, *_DECISION),
    "opponents": (*_OPPONENT, "version", "study", *_ESTIMATOR, "samples", *_VALUE[:-1]),
    "figure": tuple(dict.fromkeys((*_TRAINED, "steps", *_FIGURE, *_PREDICTION))),
    "atlas": (*_MEASURED, "trained_with", "law"),
}
"""The columns that each study may write, except those of an estimator's settings."""

_POINT = ("problem", "objective", "group", "step", "estimator", "metric", "seed")
_EVALUATED = (
    *("problem", "objective", "data", "estimator", "optimiser", "learning_rate", "step"),
    *("split", "bound_samples", "measured", "group", "metric", "seed"),
)
IDENTITY: Mapping[str, tuple[str, ...]] = {
    "compare": ("trained_with", *_POINT),
    "temperature": ("trained_with", *_POINT),
    "diagnose": _POINT,
    "train": _EVALUATED,
    "reproduce": (*_TABLE, *_EVALUATED),
    "claims": ("budget", "deciding", "claim", "metric"),
    "opponents": (*_OPPONENT, "estimator", "metric"),
    "atlas": ("trained_with", *_POINT),
}
"""The columns that identify a row of a study; all others are its numbers, and facts about it."""

SETTING = "p_"
"""Prefix of the columns of an estimator's settings."""

METRICS: Mapping[str, Described] = {
    "squared_bias": _number(
        "squared norm of mean minus true gradient, without their sampling error",
        "g²",
    ),
    "variance": _number("trace of the covariance of one gradient", "g²"),
    "mse": _number("mean squared error of one gradient: their sum", "g²"),
    "equal_cost_error": _number("squared bias + variance × evaluations / budget", "g²"),
    "cosine_mean": _number("cosine of the mean gradient and the true one"),
    "cosine_sample": _number("mean cosine of single gradients and the true one"),
    "signal_to_noise": _number(
        "norm of the mean gradient over the root of the variance; without variance, no row"
    ),
    "unbiased_p_value": _number("p-value of the hypothesis that the bias is zero"),
    "truth_norm": _number("norm of the true gradient", "g"),
    "seconds": _number("time of one gradient on one device", "seconds"),
    "coordinates": _number("compare --coordinates: number of coordinates of the gradient"),
    "plain_seconds": _number("diagnose: time of the gradient of the loss at one sample", "seconds"),
    "loss_z": _number("opponents: z-score of the mean loss, theirs minus E f"),
    "mean_z": _number("opponents: z-score of the mean gradient, theirs minus ours"),
    "truth_z": _number("opponents: z-score of the mean gradient, theirs minus the true one"),
    "own_truth_z": _number("opponents: z-score of our mean gradient minus the true one"),
    "variance_ratio": _number("opponents: trace of the covariance, theirs over ours"),
    "time_ratio": _number(
        "opponents: time of one gradient, theirs over ours; low and high are those of rounds"
    ),
    "prediction": _number("figure: the quantity that decides a prediction"),
    "skipped": _number("no value: the note says why the estimator does not fit"),
    "loss": _number("train: mean training loss since the last row", "loss"),
    "exact_loss": _number("train: the objective, enumerated", "loss"),
    "rounded_loss": _number("Memory: loss of the likeliest machine", "loss", "lower"),
    "rate_distortion": _number("Rounding: rate plus weighted distortion", "bits", "lower"),
    "rounding_gap": _number(
        "Rounding: cost of the nearest integers, less the least of all roundings of the encoder's",
        "bits",
    ),
    "soft_loss": _number("Memory: loss of the machine that runs with probabilities", "loss"),
    "negative_elbo": _number("negative evidence lower bound of the discrete model", "nats"),
    "negative_bound": _number("negative bound of `bound_samples` samples", "nats"),
    "accuracy": _number("share of examples that are classified correctly", better="higher"),
    "episode_return": _number("mean sum of rewards of an episode", "reward", better="higher"),
    "episode_bound": _number(
        "WorldModel: negative evidence lower bound of an episode, up to a constant", "nats", "lower"
    ),
    "imagined_error": _number(
        "WorldModel: squared error of a frame that the prior imagines", better="lower"
    ),
    "episodes_to_solve": _number("cart-pole: episodes of a run to `solved_return`", "episodes"),
    "solved_return": _number("cart-pole: the return at which it counts as solved", "reward"),
    "published_episodes": _number("cart-pole: the published mean of them", "episodes"),
    "mass": _number("probability of drawing a sentence of the grammar", better="higher"),
    "total_variation": _number(
        "half the L1 distance of the laws of drawn strings and of sentences", better="lower"
    ),
    "divergence": _number(
        "KL of the law of sentences from that of drawn strings", "nats", better="lower"
    ),
    "length_distance": _number(
        "total variation of the lengths of drawn strings and of sentences", better="lower"
    ),
    "legal_pairs": _number("share of characters that may follow the one before", better="higher"),
    "entropy": _number("entropy of drawn strings", "nats"),
    "string": _number("no value: a string that was drawn, in `text`"),
    "error": _number("share of examples that the hard model classifies wrongly", better="lower"),
    "distortion": _number(
        "squared error by the hard codes: mean over pixels (VectorQuantised), sum over them "
        "(Rounding)",
        better="lower",
    ),
    "rate": _number(
        "bits of an image: entropy of its hard codes, position by position (VectorQuantised), "
        "or of the nearest integers (Rounding)",
        "bits",
        better="lower",
    ),
    "usage": _number(
        "perplexity of the use of experts or codes by the hard model, over their number",
        better="higher",
    ),
    "used": _number("share of codes that the hard model uses at all", better="higher"),
    "idle": _number("share of experts with under 1 % of the load", better="lower"),
    "kept": _number("gates that are open in the pruned network", "gates", better="lower"),
    "weights": _number("share of weights that the pruned network keeps", better="lower"),
    "rank": _number("median rank of the features that matter, mean over examples", better="lower"),
    "found": _number("share of the features that matter that are selected", better="higher"),
    "excess": _number("cross-entropy above the entropy of the label", "nats", better="lower"),
    "steps_per_second": _number("training steps of all runs of the batch", "1 / second"),
    "diverged": _number("step at which the loss was no longer finite", "steps"),
}
"""Metrics of measurements and training runs; g is the unit of the gradient."""


TIMES = frozenset(
    name for name, metric in METRICS.items() if metric.unit in ("seconds", "1 / second")
) | {"speed_ratio", "time_ratio", "steps_per_second_other"}
"""Metrics, also of reproduced tables, that depend on the machine and on what else it does."""


def names(*kinds: str) -> frozenset[str]:
    """Return the names of the columns of these kinds."""
    return frozenset(name for name, column in COLUMNS.items() if column.kind in kinds)


def undescribed(study: str, columns: Iterable[str]) -> list[str]:
    """Return which columns of a study are not described here; none for an unknown study."""
    if study not in STUDIES:
        return []
    return [name for name in columns if name not in STUDIES[study] and not name.startswith(SETTING)]
