"""embedlab: a laboratory for text embedders built on LLMs."""

__version__ = "0.1.0"
