"""Changes of a saved index: the old one is there until the new one is whole."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

import retrievers
from embedlab import corpus_index
from embedlab.documents import Corpus
from embedlab.errors import UserError
from retrievers import Encoder, Retriever, RetrieverError, folder
from retrievers.texts import fields, joined

_LOCK = ".lock"


class Changed(NamedTuple):
    """What became of the documents, and how many the index holds now."""

    documents: int
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    deleted: int = 0


def add(
    path: Path,
    corpus: Corpus,
    *,
    replace: bool = False,
    named: Collection[str] = (),
    advance: Callable[[float], object] = lambda count: None,
    **how: Any,
) -> Changed:
    """Add documents to the index at `path`.

    Args:
        replace: documents whose ids are indexed take the place of those that are there; what is
            there just so is left alone.
        named, how: as in `corpus_index.load_all`.
        advance: called with the number of documents done since the last call.

    Raises:
        UserError: ids are indexed already, and `replace` was not asked for.
        RetrieverError: there is no whole index at `path`, it takes no further documents, or it
            cannot be written.
    """
    with _held(path):
        (retriever,) = corpus_index.load_all([path], named=named, **how).values()
        rows = {id: row for row, id in enumerate(retriever.ids)}
        known = [id for id in corpus.ids if id in rows]
        if known and not replace:
            raise UserError(
                f"{len(known):,} of the {len(corpus.ids):,} documents are in {path} already, such"
                f" as {known[0]!r}.",
                "Type --replace to put them in the place of those that are there.",
            )
        written = [
            number
            for number, id in enumerate(corpus.ids)
            if id not in rows or not _same(retriever, rows[id], corpus.documents[number])
        ]
        ids = [corpus.ids[number] for number in written]
        advance(len(corpus.ids) - len(ids))
        if ids:
            corpus_index.watch(retriever, advance, **how)
            retriever.replace(ids, [corpus.documents[number] for number in written])
            retriever.save(path)
    new = sum(id not in rows for id in ids)
    return Changed(len(retriever.ids), new, len(ids) - new, len(corpus.ids) - len(ids))


def delete(path: Path, ids: Sequence[str]) -> Changed:
    """Delete documents from the index at `path`, whose model is not needed for that.

    Raises:
        RetrieverError: there is no whole index at `path`, an id is not in it, none would be left,
            or it cannot be written.
    """
    with _held(path):
        retriever = retrievers.load(path, lambda name: Encoder(_not_loaded, "", name))
        retriever.delete(ids)
        retriever.save(path)
    return Changed(len(retriever.ids), deleted=len(set(ids)))


def _not_loaded(*texts: object) -> Any:
    raise AssertionError("a deletion encodes nothing")


def _same(retriever: Retriever, row: int, document: Any) -> bool:
    text, metadata = retriever.text(row), retriever.metadata(row)
    return text == joined(document) and _written(metadata) == _written(fields(document))


def _written(metadata: dict[str, Any]) -> str:
    """As an index keeps it: to Python true is 1, and 1 is 1.0."""
    return json.dumps(metadata, sort_keys=True, default=repr)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Keep other processes from changing the index meanwhile: one of two changes would be lost.

    Raises:
        RetrieverError: there is no whole index at `path`, or it cannot be written.
    """
    folder.read_manifest(path)
    try:
        lock = FileLock(path.resolve() / _LOCK)
        lock.acquire()
    except OSError as error:
        raise RetrieverError(
            f"The index at {path} cannot be written: {error.strerror or error}.",
            "Nothing was changed. Check its permissions.",
        ) from error
    try:
        yield
    finally:
        lock.release()
