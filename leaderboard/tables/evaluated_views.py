"""What the store knows of each view
(a model as evaluated: layer, dim, precision, dtype, index), as frames to rank.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import pandas as pd

from leaderboard.errors import LeaderboardError
from leaderboard.measures import shown
from leaderboard.storage import latest_runs
from leaderboard.storage.revisions import join_imported, mixed, of_one_task_revision
from leaderboard.storage.rows import settings_of
from leaderboard.storage.store import Store
from leaderboard.tables import aggregates, metric_names

# Names of tasks; or by name the (split, subset) pairs that make up the task.
Tasks = Collection[str] | Mapping[str, Collection[tuple[str, str]]]

# What tells views apart. The index comes last: its own options may hold commas.
VIEW = ["model", "revision", "source", "layer", "dim", "precision", "settings", "index"]
_PART = ["task", "split", "subset"]


@dataclass(frozen=True)
class Views:
    """The run that stands for every view on every part (split and subset) of the tasks.

    A task made of others (`leaderboard.tables.aggregates`) has them as its subsets.

    table: one row per view: the columns of `VIEW`, kind, label.
    scores: views by tasks, the mean over a task's parts; NaN where the view lacks a part.
    runs: one row per run: view (the row's index in `table`), run_id, task, type, split, subset,
        metric, score, task_revision and what it is a revision of, data (the task, or an aggregate's
        member).
    absent: tasks asked for on which no view has a whole result.
    notes: what the reader must know of the choice of runs.
    full: rows of `table` that show a model at its full depth, width and precision.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    runs: pd.DataFrame
    absent: list[str]
    notes: list[str] = field(default_factory=list)
    full: frozenset[int] = frozenset()

    @property
    def mixed(self) -> list[str]:
        """The tasks that these views were scored on in different revisions."""
        return mixed(self.runs)

    @property
    def metrics(self) -> list[str]:
        """The stored names of the metrics that the scores are of."""
        return sorted(self.runs["metric"].unique())

    @property
    def types(self) -> dict[str, str]:
        """The type of each task."""
        tasks = self.runs.drop_duplicates("task")
        return dict(zip(tasks["task"], tasks["type"], strict=True))

    def only(self, views: Sequence[int]) -> "Views":
        """These views alone, in this order."""
        runs = self.runs[self.runs["view"].isin(views)]
        return replace(
            self, table=self.table.loc[list(views)], scores=self.scores.loc[list(views)], runs=runs
        )

    def select(self, names: Sequence[str]) -> "Views":
        """The views that `names` stand for, in this order:
        a label, a model's name, or `model@dim=64,dtype=bfloat16`.

        A bare name is the model seen in full, where the store has other views of it too.

        Raises:
            LeaderboardError: a name stands for no view or for several, or two names for the same.
        """
        places = [self._find(name) for name in names]
        if len(set(places)) < len(places):
            raise LeaderboardError(
                f"{', '.join(names)} name one view twice.", "Name every view once."
            )
        return self.only(places)

    def _find(self, name: str) -> int:
        labels = self.table["label"]
        if (exact := labels[labels == name]).size == 1:
            return int(exact.index[0])
        model, settings = self._divided(name)
        matches = self.table[self.table["model"].str.lower() == model.lower()]
        shaping = sorted({key for text in matches["settings"] for key in settings_of(text)})
        words = re.split(rf",?\b({'|'.join([*VIEW[1:], *shaping])})=", settings)
        for key, value in zip(words[1::2], words[2::2], strict=True):
            values = (
                [settings_of(text).get(key) for text in matches["settings"]]
                if key in shaping
                else matches[key]
            )
            matches = matches[
                [
                    _text(has).startswith(value) if key == "revision" else _text(has) == value
                    for has in values
                ]
            ]
        if len(matches) > 1 and not settings:
            matches = (
                matches[[view in self.full for view in matches.index]]
                if self.full & set(matches.index)
                else matches
            )
        if len(matches) == 1 and not words[0]:
            return int(matches.index[0])
        if len(matches) > 1 and not words[0]:
            raise LeaderboardError(
                f"{name} stands for {len(matches)} views.",
                f"Type one of: {listed(matches['label'])}",
            )
        close = get_close_matches(name.lower(), labels.str.lower(), n=3, cutoff=0.4)
        likely = labels[labels.str.lower().isin(close) | (labels.str.partition("@")[0] == model)]
        raise LeaderboardError(
            f"The results hold no {name} on these tasks.",
            f"Did you mean {listed(likely)}?" if len(likely) else f"They hold: {listed(labels)}",
        )

    def _divided(self, name: str) -> tuple[str, str]:
        """A model's name, and what of its view stands behind it; a name may have an @ itself
        (`all-minilm-l6-v2@onnx@dim=64`).
        """
        known = set(self.table["model"].str.lower())
        places = [place for place, letter in enumerate(name) if letter == "@"]
        for place in [len(name), *reversed(places)]:
            if name[:place].lower() in known:
                return name[:place], name[place + 1 :]
        model, _, settings = name.partition("@")
        return model, settings


def read(
    store: Store,
    tasks: Tasks | None = None,
    metric: str = "main",
    main_revisions: Mapping[str, str] | None = None,
    split: str = "",
) -> Views:
    """The views in `store` with a score on any of `tasks`;
    imported revisions of a model are joined (`join_imported`).

    Of a task with several revisions a view counts on one (`of_one_task_revision`).

    Args:
        store: a `leaderboard.storage.store.Store`.
        tasks: names, in any case; or by name the (split, subset) pairs that make up the task; None
            for all that the store has. An aggregate counts once, in place of its members
            (`aggregates.counted`). Without pairs, a task is made up of the parts that any view has,
            of its own splits where there are any.
        metric: nDCG@10, ndcg_at_10, ..., or "main" for each task's main one.
        main_revisions: of models with imported results, the revision that goes before others.
        split: this split instead of the tasks' own.

    Raises:
        LeaderboardError: the store has no runs, none of them on a named task or on the split, or
            none with this metric.
    """
    known = latest_runs.tasks(store)
    if not known:
        raise LeaderboardError(
            f"There are no results in {store.path} yet.",
            "Type: embedlab eval --model all-minilm-l6-v2 --benchmark stdlib-mini",
        )
    wanted, absent = _wanted(tasks, known)
    if not wanted:
        raise LeaderboardError(
            f"The results hold none of the tasks {listed(absent)}.", f"They hold: {listed(known)}"
        )
    metric = metric_names.in_store(store, metric)
    members = [each for task in wanted for each in aggregates.of_task(task)]
    standing = latest_runs.runs(store, metric, members)
    runs = aggregates.join(standing.assign(parts=0, data=standing["task"]), wanted, split)
    notes: list[str] = []
    if split or not isinstance(tasks, Mapping):
        runs, notes = _of_split(runs, split, latest_runs.own_splits(store))
    if isinstance(tasks, Mapping):
        requested = [(task, *part) for task in wanted for part in tasks[task]]
        runs = runs[(runs["parts"] > 0) | pd.MultiIndex.from_frame(runs[_PART]).isin(requested)]
        sizes = {task: len(set(tasks[task])) for task in wanted}
    else:
        sizes = _sizes(runs)
    if runs.empty:
        raise LeaderboardError(
            f"No run on {listed(wanted)} has"
            f" {'a main score' if metric == 'main' else shown(metric)}.",
            "Type `embedlab runs show ID` to see the metrics of a run.",
        )
    runs["parts"] = runs["parts"].where(runs["parts"] > 0, runs["task"].map(sizes))
    runs = of_one_task_revision(runs, VIEW)
    runs = join_imported(runs, main_revisions or {})
    views = _views(runs, wanted, absent, notes)
    return replace(views, full=_full(views.table, latest_runs.model_details(store)))


def _full(table: pd.DataFrame, details: Mapping[tuple[str, str], dict[str, Any]]) -> frozenset[int]:
    """The views at full depth, width and precision; depth and width are known from the model's
    details. Its last layer by number stands for the full depth where that was not evaluated.
    """

    def is_full(view: dict[str, Any]) -> bool:
        size = details.get((view["model"], view["revision"]), {})
        wide = pd.isna(view["dim"]) or (bool(size.get("dim")) and view["dim"] >= size["dim"])
        deep = pd.isna(view["layer"]) or view["layer"] == size.get("layers")
        return bool(deep and wide and view["precision"] == "float32")

    full = [
        (at, view) for at, view in zip(table.index, _records(table), strict=True) if is_full(view)
    ]
    unnumbered = {view["model"] for _, view in full if pd.isna(view["layer"])}
    return frozenset(
        at for at, view in full if pd.isna(view["layer"]) or view["model"] not in unnumbered
    )


def _wanted(tasks: Tasks | None, known: list[str]) -> tuple[list[str], list[str]]:
    """The names of the tasks as the store has them, and those that it lacks."""
    if tasks is None:
        return aggregates.counted(known), []
    known = aggregates.known(known)
    if isinstance(tasks, Mapping):
        return [task for task in tasks if task in known], [
            task for task in tasks if task not in known
        ]
    exact = {name.lower(): name for name in known}
    for task in tasks:
        if task.lower() not in exact:
            raise LeaderboardError(
                f"The results hold no task {task!r}.", f"They hold: {listed(known)}"
            )
    return aggregates.counted(exact[task.lower()] for task in tasks), []


def _of_split(
    runs: pd.DataFrame, split: str, own: Mapping[str, set[str]]
) -> tuple[pd.DataFrame, list[str]]:
    """The runs on `split`, or on each task's own splits where it has runs on any,
    and a note on those left out.
    """
    if split:
        if split not in set(runs["split"]):
            raise LeaderboardError(
                f"The results hold no run on the split {split!r} of these tasks.",
                f"They hold: {listed(sorted(set(runs['split'])))}",
            )
        return runs[runs["split"] == split].copy(), []
    there = runs[["task", "split"]].drop_duplicates().itertuples(index=False)
    pairs = [(str(task), str(split)) for task, split in there]
    others = [(task, split) for task, split in pairs if split not in own.get(task, {split})]
    on_own = {task for task, _ in set(pairs) - set(others)}
    if left := sorted(pair for pair in others if pair[0] in on_own):
        names = listed(f"{task} ({split})" for task, split in left)
        kept = ~pd.MultiIndex.from_frame(runs[["task", "split"]]).isin(left)
        return runs[kept].copy(), [f"Runs on other splits than a task's own do not count: {names}."]
    return runs.copy(), []


def _sizes(runs: pd.DataFrame) -> dict[str, int]:
    """Of how many parts each task is made up, by the parts that any view has;
    an aggregate as a whole is one.
    """
    sizes = runs.loc[runs["parts"] == 0, _PART].drop_duplicates().groupby("task").size()
    return {str(task): int(size) for task, size in sizes.items()}


def _views(runs: pd.DataFrame, wanted: list[str], absent: list[str], notes: list[str]) -> Views:
    runs = _for_every_index(runs)
    runs["view"] = runs.groupby(VIEW, dropna=False, sort=True).ngroup()
    cells = runs.groupby(["view", "task"]).agg(
        mean=("score", "mean"), count=("score", "count"), parts=("parts", "max")
    )
    scores = cells["mean"].where(cells["count"] >= cells["parts"]).unstack("task")
    # A task may have results on other parts alone than those that count, or on some of them.
    whole = [task for task in wanted if task in scores and scores[task].notna().any()]
    there = whole or [task for task in wanted if task in scores]
    runs = runs[runs["task"].isin(there)]
    table = runs.drop_duplicates("view").set_index("view").sort_index()[[*VIEW, "kind"]]
    table["label"] = _labels(table)
    absent += [task for task in wanted if task not in there]
    return Views(table, scores.loc[table.index, there], runs, absent, notes)


def _for_every_index(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs on tasks without an index
    (STS, ...) belong to every index that the same vectors were searched with.
    """
    vectors = VIEW[:-1]
    indexes = (
        runs.loc[runs["index"] != "", VIEW].drop_duplicates().rename(columns={"index": "searched"})
    )
    plain = runs[runs["index"] == ""].merge(indexes, on=vectors, how="left")
    plain["index"] = plain.pop("searched").fillna("")
    return pd.concat([runs[runs["index"] != ""], plain], ignore_index=True)


def _labels(table: pd.DataFrame) -> pd.Series:
    """The model's name, and of its settings those in which its views differ."""
    varies = (table.groupby("model")[VIEW[1:]].nunique(dropna=False) > 1).to_dict("index")
    shared = {
        model: set.intersection(*(set(settings_of(text).items()) for text in texts))
        for model, texts in table.groupby("model")["settings"]
    }

    def label(view: dict[str, Any]) -> str:
        named = [
            (str(key), _text(view[str(key)]))
            for key, differs in varies[view["model"]].items()
            if differs
        ]
        at = next((at for at, (key, _) in enumerate(named) if key == "settings"), None)
        if at is not None:
            own = settings_of(view["settings"]).items()
            named[at : at + 1] = [part for part in own if part not in shared[view["model"]]]
        parts = [f"{key}={value}" for key, value in named if value]
        return str(view["model"]) + "@" * bool(parts) + ",".join(parts)

    return pd.Series([label(view) for view in _records(table)], index=table.index)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _text(value: Any) -> str:
    """A setting as one types it; layers and dims come as floats where some view has none."""
    return "" if pd.isna(value) else str(int(value) if isinstance(value, float) else value)


def listed(names: Iterable[str]) -> str:
    """The first ten names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
