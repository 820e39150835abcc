"""The retriever behind a framework's: one in memory, or a saved index, which a saved pipeline names
by its folder.
"""

from pathlib import Path

from retrievers.base import Retriever
from retrievers.errors import RetrieverError
from retrievers.registry import load


def opened(retriever: Retriever | str | Path) -> tuple[Retriever, str | None]:
    """The retriever, and the folder that it was named by."""
    if isinstance(retriever, Retriever):
        return retriever, None
    return load(Path(retriever)), str(retriever)


def required(folder: str | None, kind: str) -> str:
    """The folder that a saved pipeline names.

    Args:
        kind: the framework's class, for the error.

    Raises:
        RetrieverError: the retriever lies in memory alone.
    """
    if folder is None:
        raise RetrieverError(
            "A pipeline can name a saved index, and this one lies in memory.",
            f"Type: retriever.save(FOLDER), then {kind}(FOLDER).",
        )
    return folder
