"""While a page is put together a marked reading happens once; elsewhere each time."""

from __future__ import annotations

from itertools import count
from threading import Thread

import pytest

from base.once import a_page, once_a_page


def test_it_reads_once_a_page_and_each_time_elsewhere() -> None:
    numbers = count()
    read = once_a_page(lambda: next(numbers))
    other = once_a_page(lambda: "other")
    assert [read(), read()] == [0, 1]
    with a_page():
        assert [read(), other(), read()] == [2, "other", 2]
    with a_page():
        assert [read(), read()] == [3, 3], "nothing is kept for the next page"
    assert read() == 4


def test_what_could_not_be_read_is_tried_again_and_a_page_that_fails_leaves_nothing() -> None:
    answers = iter([None, "read"])

    @once_a_page
    def read() -> str:
        answer = next(answers)
        if answer is None:
            raise LookupError
        return answer

    with a_page():
        with pytest.raises(LookupError):
            read()
        assert read() == "read"
    with pytest.raises(StopIteration), a_page():
        read()
    with pytest.raises(StopIteration):
        read()


def test_pages_of_other_threads_are_others() -> None:
    numbers, seen = count(), []
    read = once_a_page(lambda: next(numbers))

    def page() -> None:
        with a_page():
            seen.append((read(), read()))

    with a_page():
        assert read() == 0
        thread = Thread(target=page)
        thread.start()
        thread.join()
        assert read() == 0
    assert seen == [(1, 1)]
