"""Documents as text: a string, or a mapping with "title" and "text" as in BEIR's corpora; kept beside an index."""

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from retrievers.errors import RetrieverError

Document = str | Mapping[str, str]


def title_and_text(document: Document) -> tuple[str, str]:
    """The two parts of a document; a string has no title."""
    if isinstance(document, str):
        return "", document
    return document.get("title") or "", document.get("text") or ""


def joined(document: Document) -> str:
    """Title and text in one."""
    return " ".join(part for part in title_and_text(document) if part)


def check_texts(documents) -> list[Document]:
    """The documents as a list.

    Raises:
        RetrieverError: they are not texts.
    """
    if isinstance(documents, str) or hasattr(documents, "dtype"):
        raise RetrieverError("A text retriever was given something other than a list of texts.", _HINT)
    documents = list(documents)
    for row, document in enumerate(documents):
        if not isinstance(document, str | Mapping):
            raise RetrieverError(f"The document at row {row} is a {type(document).__name__}, not a text.", _HINT)
    return documents


_HINT = 'Texts are strings, or mappings with "title" and "text".'


class Texts(Sequence[str]):
    """Texts by row: the caller's own objects while an index is built, a memory-mapped file once it is loaded."""

    def __init__(self):
        self._documents: list[Document] = []
        self._file, self._ends = b"", np.zeros(0, dtype=np.int64)

    def extend(self, documents: Sequence[Document]) -> None:
        self._documents.extend(documents)

    def __len__(self) -> int:
        return len(self._documents) or len(self._ends)

    def __getitem__(self, row: int) -> str:
        if self._documents:
            return joined(self._documents[row])
        start = self._ends[row - 1] if row else 0
        return self._file[start : self._ends[row]].decode("utf-8", "surrogatepass")

    def __getstate__(self) -> dict:
        return {**vars(self), "_file": bytes(self._file)}  # a mapping cannot be pickled

    def save(self, folder: Path) -> None:
        ends, end = [], 0
        with (folder / "texts.bin").open("wb") as file:
            for text in self:
                end += file.write(text.encode("utf-8", "surrogatepass"))
                ends.append(end)
        np.save(folder / "texts.npy", np.array(ends, dtype=np.int64))

    @classmethod
    def load(cls, folder: Path) -> "Texts":
        texts = cls()
        texts._ends = np.load(folder / "texts.npy")
        if len(texts._ends) and texts._ends[-1]:  # an empty file cannot be mapped
            with (folder / "texts.bin").open("rb") as file:
                texts._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return texts
