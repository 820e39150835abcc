"""A recipe as the TOML file that `embedlab train` reads: what a study made of it, in full."""

import json
from dataclasses import asdict
from typing import Any

from embedlab.training.recipe import Recipe


def toml(recipe: Recipe) -> str:
    """The text of the file; read again, it is the same recipe where the file has its name."""
    values = asdict(recipe)
    stages = values.pop("stages")
    del values["name"]
    lines = [f"{_key(name)} = {_value(value)}" for name, value in values.items() if value != {}]
    for stage in stages:
        lines += ["", "[[stages]]"]
        lines += [
            f"{_key(name)} = {_value(value)}"
            for name, value in stage.items()
            if value is not None and value != {}
        ]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isalnum() and plain.isascii() else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        inner = (f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return "{ " + ", ".join(inner) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(str(value), ensure_ascii=False)
