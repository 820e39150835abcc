"""Errors of the results store: those that a user can mend, and files that cannot be read."""

from typing import Any


class LeaderboardError(Exception):
    """What is wrong (`str(error)`) and what to type next (`error.hint`)."""

    def __init__(self, problem: str, hint: str = ""):
        super().__init__(problem)
        self.hint = hint


class Malformed(ValueError):
    """A file is not what it should be; the text says where and why."""


class MalformedBeside(Malformed):
    """A file cannot be read because of another one: once that is mended, it can."""


class Partial(Malformed):
    """A part of a file is not what it should be; `runs`
    (`leaderboard.records.Run`) are what the rest holds.
    """

    def __init__(self, problem: str, runs: list[Any]):
        super().__init__(problem)
        self.runs = runs
