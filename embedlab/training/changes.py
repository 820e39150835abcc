"""A recipe with some of its values changed: by their dotted places, as a study writes them."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from embedlab.errors import UserError


def apply(values: dict[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's values with `changed` in their places; `values` stay as they are.

    Args:
        values: as the TOML file has them.
        changed: by dotted place, such as "settings.max_length", "stages.0.steps", or for all
            stages "stages.*.lora". "steps" alone are those of the last stage; the earlier ones
            change in proportion.

    Raises:
        UserError: there is no such place.
    """
    found = deepcopy(values)
    for place, value in changed.items():
        if place == "steps":
            _set_steps(found, value)
        elif place.startswith("stages.*."):
            for number in range(len(found.get("stages") or [])):
                _put(found, place.replace("*", str(number), 1), value)
        else:
            _put(found, place, value)
    return found


def _put(values: dict[str, Any], place: str, value: Any) -> None:
    *parents, last = place.split(".")
    here: Any = values
    for parent in parents:
        here = _within(here, parent, place)
    if isinstance(here, list):
        here[_number(here, last, place)] = value
    elif isinstance(here, dict):
        here[last] = value
    else:
        raise _nowhere(place)


def _within(here: Any, name: str, place: str) -> Any:
    if isinstance(here, list):
        return here[_number(here, name, place)]
    if isinstance(here, dict):
        return here.setdefault(name, {})
    raise _nowhere(place)


def _number(here: list[Any], name: str, place: str) -> int:
    if not name.isdecimal() or int(name) >= len(here):
        raise _nowhere(place)
    return int(name)


def _nowhere(place: str) -> UserError:
    return UserError(
        f"The recipe has no place {place!r}.",
        'Write it as "settings.max_length" or "stages.0.batch_size", stages counted from 0.',
    )


def _set_steps(values: dict[str, Any], steps: Any) -> None:
    stages = values.get("stages") or []
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1 or not stages:
        raise UserError(f"steps = {steps!r} are no steps.", "Give a number from 1.")
    ratio = steps / stages[-1]["steps"]
    for stage in stages[:-1]:
        stage["steps"] = max(1, round(stage["steps"] * ratio))
    stages[-1]["steps"] = steps
