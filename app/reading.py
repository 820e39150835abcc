"""What the pages read, kept until the store changes: every key holds the store's change stamp."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import streamlit as st

from app.later import Later
from app.settings import settings
from leaderboard.records import Run, Task, Texts
from leaderboard.storage import latest_runs
from leaderboard.storage import newest as newest_arrivals
from leaderboard.storage.newest import Import
from leaderboard.storage.store import Store
from leaderboard.tables import (
    aggregates,
    alignment,
    comparison,
    costs,
    evaluated_views,
    grids,
    one_model,
    standings,
)
from leaderboard.tables.benchmarks import Benchmarks, fullest

# A page must answer or say what is wrong;
# half a minute of waiting for a lock is for the command line.
_PATIENCE = 10.0
_MOMENT = 2.0  # seconds for which a state of the store is shown, however often it is written
Stamp = tuple[int, int]
# A mapping of tasks to their parts that can be a key.
Parts = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def store() -> Store:
    """The store that the dashboard shows; one for all sessions, since it keeps what it has read."""
    return _store(settings().db)


@st.cache_resource(max_entries=2, show_spinner=False)
def _store(db: str) -> Store:
    return Store(db, timeout=_PATIENCE)


def stamp() -> tuple[int, int]:
    """The store's state that the pages show:
    its own of the last moment, so that the parts of a page agree.
    """
    return _stamp(settings().db)


@st.cache_resource(max_entries=2, ttl=_MOMENT, show_spinner=False)
def _stamp(db: str) -> tuple[int, int]:
    return store().stamp()


def benchmarks() -> Benchmarks:
    """What is known of benchmarks by now; the file may be written while the dashboard runs."""
    path = Path(settings().benchmarks)
    return _benchmarks(str(path), path.stat().st_mtime_ns if path.is_file() else 0)


@st.cache_resource(max_entries=2, show_spinner=False)
def _benchmarks(path: str, changed: int) -> Benchmarks:
    return settings().read_benchmarks()


def fullest_benchmark(grids: bool = False) -> str | None:
    """The benchmark with the most whole results; of those that hold a grid, if asked for."""
    return _fullest(settings().db, stamp(), _benchmark_stamp(), grids)


@st.cache_resource(max_entries=4, show_spinner=False)
def _fullest(db: str, stamp: Stamp, known: int, grids: bool) -> str | None:
    return fullest(store(), benchmarks().parts, grids=grids)


def has_grids() -> bool:
    """Whether a model has several views on any task."""
    return bool(latest_runs.grids_by_task(store()))


def tasks() -> pd.DataFrame:
    """The tasks that have results, aggregates and their members too:
    columns task, type, runs; by type and name.
    """
    return _tasks(settings().db, stamp())


@st.cache_resource(max_entries=4, show_spinner=False)
def _tasks(db: str, stamp: Stamp) -> pd.DataFrame:
    tasks = store().query(
        "SELECT task, any_value(type) AS type, count(*) AS runs FROM results GROUP BY task"
    )
    apart = tasks.to_pandas()
    rows = [apart]
    for name in aggregates.known(apart["task"].tolist())[len(apart) :]:
        members = apart[apart["task"].isin(aggregates.aggregates()[name].members)]
        rows.append(members.head(1).assign(task=name, runs=int(members["runs"].sum())))
    every: pd.DataFrame = pd.concat(rows).sort_values(["type", "task"], ignore_index=True)
    return every


def counted_tasks() -> list[str]:
    """The tasks that have results, each once: an aggregate in place of its members."""
    return aggregates.counted(latest_runs.tasks(store()))


def last_evaluated() -> dict[str, pd.Timestamp]:
    """When each model was last evaluated, by the model's name."""
    return _last_evaluated(settings().db, stamp())


@st.cache_resource(max_entries=4, show_spinner=False)
def _last_evaluated(db: str, stamp: Stamp) -> dict[str, pd.Timestamp]:
    table = (
        store().query("SELECT model, max(created) AS created FROM runs GROUP BY model").to_pandas()
    )
    return dict(zip(table["model"], table["created"], strict=True))


