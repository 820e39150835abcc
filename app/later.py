"""What takes longer than a reader should wait: computed beside the page, which shows what it has,
how far the rest is, and the rest when it is there.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

import streamlit as st

from leaderboard.saying import Say

T = TypeVar("T")

AT_ONCE = 0.2  # seconds that a page waits before it goes on without
_EVERY = 1.0  # seconds between two looks
_LONGEST = 1.0  # seconds for which what comes later waits for pages
_UNWATCHED = 10.0  # seconds without a look after which an answer makes room for another one
# One at a time: two would both be late, and the pages share the processor with them.
_worker = ThreadPoolExecutor(1, thread_name_prefix="statistics")


class _Unwatched(Exception):
    """The reader has gone on to another view, and waits for another answer."""


class Later(Generic[T]):
    """An answer that is computed once somebody looks for it, and given up where nobody looks any
    more and another one is looked for.
    """

    _queued = 0  # of all answers

    def __init__(self, compute: Callable[[Say], T]):
        self._compute = compute
        self._future: Future[T] | None = None
        self._seen, self._awaited = 0.0, False
        self.doing, self.share = "Waiting for other statistics", 0.0

    def ready(self, seconds: float | None = None) -> bool:
        """Look whether the answer is there, or comes within so many seconds (`AT_ONCE`)."""
        self._seen = time.monotonic()
        if self._future is None or self._given_up():
            Later._queued += 1
            self._future = _worker.submit(self._begin)
        self._awaited = seconds != 0
        _pages.changed()
        wait([self._future], AT_ONCE if seconds is None else seconds)
        self._awaited = False
        return self.there()

    def _begin(self) -> T:
        Later._queued -= 1
        try:
            return self._compute(self._say)
        finally:
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _given_up(self) -> bool:
        future = self._future
        return bool(future and future.done() and isinstance(future.exception(), _Unwatched))

    def there(self) -> bool:
        """Whether it is there, without asking for it to be computed."""
        return bool(self._future and self._future.done()) and not self._given_up()

    def answer(self) -> T:
        """What was computed; raises what the computation raised. Only where it is `ready`."""
        assert self._future is not None
        return self._future.result()

    def _say(self, doing: str, share: float) -> None:
        self.doing, self.share = doing, share
        # Streamlit collects garbage after every run of a page or a part of it, among all objects
        # but the frozen ones: of a large store's that takes longer than the run.
        gc.freeze()
        _pages.give_way(lambda: self._awaited)
        if Later._queued and time.monotonic() - self._seen > _UNWATCHED:
            raise _Unwatched


class _Pages:
    """The pages that are being drawn: one that a reader waits for goes before what comes later."""

    def __init__(self) -> None:
        self._drawn, self._none = 0, threading.Condition()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        with self._none:
            self._drawn += 1
        try:
            yield
        finally:
            with self._none:
                self._drawn -= 1
            self.changed()

    def changed(self) -> None:
        with self._none:
            self._none.notify_all()

    def give_way(self, unless: Callable[[], bool]) -> None:
        """Wait for the pages that are drawn, unless one of them waits for what is computed."""
        with self._none:
            self._none.wait_for(lambda: not self._drawn or unless(), _LONGEST)


_pages = _Pages()
drawing = _pages.drawing


@st.fragment(run_every=_EVERY)
def progress(answer: Later[T], what: str) -> None:
    """Show how far an answer is, and the page anew once it is there."""
    if answer.ready(0):
        st.rerun()
    st.progress(min(1.0, answer.share), text=f"{what}: {answer.doing.lower()}")
