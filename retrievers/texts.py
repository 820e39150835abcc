"""Documents as text: a string, or a mapping with "title",
"text" and any further fields; kept beside an index.
"""

import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from retrievers.errors import RetrieverError
from retrievers.metadata_columns import Columns

Document = str | Mapping[str, Any]


def title_and_text(document: Document) -> tuple[str, str]:
    """The two parts of a document; a string has no title."""
    if isinstance(document, str):
        return "", document
    return document.get("title") or "", document.get("text") or ""


def fields(document: Document) -> dict[str, Any]:
    """The document's title, where it has one, and all further fields that it came with."""
    return {
        name: value
        for name, value in ({} if isinstance(document, str) else document).items()
        if name != "text" and (name != "title" or value)
    }


def joined(document: Document) -> str:
    """Title and text in one."""
    return " ".join(part for part in title_and_text(document) if part)


def check_texts(documents: Any) -> list[Document]:
    """The documents as a list.

    Raises:
        RetrieverError: they are not texts.
    """
    if isinstance(documents, str) or hasattr(documents, "dtype"):
        raise RetrieverError(
            "A text retriever was given something other than a list of texts.", _HINT
        )
    texts: list[Document] = list(documents)
    for row, document in enumerate(texts):
        if not isinstance(document, str | Mapping):
            raise RetrieverError(
                f"The document at row {row} is a {type(document).__name__}, not a text.", _HINT
            )
    return texts


_HINT = 'Texts are strings, or mappings with "title" and "text".'


class Texts(Sequence[str]):
    """Texts by row: the caller's own objects, and those in mapped files of a loaded index."""

    def __init__(self) -> None:
        # A number is the place of a text in the files.
        self._documents: Sequence[Document | int] = []
        self._texts, self._metadata = _Strings(), _Strings()
        self._columns: Columns | None = None

    def borrow(self, documents: Sequence[Document]) -> None:
        """Read the texts that are added out of `documents`, by row, in place of keeping them."""
        self._documents = _Borrowed(documents)

    def extend(self, documents: Sequence[Document]) -> None:
        if isinstance(self._documents, _Borrowed):
            self._documents.held += len(documents)
            return
        if not isinstance(self._documents, list):
            self._documents = list(self._documents)
        self._documents.extend(documents)
        self._columns = None

    def keep(self, rows: np.ndarray) -> None:
        """Hold the texts at `rows` (ascending) alone."""
        self._documents = [self._documents[row] for row in rows.tolist()]
        self._columns = None

    def __len__(self) -> int:
        return len(self._documents)

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # no slices: texts are read one by one
        document = self._documents[row]
        return self._texts[document] if isinstance(document, int) else joined(document)

    def metadata(self, row: int) -> dict[str, Any]:
        """The document's title, where it has one, and all further fields that it came with."""
        document = self._documents[row]
        if isinstance(document, int):
            saved: dict[str, Any] = json.loads(self._metadata[document] or "{}")
            return saved
        return fields(document)

    def digest(self) -> str:
        """The xxh3 digest of all texts."""
        digest = xxhash.xxh3_128()
        for text in self:
            content = text.encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % len(content))
            digest.update(content)
        return digest.hexdigest()

    @property
    def columns(self) -> Columns:
        """The metadata by field: from a saved index's file, or gathered when it is first asked for
        (an index that was saved before there was such a file has none).
        """
        if self._columns is None:
            self._columns = Columns.of(self.metadata(row) for row in range(len(self)))
        return self._columns

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_columns": None}

    def save(self, folder: Path) -> None:
        _Strings.save(folder / "texts", self)
        rows = range(len(self))
        _Strings.save(folder / "metadata", (_as_json(self.metadata(row), row) for row in rows))
        self.columns.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "Texts":
        texts = cls()
        texts._texts, texts._metadata = (
            _Strings.load(folder / "texts"),
            _Strings.load(folder / "metadata"),
        )
        texts._documents = range(len(texts._texts))
        texts._columns = Columns.load(folder, len(texts))
        return texts


class _Borrowed(Sequence[Document]):
    """The first ones, those `held`, of somebody else's documents."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents, self.held = documents, 0

    def __len__(self) -> int:
        return self.held

    def __getitem__(self, row: int) -> Document:  # type: ignore[override]  # one by one
        return self._documents[row]


class _Strings(Sequence[str]):
    """Strings in a memory-mapped file, FILE.bin, and where each of them ends, FILE.npy."""

    def __init__(self) -> None:
        self._file: bytes | mmap.mmap = b""
        self._ends: np.ndarray = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # no slices, as above
        start = self._ends[row - 1] if row else 0
        return self._file[start : self._ends[row]].decode("utf-8", "surrogatepass")

    def __getstate__(self) -> dict[str, Any]:
        return {"_file": bytes(self._file), "_ends": self._ends}  # a mapping cannot be pickled

    @staticmethod
    def save(path: Path, strings: Iterator[str] | Sequence[str]) -> None:
        ends, end = [], 0
        with path.with_suffix(".bin").open("wb") as file:
            for text in strings:
                end += file.write(text.encode("utf-8", "surrogatepass"))
                ends.append(end)
        np.save(path.with_suffix(".npy"), np.array(ends, dtype=np.int64))

    @classmethod
    def load(cls, path: Path) -> "_Strings":
        strings = cls()
        strings._ends = np.load(path.with_suffix(".npy"))
        if strings._ends.dtype != np.int64 or (np.diff(strings._ends, prepend=0) < 0).any():
            raise RetrieverError(
                f"{path.name}.npy is not where texts end.", "Build the index again."
            )
        if len(strings._ends) and strings._ends[-1]:  # an empty file cannot be mapped
            with path.with_suffix(".bin").open("rb") as file:
                strings._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return strings


def _as_json(fields: dict[str, Any], row: int) -> str:
    try:
        return json.dumps(fields) if fields else ""
    except (TypeError, ValueError, RecursionError) as error:
        raise RetrieverError(
            f"A field of the document at row {row} cannot be saved: {error}.",
            "Fields hold what JSON can.",
        ) from error


class WithTexts:
    """A retriever that keeps its documents' texts by row, in `_texts`."""

    _texts: Texts

    def borrow(self, documents: Sequence[Document]) -> None:
        """Keep no texts: those of the documents that are added from now on, into an index that is
        empty, are read out of `documents` when they are asked for.
        """
        self._texts.borrow(documents)

    def text(self, row: int) -> str:
        """The whole text of the document at `row`."""
        return self._texts[row]

    def metadata(self, row: int) -> dict[str, Any]:
        """Title and further fields of the document at `row`."""
        return self._texts.metadata(row)

    @property
    def columns(self) -> Columns:
        """The metadata of all documents by field."""
        return self._texts.columns
