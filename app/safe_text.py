"""User text made safe to show, and links within the dashboard."""

import re
from collections.abc import Iterable
from html import escape
from urllib.parse import urlencode

# Streamlit turns --, ->, <= and the like into single signs;
# an invisible word joiner between them prevents it.
_TYPOGRAPHY = re.compile(r"(?<=[-<>=~])(?=[-<>=~])")
_WORD_ENDS = re.compile(r"(?<=[,/_])(?=\w)|(?<=[.@])(?=[^\W\d])|(?<=[a-z0-9][a-z0-9])(?=[A-Z])")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@/])")


def plain(text: str) -> str:
    """`text` as Markdown that shows it letter by letter:
    no emphasis, links, formulas, HTML or icons.
    """
    return _MARKDOWN.sub(r"\\\1", _TYPOGRAPHY.sub("\u2060", text))


def link(page: str, **parameters: str | list[str]) -> str:
    """The address of a page with its state."""
    return f"{page}?{urlencode(parameters, doseq=True)}"


def breakable(text: str) -> str:
    """`text` as HTML that may be broken where its words end:
    after . @ , / _ and before the capitals of TaskNames.
    """
    return "<wbr>".join(map(escape, _WORD_ENDS.split(text)))


def view_of(
    layer: float | None, dim: float | None, precision: str, index: str, settings: str = ""
) -> str:
    """A view in words: layer 4, 64d, int8, faiss:flat.
    What is unknown (None or NaN) and float32 are left out.
    """
    other = [part for part in settings.split(",") if part != "dtype=float32"]
    words = [
        f"layer {layer:.0f}" if layer and layer == layer else "",
        f"{dim:.0f}d" if dim and dim == dim else "",
        precision if precision != "float32" else "",
        index,
        *other,
    ]
    return ", ".join(filter(None, words))


def highlighted(text: str, terms: Iterable[str]) -> str:
    """`text` as HTML with the words that begin with one of `terms`
    (3 letters or more) marked; case does not matter.
    """
    stems = sorted({re.escape(term) for term in terms if len(term) > 2}, key=len, reverse=True)
    if not stems:
        return escape(text)
    pieces = re.split(rf"(?i)\b((?:{'|'.join(stems)})\w*)", text)
    return "".join(
        f"<mark>{escape(piece)}</mark>" if at % 2 else escape(piece)
        for at, piece in enumerate(pieces)
    )


def words(text: str) -> list[str]:
    """The words of a query that are worth marking: longer than two letters, each once."""
    return [
        word
        for word in dict.fromkeys(re.findall(r"\w+", text.lower()))
        if len(word) > 2 and word not in _COMMON
    ]


_COMMON = {
    "the", "and", "for", "with", "that", "this", "from", "are", "was", "were", "have", "has",
    "not", "but", "into", "can", "does", "what", "which", "who", "how",
}  # fmt: skip
