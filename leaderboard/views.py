"""What the store knows of each view (a model as evaluated: layer, dim, precision, index), as frames to rank."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from leaderboard import newest
from leaderboard.errors import LeaderboardError
from leaderboard.measures import shown, stored
from leaderboard.revisions import join_imported

# What tells views apart. The index comes last: its own options may hold commas.
VIEW = ["model", "revision", "source", "layer", "dim", "precision", "index"]
_PART = ["task", "split", "subset"]


@dataclass(frozen=True)
class Views:
    """The newest run of every view on every part (split and subset) of the tasks.

    table: one row per view: the columns of `VIEW`, kind, label.
    scores: views by tasks, the mean over a task's parts; NaN where the view lacks a part.
    runs: one row per run: view (the row's index in `table`), run_id, task, type, split, subset, metric, score,
        task_revision.
    absent: tasks asked for on which the store has no run.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    runs: pd.DataFrame
    absent: list[str]

    @property
    def types(self) -> dict[str, str]:
        """The type of each task."""
        return self.runs.drop_duplicates("task").set_index("task")["type"].to_dict()

    def only(self, views: Sequence[int]) -> "Views":
        """These views alone, in this order."""
        runs = self.runs[self.runs["view"].isin(views)]
        return Views(self.table.loc[views], self.scores.loc[views], runs, self.absent)

    def select(self, names: Sequence[str]) -> "Views":
        """The views that `names` stand for, in this order: a label, a model's name, or `model@dim=64,index=torch`.

        Raises:
            LeaderboardError: a name stands for no view or for several, or two names for the same.
        """
        found = [self._find(name) for name in names]
        if len(set(found)) < len(found):
            raise LeaderboardError(f"{', '.join(names)} name one view twice.", "Name every view once.")
        return self.only(found)

    def _find(self, name: str) -> int:
        labels = self.table["label"]
        if (exact := labels[labels == name]).size == 1:
            return exact.index[0]
        model, _, settings = name.partition("@")
        found = self.table[self.table["model"].str.lower() == model.lower()]
        words = re.split(rf",?({'|'.join(VIEW[1:])})=", settings)
        for key, value in zip(words[1::2], words[2::2], strict=True):
            found = found[
                [_text(has).startswith(value) if key == "revision" else _text(has) == value for has in found[key]]
            ]
        if len(found) == 1 and not words[0]:
            return found.index[0]
        if len(found) > 1 and not words[0]:
            raise LeaderboardError(f"{name} stands for {len(found)} views.", f"Type one of: {listed(found['label'])}")
        close = get_close_matches(name.lower(), labels.str.lower(), n=3, cutoff=0.4)
        likely = labels[labels.str.lower().isin(close) | (labels.str.partition("@")[0] == model)]
        raise LeaderboardError(
            f"The results hold no {name} on these tasks.", f"They hold: {listed(likely if len(likely) else labels)}"
        )


def read(
    store,
    tasks: Collection[str] | Mapping[str, Collection] | None = None,
    metric: str = "main",
    main_revisions: Mapping[str, str] | None = None,
) -> Views:
    """The views in `store` with a score on any of `tasks`; imported revisions of a model are joined (`join_imported`).

    Args:
        store: a `leaderboard.store.Store`.
        tasks: names, in any case; or by name the (split, subset) pairs that make up the task; None for all that the
            store has. Without pairs, a task is made up of the parts that any view has.
        metric: nDCG@10, ndcg_at_10, ..., or "main" for each task's main one.
        main_revisions: of models with imported results, the revision that goes before others.

    Raises:
        LeaderboardError: the store has no runs, none of them on a named task, or none with this metric.
    """
    known = newest.tasks(store)
    if not known:
        raise LeaderboardError(
            f"There are no results in {store.path} yet.",
            "Type: embedlab eval --model all-minilm-l6-v2 --benchmark stdlib-mini",
        )
    wanted, absent = _wanted(tasks, known)
    metric = stored(metric)
    runs = newest.runs(store, metric)
    runs = runs[runs["task"].isin(wanted)]
    if isinstance(tasks, Mapping):
        parts = pd.DataFrame([(task, *part) for task in wanted for part in tasks[task]], columns=_PART)
        runs = runs.merge(parts, on=_PART)
    else:
        parts = runs[_PART].drop_duplicates()
    if runs.empty:
        raise LeaderboardError(
            f"No run on {listed(wanted)} has {'a main score' if metric == 'main' else shown(metric)}.",
            "Type `embedlab runs show ID` to see the metrics of a run.",
        )
    runs = join_imported(runs, main_revisions or {})
    return _views(runs, parts.groupby("task").size(), wanted, absent)


def _wanted(tasks, known: list[str]) -> tuple[list[str], list[str]]:
    """The names of the tasks as the store has them, and those that it lacks."""
    if tasks is None:
        return known, []
    if isinstance(tasks, Mapping):
        return [task for task in tasks if task in known], [task for task in tasks if task not in known]
    exact = {name.lower(): name for name in known}
    for task in tasks:
        if task.lower() not in exact:
            raise LeaderboardError(f"The results hold no task {task!r}.", f"They hold: {listed(known)}")
    return [exact[task.lower()] for task in tasks], []


def _views(runs: pd.DataFrame, parts: pd.Series, wanted: list[str], absent: list[str]) -> Views:
    runs = _for_every_index(runs)
    runs["view"] = runs.groupby(VIEW, dropna=False, sort=True).ngroup()
    table = runs.drop_duplicates("view").set_index("view").sort_index()[[*VIEW, "kind"]]
    table["label"] = _labels(table)
    cells = runs.groupby(["view", "task"])["score"].agg(["mean", "count"])
    whole = cells["count"].to_numpy() >= parts.loc[cells.index.get_level_values("task")].to_numpy()
    scores = cells["mean"].where(whole).unstack("task")
    return Views(table, scores[[task for task in wanted if task in scores]], runs, absent)


def _for_every_index(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs on tasks without an index (STS, ...) belong to every index that the same vectors were searched with."""
    vectors = VIEW[:-1]
    indexes = runs.loc[runs["index"] != "", VIEW].drop_duplicates().rename(columns={"index": "searched"})
    plain = runs[runs["index"] == ""].merge(indexes, on=vectors, how="left")
    plain["index"] = plain.pop("searched").fillna("")
    return pd.concat([runs[runs["index"] != ""], plain], ignore_index=True)


def _labels(table: pd.DataFrame) -> pd.Series:
    """The model's name, and of its settings those in which its views differ."""
    varies = (table.groupby("model")[VIEW[1:]].nunique(dropna=False) > 1).to_dict("index")

    def label(view: dict) -> str:
        differing = [key for key, differs in varies[view["model"]].items() if differs and _text(view[key])]
        return view["model"] + "@" * bool(differing) + ",".join(f"{key}={_text(view[key])}" for key in differing)

    return pd.Series([label(view) for view in table.to_dict("records")], index=table.index)


def _text(value: object) -> str:
    """A setting as one types it; layers and dims come as floats where some view has none."""
    if pd.isna(value):
        return ""
    return str(int(value)) if isinstance(value, float) else str(value)


def listed(names: Iterable[str]) -> str:
    """The first ten names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
