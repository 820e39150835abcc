"""What is computed beside the page: it says how far it is, and ends when nobody waits for it."""

import threading
import time

import pytest

from app import later
from app.later import Later


def test_an_answer_that_takes_long_says_how_far_it_is():
    go_on = threading.Event()

    def compute(say):
        say("Counting", 0.25)
        go_on.wait(30)
        return 42

    slow = Later(compute)
    assert not slow.ready(0.05)
    assert (slow.doing, slow.share) == ("Counting", 0.25)
    go_on.set()
    assert slow.ready(30) and slow.answer() == 42


def test_its_error_is_the_page_s():
    broken = Later(lambda say: 1 // 0)
    assert broken.ready(30)
    with pytest.raises(ZeroDivisionError):
        broken.answer()


def test_a_page_that_is_drawn_goes_first_unless_it_waits_for_the_answer():
    slow = Later(lambda say: [say("Counting", n / 40) for n in range(40)])
    with later.drawing():
        assert not slow.ready(0)
        time.sleep(0.2)
        assert not slow.there()
        began = time.monotonic()
        assert slow.ready(30) and time.monotonic() - began < 15


def test_what_nobody_looks_for_any_more_makes_room_and_starts_anew_when_asked(monkeypatch):
    monkeypatch.setattr(later, "_UNWATCHED", 0.1)
    begun = []

    def compute(say):
        begun.append(time.monotonic())
        for _ in range(200 if len(begun) == 1 else 1):
            time.sleep(0.02)
            say("Counting", 0.5)
        return "done"

    left = Later(compute)
    assert not left.ready(0)
    assert Later(lambda say: "next").ready(3)  # else it would wait for four seconds
    assert left.ready(30) and left.answer() == "done" and len(begun) == 2
