"""Options of commands, built from the dataclasses that declare them (`embedlab.options`)."""

import inspect
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from embedlab.errors import UserError, unknown
from embedlab.option_fields import default_of, flag_of

_VIEWS = {"grid": False, "diagonal": True}
_LISTS = ("repeatable", "words", "numbers")


def with_options(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the fields of a dataclass as options,
    in the place of the parameter of that name.

    A command with a parameter `typed` gets the names of those that the user typed.

    >>> @with_options(encoding=EncodingOptions)
    ... def command(encoding): ...  # gets an EncodingOptions
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            own = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            if name == "typed":
                own = own.replace(name="context", annotation=typer.Context)
            parameters += _parameters(groups[name]) if name in groups else [own]

        @wraps(command)
        def typed(**given: Any) -> None:
            built: dict[str, Any] = {
                name: group(
                    **{each.name: _value(each, given.pop(each.name)) for each in fields(group)}
                )
                for name, group in groups.items()
            }
            if context := given.pop("context", None):
                built["typed"] = _typed(context)
            command(**given, **built)

        typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        typed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del typed.__wrapped__  # or the other signature would be read
        return typed

    return decorate


def _typed(context: typer.Context) -> set[str]:
    source = context.get_parameter_source
    return {
        name
        for name in context.params
        if (where := source(name)) is not None and where.name == "COMMANDLINE"
    }


def values_of(names: Collection[str], *groups: Any) -> dict[str, Any]:
    """The values of those fields of the groups that have one of the names."""
    return {
        each.name: getattr(group, each.name)
        for group in groups
        for each in fields(group)
        if each.name in names
    }


def _parameters(group: type) -> list[inspect.Parameter]:
    types = get_type_hints(group)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_typed_default(each),
            annotation=Annotated[_type(each, types[each.name]), _option(each)],
        )
        for each in fields(group)
    ]


def _type(each: Field[Any], declared: Any) -> Any:
    """What typer reads: words and numbers are typed as one text, or as several."""
    if each.metadata["form"] in _LISTS:
        return list[str] | None
    return str | None if each.metadata["form"] else declared


def _option(each: Field[Any]) -> Any:
    least = None if each.metadata["form"] else each.metadata["least"]
    names = filter(None, (flag_of(each), each.metadata["short"]))
    return typer.Option(*names, help=each.metadata["help"], min=least)


def _typed_default(each: Field[Any]) -> Any:
    """The default as one would type it."""
    if not each.metadata["form"]:
        return default_of(each)
    default = default_of(each)
    if isinstance(default, bool):
        return next(word for word, value in _VIEWS.items() if value == default)
    return [",".join(default)] if default and default != (None,) else None


def _value(each: Field[Any], typed: Any) -> Any:
    form, flag = each.metadata["form"], flag_of(each)
    if not form:
        return typed
    if form == "repeatable":
        return tuple(typed or ())
    if form in ("words", "numbers"):
        read = words if form == "words" else numbers
        return tuple(read(flag, ",".join(typed))) if typed else default_of(each)
    if typed not in _VIEWS:
        raise unknown(flag, typed, tuple(_VIEWS), f"Valid: {', '.join(_VIEWS)}.")
    return _VIEWS[typed]


def words(flag: str, text: str) -> list[str]:
    """Comma-separated words, each once; a comma of an index's own
    (`faiss:ivf64,sq8,nprobe=4`) stays in it.
    """
    from embedlab.models.expressions import continues

    parts: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if parts and continues(word):
            parts[-1] += f",{word}"
        else:
            parts.append(word)
    if not parts:
        raise UserError(f"{flag} {text!r} names nothing.", "Separate several by commas.")
    return list(dict.fromkeys(parts))


def numbers(flag: str, text: str) -> list[int]:
    """Comma-separated numbers from 1, each once."""
    parts = words(flag, text)
    if wrong := [word for word in parts if not (word.isdecimal() and int(word) > 0)]:
        raise UserError(
            f"{flag} takes numbers from 1, not {wrong[0]!r}.", f"Type for example: {flag} 2,4,6"
        )
    return list(dict.fromkeys(map(int, parts)))
