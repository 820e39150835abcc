"""The methods of the literature, one file each, and those of installed packages.

A method's module has `load(source, *, revision=None, device=None, dtype=None, **settings)`, which
returns a `SentenceTransformer`, `SparseEncoder` or `CrossEncoder`, and, where its checkpoints have
a layout of their own, `recognises(folder, config)`, which says whether a local folder holds one
(`config` is its config.json, parsed).

An installed package adds a method as an entry point of the group `embedlab.encoders` that leads to
such a function, `my_package.encoder:load`. Where it can do without a `source`, the method's name is
the name of a model, too. `CARDS` in the same module says more of its models: a list of
`embedlab.models.cards.Card`.
"""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab.errors import UserError, unknown
from leaderboard import plugins
from leaderboard.errors import LeaderboardError
from leaderboard.plain_json import from_json

if TYPE_CHECKING:
    from sentence_transformers.base.model import BaseModel

GROUP = "embedlab.encoders"
Load = Callable[..., "BaseModel"]

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
    "training-free": "embedlab.encoders.training_free",
    "echo-splade": "embedlab.encoders.echo_splade",
    "lion": "embedlab.encoders.lion",
    "lens": "embedlab.encoders.lens",
    "yes-no": "embedlab.encoders.yes_no",
    "sentence-transformers": "embedlab.encoders.stock",
}


# What cards say of models that no method here loads.
RESERVED = ("bm25", "auto", "file", "composed", "object", "mteb", "server")


@dataclass(frozen=True)
class Method:
    """What others need to know of a method; nothing is imported before it is asked for.

    Args:
        name: what cards and `?method=` say.
        module: where it is written.
        plugin: the package that brings it; None for ours.
    """

    name: str
    module: str
    plugin: plugins.Plugin | None = None

    @property
    def function(self) -> Load:
        """Its `load`, as it is written.

        Raises:
            UserError: its package is broken.
        """
        if self.plugin is None:
            ours: Load = import_module(self.module).load
            return ours
        try:
            theirs: Load = self.plugin.load(GROUP)
        except LeaderboardError as error:
            raise UserError(str(error), error.hint) from error
        return theirs

    @property
    def load(self) -> Load:
        """Its `load`; whatever goes wrong in that of a package is one message."""
        if self.plugin is None:
            return self.function
        return _guarded(f"The plug-in {self.plugin}", lambda: self.function, self.plugin.hint)

    @property
    def recognises(self) -> Callable[[Path, dict[str, Any]], bool] | None:
        """Whether a local folder holds a model of it;
        None where its models have no layout of their own.
        """
        return getattr(import_module(self.module), "recognises", None)

    @property
    def cards(self) -> list[Any]:
        """What a package says of its models: `Card`s, unchecked
        (`embedlab.models.plugin_cards`).
        """
        if self.plugin is None:
            return []
        _ = self.function  # imports its module
        return list(getattr(sys.modules.get(self.module), "CARDS", ()))

    @property
    def needs_source(self) -> bool:
        """Whether it loads a folder of files; one that does not is a model by itself."""
        first = next(iter(inspect.signature(self.function).parameters.values()), None)
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return (
            first is not None
            and first.kind in positional
            and first.default is inspect.Parameter.empty
        )


def registered() -> Mapping[str, Method]:
    """All methods by name: ours, then those of installed packages,
    none of which replaces one of ours.
    """
    ours = {name: Method(name, module) for name, module in METHODS.items()}
    theirs = plugins.installed(GROUP, {*METHODS, *RESERVED})
    return {
        **ours,
        **{name: Method(name, plugin.module, plugin) for name, plugin in theirs.items()},
    }


def method(name: str) -> Method:
    """The method of this name.

    Raises:
        UserError: there is none.
    """
    if name in METHODS:
        return Method(name, METHODS[name])
    known = registered()
    if name not in known:
        raise unknown("method", name, known)
    return known[name]


