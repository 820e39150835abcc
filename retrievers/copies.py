"""Copies of an index within Python, by pickle or deepcopy:
the folder that `save` writes, as bytes.
"""

import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from retrievers.base import Retriever


def packed(index: Retriever) -> bytes:
    """The saved index as one archive."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="retrievers-copy-") as scratch:
        index.save(Path(scratch) / "index")
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(Path(scratch) / "index", "index")
    return buffer.getvalue()


def unpacked(archive: bytes) -> Retriever:
    """The index of such an archive, which answers the same."""
    from retrievers.registry import load

    scratch = tempfile.TemporaryDirectory(prefix="retrievers-copy-")
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(scratch.name, filter="data")
    index = load(Path(scratch.name) / "index")
    vars(index)["_scratch"] = scratch  # its files are mapped, and go when it goes
    return index


def empty(cls: type[Retriever], settings: dict[str, Any]) -> Retriever:
    """An index that holds nothing yet."""
    return cls(**settings)
