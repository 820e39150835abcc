"""A text retriever from an encoder and an index of vectors."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from retrievers import folder
from retrievers.base import Documents, Hits, Only, Queries, Retriever
from retrievers.errors import RetrieverError
from retrievers.index_checks import check_encoder
from retrievers.indexes.base_index import Index, make_index
from retrievers.indexes.dense import metric_of
from retrievers.names import Names
from retrievers.registry import load
from retrievers.texts import Document, Texts, WithTexts, check_texts, joined
from retrievers.token_vectors import Rows, TokenVectors, check_token_vectors, is_ragged, stacked


@dataclass(frozen=True)
class Encoder:
    """A model with `encode_query` and `encode_document`,
    as sentence-transformers has them, and what identifies it.

    id: changes whenever the vectors would: the weights' revision or digest.
    name: what to load it by again; kept in a saved index.
    query, document: keyword arguments of the two calls, such as {"prompt": "query: "}; kept in a
    saved index.
    """

    model: Any
    id: str
    name: str = ""
    query: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)

    def encode_queries(self, texts: Sequence[Document]) -> Rows:
        """Vectors `[n, d]`, a CSR matrix `[n, |V|]` from a sparse model,
        or `TokenVectors` from a multi-vector one.
        """
        return _vectors(self.model.encode_query([joined(text) for text in texts], **self.query))

    def encode_documents(self, documents: Sequence[Document]) -> Rows:
        """Vectors `[n, d]`, a CSR matrix `[n, |V|]` from a sparse model,
        or `TokenVectors` from a multi-vector one.
        """
        return _vectors(
            self.model.encode_document(
                [joined(document) for document in documents], **self.document
            )
        )


class Encoded(WithTexts, Retriever):
    """Texts in, ranked documents out: `Encoded(Encoder(model, id), "faiss:hnsw32")`.

    `index` is a factory string or an empty index of vectors. In a string without a metric, the
    model's own similarity is taken. Documents are encoded `batch` at a time, so that all vectors
    never lie beside the index.
    """

    def __init__(self, encoder: Encoder, index: str | Index = "torch", batch: int = 16_384):
        self.encoder, self.batch = encoder, batch
        self._index = (
            index if isinstance(index, Index) else index_for(index, _similarity(encoder.model))
        )
        if self._index.takes == "text":
            name = self._index.family
            raise RetrieverError(
                f"{name!r} ranks texts, not vectors.", f"Use retrievers.make({name!r}) by itself."
            )
        self._index.encoder = encoder.id
        self._texts = Texts()

    @property
    def ids(self) -> Names:  # type: ignore[override]  # those of the index below, not to be set
        return self._index.ids

    @property
    def vectors(self) -> Index:
        """The index of vectors below."""
        return self._index

    def index(self, ids: Sequence[str], documents: Documents) -> "Encoded":
        self.clear()
        self.add(ids, documents)
        self._index.finish()
        return self

    def clear(self) -> None:
        """Forget all documents."""
        self._index.clear()
        self._texts = Texts()

    def add(
        self, ids: Sequence[str], documents: Documents, vectors: Documents | None = None
    ) -> "Encoded":
        """Encode and index a further chunk;
        `vectors` are those of the documents, where they are known already.
        """
        ids, texts = pairs(ids, documents)
        self._index.check_new(ids)
        if vectors is not None:
            self._index.add(ids, vectors)
            self._texts.extend(texts)
            return self
        for start in range(0, len(ids), self.batch):
            part = texts[start : start + self.batch]
            self._index.add(ids[start : start + self.batch], self.encoder.encode_documents(part))
            self._texts.extend(part)
        return self

    def replace(self, ids: Sequence[str], documents: Documents) -> "Encoded":
        ids, texts = pairs(ids, documents)
        if not ids:
            return self
        self._index.check_new(ids, replacing=True)
        batches = range(0, len(ids), self.batch)
        parts = [self.encoder.encode_documents(texts[at : at + self.batch]) for at in batches]
        outdated = self.ids.rows(ids)
        self._index.replace(ids, stacked(parts))
        self._texts.extend(texts)
        self._drop_texts(outdated[outdated >= 0])
        return self

    def delete(self, ids: Collection[str]) -> "Encoded":
        before = self.ids
        self._index.delete(ids)
        self._drop_texts(before.rows(list(ids)))
        return self

    def _drop_texts(self, rows: np.ndarray) -> None:
        self._texts.keep(np.delete(np.arange(len(self._texts)), rows))

    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        return self._index.search(self.encoder.encode_queries(check_texts(queries)), k, only=only)

    def query_terms(self, query: str) -> list[tuple[str, float]]:
        """The vocabulary terms of a sparse model's query and their weights,
        heaviest first; [] for dense models.
        """
        vector = self.encoder.encode_queries([query])
        if not sparse.issparse(vector):
            return []
        order = np.argsort(-vector.data, kind="stable")
        tokenizer, ids = self.encoder.model.tokenizer, vector.indices[order].tolist()
        # Decoded, since byte-level vocabularies spell a space and what is not ASCII in letters of
        # their own; a part of a letter's bytes cannot be.
        words = (tokenizer.decode([id]).strip() for id in ids)
        terms = [
            word if word and "\ufffd" not in word else tokenizer.convert_ids_to_tokens(id)
            for word, id in zip(words, ids, strict=True)
        ]
        return list(zip(terms, vector.data[order].tolist(), strict=True))

    def memory_bytes(self) -> int:
        """Bytes of the vectors' index."""
        return self._index.memory_bytes()

    def save(self, path: Path) -> None:
        encoder = self.encoder
        manifest = {
            "retriever": "encoded",
            "encoder": encoder.id,
            "model": {"name": encoder.name, "query": encoder.query, "document": encoder.document},
            "index": self._index.manifest,
            "documents": len(self.ids),
            # Vectors know nothing of what was cut off before the model read it.
            "texts": self._texts.digest(),
        }

        def fill(target: Path) -> None:
            self._index.save(target / "index")
            self._texts.save(target)

        folder.write(path, manifest, fill)

    @classmethod
    def opened(
        cls,
        path: Path,
        manifest: dict[str, Any],
        data: Path,
        encoder: Encoder | Callable[[str], Encoder] | None = None,
    ) -> "Encoded":
        """Read an index and put its encoder back.

        Args:
            path, manifest, data: as `Retriever.opened` has them.
            encoder: the `Encoder`, or a function from the recorded name to it. The arguments
                recorded for queries and documents are used, whatever it brings.

        Raises:
            RetrieverError: no encoder is given, or another than the one the vectors were made with.
        """
        model = manifest["model"]
        if isinstance(encoder, str):
            check_encoder(path, manifest["encoder"], encoder)
        if encoder is None or isinstance(encoder, str):
            raise RetrieverError(
                f"The index at {path} needs its encoder, {model['name'] or manifest['encoder']}.",
                "Type: retrievers.load(path, encoder=Encoder(model, id)).",
            )
        if not isinstance(encoder, Encoder):
            encoder = encoder(model["name"])
        check_encoder(path, manifest["encoder"], encoder.id)
        index = load(data / "index", encoder.id)
        if not isinstance(index, Index):
            raise RetrieverError(
                f"The index at {path} holds no index of vectors.", "Build it again."
            )
        loaded = cls(Encoder(encoder.model, manifest["encoder"], **model), index)
        loaded._texts = Texts.load(data)
        index._expect(len(loaded._texts), "texts")
        return loaded