def from_file(spec: str, *, asked: Sequence[str] = (), objects: Sequence[str] = ()) -> Load:
    """The loader that `path/to/file.py:Name` names, a user's own method.

    `Name` is a class or function that gives a model of sentence-transformers, or another object
    that is a model. It gets the keyword arguments `device` and `dtype` where it takes them.

    Args:
        asked: of these, those that the user asked for by name.
        objects: methods of which such an object has one.

    Raises:
        UserError: the file is not there. What goes wrong inside it, a UserError says when the
            loader is called.
    """
    path, _, name = spec.rpartition(":")
    file = Path(path)
    if not file.is_file():
        raise UserError(
            f"There is no file {path!r}.", "A method of your own is given as path/to/file.py:Class."
        )

    def get() -> Load:
        module_spec = spec_from_file_location(f"embedlab_file_{file.stem}", file)
        if module_spec is None or module_spec.loader is None:
            raise UserError(f"{path} is no Python file.", "Its name has to end in .py.")
        module = module_from_spec(module_spec)
        sys.modules[module_spec.name] = module  # dataclasses and pickle look their module up there
        module_spec.loader.exec_module(module)
        if not hasattr(module, name):
            own = [key for key, value in vars(module).items() if _is_its(value, module.__name__)]
            more = f"It has {', '.join(own) or 'none'}: type {path}:NAME."
            raise unknown(f"class of {path}", name, own, more)
        return _taking(getattr(module, name), name, asked)

    return _guarded(f"{name} of {path}", get, "The fault lies in that code.", objects)


def _is_its(value: object, module: str) -> bool:
    """Whether a module defines this, something that can be called."""
    return callable(value) and getattr(value, "__module__", "") == module


def _taking(found: Callable[..., Any], name: str, asked: Sequence[str]) -> Load:
    """Calls `found` with those of the arguments that it takes."""

    def load(**arguments: Any) -> Any:
        parameters = inspect.signature(found).parameters
        if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            return found(**arguments)
        for option in asked:
            if option not in parameters:
                raise UserError(
                    f"--{option} has no effect on {name}, which takes no {option}.",
                    f"Leave it out, or give {name} an argument {option}.",
                )
        return found(**{key: value for key, value in arguments.items() if key in parameters})

    return load


def _guarded(what: str, get: Callable[[], Load], hint: str, objects: Sequence[str] = ()) -> Load:
    """A loader out of foreign code: whatever goes wrong in it becomes one message."""

    def load(*args: Any, **kwargs: Any) -> "BaseModel":
        from sentence_transformers.base.model import BaseModel

        try:
            model = get()(*args, **kwargs)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(
                f"{what} failed: {type(error).__name__}: {error}",
                f"{hint} Type again with --debug before the command for its traceback.",
            ) from error
        if not isinstance(model, BaseModel) and not any(hasattr(model, each) for each in objects):
            raise UserError(
                f"{what} gave a {type(model).__name__}.",
                "It has to give a SentenceTransformer, SparseEncoder, MultiVectorEncoder or"
                " CrossEncoder of sentence-transformers"
                + (", or an object with encode(texts) or predict(pairs)." if objects else "."),
            )
        return model

    return load


def recognise(folder: Path) -> str:
    """The method whose published layout a local model folder has;
    "sentence-transformers" where none claims it.

    Raises:
        UserError: its config.json is none.
    """
    config_file = folder / "config.json"
    try:
        config = from_json(config_file.read_bytes()) if config_file.is_file() else {}
        if not isinstance(config, dict):
            raise ValueError("it holds no keys")
    except ValueError as error:
        raise UserError(
            f"{config_file} is no model's configuration: {error}.", "Get the model again."
        ) from error
    for name, module in METHODS.items():
        claims = getattr(import_module(module), "recognises", None)
        if claims and claims(folder, config):
            return name
    return "sentence-transformers"
