"""Pages of installed packages: each is a function without arguments,
under the entry point group `embedlab.pages`.
"""

import re
from collections.abc import Collection
from functools import partial

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from leaderboard import plugins
from leaderboard.errors import LeaderboardError


def pages(reserved: Collection[str]) -> list[StreamlitPage]:
    """The pages by name, which is their address, too; nothing is imported before one is opened.

    Args:
        reserved: addresses of ours, which none replaces.
    """
    return [
        st.Page(
            partial(_show, plugin),
            title=name.replace("-", " ").replace("_", " ").capitalize(),
            icon=":material/extension:",
            url_path=name,
        )
        for name, plugin in plugins.installed(plugins.PAGES, reserved).items()
        if re.fullmatch(r"[\w-]+", name)
    ]


def _show(plugin: plugins.Plugin) -> None:
    """The page; whatever goes wrong in it is one message that names the package."""
    page = plugin.load(plugins.PAGES)
    try:
        page()
    except Exception as error:
        if hasattr(error, "hint"):
            raise
        raise LeaderboardError(
            f"The page {plugin} failed: {type(error).__name__}: {error}", plugin.hint
        ) from error
