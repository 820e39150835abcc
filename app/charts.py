"""Charts on a page."""

from typing import Any, Literal

import altair as alt
import streamlit as st

from leaderboard.charts.looks import of_page


def show(
    chart: Any,
    about: str,
    *,
    width: Literal["stretch", "content"] = "stretch",
    theme: Literal["streamlit"] | None = "streamlit",
) -> None:
    """Show an Altair chart.

    Args:
        about: what it shows, for screen readers, which else would meet every mark and tick; the
            figures themselves stand in a table beside it.
        width, theme: as in `st.altair_chart`.
    """
    config = {} if chart.config is alt.Undefined else chart.config.to_dict()
    config |= {"aria": False, "mark": config.get("mark", {}) | {"aria": False}}
    for part in ("axis", "legend"):  # Streamlit's own grey is faint
        config[part] = {"labelColor": ink(), "titleColor": ink()} | config.get(part, {})
    described = chart.properties(description=about)
    described.config = config
    st.altair_chart(described, width=width, theme=theme)


def ink() -> str:
    """The colour of texts on the page's own ground."""
    return of_page(st.context.theme.type == "dark").ink
