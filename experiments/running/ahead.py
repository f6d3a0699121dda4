"""Work that runs in threads ahead of the loop that needs it: compilation."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from experiments.system import hosts
from experiments.system.device import num_cores

T = TypeVar("T")

_SECONDS = 0.2


def ahead(jobs: Mapping[str, Callable[[], T]]) -> Iterator[tuple[str, Future[T]]]:
    """Yield each job's name and its future, done, in order, while later jobs run in threads.

    Tracing holds Python's lock but XLA's compiler does not, so that programs compile on other cores
    while the caller traces, runs and summarises. Once the last future is yielded, nothing runs.

    Raises:
        Interrupted: if a signal asked the process to end; jobs that have not begun are dropped.
    """
    pool = ThreadPoolExecutor(num_cores())
    try:
        futures = {name: pool.submit(job) for name, job in jobs.items()}
        for name, future in futures.items():
            yield name, _done(future)
    finally:
        pool.shutdown(cancel_futures=True)


def _done(future: Future[T]) -> Future[T]:
    while not wait([future], timeout=_SECONDS).done:
        hosts.check_signals()
    return future
