"""Indexes of a corpus with a model: what `embedlab index` builds and `embedlab search` reads."""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import retrievers
from embedlab import chunked_index, models
from embedlab.documents import Corpus, document_reader, unread_lines
from embedlab.errors import UserError
from embedlab.models import composition, expressions
from embedlab.models.objects import MtebModel
from embedlab.models.settings import user_cards
from embedlab.models.settings.prompts import (
    RetrievalTask,
    prompts_for_search,
    refuse_unused_prompts,
)
from embedlab.options import DocumentOptions, nothing_to_load
from embedlab.servers import server_names
from embedlab.terminal import echo
from embedlab.watched_encoder import WatchedEncoder
from retrievers.base import all_parts
from retrievers.pieces import Pieces
from retrievers.pipelines.by_chunks import Chunked
from retrievers.pipelines.encoded import index_for
from retrievers.pipelines.rerank import Rerank
from retrievers.texts import Document

# mteb's where a retrieval task has none: folders are evaluated with it.
INSTRUCTION = "Retrieve text based on user query."


def read_corpus(path: Path, fields: DocumentOptions = DocumentOptions()) -> Corpus:
    """The documents at `path`, as `document_reader.read` finds them; what could not be read is
    listed on stderr.

    Raises:
        UserError: there are no documents, or an id comes twice.
    """
    corpus = document_reader.read(path, fields)
    for line in unread_lines(corpus):
        echo(line, err=True)
    return corpus


def build(
    model: str,
    ids: list[str],
    documents: list[Document],
    spec: str = "",
    *,
    instruction: str = "",
    chunk: str = "",
    advance: Callable[[float], object] = lambda count: None,
    **how: Any,
) -> retrievers.Retriever:
    """A text retriever over the documents:
    the model's vectors in the index `spec`, BM25, or a composition of such.

    Args:
        model: a model's name, or an expression (`embedlab.models.expressions`).
        spec: a factory string of `retrievers`; by default "torch" for dense models, "sparse" for
            sparse ones, and "lucene" for bm25. In a composition it serves the leaves that it fits.
        instruction: what fills the query template of models that have one; `INSTRUCTION` by
            default.
        chunk: how documents are cut (`chunking.parse`); whole where it is empty.
        advance: called with the number of documents done since the last call.
        how: goes to `models.load`: device, dtype, trust_remote_code.

    Raises:
        UserError: a model is unknown, or an instruction, a device or a dtype is given that no model
            has a use for.
    """
    tree = (
        expressions.parse(model)
        if expressions.is_composed(model)
        else expressions.Leaf(model, spec)
    )
    parts = composition.load_parts(tree, **how)
    for part in parts.values():
        if isinstance(part, MtebModel):
            raise UserError(
                f"{part.name} implements a protocol of mteb, which searches with it by itself: an"
                " index holds nothing of it.",
                "Give an object with encode(texts) or predict(pairs).",
            )
    if chunk and not isinstance(tree, expressions.Leaf):
        raise UserError(
            f"--chunk is for a single model, and {model} is composed of several.",
            "Leave --chunk out, or index one of them.",
        )
    late = [name for name in tree.stages() if parts[name].card.kind.gives_tokens]
    passes = len(tree.leaves()) + len(late)
    for part in parts.values():
        if part.card.kind.encodes and part.card.chosen:
            refuse_unused_prompts(part.card, part.fact("prompts"), [RetrievalTask(INSTRUCTION)])
    if instruction and not any(map(_takes_instruction, parts.values())):
        raise UserError(
            f"{model} has no template that an instruction would fill.", "Leave --instruction out."
        )

    computing = any(part.card.kind.has_weights for part in parts.values())
    asked = how.get("device") or how.get("dtype", "auto") != "auto" or how.get("trust_remote_code")
    if not computing and asked:
        raise nothing_to_load()

    def leaf(leaf: expressions.Leaf) -> retrievers.Retriever:
        part = parts[leaf.name]
        index = composition.index_of(leaf, part.card.kind, spec or "torch")
        if chunk:
            again, encodes = user_cards.by_settings(leaf.name), part.card.kind.encodes
            its = _encoder(part, again, instruction or INSTRUCTION) if encodes else None
            return chunked_index.chunked(part, index, chunk, its, advance)
        if not part.card.kind.encodes:
            return retrievers.make(index, **part.card.settings)
        return encoded(leaf.name, index)

    def encoded(name: str, index: str) -> retrievers.Encoded:
        again = user_cards.by_settings(name)
        encoder = _encoder(parts[name], again, instruction or INSTRUCTION)
        watched = WatchedEncoder(**vars(encoder), advance=lambda count: advance(count / passes))
        return retrievers.Encoded(watched, index_for(index, parts[name].card.similarity))

    def stage(name: str, depth: int) -> Rerank:
        kind, again = parts[name].card.kind, user_cards.by_settings(name)
        scorer = parts[name].encoder
        if kind.gives_tokens:  # kept with the index, so that no candidate is encoded at search
            scorer = encoded(name, composition.index_of(expressions.Leaf(name), kind, spec))
        return retrievers.rerank(scorer, depth, id=parts[name].identity, name=again)

    return tree.built(leaf, stage).index(ids, documents)


def watch(retriever: retrievers.Retriever, advance: Callable[[float], object], **how: Any) -> None:
    """Have the encoders of a loaded retriever say how far they are.

    Args:
        advance: called with the number of documents done since the last call.
    """
    if isinstance(retriever, Chunked):
        return _take_more(retriever, advance, **how)
    found = [part for part in all_parts(retriever) if isinstance(part, retrievers.Encoded)]
    for part in found:
        part.encoder = WatchedEncoder(
            **vars(part.encoder), advance=lambda count: advance(count / len(found))
        )


