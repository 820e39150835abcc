"""What goes into a search, and what comes out of it."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.sparse import csr_matrix

from retrievers.texts import Document

# What a retriever takes: texts, vectors `[n, d]`, a CSR matrix `[n, |V|]`, or token vectors
# (`retrievers.token_vectors`): one array `[t_i, d]` for each text.
Documents = Sequence[Document] | np.ndarray | csr_matrix | Sequence[np.ndarray]
Queries = Sequence[Document] | np.ndarray | csr_matrix | Sequence[np.ndarray]
# Documents that a search is limited to: ids, or an array of rows.
Only: TypeAlias = Collection[str] | np.ndarray


class Hits(NamedTuple):
    """The answer to a batch of queries, best first.

    rows: int32 `[queries, k]`, positions in the retriever's `ids`; -1 marks an empty place, always
    at the end.
    scores: float32 `[queries, k]`; -inf where the row is -1.
    Order: score descending; equal scores by document row, or by descending id where several
    retrievers work together.
    """

    rows: np.ndarray
    scores: np.ndarray


def count_of(items: Documents | Queries) -> int:
    """How many documents or queries these are."""
    return int(items.shape[0]) if hasattr(items, "shape") else len(items)
