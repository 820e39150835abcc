"""What was parsed of JSON or TOML as a dataclass, checked by msgspec: one validator for all files
and settings that people write.
"""

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_PLACE = re.compile(r"(.*) - at `\$(.*)`$")


class Misfit(ValueError):
    """Values are not what a dataclass's fields say; the text says which, and what was expected.

    place: the keys and positions that lead to the value, as ("stages", 0, "steps").
    """

    def __init__(self, problem: str, place: tuple[str | int, ...]):
        super().__init__(problem)
        self.place = place


def convert(values: Any, kind: type[T]) -> T:
    """Parsed values as a dataclass, objects in them as the dataclasses that its fields name.

    Args:
        values: numbers, texts, lists and dicts.
        kind: its fields are the keys; further keys are left out.

    Raises:
        Misfit: a key is missing, or its value of another type.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        match = _PLACE.fullmatch(str(error))
        problem = match[1] if match else str(error)
        parts = re.findall(r"\.([\w-]+)|\[(\d+)\]", match[2]) if match else []
        place = tuple(name or int(number) for name, number in parts)
        raise Misfit(_named(problem, place, values), place) from error


def _named(problem: str, place: tuple[str | int, ...], values: Any) -> str:
    """What is wrong in words: `steps[0] = 'x'`, and what msgspec expected."""
    try:
        for part in place:
            values = values[part]
    except (LookupError, TypeError):
        return problem
    last = max((at for at, part in enumerate(place) if isinstance(part, str)), default=None)
    if last is None:
        return problem
    name = f"{place[last]}{''.join(f'[{number}]' for number in place[last + 1 :])}"
    return f"{name} = {values!r}: {problem}"
