"""Dynamic batching: who shares a pass, who is refused, whose answer nobody waits for."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from embedlab.serve.shared_passes import Refusal, SharedPasses


@contextmanager
def passes(**options):
    """Passes that shout, the groups that went through, and an event that lets them."""
    groups, free = [], threading.Event()

    def compute(kind, texts):
        groups.append((kind, list(texts)))
        free.wait(10)
        if "bad" in texts:
            raise ValueError("a bad text")
        return [text.upper() for text in texts]

    shared = SharedPasses(compute, **{"most": 4, "room": 20, "seconds": 10, **options})
    yield shared, groups, free
    shared.close()


async def asked(shared, groups, free, requests):
    """All answers of requests made while a first one is under way."""
    first = asyncio.create_task(shared.answers("k", ["first"]))
    while not groups:
        await asyncio.sleep(0.001)
    rest = [asyncio.create_task(shared.answers(*request)) for request in requests]
    await asyncio.sleep(0.01)
    free.set()
    return await asyncio.gather(first, *rest, return_exceptions=True)


def test_who_comes_meanwhile_shares_a_pass():
    requests = [("k", ["a"]), ("other", ["b"]), ("k", ["c", "d", "e"]), ("k", ["f"])]
    with passes() as (shared, groups, free):
        answers = asyncio.run(asked(shared, groups, free, requests))
    assert answers == [["FIRST"], ["A"], ["B"], ["C", "D", "E"], ["F"]]
    assert groups == [("k", ["first"]), ("k", ["a", "c", "d", "e"]), ("other", ["b"]), ("k", ["f"])]


def test_a_long_request_lets_others_between():
    requests = [("k", list("abcdefgh")), ("k", ["x"])]
    with passes(most=2) as (shared, groups, free):
        answers = asyncio.run(asked(shared, groups, free, requests))
    assert answers[1] == list("ABCDEFGH")
    assert [texts for _, texts in groups].index(["x"]) == 2


def test_one_that_fails_does_not_fail_the_others():
    with passes() as (shared, groups, free):
        answers = asyncio.run(asked(shared, groups, free, [("k", ["a"]), ("k", ["bad"])]))
    assert answers[1] == ["A"] and str(answers[2]) == "a bad text"


def test_no_room_and_no_time():
    with passes(room=2) as (shared, groups, free):
        answers = asyncio.run(asked(shared, groups, free, [("k", ["a", "b"]), ("k", ["c"])]))
    assert answers[1] == ["A", "B"]
    assert isinstance(answers[2], Refusal) and answers[2].status == 503

    with passes(seconds=0.05) as (shared, groups, free):
        with pytest.raises(Refusal, match=r"no answer within 0\.05 seconds") as caught:
            asyncio.run(shared.answers("k", ["a"]))
        free.set()
    assert caught.value.status == 504


def test_who_has_left_is_not_computed():
    async def gone():
        return True

    with passes() as (shared, groups, free):
        answers = asyncio.run(asked(shared, groups, free, [("k", ["left"], gone), ("k", ["a"])]))
    assert answers[2] == ["A"] and answers[1].status == 499
    assert all("left" not in texts for _, texts in groups)