def ranked(
    parts: Parts, sort: str, incomplete: bool = False, every_view: bool = True
) -> standings.Standings:
    """The standings over these tasks, without intervals: those take longer (`ranked_surely`)."""
    known = _benchmark_stamp()
    return _ranked(settings().db, stamp(), parts, sort, incomplete, every_view, known)


@st.cache_resource(max_entries=24, show_spinner="Ranking ...")
def _ranked(
    db: str, stamp: Stamp, parts: Parts, sort: str, incomplete: bool, every_view: bool, known: int
) -> standings.Standings:
    if sort != "mean":
        return standings.in_order(ranked(parts, "mean", incomplete, every_view), sort)
    if every_view and not _several_views(db, stamp, parts, known):
        return ranked(parts, sort, incomplete, every_view=False)
    return standings.rank_views(
        store(), all_views(parts), incomplete=incomplete, over="none", every_view=every_view
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _several_views(db: str, stamp: Stamp, parts: Parts, known: int) -> bool:
    """Whether any model has several."""
    names = one_model.names(all_views(parts).table, latest_runs.model_details(store()))
    return bool(names.duplicated().any())


def ranked_surely(
    parts: Parts, sort: str, incomplete: bool = False, every_view: bool = True
) -> Later[standings.Standings]:
    """The standings with intervals, groups and places."""
    known = _benchmark_stamp()
    return _ranked_surely(settings().db, stamp(), parts, sort, incomplete, every_view, known)


@st.cache_resource(max_entries=24, show_spinner=False)
def _ranked_surely(
    db: str, stamp: Stamp, parts: Parts, sort: str, incomplete: bool, every_view: bool, known: int
) -> Later[standings.Standings]:
    views, of = all_views(parts), store()  # the computation has no page to ask them from
    return Later(
        lambda say: standings.rank_views(
            of, views, sort=sort, incomplete=incomplete, every_view=every_view, say=say
        )
    )


def all_views(parts: Parts) -> evaluated_views.Views:
    """The run that stands for every view on these tasks."""
    return _views(settings().db, stamp(), parts, _benchmark_stamp())


@st.cache_resource(max_entries=8, show_spinner="Reading results ...")
def _views(db: str, stamp: Stamp, parts: Parts, known: int) -> evaluated_views.Views:
    return evaluated_views.read(store(), _chosen(parts), main_revisions=benchmarks().main_revisions)


def measured_costs(parts: Parts) -> list[str]:
    """The costs that were measured on any of these tasks,
    and the number of parameters where it is known.
    """
    return _measured_costs(settings().db, stamp(), parts, _benchmark_stamp())


@st.cache_resource(max_entries=8, show_spinner=False)
def _measured_costs(db: str, stamp: Stamp, parts: Parts, known: int) -> list[str]:
    views, of_model = all_views(parts), latest_runs.model_details(store())
    named = set(costs.by_run(store(), views)["name"])
    models = zip(views.table["model"], views.table["revision"], strict=True)
    sized = any(of_model.get(key, {}).get("parameters") for key in models)
    return sorted(named | ({"parameters"} if sized else set()))


def scored_by_query(parts: Parts) -> pd.Series:
    """Whether every run of a view was scored query by query: bool, by view."""
    return _scored_by_query(settings().db, stamp(), parts, _benchmark_stamp())


@st.cache_resource(max_entries=8, show_spinner=False)
def _scored_by_query(db: str, stamp: Stamp, parts: Parts, known: int) -> pd.Series:
    return alignment.has_per_query(store(), all_views(parts))


def compared(
    labels: tuple[str, ...], parts: Parts, test: str, correction: str
) -> Later[comparison.Comparison]:
    """The views named `labels`, in pairs."""
    return _compared(settings().db, stamp(), labels, parts, test, correction, _benchmark_stamp())


@st.cache_resource(max_entries=24, show_spinner=False)
def _compared(
    db: str,
    stamp: Stamp,
    labels: tuple[str, ...],
    parts: Parts,
    test: str,
    correction: str,
    known: int,
) -> Later[comparison.Comparison]:
    views, of = all_views(parts), store()
    return Later(
        lambda say: comparison.compare_views(
            of, views, labels, test=test, correction=correction, say=say
        )
    )


def untested(labels: tuple[str, ...], parts: Parts) -> comparison.Comparison:
    """The same without the tests."""
    return comparison.compare_views(store(), all_views(parts), labels, say=None)


@st.cache_resource(max_entries=24, show_spinner="Reading results ...")
def _gridded(
    db: str, stamp: Stamp, model: str, task_names: tuple[str, ...], known: int
) -> list[grids.Grid]:
    return grids.grids(store(), model, task_names, main_revisions=benchmarks().main_revisions)


def gridded(model: str, task_names: tuple[str, ...]) -> list[grids.Grid]:
    """The model's grids, one for each index and precision; the mean over the tasks named."""
    return _gridded(settings().db, stamp(), model, task_names, _benchmark_stamp())


@st.cache_resource(max_entries=64, show_spinner=False)
def _run(db: str, stamp: Stamp, id: str) -> Run:
    return store().run(id)


def run(id: str) -> Run:
    """A run by its id or the beginning of it."""
    return _run(settings().db, stamp(), id)


@st.cache_resource(max_entries=4, show_spinner="Reading texts ...")
def _texts(
    db: str, stamp: Stamp, name: str, revision: str, split: str, subset: str
) -> Texts | None:
    return store().texts(Task(name, "", split, subset, revision))


def failures() -> pd.DataFrame:
    """Failures, newest first."""
    return _failures(settings().db, stamp())


@st.cache_resource(max_entries=2, show_spinner=False)
def _failures(db: str, stamp: Stamp) -> pd.DataFrame:
    failures: pd.DataFrame = store().failures().slice(0, 200).to_pandas()
    return failures


def newest(count: int) -> tuple[pd.DataFrame, list[Import]]:
    """The runs and the imports stored last, so many of each."""
    return _newest(settings().db, stamp(), count)


@st.cache_resource(max_entries=2, show_spinner=False)
def _newest(db: str, stamp: Stamp, count: int) -> tuple[pd.DataFrame, list[Import]]:
    with store().database.opened():
        return newest_arrivals.runs(store(), count), newest_arrivals.imports(store(), count)


def query_scores(ids: tuple[str, str], metric: str) -> pd.DataFrame:
    """The scores of two runs on each query: columns first, second, indexed by query id."""
    return _query_scores(settings().db, stamp(), ids, metric).copy()


@st.cache_resource(max_entries=16, show_spinner=False)
def _query_scores(db: str, stamp: Stamp, ids: tuple[str, str], metric: str) -> pd.DataFrame:
    table = (
        store()
        .per_query(ids, metric)
        .to_pandas()
        .pivot(index="query_id", columns="run_id", values="value")
    )
    return pd.DataFrame({"first": table[ids[0]], "second": table[ids[1]]})


def judged_tasks() -> dict[str, Task]:
    """The tasks with rankings, whose texts and judgements are kept, by the name to show."""
    return _judged_tasks(settings().db, stamp())


@st.cache_resource(max_entries=4, show_spinner=False)
def _judged_tasks(db: str, stamp: Stamp) -> dict[str, Task]:
    rows = store().query(
        "SELECT DISTINCT task, type, split, subset, task_revision AS revision FROM results"
        " WHERE has_ranking ORDER BY ALL"
    ).to_pylist()  # fmt: skip
    tasks = [
        Task(row["task"], row["type"], row["split"], row["subset"], row["revision"]) for row in rows
    ]
    return {", ".join(filter(None, (t.name, t.split, t.subset, t.revision[:8]))): t for t in tasks}


def texts(task: Task) -> Texts | None:
    """Queries, judgements and shown documents of a task; None where none were kept."""
    return _texts(settings().db, stamp(), task.name, task.revision, task.split, task.subset)


def hashable(chosen: Mapping[str, list[tuple[str, str]]] | list[str]) -> Parts:
    """Tasks with their parts, or without (all that the store has), as a key."""
    if isinstance(chosen, Mapping):
        return tuple(
            (task, tuple((split, subset) for split, subset in parts))
            for task, parts in chosen.items()
        )
    return tuple((task, ()) for task in chosen)


def _chosen(parts: Parts) -> dict[str, list[tuple[str, str]]] | list[str]:
    if all(of_task for _, of_task in parts):
        return {task: list(of_task) for task, of_task in parts}
    return [task for task, _ in parts]


def _benchmark_stamp() -> int:
    return len(benchmarks().parts)
