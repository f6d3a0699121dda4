"""Work that runs in threads ahead of the loop that needs it: compilation, tuning."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from experiments.system import hosts
from experiments.system.device import num_cores

T = TypeVar("T")

_SECONDS = 0.2


@contextlib.contextmanager
def ahead(jobs: Mapping[str, Callable[[], T]]) -> Iterator[Iterator[tuple[str, Future[T]]]]:
    """Run jobs in threads within the block; give each job's name and its future, done, in order.

    Tracing holds Python's lock but XLA's compiler and its programs do not, so that programs compile
    and run on other cores while the caller traces, runs and summarises. Once the last future was
    given, nothing runs. Jobs that have not begun when the block ends are dropped.

    Raises:
        Interrupted: from the iterator, if a signal asked the process to end.
    """
    pool = ThreadPoolExecutor(num_cores())
    try:
        futures = {name: pool.submit(job) for name, job in jobs.items()}
        yield ((name, _done(future)) for name, future in futures.items())
    finally:
        pool.shutdown(cancel_futures=True)


def _done(future: Future[T]) -> Future[T]:
    while not wait([future], timeout=_SECONDS).done:
        hosts.check_signals()
    return future
