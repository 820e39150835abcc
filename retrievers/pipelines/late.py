"""Late interaction as a second stage: MaxSim of token vectors, each text encoded once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrievers.token_vectors import TokenVectors, maxsim

KEPT_BYTES = 1 << 30


class MaxSim:
    """Scores of a multi-vector encoder (ColBERT, arXiv:2004.12832).

    The token vectors of documents are kept, those of the last that were asked for: a candidate that
    several queries find goes through the model once.

    Args:
        encoder: `encode_query` and `encode_document` give one array `[t_i, d]` for each text.
        keep: bytes of token vectors that are kept.
    """

    def __init__(self, encoder: Any, keep: int = KEPT_BYTES) -> None:
        self.encoder, self.keep = encoder, keep
        self._mean = getattr(encoder, "similarity_fn_name", None) == "meanmaxsim"
        self._known: dict[str, np.ndarray] = {}  # what was used last comes last
        self._bytes = 0

    def score_lists(
        self, queries: Sequence[str], lists: Sequence[list[str]]
    ) -> Sequence[np.ndarray]:
        """As `rerank.ListScorer`."""
        wanted = TokenVectors.of(self.encoder.encode_query(list(queries)))
        distinct = list(dict.fromkeys(text for texts in lists for text in texts))
        documents = self._documents(distinct)
        return score_lists(wanted, documents, distinct, lists, mean=self._mean)

    def _documents(self, texts: list[str]) -> TokenVectors:
        known = {text: self._known[text] for text in texts if text in self._known}
        if fresh := [text for text in texts if text not in known]:
            encoded = TokenVectors.of(self.encoder.encode_document(fresh))
            known |= {text: encoded[row] for row, text in enumerate(fresh)}
        self._remember(known)
        return TokenVectors.of([known[text] for text in texts])

    def _remember(self, used: dict[str, np.ndarray]) -> None:
        for text, vectors in used.items():
            if (before := self._known.pop(text, None)) is not None:
                self._bytes -= before.nbytes
            self._known[text] = vectors
            self._bytes += vectors.nbytes
        while self._bytes > self.keep:
            self._bytes -= self._known.pop(next(iter(self._known))).nbytes


def score_lists(
    queries: TokenVectors,
    documents: TokenVectors,
    texts: Sequence[str],
    lists: Sequence[list[str]],
    *,
    mean: bool = False,
) -> list[np.ndarray]:
    """MaxSim of each query with its own candidates.

    Args:
        queries: of `[q]` queries.
        documents: of the distinct `texts`, in their order.
        lists: the candidates of each query, all of them among `texts`.
        mean: as in `maxsim`.
    """
    row_of = {text: row for row, text in enumerate(texts)}
    return [
        maxsim(queries[q : q + 1], documents[[row_of[text] for text in found]], mean=mean)[0]
        for q, found in enumerate(lists)
    ]
