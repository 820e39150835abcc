"""Public results of one model, published under several revisions, as one."""

import re
from collections.abc import Mapping

import pandas as pd

_UNNAMED = ["external", "no_revision_available", ""]
_VIEW = ["model", "layer", "dim", "precision", "index"]


def join_imported(runs: pd.DataFrame, main: Mapping[str, str]) -> pd.DataFrame:
    """Of each task the results of one revision, by the rules of mteb's leaderboard (`BenchmarkResults.join_revisions`).

    First the model's main revision; then results that name the mteb version that made them; then those that name a
    revision; then the newest version. Runs that were computed here are left alone. The joined view's revision is
    "several" where its results come from more than one; its source then names all of them.

    Args:
        runs: columns model, revision, source, layer, dim, precision, index, task, mteb_version.
        main: each model's main revision, as far as known.
    """
    imported = runs[runs["source"] != ""].copy()
    if imported.empty:
        return runs
    versions = sorted(imported["mteb_version"].dropna().unique(), key=_numbers)
    first = {
        "is_main": imported["revision"] == imported["model"].map(main),
        "has_version": imported["mteb_version"].notna(),
        "has_revision": ~imported["revision"].isin(_UNNAMED),
        "version": imported["mteb_version"].map({version: place for place, version in enumerate(versions)}),
    }
    order = imported.assign(**first).sort_values(list(first), ascending=False, kind="stable")
    chosen = order.groupby([*_VIEW, "task"], dropna=False)["revision"].transform("first")
    kept = order[order["revision"] == chosen].drop(columns=list(first)).sort_index()
    for column, named in (("revision", lambda _: "several"), ("source", lambda names: " + ".join(sorted(set(names))))):
        several = kept.groupby(_VIEW, dropna=False)[column].transform("nunique") > 1
        if several.any():
            kept.loc[several, column] = kept[several].groupby(_VIEW, dropna=False)[column].transform(named)
    return pd.concat([runs[runs["source"] == ""], kept], ignore_index=True)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
