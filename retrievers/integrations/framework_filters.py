"""Filters as other frameworks write them, as clauses of ours (`retrievers.where`).

To them, a document without a field is unequal to every value, and fits no other condition; to us,
who have SQL's logic, it fits none. So each condition says which documents have the field.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from retrievers.errors import RetrieverError
from retrievers.where import literal, name

Filter = str | Mapping[str, Any] | None


def _all(parts: Sequence[str]) -> str:
    return f"({' and '.join(parts)})"


def _any(parts: Sequence[str]) -> str:
    return f"({' or '.join(parts)})"


def _compared(how: str) -> Callable[[str, Any], str]:
    return lambda field, value: _all([f"{field} is not null", f"{field} {how} {literal(value)}"])


def _equal(field: str, value: Any) -> str:
    return f"{field} is null" if value is None else _compared("=")(field, value)


def _list(values: Any) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise RetrieverError(f"{values!r} is no list of values.", "Give a list.")
    return values


def _among(field: str, values: Any) -> str:
    if not _list(values):
        return _all([f"{field} is null", f"{field} is not null"])
    listed = ", ".join(map(literal, values))
    return _all([f"{field} is not null", f"{field} in ({listed})"])


def _has_any(field: str, values: Any) -> str:
    return _any([_compared("contains")(field, value) for value in _list(values)])


def _has_all(field: str, values: Any) -> str:
    return _all([_compared("contains")(field, value) for value in _list(values)])


def _part(field: str, text: Any) -> str:
    escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in str(text))
    return _compared("ilike")(field, f"%{escaped}%")


def _exists(field: str, wanted: Any) -> str:
    return f"{field} is {'not ' if wanted else ''}null"


def _not(condition: Callable[[str, Any], str]) -> Callable[[str, Any], str]:
    return lambda field, value: f"not {_all([condition(field, value)])}"


_COMMON: dict[str, Callable[[str, Any], str]] = {
    "==": _equal, "!=": _not(_equal), "in": _among, "not in": _not(_among),
    **{how: _compared(how) for how in (">", ">=", "<", "<=")},
}  # fmt: skip
_LLAMA_INDEX = {
    **_COMMON, "nin": _not(_among), "any": _has_any, "all": _has_all,
    "contains": _compared("contains"), "text_match": _compared("contains"),
    "text_match_insensitive": _part,
}  # fmt: skip
_LANGCHAIN = {
    "$eq": _equal, "$ne": _not(_equal), "$gt": _compared(">"), "$gte": _compared(">="),
    "$lt": _compared("<"), "$lte": _compared("<="), "$in": _among, "$nin": _not(_among),
    "$like": _compared("like"), "$ilike": _compared("ilike"), "$contains": _compared("contains"),
    "$exists": _exists,
}  # fmt: skip


def _condition(
    known: Mapping[str, Callable[[str, Any], str]], field: str, how: str, value: Any
) -> str:
    if how not in known:
        raise RetrieverError(
            f"There is no operator {how!r} of filters here.", f"Known: {', '.join(known)}."
        )
    return known[how](name(field), value)


def from_haystack(filters: Filter) -> str:
    """{"operator": "AND", "conditions": [{"field": "meta.year", "operator": ">", "value": 2020}]}

    Raises:
        RetrieverError: it is not formed so. So too of the functions below.
    """
    if isinstance(filters, str):
        return filters
    if not filters:
        return ""
    match filters:
        case {"field": str(field), "operator": str(how), "value": value}:
            return _condition(_COMMON, field.removeprefix("meta."), how, value)
        case {"operator": "AND" | "OR" | "NOT" as how, "conditions": [_, *_] as conditions}:
            parts = [from_haystack(each) for each in conditions]
            joined = _any(parts) if how == "OR" else _all(parts)
            return f"not {joined}" if how == "NOT" else joined
    raise RetrieverError(
        f"{filters} is no filter of Haystack's.",
        'One reads {"field": "meta.year", "operator": ">=", "value": 2020}; several stand in'
        ' {"operator": "AND", "conditions": [...]}.',
    )


def from_llama_index(filters: Any) -> str:
    """LlamaIndex's `MetadataFilters`, also in one another."""
    if isinstance(filters, str):
        return filters
    if not filters:
        return ""
    parts = [
        from_llama_index(each)
        if hasattr(each, "filters")
        else _condition(_LLAMA_INDEX, each.key, each.operator.value, each.value)
        for each in filters.filters
    ]
    parts = [part for part in parts if part]
    condition = filters.condition.value if filters.condition else "and"
    if not parts:
        return ""
    if condition == "not":  # none of them fits
        return f"not {_any(parts)}"
    return _any(parts) if condition == "or" else _all(parts)


def from_langchain(filters: Filter) -> str:
    """{"year": {"$gte": 2020}, "lang": "en"}, with "$and", "$or", "$not": as LangChain's vector
    stores take them.
    """
    if isinstance(filters, str):
        return filters
    if not filters:
        return ""
    parts = []
    for field, value in filters.items():
        if field in ("$and", "$or") and isinstance(value, list) and value:
            each = [from_langchain(one) for one in value]
            parts.append(_all(each) if field == "$and" else _any(each))
        elif field == "$not" and isinstance(value, Mapping) and value:
            parts.append(f"not {from_langchain(value)}")
        elif field.startswith("$"):
            raise RetrieverError(
                f"{field}: {value!r} is no filter.",
                'One reads {"year": {"$gte": 2020}, "lang": "en"}; $and and $or take lists.',
            )
        elif isinstance(value, Mapping):
            parts += [_condition(_LANGCHAIN, field, how, what) for how, what in value.items()]
        else:
            parts.append(_equal(name(field), value))
    return _all(parts)
