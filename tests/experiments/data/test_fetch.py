"""`estimax fetch`, from a server on this machine."""

import gzip
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import get_args

import jax
import pytest

from experiments.command_line import main
from experiments.data import SOURCES, Dataset, datasets, load, mnist_family
from tests.experiments.helpers.data import forget, sha256

NAME = "train-images-idx3-ubyte"


class Server(ThreadingHTTPServer):
    """Serves files by name, and lists the names it was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked, self.is_stopping = {}, [], False


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        if name not in self.server.content:
            self.send_error(404)
            return
        content = self.server.content[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.is_stopping:
            self.wfile.write(content[:100])
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(fashion, server, monkeypatch):
    """The server of a small Fashion-MNIST."""
    for name, content in fashion.items():
        packed = server.content[f"{name}.gz"] = gzip.compress(content)
        source = mnist_family.FASHION[name]._replace(
            url=f"http://127.0.0.1:{server.server_port}/{name}.gz", checksum=sha256(packed)
        )
        monkeypatch.setitem(mnist_family.FASHION, name, source)
    return server


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, and no folder of the user's; return the cache's."""
    compiled = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ESTIMAX_DATA", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield tmp_path / "cache/estimax"
    jax.config.update("jax_compilation_cache_dir", compiled)


def fetch(*arguments):
    """Return the status of the command in a process that remembers nothing."""
    forget()
    return main(["fetch", *map(str, arguments)])


def failed(capsys, *arguments):
    """Fetch, expect exit status 2, and return the last line."""
    assert fetch(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()[-1]


def files(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_to_the_cache_and_not_twice(remote, cache, capsys):
    assert fetch("FashionMNIST") == 0
    folder, size = cache / "FashionMNIST", sum(map(len, remote.content.values())) / 1e6
    printed = capsys.readouterr()
    assert printed.out == f"FashionMNIST: downloaded to {folder} ({size:.1f} MB)\n"
    assert "\r" not in printed.err  # no bar where there is no terminal
    assert files(folder) == set(remote.content) == set(remote.asked)
    remote.content.clear()
    assert fetch("FashionMNIST", "FashionMNIST") == 0
    assert capsys.readouterr().out == f"FashionMNIST: already in {folder}\n"
    assert len(remote.asked) == 4
    assert len(load("FashionMNIST", "test").images) == 10


@pytest.mark.parametrize("by", ["option", "variable"])
def test_to_the_folder(by, remote, capsys, monkeypatch, tmp_path):
    assert fetch("FashionMNIST") == 0  # whoever names a folder may not share the cache
    folder = tmp_path / "data"
    folder.mkdir()
    if by == "variable":
        monkeypatch.setenv("ESTIMAX_DATA", str(folder))
    given = ["--data", folder] if by == "option" else []
    for done in f"downloaded to {folder}/FashionMNIST (", f"already in {folder}/FashionMNIST\n":
        capsys.readouterr()
        assert fetch("FashionMNIST", *given) == 0
        assert f"FashionMNIST: {done}" in capsys.readouterr().out
    assert files(folder) == set(remote.content)


def test_only_what_is_missing(remote, fashion, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    raw = tmp_path / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for name in [one for one in fashion if one.startswith("train")]:
        (raw / name).write_bytes(fashion[name])
    assert fetch("FashionMNIST") == 0
    assert f"downloaded to {raw.parent} and {raw} (" in capsys.readouterr().out
    assert remote.asked == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content.pop(f"{NAME}.gz"), "404"),
        (lambda content: content.update({f"{NAME}.gz": b"damaged"}), "does not match"),
    ],
    ids=["missing", "damaged"],
)
def test_a_failed_download_leaves_nothing(change, says, remote, capsys, cache):
    change(remote.content)
    line = failed(capsys, "FashionMNIST")
    assert f"{NAME}.gz is needed, but cannot be downloaded" in line and says in line
    assert not files(cache / "FashionMNIST")


def test_without_a_network(remote, capsys, monkeypatch):
    source = mnist_family.FASHION[NAME]._replace(url="http://127.0.0.1:1/x.gz")
    monkeypatch.setitem(mnist_family.FASHION, NAME, source)
    assert "(no connection: ConnectionError)" in failed(capsys, "FashionMNIST")


def test_an_interrupted_download_leaves_nothing(remote, capsys, cache):
    remote.is_stopping = True
    assert fetch("FashionMNIST") == 143
    assert capsys.readouterr().err.endswith("estimax: interrupted; finished parts are kept\n")
    assert not files(cache / "FashionMNIST")


def test_a_damaged_file_of_the_cache_is_replaced(remote, cache):
    assert fetch("FashionMNIST") == 0
    (cache / "FashionMNIST" / f"{NAME}.gz").write_bytes(b"damaged")
    assert fetch("FashionMNIST") == 0
    assert remote.asked[4:] == [f"{NAME}.gz"]
    assert len(load("FashionMNIST", "train").images) == 45


def test_a_damaged_file_of_the_users_is_kept(remote, fashion, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ESTIMAX_DATA", str(tmp_path))
    (tmp_path / NAME).write_bytes(fashion[NAME][:-1] + b"?")
    assert f"{NAME}: expected sha256" in failed(capsys, "FashionMNIST")
    assert (tmp_path / NAME).read_bytes().endswith(b"?")


def test_what_is_part_of_estimax(capsys):
    assert fetch("MNIST") == 0
    assert capsys.readouterr() == ("MNIST: part of estimax\n", "")


def test_all_data_sets(remote, omniglot, capsys, monkeypatch, tmp_path):
    assert SOURCES.keys() == set(get_args(Dataset))
    monkeypatch.setattr(datasets, "mnist", lambda part: None)  # the counts are Fashion-MNIST's
    assert fetch("all") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "MNIST: part of estimax"
    assert lines[1].startswith(f"FashionMNIST: downloaded to {tmp_path}/FashionMNIST (")
    assert lines[2] == f"Omniglot: already in {tmp_path}"


def test_names_are_checked_before_anything_is_downloaded(remote, capsys):
    line = failed(capsys, "FashionMNIST", "Omnglot")
    assert "unknown data set 'Omnglot' (did you mean 'Omniglot'?)" in line and "all" in line
    assert not remote.asked


def test_help_lists_the_data_sets(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["fetch", "--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in get_args(Dataset))
    assert max(map(len, out.splitlines())) <= 80
