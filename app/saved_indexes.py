"""The saved indexes that the dashboard searches: folders inside one folder, those whose making was
written down, and nothing else.
"""

import json
from pathlib import Path

import streamlit as st

import retrievers
from app.settings import settings
from retrievers import folder
from retrievers.registry import COMPOSED

_TERMS = 20


def saved(root: Path) -> dict[str, Path]:
    """The indexes in `root`, at most two folders deep, by their path below it;
    links that lead out are left aside.
    """
    inside = root.resolve()
    indexes: dict[str, Path] = {}
    for pattern in ("*", "*/*"):
        for manifest in sorted(root.glob(f"{pattern}/{folder.MANIFEST}")):
            path = manifest.parent
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            nested = any(str(path.relative_to(root)).startswith(f"{name}/") for name in indexes)
            if (
                path.resolve().is_relative_to(inside)
                and not hidden
                and not nested
                and folder.is_index(path)
            ):
                indexes[str(path.relative_to(root))] = path
    return indexes


def made(register: Path) -> dict[str, Path]:
    """The indexes that were made elsewhere and are still there, by their path, the newest first.

    Args:
        register: a file with a JSON string in each line.
    """
    try:
        lines = register.read_text(encoding="utf-8").splitlines()
        paths = [Path(json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError):
        return {}
    return {str(path): path for path in reversed(paths) if folder.is_index(path)}


def load(path: Path) -> retrievers.Retriever:
    """The retriever saved at `path`, kept in memory until it is built anew."""
    return _load(str(path), (path / folder.MANIFEST).stat().st_mtime_ns)


@st.cache_resource(max_entries=4, show_spinner="Loading the index ...")
def _load(path: str, changed: int) -> retrievers.Retriever:
    family = folder.read_manifest(Path(path))["retriever"]
    retriever = retrievers.load(Path(path), settings().encoder() if family in COMPOSED else None)
    # What is started on first use would be counted as the first query's latency.
    retriever.search(["warm"], 1)
    return retriever


def expansion(retriever: retrievers.Retriever, query: str) -> list[tuple[str, float]]:
    """The terms that a sparse model puts the query into,
    heaviest first; empty for other retrievers.
    """
    return retriever.query_terms(query)[:_TERMS] if hasattr(retriever, "query_terms") else []
