"""What every retriever is: documents in, ranked rows out."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_matrix, issparse

from retrievers import ties, where
from retrievers.errors import RetrieverError
from retrievers.index_checks import filtered_rows
from retrievers.metadata_columns import Columns
from retrievers.search_types import Documents as Documents
from retrievers.search_types import Hits as Hits
from retrievers.search_types import Only as Only
from retrievers.search_types import Queries as Queries


class RetrievedDocument(NamedTuple):
    """A document of a result: its id and score, title and text in one,
    title and further fields by name.
    """

    id: str
    score: float
    text: str
    metadata: dict[str, Any]
    start: int | None = None  # where the text stands in the document, `[start, end)` in
    end: int | None = None  # characters, where it is a chunk of it

    @property
    def facts(self) -> dict[str, Any]:
        """All but the text, by name, as frameworks keep it beside the text."""
        span = {} if self.start is None else {"start": self.start, "end": self.end}
        return {**self.metadata, **span, "id": self.id, "score": self.score}


class Passage(NamedTuple):
    """What a document says to a query: its whole text, or the part `[start, end)` of it."""

    text: str
    start: int | None = None
    end: int | None = None


Found = RetrievedDocument  # its name in 0.1


class Retriever(ABC):
    """Documents in, ranked documents out.

    `ids` holds the document ids in the order of the rows that `search` returns.
    """

    ids: Sequence[str]
    parts: Sequence["Retriever"] = ()  # those that hold the documents of a composition
    settles_ties: ClassVar[bool] = False  # whether equal scores come by id, not by row (see `ties`)

    @abstractmethod
    def index(self, ids: Sequence[str], documents: Documents) -> "Retriever":
        """Index `documents` under `ids`, in place of what was indexed before; returns self.

        `documents` are texts (strings, or mappings with "title" and "text"), a float array `[n,
        d]`, or a CSR matrix `[n, |V|]`, as the retriever takes them.
        """

    def add(self, ids: Sequence[str], documents: Documents) -> Self:
        """Index further documents, also into an index that was loaded; `save` writes it anew.

        Raises:
            RetrieverError: an id is indexed already, or this kind of index takes none.
        """
        raise not_updatable(type(self).__name__)

    def replace(self, ids: Sequence[str], documents: Documents) -> Self:
        """Put documents in the place of those of the same ids; documents of new ids are added.

        Raises:
            RetrieverError: as `add`, but for ids that are indexed.
        """
        raise not_updatable(type(self).__name__)

    def delete(self, ids: Collection[str]) -> Self:
        """Take documents out of the index; the others stay in their order.

        Raises:
            RetrieverError: an id is not indexed, none would be left, or this kind of index gives
                none up. Nothing is deleted then.
        """
        raise not_updatable(type(self).__name__)

    @abstractmethod
    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        """The `k` best documents for each query
        (texts, a float array `[q, d]`, or a CSR matrix `[q, |V|]`).

        `only` limits the search to these document ids, or to an array of rows, such as `where`
        gives. Where fewer than `k` documents are found, or indexed, the last places are empty (row
        -1, score -inf).

        Raises:
            RetrieverError: nothing is indexed, `k` is below 1, an id of `only` is unknown, or the
                queries do not fit.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the index to the folder `path`, all or nothing."""

    @classmethod
    def load(cls, path: Path, encoder: Any = None) -> Self:
        """Read an index that `save` wrote, as `retrievers.load` does.

        Raises:
            RetrieverError: it is damaged, of another kind than this class, or `encoder` did not
                make its vectors.
        """
        from retrievers import load

        loaded = load(path, encoder)
        if not isinstance(loaded, cls):
            raise RetrieverError(
                f"The index at {path} is of kind {type(loaded).__name__}, not {cls.__name__}.",
                "Load any kind with retrievers.load(path).",
            )
        return loaded

    @classmethod
    @abstractmethod
    def opened(cls, path: Path, manifest: dict[str, Any], data: Path, encoder: Any = None) -> Self:
        """The retriever of a manifest and its folder of files,
        which are whole; `path` is for messages.
        """

    def search_one(
        self, query: str | np.ndarray | csr_matrix, k: int, *, only: Only | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best documents for one query (a text, a vector `[d]`, or a CSR matrix `[1,
        |V|]`): ids and scores.
        """
        queries: Queries = (
            query
            if issparse(query)
            else [query]
            if isinstance(query, str)
            else np.asarray(query)[None]
        )
        hits = ties.search(self, queries, k, only=only)
        pairs = zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
        return [(self.ids[row], score) for row, score in pairs if row >= 0]

    def text(self, row: int) -> str | None:
        """The text of the document at `row`; None where the retriever keeps no texts."""
        return None

    def metadata(self, row: int) -> dict[str, Any]:
        """Title and further fields of the document at `row`;
        empty where the retriever keeps no texts.
        """
        return {}

    @property
    def columns(self) -> Columns:
        """The metadata of all documents by field."""
        return Columns.of(self.metadata(row) for row in range(len(self.ids)))

    def where(self, clause: str) -> np.ndarray:
        """The rows of the documents whose metadata a filter lets through, for the `only` of a
        search: `retriever.search(queries, 10, only=retriever.where('year >= 2020'))`.

        Returns:
            int64, ascending. None of a document that lacks the field of a condition.

        Raises:
            RetrieverError: the filter is malformed, names a field that no document has, or compares
                one with a value of another kind.
        """
        return where.rows(clause, self.columns, self.ids)

    def allowed(self, only: Only | None, clause: str) -> Only | None:
        """The documents of `only` that a filter lets through; `only` itself without a filter."""
        if not clause:
            return only
        rows = self.where(clause)
        if only is None:
            return rows
        if isinstance(only, np.ndarray) and only.dtype.kind in "iu":
            return np.intersect1d(rows, only)
        return np.intersect1d(rows, filtered_rows(only, self.ids))

    def retrieve(
        self, query: str, k: int, only: Only | None = None, where: str = ""
    ) -> list[RetrievedDocument]:
        """The `k` best documents for one query, with their texts; ties settled by id, so that
        the order in which documents came does not matter (`ties`).

        `where` limits the search to documents by their metadata: `year >= 2020 and lang = "en"`
        (`Retriever.where`).
        """
        hits = ties.search(self, [query], k, only=self.allowed(only, where))
        held = hits.rows[0] >= 0
        found = zip(hits.rows[0][held].tolist(), hits.scores[0][held].tolist(), strict=True)
        return [
            RetrievedDocument(
                self.ids[row], score, passage.text, self.metadata(row), passage.start, passage.end
            )
            for (row, score), passage in zip(
                found, self.passages([query], hits.rows)[0], strict=True
            )
        ]

    def passages(self, queries: Sequence[str], rows: np.ndarray) -> list[list[Passage]]:
        """What the documents at `rows` `[queries, k]` say to each query: their whole texts here, of
        an index of chunks those of the best chunks; empty places are left out.
        """
        return [
            [Passage(self.text(row) or "") for row in some if row >= 0] for some in rows.tolist()
        ]

    found = retrieve  # its name in 0.1

    def __rshift__(self, stage: Any) -> "Retriever":
        """`retriever >> stage`: the stage works on what this retriever finds."""
        following: Retriever = stage.after(self)
        return following


def all_parts(retriever: Retriever) -> Iterator[Retriever]:
    """A retriever, and all that it is composed of."""
    yield retriever
    for part in retriever.parts:
        yield from all_parts(part)


def not_updatable(what: str) -> RetrieverError:
    """The error of an index that takes no further documents, and gives none up."""
    return RetrieverError(
        f"{what} neither takes nor gives up documents once it is built.",
        "Index the whole corpus anew.",
    )
