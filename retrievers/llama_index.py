"""`retrievers.integrations.llama_index` under its first name."""

from retrievers.integrations.llama_index import LlamaIndexEmbedding, LlamaIndexRetriever

__all__ = ["LlamaIndexEmbedding", "LlamaIndexRetriever"]
