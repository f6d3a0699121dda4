"""Strings of a grammar: the language, its law, the scores, and the game, by brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    DisARM,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    LocalExpectation,
    ScoreFunction,
    StraightThrough,
    frozen,
)
from experiments.problems import SequenceGAN, grammar

SMALL = SequenceGAN(3, hidden=4, batch_size=4)
KEY = jax.random.key(0)


def vector(tree):
    return jax.flatten_util.ravel_pytree(tree)[0]


def language(length):
    """Close {x} under S -> S op S, up to a length."""
    found = {"x"}
    while True:
        more = {a + op + b for a in found for b in found for op in "+-*/" if len(a + b) < length}
        if more <= found:
            return found
        found |= more


def started(problem=SMALL, key=KEY):
    params = jax.jit(problem.initial)(key)
    # Networks that say something.
    return jax.tree.map(lambda leaf: 2 * leaf + 0.1, params)


@pytest.fixture(scope="module")
def strings():
    """Return all strings of three characters, and their probabilities, step by step."""
    params = started()
    whole = SMALL.whole(params["generator"])
    classes = np.array(list(itertools.product(range(6), repeat=3)))

    @jax.jit
    def chance(classes):
        state, found = whole.start(params["generator"]), 1.0
        for one in classes:
            found *= jax.nn.softmax(whole.conditional(params["generator"], state).logits)[one]
            state = whole.advance(params["generator"], state, jax.nn.one_hot(one, 6))
        return found

    chances = np.float64(jax.vmap(chance)(classes))
    np.testing.assert_allclose(chances.sum(), 1, rtol=1e-5)
    return params, classes, chances


def test_the_language_is_that_of_the_grammar():
    for length in (1, 2, 5, 8):
        found = grammar.sentences(length)
        assert len(set(found)) == len(found)
        assert {one.rstrip() for one in found} == language(length)
        assert all(len(one) == length for one in found)
        np.testing.assert_allclose(grammar.law(length).sum(), 1)
    assert len(grammar.sentences(12)) == 1365
    assert grammar.decoded(grammar.encoded(grammar.sentences(5))) == list(grammar.sentences(5))


def test_legal_pairs_are_those_of_sentences():
    table = grammar.legal_pairs()
    seen = np.zeros_like(table)
    for classes in grammar.encoded(grammar.sentences(8)):
        for before, after in itertools.pairwise([6, *classes]):
            seen[before, after] = True
    np.testing.assert_array_equal(table, seen)
    # Of uniform characters, 0.27 of twelve.
    assert (table[6].mean() + 11 * table[:6].mean()) / 12 == pytest.approx(0.27, abs=0.002)


def test_scores_by_brute_force(strings):
    params, classes, chances = strings
    law = dict(zip(grammar.sentences(3), grammar.law(3), strict=True))
    names = grammar.decoded(classes)
    own = np.array([law.get(name, 0.0) for name in names])
    found = jax.jit(SMALL.scores)(params, KEY, None)
    assert found["mass"] == pytest.approx(chances[own > 0].sum(), rel=1e-4)
    assert found["total_variation"] == pytest.approx(np.abs(own - chances).sum() / 2, rel=1e-4)
    legal = own > 0
    expected = (own[legal] * np.log(own[legal] / chances[legal])).sum()
    assert found["divergence"] == pytest.approx(expected, rel=1e-4)
    lengths = np.array([len(name.rstrip()) if name in law else 0 for name in names])
    by_length = [abs((own - chances)[lengths == one].sum()) for one in (0, 1, 3)]
    assert found["length_distance"] == pytest.approx(sum(by_length) / 2, rel=1e-4)
    logs = np.log(chances)
    error = np.sqrt((chances @ logs**2 - (chances @ logs) ** 2) / 1024)
    assert found["entropy"] == pytest.approx(-chances @ logs, abs=4 * error)
    pairs = np.array(
        [
            np.mean([grammar.legal_pairs()[pair] for pair in itertools.pairwise((6, *row))])
            for row in classes
        ]
    )
    error = np.sqrt((chances @ pairs**2 - (chances @ pairs) ** 2) / 1024)
    assert found["legal_pairs"] == pytest.approx(chances @ pairs, abs=4 * error)


def test_both_losses_by_brute_force(strings):
    params, classes, chances = strings
    from experiments.problems.flax_networks import Recurrent, pure

    apply = pure(lambda rngs: Recurrent(6, 4, 1, rngs=rngs))[1]

    @jax.jit
    def verdict(string):
        units = jnp.zeros(4)
        for character in string:
            units, logit = apply(params["discriminator"], (units, character))
        return logit[0]

    logits = np.float64(jax.vmap(verdict)(jax.nn.one_hot(classes, 6)))
    batch = SMALL.batch(jax.random.key(3), None)
    loss = jax.jit(SMALL.loss, static_argnums=())(params, Exact(), KEY, batch)
    assert loss == pytest.approx(-chances @ logits, rel=1e-4)
    real = np.float64(jax.vmap(verdict)(batch))
    expected = np.log1p(np.exp(-real)).mean() + chances @ np.log1p(np.exp(logits))
    assert SMALL.discrimination(params, Exact(), KEY, batch) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("estimator", [ScoreFunction(), ScoreFunction(LeaveOneOut(2))], ids=str)
def test_characters_and_whole_strings_have_the_exact_gradient(strings, estimator):
    params, *_ = strings
    batch = SMALL.batch(KEY, None)

    def gradient(generator, estimator, key):
        with frozen():
            return SMALL.loss(params | {"generator": generator}, estimator, key, batch)

    slope = jax.jit(jax.vmap(jax.grad(gradient), (None, None, 0)))
    keys = jax.random.split(jax.random.key(5), 3000)
    drawn = np.float64(jax.vmap(vector)(slope(params["generator"], estimator, keys)))
    exact = np.float64(vector(jax.grad(gradient)(params["generator"], Exact(), KEY)))
    errors = drawn.std(0) / np.sqrt(len(keys))
    assert (np.abs(drawn.mean(0) - exact) <= 4.5 * errors + 1e-6).all()
    assert np.abs(exact / errors).max() > 15


def test_the_game_has_a_turn_for_each_network(strings):
    params, *_ = strings
    batch = SMALL.batch(KEY, None)
    generator, discriminator = SMALL.turns
    assert list(generator.groups) == ["generator"]
    assert list(discriminator.groups) == ["discriminator"]
    for estimator in (StraightThrough(), GumbelSoftmax(0.5)):
        slope = jax.jit(jax.grad(discriminator.loss))(params, estimator, KEY, batch)
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(slope["generator"]))
        assert any((leaf != 0).any() for leaf in jax.tree.leaves(slope["discriminator"]))


def test_likelihood_is_another_goal():
    problem = SequenceGAN(3, hidden=4, batch_size=4, goal="likelihood")
    params, batch = started(problem), problem.batch(KEY, None)
    whole = problem.whole(params["generator"])
    expected = -np.mean([whole.log_prob(one) for one in batch])
    for estimator in (Exact(), ScoreFunction()):
        assert problem.loss(params, estimator, KEY, batch) == pytest.approx(expected, rel=1e-5)
    assert len(problem.turns) == 1


def test_pretraining_is_likelihood():
    plain, ready = (SequenceGAN(3, batch_size=32, pretraining=steps) for steps in (0, 100))
    mass = [
        float(problem.scores(jax.jit(problem.initial)(KEY), KEY, None)["mass"])
        for problem in (plain, ready)
    ]
    assert mass[1] > 3 * mass[0]


def test_noised_sentences_are_relaxed():
    problem = SequenceGAN(4, batch_size=512, noise=1.0)
    hard = SequenceGAN(4, batch_size=512)
    batch = problem.batch(KEY, None)
    np.testing.assert_allclose(batch.sum(-1), 1, rtol=1e-5)
    assert 0 < batch.min() and batch.max() < 1
    # The right character has probability e^5 / (e^5 + 5 e) of the largest value.
    right = batch.argmax(-1) == hard.batch(jax.random.split(KEY)[0], None).argmax(-1)
    chance = np.exp(5) / (np.exp(5) + 5 * np.e)
    assert right.mean() == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 2048))


def test_what_does_not_fit_is_refused():
    one = SMALL.distribution(started(), None)
    assert SMALL.refusal(LocalExpectation(), one) is not None
    assert "more than once a character" in SMALL.refusal(LocalExpectation(), one)
    assert "Bernoulli" in SMALL.refusal(DisARM(), one)
    # Its relatives for Categorical do not fit either: they take no whole strings.
    assert DisARM().instead(one) and not SMALL.instead(DisARM(), one)
    assert SMALL.refusal(ScoreFunction(LeaveOneOut(4)), one) is None
    assert SMALL.evaluations(ScoreFunction(LeaveOneOut(4)), one) == 4
    assert SMALL.evaluations(GumbelSoftmax(1.0), one) == 1
    assert SequenceGAN(12).refusal(Exact(), one) is not None
    for wrong in (
        SequenceGAN(0),
        SequenceGAN(40),
        SequenceGAN(hidden=0),
        SequenceGAN(batch_size=0),
        SequenceGAN(goal="beauty"),
        SequenceGAN(pretraining=-1),
        SequenceGAN(noise=-1.0),
        SequenceGAN(noise=float("nan")),
    ):
        with pytest.raises((TypeError, ValueError), match="SequenceGAN"):
            wrong.check()
