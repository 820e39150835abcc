"""`retrievers.integrations.haystack` under its first name."""

from retrievers.integrations.haystack import HaystackRetriever

__all__ = ["HaystackRetriever"]
