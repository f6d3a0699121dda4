"""Gradients by one library, in its own environment.

The first line on stdin is a JSON request: `adapter` (the module of this package that calls the
library), `package` (the library's distribution, whose version is reported), `count` (gradients of a
round), and `bits` and `classes`, each with the `logits`, the `weights` w and the `centre` c of
f(z) = (w . z - c)^2. Answers are those of a process of `experiments.benchmark.process`: a round
answers with `value` (seconds per gradient), `losses` and `gradients`.

    python -m experiments.benchmark.opponents.server
"""

import importlib
import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Round = Callable[[], dict[str, Any]]
"""Draws gradients, and returns the answer."""

Task = tuple[str, str, str, Callable[[], Round]]
"""A variable ("bits" or "classes"), our estimator, the library's call, and what prepares it."""

Tasks = Callable[[Mapping[str, Any]], Iterator[Task]]
"""What an adapter names `tasks`."""


def main() -> None:
    """Answer the request on stdin."""
    request = json.loads(sys.stdin.readline())
    _say({"preparing": "imports"})
    adapter = importlib.import_module(f"{__package__}.{request['adapter']}")
    rounds, names, failed = [], [], []
    for variable, estimator, call, make in adapter.tasks(request):
        _say({"preparing": f"{call}, {variable}"})
        try:
            one_round = make()
            one_round()  # compiles
        except Exception as error:  # the others still count
            reason = str(error).strip().splitlines() or [""]
            failed.append([variable, estimator, call, f"{type(error).__name__}: {reason[0][:60]}"])
            continue
        rounds.append(one_round)
        names.append([variable, estimator, call])
    version = importlib.metadata.version(request["package"])
    _say({"version": version, "tasks": names, "failed": failed})
    for line in sys.stdin:
        _say(rounds[int(line)]())


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
