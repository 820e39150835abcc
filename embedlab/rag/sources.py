"""Where contexts come from: a saved index, or a model over a corpus,
which is indexed once and kept.
"""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from embedlab import corpus_index
from embedlab.documents import Corpus
from embedlab.errors import UserError
from embedlab.models import composition, expressions
from embedlab.progress import Reporter
from embedlab.resources import home
from retrievers import Retriever, RetrieverError, folder


class Source(NamedTuple):
    """A retriever with the name that it is known by, and a digest of all that it is:
    models, settings, corpus.
    """

    name: str
    retriever: Retriever
    identity: str


def find(
    spec: str,
    corpus: Path | Corpus | None = None,
    *,
    named: Collection[str] = (),
    device: str | None = None,
    dtype: str = "auto",
    trust_remote_code: bool = False,
    reporter: Reporter,
) -> Source:
    """The retriever that `spec` names.

    Args:
        spec: the folder of a saved index, or with `corpus` a model's name or an expression of
            several.
        corpus: a folder or file of documents, or documents that are at hand.
        named: models of a saved index that are files of code, named by the user (`indexes.load`).
        reporter: where the progress of a new index is shown.

    Raises:
        UserError, RetrieverError: there is no such index, model or corpus, or the index cannot be
            used.
    """
    how: dict[str, Any] = {"device": device, "dtype": dtype, "trust_remote_code": trust_remote_code}
    if corpus is None:
        if not Path(spec).is_dir():
            raise UserError(
                f"There is no index at {spec}.",
                "Name an index that `embedlab index` built, or a model with --corpus: --retriever"
                " bm25 --corpus DIR.",
            )
        retriever = corpus_index.load_all([Path(spec)], named=named, **how)[Path(spec)]
        return Source(Path(spec).resolve().name, retriever, folder.identity(Path(spec))[:16])
    if folder.is_index(Path(spec)):
        raise UserError(
            f"{spec} is an index, which holds its own documents.", "Leave --corpus out."
        )
    name = composition.find(spec).name
    found = corpus_index.read_corpus(corpus) if isinstance(corpus, Path) else corpus
    ids, documents = found.ids, found.documents
    content = hashlib.sha256(
        repr((spec, *_of_cards(spec), dtype, ids, documents)).encode("utf-8", "surrogatepass")
    ).hexdigest()[:16]
    path = home() / "indexes" / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')[:40]}-{content}"
    try:
        retriever = corpus_index.load(path, named=expressions.names(spec), **how)
    except RetrieverError:  # not there yet, or the model has changed
        with reporter.evaluation(name, "index"), reporter.phase("index", len(ids)) as bar:
            retriever = corpus_index.build(spec, ids, documents, advance=bar.advance, **how)
            retriever.save(path)
        reporter.say(f"The index of {len(ids):,} documents is kept in {path}.")
    return Source(name, retriever, folder.identity(path)[:16])


def _of_cards(spec: str) -> list[Any]:
    """What the user's own cards in `spec` say, which may be something else another day."""
    cards = [card for card in composition.parts(spec) if card.file]
    return [(card.source, card.revision, card.method, card.settings, card.chosen) for card in cards]
