"""What an option is: a field of a dataclass, with what the command line needs to know of it."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from typing import Any, cast, get_args

from embedlab.errors import UserError


def option(
    default: Any,
    help: str,
    *,
    flag: str = "",
    short: str = "",
    form: str = "",
    least: int | None = None,
) -> Any:
    """A field of a group, with what the command line needs to know of it.

    Args:
        default: its value where nothing is asked for.
        help: what it does, in one sentence.
        flag: its name on the command line, where that is not the field's; short: a second one.
        form: how it is typed there, where its type does not say: "words" and "numbers" are
            separated by commas, what is "repeatable" is typed once for each.
        least: the smallest number that it takes.
    """
    return field(
        default=default,
        metadata={"help": help, "flag": flag, "short": short, "form": form, "least": least},
    )


class OptionGroup:
    """Checks each value against its field: its type, the least number that it takes. A single value
    stands for a list of it, and what is named twice counts once.

    Raises:
        UserError: a value is of another type, or too small.
    """

    def __post_init__(self) -> None:
        for each in fields(cast(Any, self)):
            object.__setattr__(self, each.name, _checked(each, getattr(self, each.name)))


def _checked(each: Field[Any], value: Any) -> Any:
    from leaderboard.typed_values import Misfit, convert

    several = each.metadata["form"] in ("words", "numbers", "repeatable")
    value = value.tolist() if hasattr(value, "tolist") else value  # of numpy
    if several:
        value = default_of(each) if value is None else value
        single = isinstance(value, str | Mapping) or not isinstance(value, Iterable)
        value = (value,) if single else tuple(value)
    if isinstance(value, str) and Path in get_args(each.type):
        value = Path(value)
    flag, least = flag_of(each), each.metadata["least"]
    try:
        convert(value, cast(Any, each.type))
    except Misfit as error:
        raise UserError(f"{flag} cannot be {value!r}: {error}.", each.metadata["help"]) from error
    for number in value if several else (value,):
        if least is not None and number is not None and not number >= least:  # NaN neither
            raise UserError(
                f"{flag} {number}: there is no such number.", f"{flag} takes {least} or more."
            )
    return tuple(dict.fromkeys(value)) if several else value


def flag_of(each: Field[Any]) -> str:
    """The name of a field on the command line."""
    return str(each.metadata["flag"] or f"--{each.name.replace('_', '-')}")


def default_of(each: Field[Any]) -> Any:
    """The default of a field; None where it has none."""
    return None if each.default is MISSING else each.default
