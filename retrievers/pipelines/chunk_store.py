"""How documents come into an index of their chunks, are kept, and go out of it."""

import json
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash

from retrievers import folder, pieces
from retrievers.base import Documents, Retriever
from retrievers.errors import RetrieverError
from retrievers.index_checks import check_indexed, check_new, saved_ids
from retrievers.indexes.base_index import Index
from retrievers.indexes.dense import normalised
from retrievers.names import Names, rows_in
from retrievers.pieces import Layout, Pieces, Vectors
from retrievers.pipelines.encoded import Encoded, pairs
from retrievers.texts import Document, Texts, WithTexts, joined
from retrievers.token_vectors import TokenVectors

Cut = Callable[[Sequence[str]], Pieces]
_BATCH = 16_384  # chunks encoded at a time
_NOTHING = Pieces([], [], np.zeros(1, dtype=np.int64))


class ChunkStore(WithTexts, Retriever):
    """Documents, and an index of their chunks. `Chunked` searches it, and says what its arguments
    are.
    """

    def __init__(
        self,
        part: Retriever,
        cut: Cut | None = None,
        *,
        over: str = "max",
        means: Index | None = None,
        spec: str = "",
    ) -> None:
        self.part, self.cut, self.over, self.means, self.spec = part, cut, over, means, spec
        self.parts = [part]
        if means is not None and isinstance(part, Encoded):
            means.encoder = part.encoder.id
        self.ids: Sequence[str] = Names()
        self._texts = Texts()
        self._layout = Layout.of(_NOTHING)

    @classmethod
    def of(cls, part: Retriever, ids: Sequence[str], chunks: Pieces, over: str = "max") -> Self:
        """A retriever of documents whose chunks are in `part` already, by number."""
        chunked = cls(part, over=over)
        chunked._take(ids, chunks)
        return chunked

    def index(self, ids: Sequence[str], documents: Documents) -> Self:
        ids, texts = pairs(ids, documents)
        _check_ids(ids)
        chunks = self._cut(texts)
        for part in (self.part, self.means):
            if isinstance(part, Encoded | Index):
                part.clear()
        self._texts = Texts()
        self._take([], _NOTHING)
        self._append(ids, texts, chunks)
        for part in self._indexes:
            part.finish()
        return self

    def add(self, ids: Sequence[str], documents: Documents) -> Self:
        ids, texts = pairs(ids, documents)
        _check_ids(ids)
        check_new(ids, self.ids)
        if ids:
            self._append(ids, texts, self._cut(texts))
        return self

    def replace(self, ids: Sequence[str], documents: Documents) -> Self:
        ids, texts = pairs(ids, documents)
        _check_ids(ids)
        outdated = rows_in(self.ids, ids)
        if ids:
            self._append(ids, texts, self._cut(texts))
            self._drop(outdated[outdated >= 0])
        return self

    def delete(self, ids: Collection[str]) -> Self:
        check_indexed(ids, self.ids)
        self._drop(rows_in(self.ids, list(ids)))
        return self

    def _cut(self, texts: list[Document]) -> Pieces:
        if self.cut is None:
            raise RetrieverError(
                "An index of chunks takes no more documents without what cuts them.",
                "Load it with embedlab.Index.load(path), which finds that by itself.",
            )
        chunks = self.cut([joined(text) for text in texts])
        if len(chunks.starts) != len(texts) + 1:
            raise RetrieverError(
                f"{len(texts)} documents were cut into the chunks of {len(chunks.starts) - 1}.",
                "What cuts texts gives chunks of every one, in their order.",
            )
        return chunks

    def _append(self, ids: list[str], texts: list[Document], chunks: Pieces) -> None:
        held = len(self._layout.shown), len(self.ids)
        try:
            if isinstance(self.part, Encoded):
                self._fill(self.part, chunks)
            else:
                self.part.add(_numbers(self.part, len(chunks.texts)), chunks.texts)
        except BaseException:
            # What is in already is of documents that are not.
            for index, count in zip((self.part, self.means), held, strict=True):
                if index is not None and count and (more := index.ids[count:]):
                    index.delete(more)
            raise
        self._texts.extend(texts)
        self.ids = Names([*self.ids, *ids])
        self._layout = self._layout.with_more(Layout.of(chunks))

    def _drop(self, rows: np.ndarray) -> None:
        if not len(rows):
            return
        gone = np.unique(rows)
        self.part.delete([self.part.ids[chunk] for chunk in self._layout.chunks_of(gone).tolist()])
        if self.means is not None:
            self.means.delete([self.means.ids[row] for row in gone.tolist()])
        kept = np.delete(np.arange(len(self.ids)), gone)
        self._texts.keep(kept)
        self.ids = Names([self.ids[row] for row in kept.tolist()])
        self._layout = self._layout.without(gone)

    def _fill(self, part: Encoded, chunks: Pieces) -> None:
        """Encode the chunks, and index them and their means."""
        names, unit = _numbers(part, len(chunks.texts)), self._of_unit_vectors

        def encoded() -> Iterator[Vectors]:
            for start in range(0, len(names), _BATCH):
                rows = slice(start, start + _BATCH)
                texts, known = chunks.texts[rows], chunks.vectors
                vectors = part.encoder.encode_documents(texts) if known is None else known[rows]
                part.add(names[rows], texts, vectors)
                assert not isinstance(vectors, TokenVectors)  # late interaction is not cut
                yield normalised(np.asarray(vectors)) if unit else vectors

        if self.means is None:
            deque(encoded(), maxlen=0)
        else:
            for block in pieces.means(encoded(), chunks.starts):
                self.means.add(_numbers(self.means, int(block.shape[0])), block)

    @property
    def _indexes(self) -> list[Index]:
        """That of the chunks, and that of the documents' means."""
        chunks = self.part.vectors if isinstance(self.part, Encoded) else self.part
        return [each for each in (chunks, self.means) if isinstance(each, Index)]

    @property
    def _of_unit_vectors(self) -> bool:
        """Whether means are of vectors of length 1, whose inner product with a query's is their
        cosine.
        """
        return (
            isinstance(self.part, Encoded) and getattr(self.part.vectors, "metric", "") == "cosine"
        )

    def _take(self, ids: Sequence[str], chunks: Pieces) -> None:
        self.ids = ids if hasattr(ids, "rows") else Names(ids)
        self._layout = Layout.of(chunks)

    def memory_bytes(self) -> int:
        """Bytes of the index of chunks, and of that of the documents' means."""
        return sum(each.memory_bytes() for each in self._indexes)

    def save(self, path: Path) -> None:
        content = "".join(f"{len(id)}:{id}" for id in self.ids).encode("utf-8", "surrogatepass")
        content += self._layout.starts.tobytes() + self._layout.shown.tobytes()
        digest = xxhash.xxh3_128(content + self._texts.digest().encode())
        manifest = {
            "retriever": "chunked",
            "settings": {"over": self.over, "spec": self.spec},
            "means": self.means is not None,
            "corpus": digest.hexdigest(),
            "documents": len(self.ids),
        }

        def fill(target: Path) -> None:
            (target / "ids.json").write_text(
                json.dumps(list(self.ids), ensure_ascii=False), encoding="utf-8"
            )
            np.save(target / "starts.npy", self._layout.starts)
            np.save(target / "shown.npy", self._layout.shown)
            self._texts.save(target)
            self.part.save(target / "part")
            if self.means is not None:
                self.means.save(target / "means")

        folder.write(path, manifest, fill)

    @classmethod
    def opened(cls, path: Path, manifest: dict[str, Any], data: Path, encoder: Any = None) -> Self:
        from retrievers.registry import load

        part = load(data / "part", encoder)
        means = load(data / "means") if manifest["means"] else None
        if means is not None and not isinstance(means, Index):
            raise RetrieverError(f"The index at {path} holds no index of means.", "Build it again.")
        loaded = cls(part, over=manifest["settings"]["over"], means=means)
        loaded.spec = manifest["settings"]["spec"]
        loaded._texts = Texts.load(data)
        ids = saved_ids(path, json.loads((data / "ids.json").read_text(encoding="utf-8")))
        starts, shown = np.load(data / "starts.npy"), np.load(data / "shown.npy")
        ends = np.diff(starts)
        fits = (
            len(ids) == len(loaded._texts) == len(ends)
            and len(part.ids) == len(shown) == starts[-1]
            and starts[0] == 0
            and (ends > 0).all()
            and (means is None or len(means.ids) == len(ids))
        )
        if not fits:
            raise RetrieverError(
                f"The parts of the index at {path} do not fit together.", "Build it again."
            )
        loaded._take(ids, Pieces([], shown, starts))
        return loaded


def _numbers(index: Retriever, count: int) -> list[str]:
    """So many names that the index has not given yet; they grow, so that deleted ones stay free."""
    first = int(index.ids[-1]) + 1 if len(index.ids) else 0
    return [str(number) for number in range(first, first + count)]


def _check_ids(ids: list[Any]) -> None:
    if not all(isinstance(id, str) and id for id in ids):
        raise RetrieverError("An id is empty, or no text.", "Ids are non-empty strings.")
    if len(set(ids)) != len(ids):
        twice = next(id for row, id in enumerate(ids) if id in ids[:row])
        raise RetrieverError(f"The id {twice!r} occurs twice.", "Give each document an id.")
