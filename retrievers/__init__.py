"""Text or vectors in, ranked documents out."""

from retrievers.base import Hits, Retriever
from retrievers.errors import RetrieverError
from retrievers.registry import load, make

__all__ = ["Hits", "Retriever", "RetrieverError", "load", "make"]
