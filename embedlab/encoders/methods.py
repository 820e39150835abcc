"""The methods of the literature, one file each.

A method's module has `load(source, *, revision=None, device=None, dtype=None, **settings)`, which returns a
`SentenceTransformer`, `SparseEncoder` or `CrossEncoder`, and, where its checkpoints have a layout of their own,
`recognises(folder, config)`, which says whether a local folder holds one (`config` is its config.json, parsed).
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from embedlab.errors import UserError, unknown
from leaderboard.plain_json import from_json

METHODS = {
    "nv-embed": "embedlab.encoders.nv_embed",
    "causal2vec": "embedlab.encoders.causal2vec",
    "gem": "embedlab.encoders.gem",
    "llm2vec": "embedlab.encoders.llm2vec",
    "genc": "embedlab.encoders.genc",
    "kalm": "embedlab.encoders.kalm",
    "in-context": "embedlab.encoders.in_context",
    "gritlm": "embedlab.encoders.gritlm",
    "pooling-and-attn": "embedlab.encoders.pooling_and_attn",
    "plain": "embedlab.encoders.plain",
    "starbucks": "embedlab.encoders.starbucks",
    "echo": "embedlab.encoders.echo",
    "echo-splade": "embedlab.encoders.echo_splade",
    "lion": "embedlab.encoders.lion",
    "lens": "embedlab.encoders.lens",
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
        return _guarded(f"The plugin {name!r} ({plugins[name].value})", plugins[name].load)
    raise unknown("method", name, [*METHODS, *plugins])


def from_file(spec: str) -> Callable:
    """The loader that `path/to/file.py:Name` names, a user's own method.

    `Name` is a class or function that takes the keyword arguments `device` and `dtype` and gives a
    `SentenceTransformer`, `SparseEncoder` or `CrossEncoder`.

    Raises:
        UserError: the file is not there. What goes wrong inside it, a UserError says when the loader is called.
    """
    path, _, name = spec.rpartition(":")
    file = Path(path)
    if not file.is_file():
        raise UserError(f"There is no file {path!r}.", "A method of your own is given as path/to/file.py:Class.")

    def get() -> Callable:
        module_spec = spec_from_file_location(f"embedlab_file_{file.stem}", file)
        module = module_from_spec(module_spec)
        sys.modules[module_spec.name] = module  # dataclasses and pickle look their module up there
        module_spec.loader.exec_module(module)
        return getattr(module, name)

    return _guarded(f"{name} of {path}", get)


def _guarded(what: str, get: Callable[[], Callable]) -> Callable:
    """A loader out of foreign code: whatever goes wrong in it becomes one message."""

    def load(*args, **kwargs):
        from sentence_transformers.base.model import BaseModel

        try:
            model = get()(*args, **kwargs)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(
                f"{what} failed: {type(error).__name__}: {error}",
                "The fault lies in that code. Type again with --debug before the command for its traceback.",
            ) from error
        if not isinstance(model, BaseModel):
            raise UserError(
                f"{what} gave a {type(model).__name__}.",
                "It has to give a SentenceTransformer, SparseEncoder or CrossEncoder of sentence-transformers.",
            )
        return model

    return load


def recognise(folder: Path) -> str:
    """The method whose published layout a local model folder has; "sentence-transformers" where none claims it.

    Raises:
        UserError: its config.json is none.
    """
    config_file = folder / "config.json"
    try:
        config = from_json(config_file.read_bytes()) if config_file.is_file() else {}
        if not isinstance(config, dict):
            raise ValueError("it holds no keys")
    except ValueError as error:
        raise UserError(f"{config_file} is no model's configuration: {error}.", "Get the model again.") from error
    for name, module in METHODS.items():
        claims = getattr(import_module(module), "recognises", None)
        if claims and claims(folder, config):
            return name
    return "sentence-transformers"
