# pyright: reportMissingImports=false
"""The same work, optimised, in PyTorch; a separate process, since thread pools would conflict.

The first line on stdin is a JSON request: `estimators` (identities), `parameters` (an npz file of
the VAE's arrays and a minibatch), `toy` (its target and logit), `threads`, `device` and `quick`.
Lines on stdout are JSON: progress messages, then one line with the available tasks. Each task
number on stdin is answered by one round of that task, until stdin ends.

    python -m experiments.benchmark.torch_server
"""

import json
import sys
from typing import Any

import torch

from experiments.benchmark.torch_tasks import Tasks


def main() -> None:
    """Answer the request on stdin."""
    request = json.loads(sys.stdin.readline())
    torch.set_num_threads(request["threads"])
    rounds, names, failed = [], [], []
    for kind, identity, variant, make in Tasks(request):
        _say({"preparing": f"{kind} of {identity}, {variant}"})
        try:
            one_round = make()
            one_round()  # compiles
        except Exception as error:  # e.g. without a C++ compiler; the others still count
            reason = str(error).strip().splitlines() or [""]
            failed.append([kind, identity, variant, f"{type(error).__name__}: {reason[0][:100]}"])
            continue
        rounds.append(one_round)
        names.append([kind, identity, variant])
    about = {"version": torch.__version__, "threads": torch.get_num_threads()}
    _say(about | {"device": request["device"], "tasks": names, "failed": failed})
    for line in sys.stdin:
        _say(rounds[int(line)]())


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
