"""An encoder that says how far it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import retrievers
from retrievers.texts import Document
from retrievers.token_vectors import Rows, stacked

_STEP = 256  # documents between two moves of the progress bar


@dataclass(frozen=True)
class WatchedEncoder(retrievers.Encoder):
    """An encoder that says after each few documents how far it is."""

    advance: Callable[[int], object] = lambda count: None

    def encode_documents(self, documents: Sequence[Document]) -> Rows:
        parts: list[Any] = []
        for start in range(0, len(documents), _STEP):
            part = documents[start : start + _STEP]
            parts.append(super().encode_documents(part))
            self.advance(len(part))
        rows: Rows = stacked(parts)
        return rows
