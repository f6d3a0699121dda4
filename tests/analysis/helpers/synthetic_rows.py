"""Result tables such as the studies write, made up: the truth is known and nothing takes time."""

import numpy as np
import pandas as pd

import estimators
from analysis.style import Look, looks

FAMILIES = {
    cls.__name__: family for family, classes in estimators.FAMILIES.items() for cls in classes
}

# name: (unbiased, evaluations, squared bias, variance, seconds), with the gradient's norm about 0.3
ESTIMATORS = {
    "Exact": ("yes", 1024, 0.0, 0.0, 2e-3),
    "ScoreFunction": ("yes", 1, 0.0, 41.0, 4e-5),
    "ScoreFunction[baseline=MovingAverage[decay=0.99]]": ("yes", 1, 0.0, 6.5, 4.1e-5),
    "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]": ("yes", 2, 0.0, 0.52, 7e-5),
    "ScoreFunction[baseline=LeaveOneOut[num_samples=4]]": ("yes", 4, 0.0, 0.2, 1.1e-4),
    "ScoreFunction[baseline=Learned[features=20],scale=True]": ("up to scale", 1, 0.4, 2.1, 6e-5),
    "ARM": ("yes", 2, 0.0, 0.77, 8e-5),
    "DisARM": ("yes", 2, 0.0, 0.38, 8e-5),
    "MuProp": ("yes", 2, 0.0, 0.9, 1.2e-4),
    "REBAR": ("yes", 3, 0.0, 0.18, 1.7e-4),
    "RELAX[features=10]": ("yes", 3, 0.0, 0.16, 2.4e-4),
    "DoubleCV[num_samples=2]": ("yes", 2, 0.0, 0.21, 1.4e-4),
    "StraightThrough": ("no", 1, 0.02, 0.0042, 5e-5),
    "ReinMax": ("no", 1, 7e-4, 0.019, 7e-5),
    "DARN": ("no", 1, 5.6e-4, 0.024, 7e-5),
    "GumbelSoftmax[temperature=0.1]": ("no", 1, 2e-4, 0.7, 6e-5),
    "GumbelSoftmax[temperature=0.5]": ("no", 1, 6e-3, 0.061, 6e-5),
    "GumbelSoftmax": ("no", 1, 0.028, 0.013, 6e-5),
    "StraightThroughGumbelSoftmax[temperature=0.5]": ("no", 1, 3e-3, 0.11, 6e-5),
    "GumbelRao[temperature=0.5,num_samples=10]": ("no", 1, 3e-3, 0.034, 9e-5),
}
SKIPPED = {
    "UnorderedSet[num_samples=4]": "needs one Categorical variable; the problem has 10 Bernoulli",
    "VIMCO": "needs an ImportanceBound with at least 2 samples; the objective is a plain ELBO",
}
COLUMNS = {
    "study": "compare",
    "problem": "Quadratic[target=0.499]",
    "objective": "kl=analytic",
    "group": "logits",
    "seed": 0,
    "step": 0,
    "samples": 1000,
    "note": "",
    "low": np.nan,
    "high": np.nan,
}
TRUTH_NORM = 0.312
BUDGET = 100


def family(name):
    """The family of an estimator."""
    return FAMILIES.get(name.partition("[")[0], "")


def look(method) -> Look:
    """The style of a method that has no other of its family beside it."""
    return looks({method: method}, FAMILIES)[method]


def measured(
    name, unbiased, evaluations, squared_bias, variance, seconds, rng, samples=1000, **more
):
    """The rows of one estimator: what a study of `samples` gradients would find."""
    noise = variance / samples
    upper = squared_bias + 1.96 * np.sqrt(4 * squared_bias * noise + 2 * noise**2 / 20) + noise / 9
    estimate = squared_bias + rng.normal() * noise / 9
    lower = max(0.0, 2 * squared_bias - upper)
    spread = 1.96 * np.sqrt(2 / samples) * 1.5
    seen = variance * np.exp(rng.normal() * spread / 3)
    cosine = np.sqrt(TRUTH_NORM**2 / (TRUTH_NORM**2 + squared_bias))
    metrics = {
        "squared_bias": (estimate, lower, upper),
        "variance": (seen, seen * (1 - spread), seen * (1 + spread)),
        "mse": (max(estimate, 0) + seen, lower + seen * (1 - spread), upper + seen * (1 + spread)),
        "cosine_mean": (cosine, cosine * 0.99, min(1.0, cosine * 1.01)),
        "cosine_sample": (cosine * TRUTH_NORM / np.sqrt(TRUTH_NORM**2 + variance), np.nan, np.nan),
        "seconds": (seconds, np.nan, np.nan),
        "equal_cost_error": (max(estimate, 0) + seen * evaluations / BUDGET, np.nan, np.nan),
        "truth_norm": (TRUTH_NORM, np.nan, np.nan),
    }
    facts = {
        "estimator": name,
        "method": name.partition("[")[0],
        "method_family": family(name),
        "unbiased": unbiased,
        "evaluations": evaluations,
        "samples": samples,
    }
    return [
        {**COLUMNS, **facts, "metric": metric, "value": value, "low": low, "high": high, **more}
        for metric, (value, low, high) in metrics.items()
    ]


