"""The methods of the literature, one file each.

A method's module has `load(source, *, revision=None, device=None, dtype=None, **settings)`, which returns a
`SentenceTransformer`, `SparseEncoder` or `CrossEncoder`, and, where its checkpoints have a layout of their own,
`recognises(folder, config)`, which says whether a local folder holds one (`config` is its config.json, parsed).
"""

import json
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from embedlab.errors import unknown

METHODS = {
    "sentence-transformers": "embedlab.encoders.stock",
}


def method(name: str) -> Callable:
    """The loader of the method `name`: one of ours, or a plugin's from the entry point group `embedlab.encoders`.

    Raises:
        UserError: no method has this name.
    """
    if name in METHODS:
        return import_module(METHODS[name]).load
    plugins = {point.name: point for point in entry_points(group="embedlab.encoders")}
    if name in plugins:
        return plugins[name].load()
    raise unknown("method", name, [*METHODS, *plugins])


def recognise(folder: Path) -> str:
    """The method whose published layout a local model folder has; "sentence-transformers" where none claims it."""
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text(encoding="utf-8")) if config_file.is_file() else {}
    for name, module in METHODS.items():
        claims = getattr(import_module(module), "recognises", None)
        if claims and claims(folder, config):
            return name
    return "sentence-transformers"