def _take_more(
    index: Chunked, advance: Callable[[float], object] = lambda count: None, **how: Any
) -> None:
    """Let a loaded index of chunks cut further documents, with the model that it holds."""
    part = index.part
    name = part.encoder.name if isinstance(part, retrievers.Encoded) else "bm25"
    chunked_index.take_more(index, models.load(name, **how), advance)


def _taking_more(retriever: retrievers.Retriever, **how: Any) -> retrievers.Retriever:
    """A loaded retriever, which cuts further documents where it is one of chunks; only then is
    all of its model looked at.
    """

    def cut(documents: Sequence[str]) -> Pieces:
        _take_more(index, **how)
        assert index.cut and index.cut is not cut
        return index.cut(documents)

    if isinstance(retriever, Chunked):
        index = retriever
        named = not isinstance(index.part, retrievers.Encoded) or index.part.encoder.name
        index.cut = cut if named else None  # the model is an object
    return retriever


def encoder(name: str, *, instruction: str = INSTRUCTION, **how: Any) -> retrievers.Encoder:
    """The model as an encoder of queries and documents, with the prompts that it is measured with.

    A reranker as what scores. `how` goes to `models.load`.

    Raises:
        UserError: the model is unknown.
    """
    return _encoder(models.load(name, **how), name, instruction)


def _encoder(loaded: models.LoadedModel, name: str, instruction: str) -> retrievers.Encoder:
    return retrievers.Encoder(loaded.encoder, loaded.identity, name, **prompts(loaded, instruction))


def prompts(loaded: models.LoadedModel, instruction: str) -> dict[str, dict[str, Any]]:
    """By role, the arguments of `encode_query` and `encode_document`
    with which a model is measured in search.
    """
    if not loaded.card.kind.encodes:
        return {}
    return prompts_for_search(loaded.card, loaded.fact("prompts"), instruction)


def _takes_instruction(loaded: models.LoadedModel) -> bool:
    """Whether what the model reads depends on the instruction."""
    return prompts(loaded, "one") != prompts(loaded, "another")


def depth(requested: int | None, retriever: retrievers.Retriever, default: int, option: str) -> int:
    """How many documents to retrieve: as many as asked for,
    else `default` or all where there are fewer.

    Raises:
        UserError: the index holds fewer than asked for; names the `option`.
    """
    count = len(retriever.ids)
    if requested and requested > count:
        raise UserError(
            f"{option} is {requested}, and the index holds {count} documents.",
            f"Type {option} {count} or less.",
        )
    return requested or min(default, count)


def load(path: Path, *, named: Collection[str] = (), **how: Any) -> retrievers.Retriever:
    """The retriever saved at `path`, with the models it needs: `load_all` of one, whose `named`
    may hold more than it needs.
    """
    found = retrievers.load(path, cache(partial(recorded_encoder, named=named, **how)))
    return _taking_more(found, **how)


def load_all(
    paths: Iterable[Path], *, named: Collection[str] = (), **how: Any
) -> dict[Path, retrievers.Retriever]:
    """The retrievers saved at `paths`, with the models they need.

    Args:
        named: the models that the user named, as in `recorded_encoder`.
        how: goes to `models.load`: device, dtype, trust_remote_code.

    Raises:
        UserError: an index asks for a file of code that was not named, or none asks for a model
            that was.
        RetrieverError: there is no whole index at a path.
    """
    wanted: list[str] = []

    @cache
    def encoder_of(name: str) -> retrievers.Encoder:
        wanted.append(name)
        return recorded_encoder(name, named=named, **how)

    found = {path: retrievers.load(path, encoder_of) for path in dict.fromkeys(paths)}
    for each in found.values():
        _taking_more(each, **how)
    cards = [models.find(name) for name in wanted]
    known = {*wanted, *(name for card in cards for name in (card.name, card.source, card.origin))}
    theirs = f"it is {' and '.join(wanted)}" if wanted else "none has a model"
    for name in named:
        if not {name, user_cards.by_settings(name)} & known:
            raise UserError(
                f"No index here was built with {name}: {theirs}.",
                "Leave --model out: an index finds its own model.",
            )
    return found


def recorded_encoder(name: str, *, named: Collection[str] = (), **how: Any) -> retrievers.Encoder:
    """The encoder that an index names.

    Args:
        named: the models that the user named. A model that is a file of code runs, and a server on
            another machine is asked, only if it is one of them: an index may come from anywhere,
            and what is written in it must not decide what runs here, nor who gets the key.

    Raises:
        UserError: it is a file of code or a server that was not named, or no model has a name.
    """
    if not name:
        raise UserError(
            "The index was built with a model that is an object, which no name finds.",
            "Load it in Python, with that object: embedlab.Index.load(path, model).",
        )
    card = models.find(name)
    known = {*named, *map(user_cards.by_settings, named)}
    if card.method == "file" and not {name, card.source} & known:
        raise UserError(
            f"The index asks to run a file of code, {card.source!r}.",
            'If you know that file and trust it, name it yourself: embedlab search INDEX "query"'
            f" --model {card.source}",
        )
    place = server_names.elsewhere(card.origin or card.name)
    if place and name not in known:
        raise UserError(
            f"The index asks to send queries, and your key, to {place}.",
            f"If you know that server, name it yourself: --model '{name}'",
        )
    trusted = how.get("trust_remote_code") or name in known
    if card.chosen.get("trust_remote_code") and not trusted:
        raise UserError(
            f"The index asks to run the code that the model {card.origin} brings.",
            "If you know that code and trust it, type again with --trust-remote-code.",
        )
    return encoder(name, **how)
