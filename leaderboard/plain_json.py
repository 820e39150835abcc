"""JSON as its standard has it: no NaN and no infinities, which other programs refuse to read."""

import json
from math import isfinite


def to_json(value: object, *, ascii: bool = False, indent: int | None = None) -> str:
    """`value` as JSON: numpy numbers and arrays plain, NaN and infinities null, what JSON has no form for as text."""
    form = {"ensure_ascii": ascii, "indent": indent}
    try:
        return json.dumps(value, allow_nan=False, default=_plain, **form)
    except ValueError:
        return json.dumps(_finite(json.loads(json.dumps(value, default=_plain))), **form)


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
