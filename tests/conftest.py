import collections
import gc
import itertools
from pathlib import Path

import jax
import pytest

from experiments.running import memory

# What JAX traces is many small objects: looking for garbage among them is a tenth of the time.
gc.set_threshold(500_000, 100, 100)

# Before the first use of a device. Four show what one would hide: placement, padding, sums over
# devices.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    # Compiling is most of the time: a second run, and the other worker, find the programs here.
    if config.pluginmanager.hasplugin("cacheprovider"):
        compiled = config.cache.mkdir("estimax") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(compiled))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def pytest_runtest_setup(item):
    # Most tests compile for longer than they run.
    runs = any(map(item.get_closest_marker, ("slow", "many_samples")))
    jax.config.update("jax_disable_most_optimizations", not runs)


_MOST_PROGRAMS = 500


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    # Thousands of compiled programs make a heap of gigabytes, in which compiling is slow.
    if len(jax.devices()[0].client.live_executables()) > _MOST_PROGRAMS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def strict_dtypes():
    """No implicit promotion between dtypes; for estimators only, since optax needs it."""
    with jax.numpy_dtype_promotion("strict"):
        yield


_number = itertools.count()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """The command line run inside a test leaves the user's cache alone."""
    # A name alone: making a folder for each test, `tmp_path`, looks through those of all before.
    own = tmp_path_factory.getbasetemp() / "caches" / str(next(_number))
    compiled = Path(jax.config.jax_compilation_cache_dir or "")
    home = compiled.parents[1] if compiled.match("estimax/compiled") else own
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    # Programs may be shared, but a test that breaks or counts what is computed must compute it.
    monkeypatch.setattr(memory, "folder", lambda: own / "kept-points")


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out, and tests shared out
def pytest_collection_modifyitems(items):
    # A page of docs/ takes up to a minute: the last one would leave the other worker idle.
    items.sort(key=lambda item: item.path.suffix != ".md")
    seen = collections.Counter()
    for item in items:
        # Workers would collect different tests.
        assert " at 0x" not in item.nodeid, f"the name of a test has an address: {item.nodeid}"
        if marker := item.get_closest_marker("first_cases"):
            test = item.nodeid.partition("[")[0]
            seen[test] += 1
            if seen[test] > marker.args[0]:
                item.add_marker(pytest.mark.slow)
        # The tests of a file share what JAX has compiled, so they share a worker.
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
