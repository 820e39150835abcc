"""Charts on a page."""

from typing import Any, Literal

import streamlit as st


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
    config = chart.config if isinstance(chart.config, dict) else chart.to_dict().get("config", {})
    described = chart.properties(description=about)
    described.config = {**config, "aria": False, "mark": {**config.get("mark", {}), "aria": False}}
    st.altair_chart(described, width=width, theme=theme)
