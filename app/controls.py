"""Pickers that the pages share. Every one is bound to the address,
under its key, so that a view can be shared.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import streamlit as st

from app import reading
from app.reading import Parts
from app.safe_text import link, plain

EVALUATE = "embedlab eval --model all-minilm-l6-v2 --model bm25 --benchmark stdlib-mini"
EVERYTHING = "All tasks"
URL: Final = "query-params"


def empty(what: str, command: str) -> None:
    """An empty state: what is missing, and the command that brings it."""
    st.info(plain(what), icon=":material/inbox:")
    st.caption("This command fills it:")
    st.code(command, language=None, wrap_lines=True)


def require_results() -> None:
    """Stop the page with a hint where the store has no runs."""
    if reading.tasks().empty:
        empty("There are no results yet.", EVALUATE)
        st.stop()


def pick_tasks(grids: bool = False) -> Parts:
    """The tasks that a page is about: a benchmark, narrowed to task types and to single tasks. At
    first it is the one with the most whole results, for `grids` of those that hold one.
    """
    known = reading.tasks()
    here = set(known["task"])
    benchmarks = {
        name: parts for name, parts in reading.benchmarks().parts.items() if here & parts.keys()
    }
    first, second, third = st.columns([3, 3, 4])
    offered, fullest = [EVERYTHING, *benchmarks], reading.fullest_benchmark(grids)
    benchmark = first.selectbox(
        "Benchmark",
        offered,
        offered.index(fullest) if fullest in offered else 0,
        key="benchmark",
        bind=URL,
    )
    counted = reading.counted_tasks() if benchmark == EVERYTHING else benchmarks[benchmark].keys()
    chosen = known[known["task"].isin(counted)]
    types = second.multiselect(
        "Task types",
        sorted(chosen["type"].dropna().unique()),
        key="types",
        bind=URL,
        placeholder="all",
    )
    # Pipelines are no models: they show where their type is chosen.
    models_alone = chosen["type"] != "RAG"
    chosen = chosen[
        chosen["type"].isin(types) if types else models_alone | (not models_alone.any())
    ]
    names = third.multiselect(
        "Tasks", list(chosen["task"]), key="tasks", bind=URL, placeholder="all"
    )
    if benchmark == EVERYTHING:
        return reading.hashable(names or list(chosen["task"]))
    wanted = {
        task: parts
        for task, parts in benchmarks[benchmark].items()
        if (
            task in names if names else not types or task not in here or task in set(chosen["task"])
        )
    }
    return reading.hashable(wanted)


def run_links(labels: Iterable[str], task: str = "") -> list[str]:
    """The page Run at each view's label, with `task`, or the tasks that are chosen now: they decide
    how views are told apart.
    """
    chosen = _chosen()
    if task:
        chosen["tasks"] = [task]
    return [link("run", **chosen, view=label) for label in labels]


def one_of(what: str, names: Sequence[str], key: str) -> str:
    """A choice that the address holds; what it names and is not there is said, not passed over."""
    asked = st.query_params.get(key)
    name: str = st.selectbox(what, names, key=key, bind=URL)
    if asked and asked not in names:
        st.warning(f"{what} {plain(asked)} has no results here. This is {plain(name)}.")
    return name


def model_links(names: Iterable[str]) -> list[str]:
    """The page Model at each model's name, with the tasks that are chosen now."""
    chosen = _chosen()
    return [link("model", **chosen, named=name) for name in names]


def _chosen() -> dict[str, list[str]]:
    """The chosen tasks, as the address has them."""
    return {
        key: st.query_params.get_all(key)
        for key in ("benchmark", "types", "tasks")
        if key in st.query_params
    }


def name_of(cost: str) -> str:
    """A measured cost as people read it: texts / s for texts_per_second."""
    name = (
        cost.replace("_per_second", " / s")
        .replace("_bytes", " (bytes)")
        .replace("_seconds", " (s)")
    )
    name = name.removesuffix("_ms") + " (ms)" if name.endswith("_ms") else name
    return name.replace("_", " ")