def finish(records):
    rows = pd.DataFrame(records)
    rows.attrs = {"configuration": {"budget": BUDGET}}
    return rows


def comparison(estimators=None, skipped=None, seed=0):
    """A comparison: by default of 20 estimators of every kind, with two that were skipped."""
    rng = np.random.default_rng(seed)
    records = []
    for name, facts in (ESTIMATORS if estimators is None else estimators).items():
        temperature = float(name.partition("temperature=")[2].partition(",")[0].strip("]") or "nan")
        records += measured(name, *facts, rng=rng, p_temperature=temperature)
    for name, reason in (SKIPPED if skipped is None else skipped).items():
        facts = {"estimator": name, "method": name.partition("[")[0], "unbiased": "yes"}
        numbers = {"evaluations": 4, "metric": "skipped", "value": np.nan, "p_temperature": np.nan}
        records.append({**COLUMNS, **facts, **numbers, "note": reason})
    return finish(records)


def temperature_study(temperatures=(0.05, 0.09, 0.16, 0.28, 0.5, 0.9, 1.6, 2.8, 5.0), seed=0):
    """A temperature study: four tempered families, and five estimators without a temperature."""
    rng = np.random.default_rng(seed)
    records = []
    families = {
        "GumbelSoftmax": ("no", 1, 6e-5, ""),
        "StraightThroughGumbelSoftmax": ("no", 1, 6e-5, ""),
        "GumbelRao": ("no", 1, 9e-5, ",num_samples=10"),
        "REBAR": ("yes", 3, 1.7e-4, ""),
    }
    for method, (unbiased, evaluations, seconds, rest) in families.items():
        for t in temperatures:
            bias = {"REBAR": 0.0, "GumbelSoftmax": 0.03 * t**2 / (1 + t**2)}.get(
                method, 0.01 * t**2 / (0.3 + t**2)
            )
            variance = {
                "REBAR": 0.15 * (t + 0.3 / t),
                "GumbelSoftmax": 0.05 / t**1.5,
                "GumbelRao": 0.03 / t,
            }.get(method, 0.08 / t**1.4)
            marked = "too few samples for this temperature" if t < 0.1 else ""
            records += measured(
                f"{method}[temperature={t}{rest}]",
                unbiased, evaluations, bias, variance, seconds, rng,
                p_temperature=t, note=marked, study="temperature",
            )  # fmt: skip
    plain = ["Exact", "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]", "DisARM", "ReinMax",
             "StraightThrough"]  # fmt: skip
    for name in plain:
        records += measured(
            name, *ESTIMATORS[name], rng=rng, p_temperature=np.nan, study="temperature"
        )
    return finish(records)


# name: (final negative bound, steps of descent), of a VAE on MNIST
TRAINED = {
    "Exact": (101.5, 900),
    "ScoreFunction": (128.0, 2600),
    "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]": (105.2, 1400),
    "ScoreFunction[baseline=LeaveOneOut[num_samples=4]]": (103.9, 1200),
    "ScoreFunction[baseline=Learned[features=20],scale=True]": (111.0, 2000),
    "DisARM": (104.6, 1300),
    "REBAR": (102.9, 1100),
    "StraightThrough": (109.4, 800),
    "ReinMax": (103.3, 900),
    "GumbelSoftmax[temperature=0.1]": (108.1, 1500),
    "GumbelSoftmax[temperature=0.5]": (104.0, 1000),
    "DecoupledStraightThroughGumbelSoftmax[backward_temperature=0.5,forward_temperature=1.0]": (
        106.6,
        1000,
    ),
}
TRAINING = {
    "study": "train",
    "problem": "VAE[size=200]",
    "objective": "kl=analytic",
    "data": "MNIST, threshold binarisation",
    "optimiser": "Adam",
    "low": np.nan,
    "high": np.nan,
    "split": "",
    "bound_samples": 0,
    "measured": "",
    "measured_family": "",
    "note": "",
}


