"""Every claim about subsets, counts, groups, gates and second order can be broken."""

import pytest

from experiments.studies.claims import (
    counts,
    diffusion,
    experts,
    explanations,
    gates,
    groups,
    implicit_mle,
    memory,
    noise_given_samples,
    pruning,
    quantised,
    rounding,
    second_order,
    sequences,
    subset_laws,
    subsets,
)
from tests.experiments.studies.claims.broken import check
from tests.experiments.studies.claims.mutants_exact import GROUPS, MUTANTS

pytestmark = pytest.mark.xdist_group("claims")

STUDIES = [
    study
    for module in (
        *(counts, diffusion, experts, explanations, gates, groups, implicit_mle, memory),
        *(noise_given_samples, pruning, quantised, rounding, second_order, sequences),
        *(subset_laws, subsets),
    )
    for study in module.STUDIES
]


def test_every_claim_has_a_mutant():
    claims = {(study.name, claim.quantity) for study in STUDIES for claim in study.claims}
    assert len(claims) >= 90
    assert claims == {(mutant.study, name) for mutant in MUTANTS for name in mutant.breaks}


@pytest.mark.parametrize(
    "mutant",
    [
        mutant if mutant in GROUPS else pytest.param(mutant, marks=pytest.mark.slow)
        for mutant in MUTANTS
    ],
    ids=str,
)
def test_a_broken_estimator_is_seen(mutant, monkeypatch):
    check(mutant, monkeypatch)
