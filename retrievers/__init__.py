"""Text or vectors in, ranked documents out."""

from retrievers.base import Hits, Retriever
from retrievers.errors import RetrieverError
from retrievers.pipelines.encoded import Encoded, Encoder
from retrievers.pipelines.fusion import rrf, weighted
from retrievers.pipelines.rerank import rerank
from retrievers.registry import load, make

__all__ = [
    "Encoded", "Encoder", "Hits", "Retriever", "RetrieverError", "load", "make", "rerank", "rrf",
    "weighted",
]  # fmt: skip
