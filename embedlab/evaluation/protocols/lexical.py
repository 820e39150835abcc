"""BM25: texts into Lucene, ranked rows out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from embedlab.chunks import chunking
from embedlab.encoding.model_chunks import Cutter, refuse_fields
from embedlab.encoding.vectors.views import View
from embedlab.evaluation import chunked_documents, searching
from embedlab.evaluation.protocols.protocol import Prepared, Protocol, SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.tasks.corpus_texts import CorpusTexts
from retrievers import Retriever, make
from retrievers.texts import WithTexts

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


_CHUNK = 10_000  # documents handed to Lucene at a time


class LexicalModels(Protocol):
    """Models that count words: an index of texts is all that they are.

    Lucene ranks equal scores in the order in which documents were written: by ascending ids here,
    as Anserini does.
    """

    smaller_id_first = True
    cuts_documents = True

    def prepare(
        self, task: "AbsTaskRetrieval", data: RetrievalData, views: Sequence[View]
    ) -> Prepared:
        """The chunks of the documents, where they are cut: as they are searched, by ascending
        ids.
        """
        if not views[0].chunk:
            return Prepared()
        for view in views:
            refuse_fields(view.index)
        cutter = Cutter(self.model, chunking.parse(views[0].chunk), "", _none, _none)
        return Prepared(pieces=cutter(data.ascending().documents))

    def search(
        self,
        task: "AbsTaskRetrieval",
        data: RetrievalData,
        prepared: Prepared,
        view: View,
        *,
        k: int,
    ) -> SearchResult:
        last, ascending = len(data.document_ids) - 1, data.ascending()
        if prepared.pieces:
            index, texts = self._index(view.index, prepared.pieces.texts)
            result = chunked_documents.search(
                index, texts, data.queries, ascending, prepared.pieces,
                view.chunk, k=k, reporter=self.reporter,
            )  # fmt: skip
        else:
            index, texts = self._index(view.index, ascending.documents)
            result = searching.search(
                index, texts, data.queries, ascending, k=k, reporter=self.reporter
            )
        return result._replace(rows=np.where(result.rows >= 0, last - result.rows, -1))

    def retriever(
        self, spec: str, data: RetrievalData, prepared: Prepared
    ) -> tuple[Retriever, float]:
        index, texts = self._index(spec, data.documents)
        seconds = searching.fill(
            lambda rows, chunk: index.add(data.document_ids[rows], chunk),
            texts,
            len(data.document_ids),
            self.reporter,
        )
        return index, seconds

    def _index(self, spec: str, texts: Sequence[str]) -> tuple[Any, Iterator[list[Any]]]:
        """An empty index of texts, and these as it takes them, chunk by chunk; settings in `spec`
        win over the card's k1 and b.
        """
        named = {option.partition("=")[0] for option in spec.split(",")[1:]}
        settings = self.model.card.settings.items()
        index = make(spec, **{name: value for name, value in settings if name not in named})
        documents: Sequence[Any] = texts
        if "multifield" in spec and isinstance(texts, CorpusTexts):
            documents = texts.parts()
        if isinstance(index, WithTexts):
            index.borrow(documents)  # they stay on disk
        return index, _chunks(documents)


def _chunks(documents: Iterable[Any]) -> Iterator[list[Any]]:
    documents = iter(documents)
    while chunk := list(islice(documents, _CHUNK)):
        yield chunk


def _none(texts: Sequence[str]) -> Any:
    raise AssertionError("bm25 has no vectors, and no chunking of it takes any")
