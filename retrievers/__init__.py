"""Text or vectors in, ranked documents out."""

from retrievers.base import Hits, Retriever
from retrievers.encoded import Encoded, Encoder
from retrievers.errors import RetrieverError
from retrievers.hybrid import rrf, weighted
from retrievers.registry import load, make
from retrievers.rerank import rerank

__all__ = ["Encoded", "Encoder", "Hits", "Retriever", "RetrieverError", "load", "make", "rerank", "rrf", "weighted"]
