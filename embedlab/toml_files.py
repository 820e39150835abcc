"""TOML files: cards, benchmarks, recipes.
Read into dataclasses, and every error names the file and the line.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

from embedlab.errors import UserError, unknown
from leaderboard.typed_values import Misfit, convert

T = TypeVar("T")
Place: TypeAlias = tuple[str | int, ...]  # the keys and positions that lead to a value

_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([\w\"'-]+)\s*=")


def read(path: Path, what: str, hint: str = "") -> dict[str, Any]:
    """What the file says.

    Args:
        what: the file is, for the message: "recipe".

    Raises:
        UserError: it is no TOML in UTF-8, or cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also of its encoding, and of numbers too long for Python
        raise UserError(
            f"The {what} {path} is no TOML: {error}.", hint or "Mend the file."
        ) from error
    except RecursionError:
        raise UserError(
            f"The {what} {path} is nested too deep.", hint or "Mend the file."
        ) from None
    except OSError as error:
        raise UserError(
            f"The {what} {path} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error


def read_as(
    kind: type[T], path: Path, what: str, *, hint: str = "", given: Mapping[str, Any] | None = None
) -> T:
    """The file as a dataclass, tables in it as the dataclasses that their fields name.

    Args:
        kind: its fields are the file's keys.
        given: keys that win over the file's.

    Raises:
        UserError: a key is unknown, missing, or its value of another type; names file and line.
    """
    values = {**read(path, what, hint), **(given or {})}
    return checked(kind, values, partial(where, path), hint or "Mend the file.")


def checked(kind: type[T], values: Any, locate: Callable[[Place], str], hint: str) -> T:
    """What was read of a file, or a table of it, as a dataclass.

    Args:
        kind: its fields are the keys.
        values: what was read.
        locate: where a key stands, for the message: `where` of the file.

    Raises:
        UserError: a key is unknown, missing, or its value of another type.
    """
    for place, wrong, known in _unknown(kind, values, ()):
        at = locate((*place, wrong))
        raise unknown("key", wrong, known, f"It stands in {at}. Valid: {', '.join(known)}.")
    try:
        return convert(values, kind)
    except Misfit as error:
        raise UserError(f"{locate(error.place)}: {error}.", hint) from error


def _unknown(kind: Any, values: Any, place: Place) -> Iterator[tuple[Any, str, list[str]]]:
    """Keys that no field has: where they stand, the key, and the fields there are."""
    kind = next((each for each in (kind, *get_args(kind)) if is_dataclass(each)), None)
    if kind is None:
        return
    tables = enumerate(values) if isinstance(values, list) else [(None, values)]
    for number, table in tables:
        if not isinstance(table, dict):
            continue
        here = place if number is None else (*place, number)
        known = {each.name: each.type for each in fields(kind)}
        yield from ((here, key, list(known)) for key in table if key not in known)
        for key, value in table.items():
            if key in known:
                yield from _unknown(known[key], value, (*here, key))


def where(path: Path, place: Place) -> str:
    """The file and the line at which a key, or the table that it lacks in, stands:
    `where(path, ("stages", 0, "steps"))` is "recipe.toml:7".
    """
    lines = _lines(path.read_text(encoding="utf-8"))
    while place and place not in lines:
        place = place[:-1]
    return f"{path}:{lines[place]}" if place in lines else str(path)


def _lines(text: str) -> dict[Place, int]:
    """The line of each key and table: ("stages", 0, "steps") -> 7."""
    line_of: dict[Place, int] = {}
    table: Place = ()
    numbers: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            names = [name.strip().strip("\"'") for name in header[2].split(".")]
            if header[1] == "[[":
                numbers[names[0]] = numbers.get(names[0], -1) + 1
            first: Place = (names[0], numbers[names[0]]) if names[0] in numbers else (names[0],)
            table = (*first, *names[1:])
            line_of.setdefault(table, number)
        elif key := _KEY.match(line):
            line_of.setdefault((*table, key[1].strip("\"'")), number)
    return line_of
