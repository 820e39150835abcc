"""Our retrievers as the parts of other frameworks."""
