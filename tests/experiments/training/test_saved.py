"""Pytrees that orbax saved in other programs, read into a model."""

from typing import NamedTuple

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from experiments.system.errors import UsageError
from experiments.training.saved import restored


class Pair(NamedTuple):
    first: object
    second: object


class Net(nnx.Module):
    def __init__(self, seed, width=3):
        rngs = nnx.Rngs(seed)
        self.input = nnx.Linear(2, width, rngs=rngs)
        self.tied = self.input.kernel
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.input(x) @ self.tied.T


def save(folder, tree):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, tree)
    return folder


def same(one, other):
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


def test_plain_pytrees(tmp_path):
    for number, tree in enumerate(
        (
            {"a": jnp.ones(2), "b": [jnp.zeros(1), (jnp.ones((2, 3)), {})]},
            Pair(jnp.ones(2), Pair({"value": jnp.arange(3.0)}, None)),
            equinox.filter(equinox.nn.Linear(2, 3, key=jax.random.key(0)), equinox.is_array),
        )
    ):
        like = jax.tree.map(jnp.zeros_like, tree)
        found, step = restored(like, save(tmp_path / str(number), tree))
        assert same(found, tree) and step == 0
        assert jax.tree.structure(found) == jax.tree.structure(tree)


@pytest.mark.parametrize("how", ["whole", "params", "dict"])
def test_a_flax_module(how, tmp_path):
    trained = Net(1)
    state = nnx.state(trained, nnx.Param)
    whole = how == "whole"  # with the keys of its dropout
    tree = nnx.state(trained) if whole else state
    save(tmp_path / "saved", nnx.to_pure_dict(state) if how == "dict" else tree)
    found, _ = restored(Net(2), tmp_path / "saved")
    key = (trained if whole else Net(2)).drop.rngs.key.get_value()
    assert found.drop.rngs.key.get_value() == key
    assert same(nnx.state(found, nnx.Param), state)
    assert found.tied is found.input.kernel  # as in the model
    x = jnp.ones((1, 2))
    assert np.array_equal(found(x), trained(x)) and not np.array_equal(Net(2)(x), trained(x))


def test_steps_and_items(tmp_path):
    like = {"a": jnp.zeros(2)}
    with ocp.CheckpointManager(tmp_path / "one") as manager:
        for step in (3, 20):
            manager.save(step, args=ocp.args.StandardSave({"a": jnp.full(2, float(step))}))
    for given, expected in ((None, 20), (3, 3)):
        found, step = restored(like, tmp_path / "one", given)
        assert step == expected and set(np.asarray(found["a"])) == {expected}
    with ocp.CheckpointManager(tmp_path / "two") as manager:
        items = {name: ocp.args.StandardSave({"a": jnp.ones(2)}) for name in ("model", "optimiser")}
        manager.save(3, args=ocp.args.Composite(**items))
    with pytest.raises(UsageError, match=r"several pytrees \(model, optimiser\): name one"):
        restored(like, tmp_path / "two")
    assert same(restored(like, tmp_path / "two" / "3" / "model")[0], {"a": np.ones(2)})


MISFITS = {
    "missing": ({"a": jnp.zeros(2), "b": {"c": jnp.zeros(1)}}, "it has no b/c"),
    "more": ({}, "it has a, which is not expected"),
    "shape": ({"a": jnp.zeros((2, 1))}, r"a is float32\[2\], not float32\[2, 1\]"),
    "type": ({"a": jnp.zeros(2, jnp.bfloat16)}, r"a is float32\[2\], not bfloat16\[2\]"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_named(name, tmp_path):
    like, message = MISFITS[name]
    save(tmp_path / "saved", {"a": jnp.ones(2)})
    with pytest.raises(UsageError, match=f"saved does not fit: {message}"):
        restored(like, tmp_path / "saved")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    like = {"a": jnp.zeros(2)}
    with pytest.raises(UsageError, match="no such folder"):
        restored(like, tmp_path / "nothing")
    with pytest.raises(UsageError, match="holds no pytree that orbax saved"):
        restored(like, tmp_path)
    folder = save(tmp_path / "saved", {"a": jnp.ones(2)})
    with pytest.raises(UsageError, match="has no step 2; it is not one of a checkpoint manager"):
        restored(like, folder, 2)
    (folder / "_METADATA").write_text("{")
    with pytest.raises(UsageError, match="holds a damaged checkpoint"):
        restored(like, folder)
