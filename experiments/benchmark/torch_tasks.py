# pyright: reportMissingImports=false, reportPrivateImportUsage=false
"""Rounds of work in PyTorch: gradient samples, training steps, the toy's gradients."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.func import grad, vmap

from experiments.benchmark.torch_toy import toy_gradient
from experiments.benchmark.torch_vae import Estimator, Tensors
from experiments.data import pixels

Round = Callable[[], dict[str, float]]
"""Returns the value of one round, and moments that show that the work is the same."""


class Tasks:
    """The tasks for which PyTorch is timed, on one device, at given parameters."""

    def __init__(self, request: dict[str, Any]):
        """Load the data and the parameters that a request names."""
        self.device = torch.device(request["device"])
        self.quick = request["quick"]
        self.toy = request["toy"]
        bits = pixels("MNIST", "train", "threshold").astype(np.float32)
        self.images = torch.from_numpy(bits).to(self.device)
        with np.load(request["parameters"]) as arrays:
            *self.parameters, self.batch = (
                torch.from_numpy(arrays[name]).to(self.device) for name in sorted(arrays)
            )
        self.estimators = list(self._known(request["estimators"]))

    def _known(self, identities: list[str]) -> Iterator[Estimator]:
        for identity in identities:
            try:
                yield Estimator(identity, self.images.mean(0))
            except KeyError:
                pass

    def __iter__(self) -> Iterator[tuple[str, str, str, Callable[[], Round]]]:
        """Yield every task: its kind, estimator and variant, and a function that prepares it."""
        for estimator in self.estimators:
            for variant, make in self._gradients(estimator).items():
                yield "gradients", estimator.identity, variant, make
            for variant, make in self._steps(estimator).items():
                yield "steps", estimator.identity, variant, make
            for variant, make in self._toy(estimator.identity).items():
                yield "toy", estimator.identity, variant, make

    def _gradients(self, estimator: Estimator) -> dict[str, Callable[[], Round]]:
        def mapped(w, u):
            return estimator.loss(w, self.batch, u)

        def prepare(w):
            return partial(vmap(grad(mapped), in_dims=(None, 0)), w)

        makers = {"eager": partial(self._loop, estimator)}
        for chunk in (4, 20):
            makers[f"vmap {chunk}"] = partial(self._chunks, estimator, prepare, chunk)
        if not self.quick:  # compiling takes seconds
            compiled = torch.compile(vmap(grad(mapped), in_dims=(None, 0)))
            makers["compiled 20"] = partial(
                self._chunks, estimator, lambda w: partial(compiled, w), 20
            )
        if folded := estimator.folded:
            for chunk in (4, 20):
                makers[f"by hand {chunk}"] = partial(
                    self._chunks, estimator, lambda w: folded(w, self.batch), chunk
                )
        return makers

    def _loop(self, estimator: Estimator) -> Round:
        """Sequential backward passes, with moments summed by foreach operations."""
        w, count = self._live(), self._count()

        def sums():
            first, second = self._zeros(), self._zeros()
            for _ in range(count):
                u = self._noise(estimator)
                slopes = torch.autograd.grad(estimator.loss(w, self.batch, u), w)
                torch._foreach_add_(first, slopes)
                torch._foreach_addcmul_(second, slopes, slopes)
            return first, second

        return self._moments(sums, count)

    def _chunks(self, estimator: Estimator, prepare: Callable, chunk: int) -> Round:
        """Several gradients in one call, `prepare(w)(u)`."""
        gradients, count = prepare([t.clone() for t in self.parameters]), self._count()

        def sums():
            first, second = self._zeros(), self._zeros()
            for _ in range(count // chunk):
                slopes = gradients(self._noise(estimator, chunk))
                for s, q, g in zip(first, second, slopes, strict=True):
                    s += g.sum(0)
                    q += (g * g).sum(0)
            return first, second

        return self._moments(sums, count)

    def _moments(self, sums: Callable[[], tuple[Tensors, Tensors]], count: int) -> Round:
        def one_round():
            seconds, (first, second) = self._timed(sums)
            pairs = zip(first, second, strict=True)
            squares = sum(float((q - s * s / count).sum()) for s, q in pairs)
            return {"value": seconds * 1000 / count, "variance": squares / (count - 1)}

        return one_round

    def _steps(self, estimator: Estimator) -> dict[str, Callable[[], Round]]:
        makers = {"eager": partial(self._training, estimator, estimator.loss)}
        if not self.quick:
            compiled = torch.compile(estimator.loss, dynamic=False)
            makers["compiled"] = partial(self._training, estimator, compiled)
        return makers

    def _training(self, estimator: Estimator, loss: Callable) -> Round:
        """Training steps with Adam's fused kernel."""
        w = self._live()
        optimiser = torch.optim.Adam(w, lr=1e-3, fused=True)
        order = torch.randperm(len(self.images), device=self.device)
        size = len(self.batch)
        batches = len(order) // size
        done = 0

        def step():
            nonlocal done
            first = done % batches * size
            done += 1
            x = self.images[order[first : first + size]]
            slopes = torch.autograd.grad(loss(w, x, self._noise(estimator)), w)
            for parameter, slope in zip(w, slopes, strict=True):
                parameter.grad = slope
            optimiser.step()

        def one_round():
            count, seconds = 0, 0.0
            while seconds < (0.01 if self.quick else 0.35):
                seconds += self._timed(lambda: [step() for _ in range(5)])[0]
                count += 5
            return {"value": count / seconds}

        return one_round

    def _toy(self, identity: str) -> dict[str, Callable[[], Round]]:
        if (gradient := toy_gradient(identity, **self.toy)) is None:
            return {}

        def sums(u):
            g = gradient(u)
            return g.sum(), (g * g).sum()

        makers = {"eager 2^17": partial(self._bulk, sums, 17)}
        for power in () if self.quick else (19, 21):
            compiled = torch.compile(sums, dynamic=False)
            makers[f"compiled 2^{power}"] = partial(self._bulk, compiled, power)
        return makers

    def _bulk(self, sums: Callable, power: int) -> Round:
        """The toy's gradients, with all noise drawn into one buffer."""
        size = 2**power
        buffer = torch.empty(size, device=self.device)
        calls = 1 if self.quick else 2**24 // size

        def total():
            first, second = 0.0, 0.0
            for _ in range(calls):
                s, q = sums(buffer.uniform_())
                first, second = first + s, second + q
            return first, second

        def one_round():
            seconds, (first, second) = self._timed(total)
            count = calls * size
            mean = float(first) / count
            variance = float(second) / count - mean**2
            return {"value": count / seconds, "mean": mean, "variance": variance}

        return one_round

    def _timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        start = time.perf_counter()
        result = work()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start, result

    def _count(self) -> int:
        return 20 if self.quick else 100

    def _noise(self, estimator: Estimator, *chunk: int) -> torch.Tensor:
        shape = (*chunk, len(self.batch), len(self.parameters[-1]))
        return estimator.noise(*shape, device=self.device)

    def _live(self) -> Tensors:
        return [t.clone().requires_grad_() for t in self.parameters]

    def _zeros(self) -> Tensors:
        return [torch.zeros_like(t) for t in self.parameters]
