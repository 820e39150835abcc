"""`embedlab.Index`: a corpus that can be searched, with any model."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from embedlab import corpus_index, made_indexes
from embedlab.chunk_options import ChunkOptions
from embedlab.errors import UserError
from embedlab.models import objects
from embedlab.models.cards import Card
from embedlab.options import DocumentOptions
from retrievers import Encoded, Encoder, Retriever
from retrievers.base import RetrievedDocument
from retrievers.pipelines.encoded import index_for
from retrievers.texts import Document


@dataclass(frozen=True)
class Index:
    """A corpus and a model, ready to search;
    `retriever` is what it is made of (`retrievers.Retriever`).

    >>> documents = {"d1": "Vitamin D prevents fractures.", "d2": "Statins lower cholesterol."}
    >>> index = embedlab.Index.build(documents, "bm25")
    >>> index.search("which drug lowers cholesterol", k=1)[0].id
    'd2'
    >>> index.save("my-index")
    >>> len(embedlab.Index.load("my-index"))
    2
    """

    retriever: Retriever

    @classmethod
    def build(
        cls,
        documents: Mapping[str, Document] | Sequence[Document] | str | Path,
        model: Any = "bm25",
        *,
        index: str = "",
        instruction: str = "",
        device: str | None = None,
        dtype: str = "auto",
        trust_remote_code: bool = False,
        id: str = "",
        text: str = "",
        title: str = "",
        metadata: Sequence[str] = (),
        chunks: str = "",
    ) -> Self:
        """Index documents with a model.

        Args:
            documents: by id, or a list, whose ids are "0", "1", ...; each a text, or a dict with
                "title" and "text". Or the path of a folder of documents, of one such file, or
                of a BEIR folder (docs/how-to/documents.md); what could not be read is listed on
                stderr.
            model: a name as `embedlab index --model` takes it, or an object with `encode`, or a
                function from texts to an array (see `evaluate`).
            index: "torch", "faiss:hnsw32", "lucene", ...; by default exact search, or BM25 for
                bm25.
            instruction: fills the query template of models that have one.
            device, dtype, trust_remote_code: of a model given by name, as in `evaluate`.
            id, text, title, metadata: the fields of tables (csv, jsonl, parquet) to read, where
                `documents` is a path; metadata: those kept beside, all further ones by default.
            chunks: how documents are cut, as `embedlab eval --chunk` has it, for a model given by
                name; "parent=section" or "parent=document" answers with what is around a chunk.

        Raises:
            UserError: the model is unknown, the documents are none, or an id comes twice.
            RetrieverError: the index is unknown, or takes no vectors of this model.
        """
        fields = DocumentOptions(id=id, text=text, title=title, metadata=metadata)
        ids, texts = _corpus(documents, fields)
        if isinstance(model, str | Path):
            how: dict[str, Any] = {
                "device": device,
                "dtype": dtype,
                "trust_remote_code": trust_remote_code,
            }
            return cls(
                corpus_index.build(
                    str(model),
                    ids,
                    texts,
                    index,
                    instruction=instruction,
                    chunk=ChunkOptions(chunks).chunk,
                    **how,
                )
            )
        if instruction or device or dtype != "auto" or trust_remote_code or chunks:
            raise UserError(
                "instruction, device, dtype, trust_remote_code and chunks are for models given by"
                " name.",
                "Leave them out.",
            )
        encoder, card = _of_object(model)
        index = index or ("torch" if card.kind.is_dense else card.kind.index)
        return cls(Encoded(encoder, index_for(index, card.similarity)).index(ids, texts))

    @classmethod
    def load(
        cls,
        path: str | Path,
        model: Any = None,
        *,
        device: str | None = None,
        dtype: str = "auto",
        trust_remote_code: bool = False,
    ) -> Self:
        """Read a saved index, with the model it needs.

        Args:
            path: the folder that `save` wrote.
            model: the object that the index was built with, or the name of a model that is a file
                of code (FILE.py:Class); other models are found by the name in the index.
            device, dtype, trust_remote_code: of a model given by name, as in `evaluate`.

        Raises:
            UserError: the index asks for a file of code that was not named, or for another model
                than `model`.
            RetrieverError: there is no whole index at `path`, or its vectors are another model's.
        """
        if model is not None and not isinstance(model, str):
            import retrievers

            return cls(retrievers.load(Path(path), _of_object(model)[0]))
        how: dict[str, Any] = {
            "device": device,
            "dtype": dtype,
            "trust_remote_code": trust_remote_code,
        }
        (retriever,) = corpus_index.load_all(
            [Path(path)], named=[model] if model else (), **how
        ).values()
        return cls(retriever)

    def search(self, query: str, k: int = 10, *, where: str = "") -> list[RetrievedDocument]:
        """The `k` best documents for a query, best first: each with id, score, text, metadata; of
        an index in chunks with the text of the best chunk, and its `start` and `end`.

        >>> documents = [{"text": "One law.", "year": 2019}, {"text": "Another.", "year": 2021}]
        >>> index = embedlab.Index.build(documents, "bm25")
        >>> [found.id for found in index.search("law another", where="year >= 2020")]
        ['1']

        Args:
            where: a filter on the documents' metadata (docs/how-to/filters.md).

        Raises:
            RetrieverError: the filter is malformed, names a field that no document has, or compares
                one with a value of another kind.
        """
        return self.retriever.retrieve(query, min(k, len(self)), where=where)

    def add(
        self,
        documents: Mapping[str, Document] | Sequence[Document] | str | Path,
        *,
        id: str = "",
        text: str = "",
        title: str = "",
        metadata: Sequence[str] = (),
    ) -> Self:
        """Index further documents, given as to `build`; `save` writes the index anew.

        >>> index = embedlab.Index.build({"d1": "Vitamin D prevents fractures."}, "bm25")
        >>> len(index.add({"d2": "Statins lower cholesterol."}).delete(["d1"]))
        1

        Raises:
            UserError: the documents are none, or an id comes twice.
            RetrieverError: an id is indexed already, or this kind of index takes no more.
        """
        fields = DocumentOptions(id=id, text=text, title=title, metadata=metadata)
        self.retriever.add(*_corpus(documents, fields))
        return self

    def replace(
        self,
        documents: Mapping[str, Document] | Sequence[Document] | str | Path,
        *,
        id: str = "",
        text: str = "",
        title: str = "",
        metadata: Sequence[str] = (),
    ) -> Self:
        """As `add`, and documents whose ids are indexed take the place of those."""
        fields = DocumentOptions(id=id, text=text, title=title, metadata=metadata)
        self.retriever.replace(*_corpus(documents, fields))
        return self

    def delete(self, ids: Collection[str]) -> Self:
        """Take documents out of the index.

        Raises:
            RetrieverError: an id is not indexed, none would be left, or this kind of index gives
                none up; nothing is deleted then.
        """
        self.retriever.delete(ids)
        return self

    def save(self, path: str | Path) -> None:
        """Write the index to a folder, all or nothing."""
        self.retriever.save(Path(path))
        made_indexes.remember(Path(path))

    def __len__(self) -> int:
        return len(self.retriever.ids)


def _corpus(documents: Any, fields: DocumentOptions) -> tuple[list[str], list[Document]]:
    if isinstance(documents, str | Path):
        corpus = corpus_index.read_corpus(Path(documents), fields)
        return corpus.ids, corpus.documents
    if fields != DocumentOptions():
        raise UserError(
            "id, text, title and metadata are for documents given as a path.",
            "Leave them out, or give dicts with title, text and further fields.",
        )
    if not isinstance(documents, Mapping):
        documents = {str(n): document for n, document in enumerate(documents)}
    if not documents:
        raise UserError("There are no documents to index.", "Give one at least.")
    return list(documents), list(documents.values())


def _of_object(model: Any) -> tuple[Encoder, Card]:
    """The object as an encoder of queries and documents, and its card."""
    loaded = objects.load(model)
    if isinstance(loaded, objects.MtebModel) or not loaded.card.kind.encodes:
        raise UserError(
            f"{loaded.name} gives no vectors that an index holds.",
            "Give a model with encode(texts).",
        )
    return Encoder(loaded.encoder, loaded.identity), loaded.card
