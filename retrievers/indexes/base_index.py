"""What all indexes of one kind of vector or text share:
ids, checks, memory of their making, the folder on disk.
"""

import json
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import xxhash

from retrievers import copies, folder, topk
from retrievers.base import Documents, Hits, Only, Queries, Retriever, not_updatable
from retrievers.errors import RetrieverError
from retrievers.index_checks import (
    allowed_rows,
    check_encoder,
    check_indexed,
    check_new,
    saved_ids,
)
from retrievers.names import Names
from retrievers.registry import make
from retrievers.search_types import count_of

# What a kind of index works on, as its `_checked` gives it: texts, an array, or a CSR matrix.
Content: TypeAlias = Any

_EMPTY = "Index documents first: retriever.index(ids, documents)."


@dataclass(eq=False)
class Index(Retriever):
    """A retriever over one index. A kind of index says how to add, search, write and read; the
    fields are its settings.

    `encoder` identifies what made the vectors; `corpus` is a digest of the ids and documents,
    however chunked.
    """

    family: ClassVar[str]  # the word before the colon in the factory string
    takes: ClassVar[str]  # "dense" or "sparse" vectors, or "text"
    updatable: ClassVar[bool] = False  # whether documents can be deleted, and added once loaded
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}  # least and most of its settings

    encoder: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        for name, (least, most) in self.ranges.items():
            value = getattr(self, name)
            if not least <= value <= most:  # nor is NaN
                raise RetrieverError(
                    f"The setting {name} is {value}.",
                    f"It is {least} or more."
                    if most == inf
                    else f"It is a number from {least} to {most:,g}.",
                )
        self.clear()

    @property
    def exact(self) -> bool:
        """Whether the best documents are found for sure, by the vectors or texts as they are."""
        return False

    @property
    def scan_bytes(self) -> float:
        """Bytes for a component of a vector, where each document is scored by itself and a corpus
        can be searched block by block (`retrievers.indexes.chunked`); otherwise 0.
        """
        return 4.0 if self.exact else 0.0

    @property
    def codes(self) -> Mapping[str, str]:
        """The index that holds the codes of a precision ("int8", "binary") in this one's place,
        where there is one.
        """
        return {}

    def clear(self) -> None:
        """Forget all documents."""
        self.ids: Names = Names()
        self._digests: dict[str, xxhash.xxh3_128] = {}
        self._loaded_corpus = ""
        self._clear()

    def index(self, ids: Sequence[str], documents: Documents) -> Self:
        self.clear()
        self.add(ids, documents)
        self.finish()
        return self

    def add(self, ids: Sequence[str], documents: Documents) -> Self:
        """Index a further chunk. Kinds that are trained (IVF, PQ, SQ8) learn from the first chunk.

        Raises:
            RetrieverError: ids are empty, not strings or duplicates, or documents do not fit;
                nothing is added then.
        """
        if self._loaded_corpus and not self.updatable:
            raise not_updatable(self.family)
        ids, content = self._pairs(ids, documents)
        self.check_new(ids)
        self._taken(ids, content)
        return self

    def replace(self, ids: Sequence[str], documents: Documents) -> Self:
        if not self.updatable:
            raise not_updatable(self.family)
        ids, content = self._pairs(ids, documents)
        self.check_new(ids, replacing=True)
        outdated = self.ids.rows(ids)
        # The old ones go last, so that no index is empty in between.
        self._taken(ids, content)
        self._drop(outdated[outdated >= 0])
        return self

    def delete(self, ids: Collection[str]) -> Self:
        if not self.updatable:
            raise not_updatable(self.family)
        check_indexed(ids, self.ids)
        self._drop(self.ids.rows(list(ids)))
        return self

    def _pairs(self, ids: Sequence[str], documents: Documents) -> tuple[list[str], Content]:
        names, content = list(ids), self._checked(documents)
        count = count_of(content)
        if len(names) != count:
            raise RetrieverError(
                f"{len(names)} ids were given for {count} documents.", "Give one id per document."
            )
        return names, content

    def _taken(self, ids: list[str], content: Content) -> None:
        if not ids and self.ids:
            return
        self._add(content)
        self.ids.extend(ids)
        for part, data in [("ids", _joined(ids)), *self._content(content)]:
            self._digests.setdefault(part, xxhash.xxh3_128()).update(data)

    def _drop(self, rows: np.ndarray) -> None:
        if not len(rows):
            return
        gone = np.unique(rows)
        kept = np.delete(np.arange(len(self.ids)), gone)
        dropped = xxhash.xxh3_128(_joined(self.ids[gone]))
        corpus = xxhash.xxh3_128(f"{self.corpus} without {dropped.hexdigest()}".encode())
        self._keep(kept)
        self.ids = self.ids.at(kept)
        self._loaded_corpus, self._digests = corpus.hexdigest(), {}

    def finish(self) -> None:
        """Do now what the first search after the last `add` would do."""

    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        if not self.ids:
            raise RetrieverError("The index is empty.", _EMPTY)
        k = topk.check_k(k)
        rows = None if only is None else allowed_rows(only, self.ids)
        content = self._checked_queries(queries)
        count = len(self.ids) if rows is None else len(rows)
        if count == 0:
            empty = np.empty((count_of(content), 0))
            return topk.pad(Hits(empty, empty), k)
        return topk.pad(self._search(content, min(k, count), rows), k)

    def search_block(self, documents: Documents, queries: Queries, k: int) -> Hits:
        """The best of these documents alone, which take the place of those before and have no ids;
        fewer than `k` where there are fewer.
        """
        content, wanted = self._checked(documents), self._checked_queries(queries)
        self._forget()
        self._add(content)
        if len(self.ids) != count_of(content):
            self.ids = Names([""] * count_of(content))
        return self._search(wanted, min(k, len(self.ids)), None)

    def learn(self, documents: Documents) -> None:
        """Learn from documents as from a first chunk, and hold none of them."""
        self._add(self._checked(documents))
        self._forget()

    @property
    def corpus(self) -> str:
        """Digest of ids and documents, the same for the same corpus in any chunks; after a load or
        a deletion, of what was there then and what came since.
        """
        if self._loaded_corpus and not self._digests:
            return self._loaded_corpus
        parts = "".join(
            f"{part}:{digest.hexdigest()} " for part, digest in sorted(self._digests.items())
        )
        return xxhash.xxh3_128((self._loaded_corpus + parts).encode()).hexdigest()

    @property
    def settings(self) -> dict[str, Any]:
        """The fields that shape the index, as `retrievers.make` takes them."""
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name != "encoder"
        }

    def save(self, path: Path) -> None:
        if not self.ids:
            raise RetrieverError("The index is empty.", _EMPTY)

        def fill(target: Path) -> None:
            (target / "ids.json").write_text(
                json.dumps(list(self.ids), ensure_ascii=False), encoding="utf-8"
            )
            self._write(target)

        folder.write(path, self.manifest, fill)

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.ids:
            return copies.empty, (type(self), {**self.settings, "encoder": self.encoder})
        return copies.unpacked, (copies.packed(self),)

    @property
    def manifest(self) -> dict[str, Any]:
        """What a saved index says of itself."""
        return {
            "retriever": self.family,
            "settings": self.settings,
            "encoder": self.encoder,
            "corpus": self.corpus,
            "documents": len(self.ids),
        }

    @classmethod
    def opened(
        cls, path: Path, manifest: dict[str, Any], data: Path, encoder: str | None = None
    ) -> Self:
        check_encoder(path, manifest["encoder"], encoder)
        loaded = cls(**manifest["settings"], encoder=manifest["encoder"])
        loaded.ids = saved_ids(path, json.loads((data / "ids.json").read_text(encoding="utf-8")))
        loaded._loaded_corpus = manifest["corpus"]
        loaded._restore(manifest)
        loaded._read(data)
        return loaded

    def memory_bytes(self) -> int:
        """Bytes that the index holds in memory for searching, without ids."""
        raise NotImplementedError

    def check_new(self, ids: list[str], *, replacing: bool = False) -> None:
        """Refuse ids that documents cannot be added under.

        Raises:
            RetrieverError: an id is no text, occurs twice or, unless `replacing`, is indexed.
        """
        fresh = set()
        for row, name in enumerate(ids, start=len(self.ids)):
            if not isinstance(name, str) or not name:
                raise RetrieverError(
                    f"The document at row {row} has the id {name!r}.", "Ids are non-empty strings."
                )
            if name in fresh:
                raise RetrieverError(
                    f"The id {name!r} occurs twice.", "Give each document an id of its own."
                )
            fresh.add(name)
        if not replacing:
            check_new(ids, self.ids)

    def _expect(self, count: int, what: str) -> None:
        """Refuse files of a loaded index that are not of as many documents as there are ids.

        A folder from elsewhere can be whole by its checksums and still not fit together.
        """
        if count != len(self.ids):
            raise RetrieverError(
                f"The index has {len(self.ids)} ids and {count} {what}.", "Build the index again."
            )

    # What a kind of index says.

    @abstractmethod
    def _clear(self) -> None: ...

    def _forget(self) -> None:
        """Hold no documents, and keep what was learned of them."""
        self._clear()

    @abstractmethod
    def _checked(self, documents: Documents) -> Content:
        """The documents as the kind works on them, or an error."""

    def _checked_queries(self, queries: Queries) -> Content:
        return self._checked(queries)

    @abstractmethod
    def _content(self, documents: Content) -> Iterable[tuple[str, bytes | memoryview]]:
        """The documents' bytes for the digest, by part."""

    @abstractmethod
    def _add(self, documents: Content) -> None: ...

    @abstractmethod
    def _search(self, queries: Content, k: int, rows: np.ndarray | None) -> Hits:
        """The best `k` (at most the number of documents allowed)
        among all rows, or among `rows` (ascending).
        """

    @abstractmethod
    def _write(self, target: Path) -> None: ...

    def _keep(self, rows: np.ndarray) -> None:
        """Hold the documents at `rows` (ascending) alone, in this order; `updatable` kinds do."""
        raise not_updatable(self.family)

    def _restore(self, manifest: dict[str, Any]) -> None:
        """Take what the kind added to its manifest."""

    @abstractmethod
    def _read(self, path: Path) -> None:
        """Open the files of the index in the folder `path`, all of them:
        they may be replaced afterwards.
        """


def make_index(spec: str, **settings: Any) -> Index:
    """An empty index from a factory string, as `retrievers.make`,
    which also gives what an installed package adds.

    Raises:
        RetrieverError: the string names a retriever that is no single index.
    """
    index = make(spec, **settings)
    if not isinstance(index, Index):
        raise RetrieverError(
            f"{spec!r} is no index.", "Use one such as 'torch', 'faiss:flat' or 'lucene'."
        )
    return index


def _joined(texts: list[str]) -> bytes:
    return "".join(f"{len(text)}:{text}" for text in texts).encode("utf-8", "surrogatepass")
