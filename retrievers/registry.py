"""Factory strings: `make("faiss:hnsw32,efSearch=128", metric="cosine")`,
and `load` for any saved index.
"""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from retrievers import folder
from retrievers.base import Retriever
from retrievers.errors import RetrieverError

# Index families: the word before the colon -> module:class. The part after the colon, up to the
# first setting, is the field `kind`. What a family takes, whether it is exact, which codes it holds
# and its settings, its class says (`retrievers.indexes.base_index.Index`). Installed packages add
# theirs as entry points of the group GROUP.
GROUP = "embedlab.indexes"
FAMILIES = {
    "faiss": "retrievers.indexes._faiss:FaissIndex",
    "torch": "retrievers.indexes.exact:TorchIndex",
    "lucene": "retrievers.indexes.lucene:LuceneIndex",
    "lucene:impact": "retrievers.indexes.lucene_vectors:LuceneImpactIndex",
    "lucene:hnsw": "retrievers.indexes.lucene_vectors:LuceneHnswIndex",
    "sparse": "retrievers.indexes.sparse:SparseIndex",
    "seismic": "retrievers.indexes.seismic:SeismicIndex",
    "maxsim": "retrievers.indexes.maxsim:MaxSimIndex",
    "muvera": "retrievers.indexes.muvera:MuveraIndex",
}
COMPOSED = {
    "chunked": "retrievers.pipelines.by_chunks:Chunked",
    "encoded": "retrievers.pipelines.encoded:Encoded",
    "fusion": "retrievers.pipelines.fusion:Fusion",
    "reranked": "retrievers.pipelines.rerank:Reranked",
}
SPECS = (
    "faiss:flat", "faiss:hnsw32", "faiss:ivf64", "faiss:ivf64,sq8", "faiss:ivf64,pq48", "faiss:sq8",
    "faiss:pq48", "faiss:binary", "torch", "lucene", "lucene:multifield", "lucene:impact",
    "lucene:hnsw", "sparse", "seismic", "maxsim", "maxsim,bits=8", "muvera:faiss:flat",
)  # fmt: skip


@cache
def families() -> dict[str, str]:
    """All index families, each as module:class:
    ours, then those of installed packages, none of which replaces ours.
    """
    return {**{name: point.value for name, point in _installed().items()}, **FAMILIES}


def is_reserved(name: str) -> bool:
    """Whether a name is ours: also `faiss:mine` is,
    which would stand in the place of a kind of `faiss`.
    """
    return name.lower().partition(":")[0] in {*FAMILIES, *COMPOSED}


