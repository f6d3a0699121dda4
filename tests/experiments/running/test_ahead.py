"""Work in threads ahead of the loop that needs it."""

import threading

import pytest

from experiments.running.ahead import ahead


def test_in_order_with_the_errors_of_each():
    first_may_end = threading.Event()

    def first():
        assert first_may_end.wait(60)
        return 1

    def second():
        first_may_end.set()  # the first ends after the second
        return 2

    def third():
        raise LookupError

    with ahead({"first": first, "second": second, "third": third}) as done:
        found = list(done)
    assert [name for name, _ in found] == ["first", "second", "third"]
    assert [job.result() for _, job in found[:2]] == [1, 2]
    with pytest.raises(LookupError):
        found[2][1].result()


def test_jobs_begin_before_they_are_asked_for():
    begun = threading.Event()
    with ahead({"job": begun.set}) as done:
        assert begun.wait(60)
        assert [name for name, _ in done] == ["job"]


def test_an_error_drops_jobs_that_have_not_begun():
    never, ran = threading.Event(), []

    def job():
        ran.append(None)
        never.wait(0.05)  # all of them would take half a minute

    with pytest.raises(LookupError), ahead({str(number): job for number in range(1000)}):
        raise LookupError
    assert len(ran) < 1000
