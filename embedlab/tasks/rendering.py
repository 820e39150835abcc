"""The texts of a retrieval task as mteb renders them."""

from typing import TYPE_CHECKING

import numpy as np

from embedlab.compat.mteb_internals import retrieval_texts
from embedlab.tasks.corpus_texts import CorpusTexts

if TYPE_CHECKING:
    from datasets import Dataset


def documents(corpus: "Dataset", rows: np.ndarray | None = None) -> CorpusTexts:
    """Title, blank, text, read when they are asked for: in row order, or of these rows.

    A corpus with further columns is rendered by mteb's own function, whole.
    """
    from mteb.types import PromptType

    known = set(corpus.column_names) <= {"id", "text", "title"}
    texts = None if known else retrieval_texts(corpus, PromptType.document)
    return CorpusTexts(corpus, rows, texts)


def queries(data: "Dataset") -> list[str]:
    """Queries, followed by their instruction where they have one; in row order."""
    from mteb.types import PromptType

    return retrieval_texts(data, PromptType.query)
