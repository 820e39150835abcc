"""Revisions of models and of tasks: which one counts where there are several."""

import re
from collections.abc import Mapping

import pandas as pd

_UNNAMED = ["external", "no_revision_available", ""]
_VIEW = ["model", "layer", "dim", "precision", "settings", "index"]


def join_imported(runs: pd.DataFrame, main: Mapping[str, str]) -> pd.DataFrame:
    """Of each task the results of one revision, by the rules of mteb's leaderboard
    (`BenchmarkResults.join_revisions`).

    First the model's main revision; then results that name the mteb version that made them; then
    those that name a revision; then the newest version. Runs that were computed here are left
    alone. The joined view's revision is "several" where its results come from more than one; its
    source then names all of them.

    Args:
        runs: columns model, revision, source, layer, dim, precision, settings, index, task,
            mteb_version.
        main: each model's main revision, as far as known.
    """
    imported = runs[runs["source"] != ""]
    if imported.empty:
        return runs
    # Each view on a task has one number, and each of its revisions one row, however many parts.
    place = imported.groupby([*_VIEW, "task"], dropna=False).ngroup()
    said = imported[["model", "revision", "mteb_version"]].assign(place=place)
    said = said.drop_duplicates(["place", "revision", "mteb_version"])
    versions = sorted(said["mteb_version"].dropna().unique(), key=_numbers)
    first = {
        "is_main": said["revision"] == said["model"].map(main),
        "has_version": said["mteb_version"].notna(),
        "has_revision": ~said["revision"].isin(_UNNAMED),
        "version": said["mteb_version"].map({name: at for at, name in enumerate(versions)}),
    }
    # Where nothing else decides, the first by name, every time.
    falling = [False] * len(first)
    order = said.assign(**first).sort_values([*first, "revision"], ascending=[*falling, True])
    chosen = order.drop_duplicates("place").set_index("place")["revision"]
    joined = imported[imported["revision"] == place.map(chosen)].copy()
    view = joined.groupby(_VIEW, dropna=False).ngroup()
    for column, named in (
        ("revision", lambda _: "several"),
        ("source", lambda names: " + ".join(sorted(set(names)))),
    ):
        of_view = joined[[column]].assign(view=view).drop_duplicates().groupby("view")[column]
        several = view.map(of_view.nunique() > 1)
        if several.any():
            joined.loc[several, column] = view[several].map(of_view.agg(named))
    return pd.concat([runs[runs["source"] == ""], joined], ignore_index=True)


def of_one_task_revision(runs: pd.DataFrame, view: list[str]) -> pd.DataFrame:
    """Of each view's runs on a task those on one revision: the one on which the store has the most
    runs of all views.

    All parts of a task (splits, subsets) come of that one. A view keeps what it has on another
    revision where it has nothing else; `mixed` tells.

    Args:
        runs: the columns of `view`, data (the task, or of an aggregate's runs the member),
            task_revision, created.
    """
    distinct = runs[[*view, "data", "task_revision"]].drop_duplicates()
    if not distinct.duplicated([*view, "data"]).any():
        return runs
    of_revision = runs.groupby(["data", "task_revision"], dropna=False)["created"]
    place = runs.groupby([*view, "data"], dropna=False).ngroup()
    order = runs.assign(
        place=place, size=of_revision.transform("size"), last=of_revision.transform("max")
    )
    order = order.sort_values(["size", "last"], ascending=False, kind="stable").drop_duplicates(
        "place"
    )
    return runs[runs["task_revision"] == place.map(order.set_index("place")["task_revision"])]


def mixed(runs: pd.DataFrame) -> list[str]:
    """The tasks that were scored on different revisions;
    an empty revision is unknown, not different.

    Args:
        runs: columns task, data, task_revision.
    """
    named = runs[runs["task_revision"].fillna("") != ""]
    revisions = named.groupby(["task", "data"])["task_revision"].nunique()
    return sorted(set(revisions[revisions > 1].index.get_level_values("task")))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
