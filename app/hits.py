"""Ranked documents as a list: score, text with the query's words marked,
and whether it is known to be relevant.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import streamlit as st

from app.safe_text import breakable, highlighted

_SHOWN = 600  # characters of a document


class Hit(NamedTuple):
    """A document as shown. score: None where it has none. text: None where it was not stored."""

    id: str
    score: float | None
    text: str | None
    relevant: bool


def show(hits: Sequence[Hit], terms: Sequence[str]) -> None:
    """Show the documents in their order; words that begin with one of `terms` are marked."""
    if not hits:
        st.caption("Nothing.")
        return
    st.html("".join(_item(place, hit, terms) for place, hit in enumerate(hits, 1)))


def show_terms(terms: Sequence[tuple[str, float]]) -> None:
    """Show the terms that a query was put into, with their weights."""
    st.caption("Expansion terms of the query and their weights:")
    items = "".join(f"<li>{escape(term)} <span>{weight:.4f}</span></li>" for term, weight in terms)
    st.html(f'<ul class="lab-terms" aria-label="Expansion terms">{items}</ul>')


def _item(place: int, hit: Hit, terms: Sequence[str]) -> str:
    badge = '<span class="lab-badge">relevant</span>' if hit.relevant else ""
    score = "" if hit.score is None else f'<span class="score">{hit.score:.4f}</span>'
    text = "The text was not stored." if hit.text is None else hit.text
    begun = text if len(text) <= _SHOWN else f"{text[:_SHOWN].rsplit(maxsplit=1)[0]} …"
    cut = highlighted(begun, terms)
    return (
        f'<article class="lab-hit{" relevant" if hit.relevant else ""}"><header>'
        f"<span>{place}. {breakable(hit.id)}</span>{badge}{score}</header><p>{cut}</p></article>"
    )