def pairs(ids: Sequence[str], documents: Documents) -> tuple[list[str], list[Document]]:
    """Ids and texts, one of each for every document.

    Raises:
        RetrieverError: there are more of one than of the other, or a document is no text.
    """
    names, texts = list(ids), check_texts(documents)
    if len(names) != len(texts):
        raise RetrieverError(
            f"{len(names)} ids were given for {len(texts)} documents.", "Give one id for each."
        )
    return names, texts


def index_for(spec: str, similarity: str = "") -> Index:
    """An empty index from a factory string, which ranks as a model does that names this similarity.

    A metric in the string wins; without either, dense vectors are compared by cosine, sparse ones
    by inner product, token vectors by MaxSim.

    Raises:
        RetrieverError: the index cannot rank so.
    """
    index = make_index(spec)
    if index.takes == "text" or "metric=" in spec:
        return index
    late = similarity.endswith("maxsim")
    if similarity and late != (index.takes == "multi-vector"):
        given = "token vectors" if late else "one vector for each text"
        raise RetrieverError(
            f"The index {spec} takes {index.takes} vectors, and the model gives {given}.",
            "Use maxsim or muvera:faiss:flat." if late else "Use torch, faiss:flat or sparse.",
        )
    return make_index(spec, metric=metric_of(similarity or _USUAL[index.takes]))


_USUAL = {"dense": "cosine", "sparse": "dot", "multi-vector": "maxsim"}


def as_lists(vectors: Rows) -> list[list[float]]:
    """Dense vectors `[n, d]` as the lists of numbers that frameworks take.

    Raises:
        RetrieverError: they are sparse, or token vectors.
    """
    if not isinstance(vectors, np.ndarray):
        raise RetrieverError(
            "A sparse or multi-vector encoder has no dense vectors to give.",
            "Use a dense encoder.",
        )
    lists: list[list[float]] = vectors.tolist()
    return lists


def _similarity(model: Any) -> str:
    return str(getattr(model, "similarity_fn_name", None) or "")


def _vectors(output: Any) -> Rows:
    """A sentence-transformers answer as numpy or scipy has it."""
    if isinstance(output, TokenVectors) or is_ragged(output):
        return check_token_vectors(output)
    if getattr(output, "is_sparse", False) or "sparse" in str(getattr(output, "layout", "")):
        output = output.detach().cpu().to_sparse_coo().coalesce()
        values = output.values().float().numpy()
        return sparse.coo_matrix(
            (values, output.indices().numpy()), shape=tuple(output.shape)
        ).tocsr()
    if hasattr(output, "detach"):
        output = output.detach().float().cpu().numpy()
    vectors: Rows = output
    return vectors
