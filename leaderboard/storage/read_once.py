"""Answers of a store, remembered until it changes."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
State = tuple[int, int]
_LAST = 4  # answers to one kind of question


class ReadOnce:
    """What was read, by the name of the question; every caller gets the same object."""

    def __init__(self) -> None:
        self._answers: dict[str, dict[object, tuple[State, Any]]] = {}

    def get(self, name: str, state: State, read: Callable[[], T], of: object = None) -> T:
        """The answer to a question, read where there is none of this state of the store.

        Args:
            of: what the question is about, where it is one of many: the last few are remembered.
        """
        answers = self._answers.get(name, {})
        found = answers.get(of)
        if found is None or found[0] != state:
            found = state, read()
            others = [
                (about, answer)
                for about, answer in answers.items()
                if answer[0] == state and about != of
            ]
            # In one step: another thread may read the same.
            self._answers[name] = dict([*others[1 - _LAST :], (of, found)])
        answer: T = found[1]
        return answer
