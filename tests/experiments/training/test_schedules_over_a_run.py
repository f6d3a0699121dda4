"""Schedules that span a run, against the formulas of the programs that they reproduce."""

import math

import numpy as np
import optax
import pytest

from estimators import MVE, GumbelRao
from experiments.optimisers import AdamW
from experiments.problems import VAE
from experiments.studies.training.settings import TrainSettings
from experiments.training.schedules import ALL, Cosine, Geometric, Linear, WarmupCosine

# Of Hooper and Shekhovtsov 2026: minibatches in an epoch, and epochs.
EPOCH, EPOCHS = 300, 500
MARKS = (0, 1, 9, 10, 11, 250, 498, 499)


def at_epochs(schedule, within=0):
    moving = schedule.over(EPOCH * EPOCHS).make()
    return np.array([float(moving(EPOCH * epoch + within)) for epoch in MARKS])


@pytest.mark.parametrize("end", [1e6, 0.1])
@pytest.mark.parametrize("within", [0, 1, EPOCH - 1])
def test_a_geometric_schedule_by_epochs(end, within):
    """`exp_MVE` and `exp_STGS` of the authors' program: end^(e / (E - 1)) throughout epoch e."""
    expected = [end ** (epoch / (EPOCHS - 1)) for epoch in MARKS]
    found = at_epochs(Geometric(1.0, end, every=EPOCH), within)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("end", [1e6, 0.1])
def test_a_geometric_schedule_by_steps(end):
    moving = Geometric(2.0, end, 5).make()
    found = [float(moving(step)) for step in range(8)]
    expected = [2.0 * (end / 2) ** (min(step, 4) / 4) for step in range(8)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_geometric_schedule_of_one_value():
    assert float(Geometric(2.0, 0.1, 1).make()(0)) == 2.0
    assert float(Geometric(2.0, 0.1, 7, every=10).make()(6)) == 2.0


@pytest.mark.parametrize("within", [0, 1, EPOCH - 1])
def test_a_warm_up_and_a_cosine_by_epochs(within):
    """PyTorch's `LinearLR` for 10 epochs, then `CosineAnnealingLR` for 490, as factors."""

    def factor(epoch):
        if epoch < 10:
            return 1e-3 + (1 - 1e-3) * epoch / 10
        return (1 + math.cos(math.pi * (epoch - 10) / 490)) / 2

    found = at_epochs(WarmupCosine(every=EPOCH), within)
    np.testing.assert_allclose(found, [factor(epoch) for epoch in MARKS], rtol=1e-4, atol=1e-7)


def test_a_warm_up_by_steps():
    moving = WarmupCosine(0.5, 0.25, 100, warmup=0.1).make()
    found = [float(moving(step)) for step in (0, 5, 10, 55, 100, 200)]
    np.testing.assert_allclose(found, [0.5, 0.75, 1, 0.625, 0.25, 0.25], rtol=1e-6)


def test_a_run_gives_its_steps_to_schedules_without_their_own():
    mine = (
        ("penalty", Geometric(1.0, 1e6)),
        ("learning_rate", WarmupCosine()),
        ("temperature", Geometric(1.0, 0.1, 7)),
        ("slope", Linear(1.0, 5.0, 3)),
    )
    settings = TrainSettings(VAE(size=2), [MVE(1.0), GumbelRao(1.0)], steps=90, schedules=mine)
    found = [schedule for _, schedule in settings.recipe.schedules]
    assert found == [
        Geometric(1.0, 1e6, 90),
        WarmupCosine(steps=90),
        Geometric(1.0, 0.1, 7),
        Linear(1.0, 5.0, 3),
    ]
    assert Cosine(1.0, 0.1, 3).over(9) == Cosine(1.0, 0.1, 3)


@pytest.mark.parametrize("schedule", [Geometric(1.0, 0.1), WarmupCosine()], ids=str)
def test_a_schedule_without_steps_is_refused(schedule):
    schedule.check()
    assert type(schedule) in ALL
    with pytest.raises(ValueError, match="has no steps"):
        schedule.make()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Geometric(0.0, 1.0), "Geometric start must be above zero"),
        (Geometric(1.0, 0.0), "Geometric end must be above zero"),
        (Geometric(1.0, 2.0, 0), "Geometric steps must be at least 1"),
        (Geometric(1.0, 2.0, every=0), "Geometric every must be at least 1"),
        (WarmupCosine(0.0), "WarmupCosine start must be above zero"),
        (WarmupCosine(end=-1.0), "WarmupCosine end must be at least 0"),
        (WarmupCosine(warmup=1.0), "WarmupCosine warmup must be at least 0 and below 1"),
        (AdamW(weight_decay=-1.0), "AdamW weight_decay must be at least 0"),
    ],
    ids=str,
)
def test_settings_out_of_range(value, message):
    with pytest.raises(ValueError, match=message):
        value.check()


def test_weight_decay_of_adamw_is_not_rescaled():
    """The first step of Adam is the rate times the sign; the decay is beside it."""
    params, slopes = np.array([2.0, -3.0, 0.5]), np.array([1e-2, 5.0, -3.0])
    optimiser = AdamW(weight_decay=0.01).make(0.1)
    update, _ = optimiser.update(slopes, optimiser.init(params), params)
    expected = params - 0.1 * np.sign(slopes) - 0.1 * 0.01 * params
    np.testing.assert_allclose(optax.apply_updates(params, update), expected, rtol=1e-5)
