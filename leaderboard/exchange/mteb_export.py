"""Scores as MTEB result files: `results/<model>/<revision>/<Task>.json`,
as `mteb.ResultCache(folder)` reads them.

One file holds one revision of a task, as mteb has it. Views of a model (layer, dimensions, ...) are
mteb's experiments. An aggregate whose members are all there has a file too.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from leaderboard.atomic_files import atomic_write
from leaderboard.exchange.safe_names import segment
from leaderboard.plain_json import to_json
from leaderboard.storage.rows import settings_of
from leaderboard.tables.aggregates import WHOLE, aggregates

# Searches that find what there is to find: scores through them are the model's own.
_EXACT = {"", "torch", "faiss:flat", "lucene"}
_Kind: TypeAlias = tuple[Any, ...]  # model, revision, and what sets a view of it apart
_VIEW = ("layer", "dim", "precision", "index")


def write(content: Mapping[str, pa.Table], folder: Path) -> list[Path]:
    """Write the runs of `Store.tables`; returns the files."""
    metrics: dict[str, dict[str, float]] = {}
    for score in content["scores"].to_pylist():
        metrics.setdefault(score["run_id"], {})[score["metric"]] = score["value"]
    models = {
        (row["name"], row["revision"]): json.loads(row["details"])
        for row in content["models"].to_pylist()
    }
    tasks = {
        tuple(row[key] for key in ("name", "revision", "split", "subset")): json.loads(
            row["details"]
        )
        for row in content["tasks"].to_pylist()
    }
    files: dict[Path, dict[str, Any]] = {}
    # Of several runs the deepest counts, then the newest: it comes last.
    runs = sorted(
        content["runs"].to_pylist(),
        key=lambda run: (run["depth"] is None, run["depth"] or 0, run["created"]),
    )
    plain = _plain_settings(runs, models)
    views = [
        _view(run, models.get((run["model"], run["model_revision"]), {}), plain) for run in runs
    ]
    paths = [_path(folder, run, view) for run, view in zip(runs, views, strict=True)]
    counted = _revisions(runs, paths)
    for run, view, path in zip(runs, views, paths, strict=True):
        model = models.get((run["model"], run["model_revision"]), {})
        files[path.with_name("model_meta.json")] = _model_meta(run, model, view)
        if run["task_revision"] != counted[path]:
            continue
        subsets = files.setdefault(path, _task_result(run))["scores"].setdefault(run["split"], [])
        subsets[:] = [entry for entry in subsets if entry["hf_subset"] != run["subset"]]
        task = (run["task"], run["task_revision"], run["split"], run["subset"])
        subsets.append(
            metrics.get(run["id"], {})
            | {
                "main_score": run["main_score"],
                "hf_subset": run["subset"],
                "languages": tasks.get(task, {}).get("languages", []),
            }
        )
        files[path]["date"] = run["created"].isoformat() + "Z"
    files |= _aggregated(
        files, {row["name"]: row["main_metric"] for row in content["tasks"].to_pylist()}
    )
    for path, value in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(to_json(value, indent=2), encoding="utf-8")
    return list(files)


def _path(folder: Path, run: dict[str, Any], view: dict[str, Any]) -> Path:
    """The file that a run belongs to."""
    place = (
        folder
        / "results"
        / segment(run["model"].replace("/", "__"))
        / segment(run["model_revision"] or "none")
    )
    if view:
        place = (
            place
            / "experiments"
            / segment("__".join(f"{key}_{value}" for key, value in view.items()))
        )
    return place / f"{segment(run['task'])}.json"


def _revisions(runs: list[dict[str, Any]], paths: list[Path]) -> dict[Path, str]:
    """The revision of its task that each file holds: scores on two do not belong in one file.

    It is the one with the most parts (splits, subsets), and of equals that of the newest run.
    """
    parts: dict[Path, dict[str, set[tuple[str, str]]]] = {}
    newest: dict[tuple[Path, str], datetime] = {}
    for run, path in zip(runs, paths, strict=True):
        revision = run["task_revision"]
        parts.setdefault(path, {}).setdefault(revision, set()).add((run["split"], run["subset"]))
        newest[path, revision] = max(newest.get((path, revision), run["created"]), run["created"])
    return {
        path: max(
            revisions, key=lambda revision: (len(revisions[revision]), newest[path, revision])
        )
        for path, revisions in parts.items()
    }


def _aggregated(
    files: Mapping[Path, dict[str, Any]], main_metrics: Mapping[str, str]
) -> dict[Path, dict[str, Any]]:
    """The files of aggregates whose members are all there, where the whole was not published."""
    made = {}
    for place in {path.parent for path in files}:
        for name, (split, members) in aggregates().items():
            there = (files.get(place / f"{segment(member)}.json") for member in members)
            results = [result for result in there if result]
            path = place / f"{segment(name)}.json"
            if path in files or len(results) < len(members):
                continue
            entries = [entry for result in results for entry in result["scores"].get(split, ())]
            entries = [entry for entry in entries if entry["hf_subset"] == WHOLE]
            if len(entries) < len(members):
                continue
            mean = sum(entry["main_score"] for entry in entries) / len(entries)
            languages = sorted({language for entry in entries for language in entry["languages"]})
            aggregate = {
                main_metrics[members[0]]: mean,
                "main_score": mean,
                "hf_subset": WHOLE,
                "languages": languages,
            }
            versions = {result["mteb_version"] for result in results}
            made[path] = {
                "dataset_revision": "1",  # of all aggregates: mteb.abstasks.AggregateTaskMetadata
                "task_name": name,
                "mteb_version": versions.pop() if len(versions) == 1 else None,
                "scores": {split: [aggregate]},
                "evaluation_time": None,
                "kg_co2_emissions": None,
                "date": max(result["date"] for result in results),
            }
    return made


def _task_result(run: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataset_revision": run["task_revision"] or "no_revision_available",
        "task_name": run["task"],
        "mteb_version": json.loads(run["environment"]).get("packages", {}).get("mteb"),
        "scores": {},
        "evaluation_time": None,
        "kg_co2_emissions": None,
    }


def _view(run: dict[str, Any], model: dict[str, Any], plain: Mapping[_Kind, str]) -> dict[str, Any]:
    """What sets a run apart from the model as published;
    mteb calls this the arguments of an experiment.
    """
    view = _of_model(run, model)
    settings = run["settings"] or ""
    return view if settings == plain[_kind(run, model)] else {**view, **settings_of(settings)}


def _of_model(run: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    usual: dict[str, set[Any]] = {
        "layer": {None},
        "dim": {None, model.get("dim", run["dim"])},
        "precision": {"float32"},
        "index": _EXACT,
    }
    return {key: run[key] for key in _VIEW if run[key] not in usual[key]}


def _kind(run: dict[str, Any], model: dict[str, Any]) -> _Kind:
    return run["model"], run["model_revision"], *sorted(_of_model(run, model).items())


def _plain_settings(
    runs: list[dict[str, Any]], models: Mapping[tuple[str, str], dict[str, Any]]
) -> dict[_Kind, str]:
    """Of each view the settings that need no saying: float32 where it was computed so, else those
    of the last run.
    """
    plain: dict[_Kind, str] = {}
    for run in runs:
        kind = _kind(run, models.get((run["model"], run["model_revision"]), {}))
        if plain.get(kind) != "dtype=float32":
            plain[kind] = run["settings"] or ""
    return plain


def _model_meta(run: dict[str, Any], model: dict[str, Any], view: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": run["model"],
        "revision": run["model_revision"] or "none",
        "embed_dim": model.get("dim"),
        "n_parameters": model.get("parameters"),
        "max_tokens": model.get("max_length"),
        "license": model.get("licence"),
        "open_weights": model.get("public"),
        "training_datasets": model.get("training_datasets"),
        "experiment_kwargs": view or None,
    }
