"""Many requests to one server: as many at once as are allowed, each tried again where that may
help.
"""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count, islice
from typing import Generic, NamedTuple, TypeVar

from embedlab.errors import UserError
from embedlab.servers.prices import Price
from embedlab.servers.rate_limits import LONGEST_WAIT, RateLimits
from embedlab.servers.refusals import KEPT, Refused
from embedlab.spending import Purse

PAUSE = 0.5  # seconds before the second try, doubled for each further one
_TRIES = 7  # of a request that was cut off or failed at the server: about half a minute
_TRIES_WHEN_LIMITED = 50  # ... that came too early: the server says how long to wait
_LONGEST_PAUSE = 30.0

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class Sent(NamedTuple, Generic[Answer]):
    """An answer, the headers it came with, and the tokens paid for; None where nobody counts.

    written: those of them that the model wrote.
    """

    answer: Answer
    headers: Mapping[str, str]
    tokens: int | None
    written: int = 0


class InFlight:
    """Args:
    number: requests at once.
    purse: what pays for them.
    price: None where nobody knows.
    """

    def __init__(self, number: int, purse: Purse, price: Price | None) -> None:
        self._number, self._purse, self._price = number, purse, price or Price()
        self._limits, self._stop = RateLimits(), threading.Event()
        self.requests = self.tries_again = 0

    def all(self, jobs: Iterable[Job], send: Callable[[Job], Answer]) -> Iterator[Answer]:
        """`send(job)` of every job, as they end; the work of a job is `ask`ed within it.

        The first error ends it: nothing more is sent; what is on its way is waited for and comes
        before the error, since it is paid for.
        """
        todo, running = iter(jobs), set[Future[Answer]]()
        failed: Exception | None = None
        try:
            with ThreadPoolExecutor(self._number, thread_name_prefix="server") as pool:
                try:
                    while True:
                        room = 0 if failed else self._number - len(running)
                        for job in islice(todo, room):
                            running.add(pool.submit(send, job))
                        if not running:
                            break
                        done, running = wait(running, return_when=FIRST_COMPLETED)
                        for future in done:
                            if (error := future.exception()) is None:
                                yield future.result()
                            elif not isinstance(error, Exception):
                                raise error
                            else:
                                failed = failed or error
                                self._stop.set()
                finally:
                    self._stop.set()
        finally:
            self._stop.clear()
        if failed:
            raise failed

    def ask(
        self,
        tokens: int,
        request: Callable[[], Sent[Answer]],
        *,
        queries: int = 0,
        written: int = 0,
    ) -> Sent[Answer]:
        """The answer to a request, which is tried again as long as that may help.

        Args:
            tokens: about so many it has.
            request: sends it once; raises `Refused`.
            queries: that are paid for each by itself.
            written: the most tokens that a language model writes; they are not among `tokens`.

        Raises:
            Refused: it will not be answered.
            UserError: it is beyond the budget.
        """
        for tries in count(1):
            if not self._limits.acquire(tokens + written, self._stop):
                raise Stopped
            sent = refusal = None
            promised = self._price.of(tokens, queries, written)
            try:
                self._purse.promise(promised)
                try:
                    self.requests += 1
                    sent = request()
                except Refused as error:
                    refusal = error
                finally:
                    wrote = sent.written if sent else 0
                    counted = sent.tokens if sent and sent.tokens is not None else tokens + wrote
                    paid = self._price.of(counted - wrote, queries, wrote) if sent else 0.0
                    self._purse.settle(promised, paid)
            finally:
                self._limits.release(tokens + written, sent.headers if sent else None)
            if refusal is None:
                assert sent is not None
                return sent
            self._wait(refusal, tries)
        raise AssertionError

    def _wait(self, refusal: Refused, tries: int) -> None:
        limited = refusal.status == 429
        if not refusal.may_pass or tries >= (_TRIES_WHEN_LIMITED if limited else _TRIES):
            raise refusal
        seconds = refusal.retry_after
        if seconds is None:
            longest = min(PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)
            seconds = longest * random.uniform(0.5, 1)  # so that not all come back at once
        elif seconds > LONGEST_WAIT:
            raise UserError(
                f"The server asks to wait {seconds:,.0f} seconds.", f"Come back then. {KEPT}"
            )
        self.tries_again += 1
        if limited:
            self._limits.pause(seconds)
        else:
            self._stop.wait(seconds)
        if self._stop.is_set():
            raise refusal


class Stopped(Exception):
    """Another request failed: this one is not sent any more."""
