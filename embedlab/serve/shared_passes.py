"""Dynamic batching: texts that arrive while the models work go through the next pass together.

Nobody waits for company: a text that comes alone is computed at once, alone. So one client has the
latency of one pass, and many share each.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

# Texts of one kind -> an answer for each. Runs in a thread of its own, one call at a time.
Compute = Callable[[Any, list[str]], Sequence[Any]]


class Refusal(Exception):
    """Why there is no answer, in one sentence.

    Args:
        status: the HTTP status that says the same.
    """

    def __init__(self, sentence: str, status: int):
        super().__init__(sentence)
        self.status = status


async def _stays() -> bool:
    return False


@dataclass
class _Asked:
    """Texts that wait for their answers. Only texts of one kind share a pass."""

    kind: Hashable
    texts: list[str]
    answers: asyncio.Future[Sequence[Any]]
    has_left: Callable[[], Awaitable[bool]]


class SharedPasses:
    """One thread that computes, and the queue before it.

    Args:
        compute: answers texts of one kind.
        most: texts in a pass.
        room: texts that may wait; more are refused.
        seconds: that a client waits.
    """

    def __init__(self, compute: Compute, *, most: int, room: int, seconds: float) -> None:
        self._compute, self._most, self._room, self._seconds = compute, most, room, seconds
        self._queue: deque[_Asked] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passes")
        self._worker: asyncio.Task[None] | None = None

    async def answers(
        self,
        kind: Hashable,
        texts: Sequence[str],
        has_left: Callable[[], Awaitable[bool]] = _stays,
    ) -> list[Any]:
        """The answer to each text.

        More texts than a pass holds are asked for pass by pass, so that others come between.

        Args:
            kind: what is asked of the texts, as `compute` gets it.
            has_left: whether whoever asks is gone; what nobody waits for is not computed.

        Raises:
            Refusal: too many wait already, or the time is over.
            Exception: whatever `compute` raises about these texts alone.
        """
        found: list[Any] = []
        try:
            async with asyncio.timeout(self._seconds):
                for start in range(0, len(texts), self._most):
                    part = list(texts[start : start + self._most])
                    found += await self._answers(kind, part, has_left)
        except TimeoutError:
            raise Refusal(f"There was no answer within {self._seconds:g} seconds.", 504) from None
        return found

    async def _answers(
        self, kind: Hashable, texts: list[str], has_left: Callable[[], Awaitable[bool]]
    ) -> Sequence[Any]:
        if sum(len(asked.texts) for asked in self._queue) + len(texts) > self._room:
            raise Refusal(f"The server is busy: {self._room} texts wait already.", 503)
        asked = _Asked(kind, texts, asyncio.get_running_loop().create_future(), has_left)
        self._queue.append(asked)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await asked.answers

    async def _work(self) -> None:
        """Pass after pass, until nobody waits."""
        while self._queue:
            group = [asked for asked in self._next_pass() if not asked.answers.done()]
            for asked in group:
                if await asked.has_left():
                    _settle(asked, Refusal("The client has left.", 499))
            await self._compute_for([asked for asked in group if not asked.answers.done()])

    def _next_pass(self) -> list[_Asked]:
        """The first in the queue, and those of its kind behind it that fit into its pass."""
        group: list[_Asked] = []
        kept: deque[_Asked] = deque()
        free = self._most
        for asked in self._queue:
            fits = len(asked.texts) <= free
            if not group or (fits and asked.kind == group[0].kind):
                group.append(asked)
                free -= len(asked.texts)
            else:
                kept.append(asked)
        self._queue = kept
        return group

    async def _compute_for(self, group: list[_Asked]) -> None:
        if not group:
            return
        texts = [text for asked in group for text in asked.texts]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._compute, group[0].kind, texts)
        except Exception as error:
            if len(group) == 1:
                _settle(group[0], error)
            else:  # one of them is to blame, and the others need not know
                for asked in group:
                    await self._compute_for([asked])
            return
        start = 0
        for asked in group:
            _settle(asked, found[start : start + len(asked.texts)])
            start += len(asked.texts)

    def close(self) -> None:
        """End the thread after the pass that it is at."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _settle(asked: _Asked, outcome: Sequence[Any] | Exception) -> None:
    if asked.answers.done():  # who asked has given up meanwhile
        return
    if isinstance(outcome, Exception):
        asked.answers.set_exception(outcome)
    else:
        asked.answers.set_result(outcome)
