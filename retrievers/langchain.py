"""`retrievers.integrations.langchain` under its first name."""

from retrievers.integrations.langchain import LangChainEmbeddings, LangChainRetriever

__all__ = ["LangChainEmbeddings", "LangChainRetriever"]
