"""Chunks that end where the subject changes, as a model's own vectors of the sentences see it."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from embedlab.chunks.cutting import sentences
from retrievers.indexes.dense import normalised
from retrievers.pieces import Span


def breaks(
    documents: Sequence[str], encode: Callable[[list[str]], np.ndarray], percentile: int
) -> list[list[Span]]:
    """Each document in parts: neighbouring sentences are parted where the cosine distance of their
    vectors is greater than the `percentile` of all such distances in the document.

    This is the percentile rule of Kamradt's "5 Levels of Text Splitting" (2023, level 4), with
    single sentences in place of his sentences with their neighbours. A document of two sentences
    has one distance, greater than no other, and stays whole.

    Args:
        encode: the vectors of sentences, `[n, d]`.
    """
    spans = [sentences(text) for text in documents]
    texts = [
        text[start:end]
        for text, parts in zip(documents, spans, strict=True)
        for start, end in parts
    ]
    vectors = normalised(encode(texts))
    found, first = [], 0
    for parts in spans:
        own = vectors[first : first + len(parts)]
        first += len(parts)
        distances = 1 - (own[:-1] * own[1:]).sum(axis=1)
        limit = np.percentile(distances, percentile) if len(distances) else 0.0
        edges = [0, *(np.flatnonzero(distances > limit) + 1).tolist(), len(parts)]
        found.append([(parts[a][0], parts[b - 1][1]) for a, b in pairwise(edges) if b > a])
    return found
