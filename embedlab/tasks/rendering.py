"""The texts of a retrieval task as mteb renders them."""

from typing import TYPE_CHECKING

from embedlab.compat.mteb_internals import retrieval_texts

if TYPE_CHECKING:
    from datasets import Dataset


def documents(corpus: "Dataset") -> list[str]:
    """Title, blank, text; in row order."""
    from mteb.types import PromptType

    if not set(corpus.column_names) <= {"id", "text", "title"}:
        return retrieval_texts(corpus, PromptType.document)
    columns = corpus[:]  # mteb's own function maps row by row, minutes on millions
    titles = columns.get("title", [""] * len(corpus))
    return [
        f"{title} {text}".strip() if title else text.strip()
        for title, text in zip(titles, columns["text"], strict=True)
    ]


def queries(data: "Dataset") -> list[str]:
    """Queries, followed by their instruction where they have one; in row order."""
    from mteb.types import PromptType

    return retrieval_texts(data, PromptType.query)
