"""JSON as its standard has it: written without NaN and infinities,
read from anybody with one kind of error.
"""

import json
import re
from math import isfinite
from typing import Any

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def to_json(value: object, *, ascii: bool = False, indent: int | None = None) -> str:
    """`value` as JSON: numpy numbers and arrays plain, NaN and infinities null, what JSON has no
    form for as text.
    """
    try:
        return json.dumps(value, allow_nan=False, default=_plain, ensure_ascii=ascii, indent=indent)
    except ValueError:
        finite = _finite(json.loads(json.dumps(value, default=_plain)))
        return json.dumps(finite, ensure_ascii=ascii, indent=indent)


def from_json(text: str | bytes) -> Any:
    """What JSON from outside says.

    Raises:
        ValueError: it is no JSON in UTF-8, is nested beyond what Python can hold, or has texts that
            are none: a half of a surrogate pair, which no file, store or tokenizer takes.
    """
    text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    try:
        value = json.loads(text)
        if _ESCAPED_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise ValueError(f"{half} alone is half a character, which is no text") from None
    return value


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