@cache
def _installed() -> dict[str, EntryPoint]:
    """The families of installed packages;
    of two of one name that of the package whose name comes first.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: _package(point), reverse=True)
    return {point.name.lower(): point for point in points if not is_reserved(point.name)}


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "?"


def make(spec: str, **settings: Any) -> Retriever:
    """An empty retriever from a factory string.

    Args:
        spec: `family[:kind][,name=value ...]`, such as "faiss:ivf64,nprobe=8" or
            "lucene:multifield,language=de". Case and underscores of a setting's name do not matter.
        settings: further settings, which win over those in the string; `encoder` is the id of the
            vectors' encoder.

    Raises:
        RetrieverError: the family, kind or a setting is unknown, or the package it needs is not
            installed.
    """
    family, values = _read(spec, settings)
    cls = index_class(family)
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        if family in FAMILIES:
            raise
        point = _installed()[family]
        raise RetrieverError(
            f"The plug-in {family!r} of the package {_package(point)} takes no {spec!r}:"
            f" {type(error).__name__}: {error}",
            f"Its settings are {', '.join(sorted(_known(cls)))}.",
        ) from error


def canonical(spec: str) -> str:
    """The one name of the index that a factory string describes: "muvera" is "muvera:faiss:flat",
    "faiss:HNSW32,ef_search=128" is "faiss:hnsw32". Settings stand in the order of the class,
    without those at their defaults; a metric stays, and of an index of texts all that were written,
    since a model and its card have others. What an installed package adds is named as it was
    written.

    Raises:
        RetrieverError: as `make`.
    """
    index: Any = make(spec)
    family, values = _read(spec, {})
    if family not in FAMILIES:
        return spec.strip()
    parameters, named = inspect.signature(index_class(family)).parameters, family
    if "kind" in parameters:
        is_usual = index.kind == parameters["kind"].default and family in SPECS
        named += "" if is_usual else f":{index.kind}"
    for name, parameter in parameters.items():
        others = name == "metric" or index.takes == "text"
        usual = not others and values.get(name) == parameter.default
        if name in values and name != "kind" and not usual:
            words = name.split("_")
            shown = words[0] + "".join(word.title() for word in words[1:])
            named += f",{shown}={str(values[name]).removesuffix('.0')}"
    return named


def load(path: Path, encoder: Any = None) -> Retriever:
    """The retriever that was saved in the folder `path`.

    Args:
        encoder: for an index of vectors, the id of the encoder it must have been made with; for a
            text retriever, its `Encoder`, or a function from a model's recorded name to its
            `Encoder` (for a reranker, with the reranker in its place). By default the function that
            an installed package offers under the entry point `retrievers.encoders`, as embedlab
            does.

    Raises:
        RetrieverError: there is no whole index at `path`, it is another encoder's, or its encoder
            is needed.
    """
    path = Path(path)

    def opened(manifest: dict[str, Any], data: Path) -> Retriever:
        family = manifest.get("retriever")
        if family in COMPOSED:
            finder = _installed_finder() if encoder is None else encoder
            return _class(COMPOSED[family]).opened(path, manifest, data, finder)
        if family not in families():
            raise RetrieverError(
                f"The index at {path} is of an unknown kind {family!r}.",
                "Build it again, or install the package whose kind of index it is.",
            )
        return index_class(family).opened(path, manifest, data, encoder)

    return folder.read(path, opened)


def _read(spec: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The family of a factory string, and the values of its fields, `settings` among them."""
    head, *options = spec.strip().split(",")
    family, _, kind = head.partition(":")
    kinds = [kind, *(option for option in options if "=" not in option)]
    kind = ",".join(part.strip() for part in kinds if part)
    family = family.lower()
    known_families = families()
    if f"{family}:{kind.lower()}" in known_families:
        family, kind = f"{family}:{kind.lower()}", ""
    if family not in known_families:
        close = get_close_matches(spec.lower(), {*SPECS, *known_families}, n=3, cutoff=0.4)
        raise RetrieverError(
            f"Unknown retriever {spec!r}.",
            (f"Did you mean {' or '.join(close)}? " if close else "") + _hint(),
        )
    cls = index_class(family)
    named: dict[str, Any] = dict(option.split("=", 1) for option in options if "=" in option)
    if kind:
        named["kind"] = kind
    known = {name.replace("_", ""): p for name, p in inspect.signature(cls).parameters.items()}
    values = {}
    for name, value in {**named, **settings}.items():
        parameter = known.get(name.strip().replace("_", "").lower())
        if parameter is None:
            raise RetrieverError(
                f"{family} has no setting {name!r}.", f"It has: {', '.join(sorted(_known(cls)))}."
            )
        values[parameter.name] = _typed(value, parameter)
    return family, values


@cache
def _installed_finder() -> Callable[[str], Any] | None:
    """What an installed package offers to find encoders by their names."""
    offered = entry_points(group="retrievers.encoders")
    ours_first = sorted(offered, key=lambda point: point.name != "embedlab")
    return cache(ours_first[0].load()) if ours_first else None


def _hint() -> str:
    known = " ".join([*SPECS, *(family for family in families() if family not in FAMILIES)])
    return f"Known: {known}. Settings follow as ,name=value: faiss:hnsw32,efSearch=128."


def index_class(family: str) -> type[Retriever]:
    """The class of a family.

    Raises:
        RetrieverError: its package cannot be imported, or has something else there.
    """
    if family in FAMILIES:
        return _class(FAMILIES[family])
    point = _installed()[family]
    what, hint = (
        f"The plug-in {family!r} of the package {_package(point)} ({point.value})",
        _mend(point),
    )
    try:
        value = point.load()
    except (Exception, SystemExit) as error:
        raise RetrieverError(
            f"{what} cannot be loaded: {type(error).__name__}: {error}", hint
        ) from error
    if not (isinstance(value, type) and issubclass(value, Retriever) and hasattr(value, "takes")):
        raise RetrieverError(f"{what} is no class below retrievers.indexes.base_index.Index.", hint)
    if getattr(value, "family", None) != family:
        raise RetrieverError(
            f"{what} calls its family {getattr(value, 'family', None)!r}, not {family!r}.", hint
        )
    return value


def _mend(point: EntryPoint) -> str:
    name = point.dist.name if point.dist else "it"
    return f"The fault lies in that package. Type: pip install -U {name}, or: pip uninstall {name}"


def _class(target: str) -> type[Retriever]:
    module, name = target.split(":")
    cls: type[Retriever] = getattr(import_module(module), name)
    return cls


def _known(cls: type[Retriever]) -> list[str]:
    return list(inspect.signature(cls).parameters)


def _typed(value: Any, parameter: inspect.Parameter) -> Any:
    if not isinstance(value, str) or isinstance(parameter.default, str):
        return value
    try:
        return type(parameter.default)(value)
    except ValueError:
        raise RetrieverError(
            f"The setting {parameter.name} is {value!r}.",
            f"It is a number, such as {parameter.default}.",
        ) from None
