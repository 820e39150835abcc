"""Public results of one model, published under several revisions, as one."""

import re
from collections.abc import Mapping

import pandas as pd

_UNNAMED = ["external", "no_revision_available", ""]
_ONE = ["model", "layer", "dim", "precision", "index"]


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
    imported["rank"] = [
        (revision == main.get(model), not pd.isna(version), revision not in _UNNAMED, _numbers(version))
        for model, revision, version in imported[["model", "revision", "mteb_version"]].itertuples(index=False)
    ]
    order = imported.sort_values("rank", ascending=False, kind="stable")
    chosen = order.groupby([*_ONE, "task"], dropna=False)["revision"].transform("first")
    kept = order[order["revision"] == chosen].drop(columns="rank").sort_index()
    views = kept.groupby(_ONE, dropna=False)
    several = views["revision"].transform("nunique") > 1
    sources = views["source"].transform(lambda names: " + ".join(sorted(set(names))))
    kept["revision"], kept["source"] = kept["revision"].mask(several, "several"), sources
    return pd.concat([runs[runs["source"] == ""], kept], ignore_index=True)


def _numbers(version: object) -> tuple[int, ...]:
    return () if pd.isna(version) else tuple(map(int, re.findall(r"\d+", str(version))))