def trained(name, learning_rate=1e-3, seed=0, **more):
    """The columns of one run, and a function that makes a row of it."""
    temperature = float(name.partition("temperature=")[2].partition(",")[0].strip("]") or "nan")
    facts = {
        "estimator": name,
        "method": name.partition("[")[0],
        "method_family": family(name),
        "relaxes": name.startswith("GumbelSoftmax"),
        "unbiased": ESTIMATORS.get(name, ("no",))[0],
        "p_temperature": temperature,
        "learning_rate": learning_rate,
        "seed": seed,
    }

    def row(step, metric, value, half=np.nan, **columns):
        interval = {"low": value - half, "high": value + half}
        point = {"step": step, "metric": metric, "value": value, **interval}
        return {**TRAINING, **facts, **more, **point, **columns}

    return row


def run_rows(
    row, final, decay, rng, steps=10_000, log=100, evaluate=1000, diverged=None, noise=0.4
):
    """The rows of one run: an exponential descent from 210 nats, up to where it diverges."""
    shift = rng.normal() * noise
    end = steps if diverged is None else diverged - 1

    def height(step):
        blown = np.exp((step - diverged) / 40) * 3000 if diverged else 0.0
        return final + shift + (210 - final) * np.exp(-step / decay) + blown

    records = [
        row(step, "loss", height(step) + 2 + rng.normal() * noise, split="train")
        for step in range(log, end + 1, log)
    ]
    for step in range(0, end + 1, evaluate):
        image = {"split": "validation", "half": 0.6}
        records.append(row(step, "negative_elbo", height(step) + 5, bound_samples=1, **image))
        records.append(row(step, "negative_bound", height(step), bound_samples=100, **image))
    if diverged is None:
        records.append(
            row(steps, "negative_elbo", height(steps) + 5.5, 0.5, split="test", bound_samples=1)
        )
        for samples, gain in ((100, 0.5), (1000, -0.3)):
            bound = {"split": "test", "bound_samples": samples}
            records.append(row(steps, "negative_bound", height(steps) + gain, 0.5, **bound))
    else:
        records.append(row(diverged, "diverged", diverged, note="the loss is not finite"))
    records.append(row(end, "steps_per_second", 345.6))
    return records


def training(estimators=None, seeds=3, learning_rates=(3e-4, 1e-3), diverges=True, rng=0):
    """A training study: 12 estimators at two learning rates, with runs that diverge.

    ScoreFunction diverges with every seed at the higher rate, REBAR with one seed at both,
    GumbelSoftmax at temperature 0.1 always.
    """
    rng = np.random.default_rng(rng)
    records = []
    for name, (final, decay) in (TRAINED if estimators is None else estimators).items():
        for place, rate in enumerate(learning_rates):
            for seed in range(seeds):
                at = 2050 + 700 * seed + 130 * place + 400 * (name == "ScoreFunction")
                wild = {
                    "ScoreFunction": rate == max(learning_rates),
                    "REBAR": seed == 1,
                    "GumbelSoftmax[temperature=0.1]": True,
                }
                better = rate == max(learning_rates)
                records += run_rows(
                    trained(name, rate, seed),
                    final + (0 if better else 2.5),
                    decay * (1 if better else 2),
                    rng,
                    diverged=at if diverges and wild.get(name) else None,
                )
    return pd.DataFrame(records)


def along(trained_by=("REBAR",), steps=(0, 1000, 2000, 4000, 7000, 10_000), rng=0):
    """What was measured along training runs: every estimator of the comparison at several steps."""
    rng = np.random.default_rng(rng)
    records = []
    for trainer in trained_by:
        row = trained(trainer)
        for step in steps:
            # Gradients shrink and relaxations sharpen as training goes on.
            shrink = 1 / (1 + step / 1500)
            for name in ("Exact", "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]", "DisARM",
                         "REBAR", "StraightThrough", "ReinMax", "GumbelSoftmax[temperature=0.5]",
                         "GumbelSoftmax"):  # fmt: skip
                facts = list(ESTIMATORS[name])
                facts[2] *= shrink**2
                facts[3] *= shrink
                for found in measured(name, *facts, rng=rng):
                    if found["metric"] == "truth_norm":
                        found["value"] *= shrink
                    names = "low", "high", "group", "samples", "evaluations"
                    kept = {key: found[key] for key in names}
                    kept |= {"measured": name, "measured_family": family(name)}
                    records.append(row(step, found["metric"], found["value"], **kept))
    return pd.DataFrame(records)


def pictures(rows=8, columns=10, height=28, width=28, rng=0):
    """Pictures of rings, in [0, 1]: [rows, columns, height, width]."""
    rng = np.random.default_rng(rng)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shape = rng.uniform(0.3, 0.75, (2, rows, columns, 1, 1))
    distance = np.abs(np.hypot(x / shape[0], y / shape[1]) - 1)
    return np.clip(1.3 - 4 * distance, 0, 1)
