"""Which documents a filter on their metadata lets through: `year >= 2020 and lang = "en"`.

The conditions are those of SQL, with its logic of three values: a document that lacks a field is
neither equal to a value nor unequal to it. What holds of documents and their metadata holds of
anything with fields, such as the models of a ranking.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, reduce
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from pyarrow import compute

from retrievers.errors import RetrieverError
from retrievers.metadata_columns import Array, Columns, encodable, kind_of

Value: TypeAlias = str | float | bool

HELP = (
    'A filter reads: year >= 2020 and (lang = "en" or lang is null); also in ("en", "de"), like'
    ' "vita%", contains, not.'
)
_GRAMMAR = r"""
    ?start: any
    ?any: all (_OR all)*
    ?all: test (_AND test)*
    ?test: _NOT test                          -> negated
         | "(" any ")"
         | NAME COMPARISON value              -> compared
         | NAME NOT? _IN "(" value ("," value)* ")" -> among
         | NAME NOT? (LIKE | ILIKE) STRING    -> like
         | NAME NOT? _CONTAINS value          -> contains
         | NAME _IS NOT? _NULL                -> missing
    ?value: STRING | NUMBER | TRUE | FALSE

    COMPARISON: "=" | "==" | "!=" | "<>" | "<=" | "<" | ">=" | ">"
    STRING: /'(?:[^']|'')*'|"(?:[^"]|"")*"/s
    NUMBER: /[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?/
    NAME: /[^\W\d][\w.-]*/ | /`(?:[^`]|``)+`/
    _OR.2: /or(?![\w.-])/i
    _AND.2: /and(?![\w.-])/i
    _NOT.2: /not(?![\w.-])/i
    NOT.2: /not(?![\w.-])/i
    _IN.2: /in(?![\w.-])/i
    LIKE.2: /like(?![\w.-])/i
    ILIKE.2: /ilike(?![\w.-])/i
    _CONTAINS.2: /contains(?![\w.-])/i
    _IS.2: /is(?![\w.-])/i
    _NULL.2: /null(?![\w.-])/i
    TRUE.2: /true(?![\w.-])/i
    FALSE.2: /false(?![\w.-])/i
    %ignore /\s+/
"""
_COMPARISONS: dict[str, Callable[..., Array]] = {
    "=": compute.equal, "==": compute.equal, "!=": compute.not_equal, "<>": compute.not_equal,
    "<": compute.less, "<=": compute.less_equal, ">": compute.greater,
    ">=": compute.greater_equal,
}  # fmt: skip


def parse(clause: str) -> Tree[Token]:
    """The clause, taken apart.

    Raises:
        RetrieverError: it is malformed.
    """
    try:
        return _parser().parse(encodable(clause))
    except UnexpectedInput as error:
        ended = getattr(getattr(error, "token", None), "type", "") == "$END"
        rest = "" if ended else clause[error.pos_in_stream or 0 :].strip()
        place = f"at {rest[:30]!r}" if rest else "at its end"
        raise RetrieverError(f"The filter {clause!r} is malformed {place}.", HELP) from None


def rows(
    clause: str, columns: Columns, ids: Sequence[str], *, what: str = "document", key: str = "id"
) -> np.ndarray:
    """The rows of the documents that the clause is true of: int64, ascending.

    Args:
        columns: the metadata of the documents.
        ids: of the documents, which the field `id` holds.
        what: a word for them.
        key: another name of the field `id`.

    Raises:
        RetrieverError: the clause is malformed, names a field that no document has, or compares
            one with a value of another kind.
    """
    try:
        mask = _Documents(columns, ids, what, key).passing(parse(clause))
    except RecursionError:
        raise RetrieverError(
            "The filter is nested too deeply.", "Write it with fewer parentheses."
        ) from None
    held: np.ndarray = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(held)


def passing(
    clause: str, records: Sequence[Mapping[str, Any]], kinds: Mapping[str, str], what: str, key: str
) -> list[int]:
    """Which of the records the clause is true of, in order.

    Args:
        records: fields by name; None where a value is unknown.
        kinds: of fields that there are even where none has a value, as `Columns.kinds`.
        what: a word for a record.
        key: the field that names it, a text that each has.

    Raises:
        RetrieverError: as `rows` does.
    """
    names = [str(each[key]) for each in records]
    others = [{name: value for name, value in each.items() if name != key} for each in records]
    columns = Columns.of(others).declare(kinds)
    passed: list[int] = rows(clause, columns, names, what=what, key=key).tolist()
    return passed


def fields_of(columns: Columns, key: str = "id") -> str:
    """The fields that a filter may name, with the kind of each; the first thirty."""
    listed = [f"{each} ({kind or 'of several kinds'})" for each, kind in columns.kinds.items()]
    more = f" and {len(listed) - 29:,} more" if len(listed) > 29 else ""
    return f"{', '.join([f'{key} (text)', *listed[:29]])}{more}"


def name(field: str) -> str:
    """A field's name as a clause has it."""
    return f"`{field.replace('`', '``')}`"


def literal(value: Any) -> str:
    """A value as a clause has it.

    Raises:
        RetrieverError: it is no text, number or boolean.
    """
    kind = kind_of(value)
    if kind == "text":
        doubled = value.replace("'", "''")
        return f"'{doubled}'"
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "number" and abs(value) < math.inf:
        return repr(value.item() if hasattr(value, "item") else value)
    raise RetrieverError(
        f"A filter compares with a text, a number or a boolean, not with {value!r}.", HELP
    )


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


class _Documents:
    """The documents that conditions are true, false, or neither (null) of."""

    def __init__(self, columns: Columns, ids: Sequence[str], what: str, key: str) -> None:
        self._columns, self._ids = columns, ids
        self._what, self._key = what, key

    def passing(self, tree: Tree[Token]) -> Array:
        """A boolean for each document."""
        parts: list[Any] = tree.children
        if tree.data == "any":
            return reduce(compute.or_kleene, map(self.passing, parts))
        if tree.data == "all":
            return reduce(compute.and_kleene, map(self.passing, parts))
        if tree.data == "negated":
            return compute.invert(self.passing(parts[0]))
        field, *rest = parts
        test = getattr(self, f"_{tree.data}")
        negated = any(token.type == "NOT" for token in rest)
        passing = test(_unquoted(field), *(token for token in rest if token.type != "NOT"))
        return compute.invert(passing) if negated else passing

    def _compared(self, field: str, how: Token, token: Token) -> Array:
        value = self._value(field, token)
        if isinstance(value, bool) and str(how) not in ("=", "==", "!=", "<>"):
            raise RetrieverError(
                f"{field} is true or false, and neither is less than the other.",
                f"Type: {field} = true",
            )
        array, scalar = _alike(self._columns_of(field), value)
        return _COMPARISONS[how](array, scalar)

    def _among(self, field: str, *tokens: Token) -> Array:
        values = [self._value(field, token) for token in tokens]
        array = self._columns_of(field)
        if any(isinstance(value, float) for value in values):
            array = array.cast(pa.float64(), safe=False)
        if pa.types.is_floating(array.type):
            values = [float(value) for value in values]
        found = compute.is_in(array, value_set=pa.array(values, array.type))
        return compute.if_else(array.is_valid(), found, None)

    def _like(self, field: str, how: Token, token: Token) -> Array:
        if self._kind(field) != "text":
            raise RetrieverError(f"{field} is a {self._kind(field)}, and {how} is for texts.", HELP)
        pattern, array = _unquoted(token), self._columns_of(field)
        return compute.match_like(array, pattern, ignore_case=how.type == "ILIKE")

    def _contains(self, field: str, token: Token) -> Array:
        kind, value = self._kind(field), _literal(token)
        if kind == "text" and isinstance(value, str):
            return compute.match_substring(self._columns_of(field), value)
        if not kind.startswith("list"):
            raise RetrieverError(
                f"{field} is a {kind}: it contains no {kind_of(value)}.",
                "contains asks for a part of a text, or for one of a list.",
            )
        if kind != "list" and kind != f"list of {kind_of(value)}s":
            raise _misfit(field, kind, value)
        array = self._columns_of(field)
        found = np.zeros(len(array), dtype=bool)
        if kind != "list":  # else all of them are empty
            inside, scalar = _alike(compute.list_flatten(array), value)
            hits = compute.list_parent_indices(array).filter(compute.equal(inside, scalar))
            found[hits.to_numpy(zero_copy_only=False)] = True
        return compute.if_else(array.is_valid(), pa.array(found), None)

    def _missing(self, field: str) -> Array:
        self._known(field)
        return self._columns_of(field).is_null()

    def _value(self, field: str, token: Token) -> Value:
        """A literal, of the kind of the field.

        Raises:
            RetrieverError: it is of another.
        """
        kind, value = self._kind(field), _literal(token)
        if kind.startswith("list"):
            raise RetrieverError(
                f"{field} is a {kind}, and equal to no single value.",
                f"Type: {field} contains {literal(value)}",
            )
        if kind != kind_of(value):
            raise _misfit(field, kind, value)
        return value

    def _kind(self, field: str) -> str:
        self._known(field)
        if field == self._key:
            return "text"
        if mixed := self._columns.mixed.get(field):
            counts = ", ".join(f"{kind} in {number:,}" for kind, number in mixed.items())
            raise RetrieverError(
                f"{field} is not of one kind in all {self._what}s: {counts}.",
                "Index documents whose values are of one kind.",
            )
        return self._columns.kinds[field]

    def _columns_of(self, field: str) -> Array:
        if field == self._key:
            return pa.array(map(encodable, self._ids), pa.string())
        return self._columns.array(field)

    def _known(self, field: str) -> None:
        known = {**self._columns.kinds, self._key: "text"}
        if field in known:
            return
        close = get_close_matches(field, known, n=1)
        raise RetrieverError(
            f"No {self._what} has a field {field!r}.",
            (f"Did you mean {close[0]}? " if close else "")
            + f"The fields are: {fields_of(self._columns, self._key)}.",
        )


def _misfit(field: str, kind: str, value: Value) -> RetrieverError:
    said = f"{field} is a {kind}, and {literal(value)} is a {kind_of(value)}."
    quotes = {"text": "A text stands in quotes.", "number": "A number stands without quotes."}
    return RetrieverError(said, quotes.get(kind.removeprefix("list of ").removesuffix("s"), HELP))


def _alike(array: Array, value: Value) -> tuple[Array, Any]:
    """Numbers and a value in one type: float64 where either is no whole number."""
    if isinstance(value, float) and pa.types.is_integer(array.type):
        array = array.cast(pa.float64(), safe=False)
    if pa.types.is_floating(array.type):
        value = float(value)
    return array, pa.scalar(value, array.type)


def _literal(token: Token) -> Value:
    if token.type == "STRING":
        return _unquoted(token)
    if token.type == "NUMBER":
        whole = int(token) if re.fullmatch(r"[+-]?\d{1,300}", token) else None
        return float(token) if whole is None or abs(whole) >= 2**63 else whole
    return token.type == "TRUE"


def _unquoted(token: Token) -> str:
    quote = token[0]
    if quote not in "'\"`":
        return str(token)
    return token[1:-1].replace(quote * 2, quote)
