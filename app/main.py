"""The dashboard's entry point: pages, what runs now,
and the one place where errors become messages.

Start it with `embedlab dashboard`.
"""

import sys
from pathlib import Path

# Streamlit puts this folder on the path, not its parent,
# which holds the packages app, leaderboard, retrievers.
if str(Path(__file__).parents[1]) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parents[1]))

import streamlit as st

from app import later, plugin_pages, status
from app.safe_text import plain
from app.screens import compare, costs, grids, leaderboard, live, model, rag, run, search, task

# The folder is not called pages: Streamlit would serve its files by themselves.
PAGES = [
    st.Page(leaderboard.page, title="Leaderboard", icon=":material/leaderboard:", default=True),
    st.Page(costs.page, title="Cost and quality", icon=":material/speed:", url_path="costs"),
    st.Page(grids.page, title="Grids", icon=":material/grid_on:", url_path="grids"),
    st.Page(compare.page, title="Compare", icon=":material/compare_arrows:", url_path="compare"),
    st.Page(model.page, title="Model", icon=":material/id_card:", url_path="model"),
    st.Page(task.page, title="Task", icon=":material/task:", url_path="task"),
    st.Page(rag.page, title="RAG", icon=":material/forum:", url_path="rag"),
    st.Page(run.page, title="Run", icon=":material/receipt_long:", url_path="run"),
    st.Page(search.page, title="Search", icon=":material/search:", url_path="search"),
    st.Page(live.page, title="Live", icon=":material/radio_button_checked:", url_path="live"),
    # The default page's address is the root; this is the name that people type.
    st.Page(leaderboard.page, title="Leaderboard", url_path="leaderboard", visibility="hidden"),
]

_PACKAGES = {"app", "embedlab", "leaderboard", "retrievers"}

st.set_page_config(
    page_title="embedlab", page_icon=Path(__file__).with_name("icon.svg"), layout="wide"
)
st.html(Path(__file__).with_name("style.css"))
st.logo(
    Path(__file__).with_name("logo.svg"),
    size="large",
    icon_image=Path(__file__).with_name("icon.svg"),
)
chosen = st.navigation(
    [*PAGES, *plugin_pages.pages({page.url_path for page in PAGES})], expanded=True
)
st.title(chosen.title)
try:
    with later.drawing():
        chosen.run()
    with st.sidebar:
        status.sidebar()
except Exception as error:
    # Errors that the user can mend have a `hint`;
    # those of the encoders that a page loads come from a package above.
    ours = any(cls.__module__.partition(".")[0] in _PACKAGES for cls in type(error).__mro__)
    if not ours or not hasattr(error, "hint"):
        raise
    st.error(plain(str(error)), icon=":material/error:")
    if error.hint:
        st.caption(plain(error.hint))
