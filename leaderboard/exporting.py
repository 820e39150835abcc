"""The store's content for other programs: tables as Parquet or CSV, scores as MTEB result files."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leaderboard.errors import LeaderboardError
from leaderboard.store import Store

_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "parquet": pyarrow.parquet.write_table,
    "csv": pyarrow.csv.write_csv,
}
FORMATS = (*_WRITERS, "mteb")
# Searches that find what there is to find: scores through them are the model's own.
_EXACT = {"", "torch", "faiss:flat", "lucene"}


def export(store: Store, folder: Path, format: str, **where: object) -> list[Path]:
    """Write the runs that `where` chooses (as in `Store.runs`) to `folder`.

    Args:
        format: "parquet" or "csv", one file for each table; or "mteb", `results/<model>/<revision>/<Task>.json` as
            `mteb.ResultCache(folder)` reads them.

    Returns:
        The files written.

    Raises:
        LeaderboardError: an unknown format or filter, or the folder cannot be written.
    """
    if format not in FORMATS:
        raise LeaderboardError(f"Unknown format {format!r}.", f"Valid: {', '.join(FORMATS)}.")
    content = store.tables(**where)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if format == "mteb":
            return _mteb(content, folder)
        paths = []
        for name, table in content.items():
            paths.append(folder / f"{name}.{format}")
            _WRITERS[format](table, paths[-1])
        return paths
    except OSError as error:
        raise LeaderboardError(
            f"{folder} cannot be written: {error.strerror or error}.", "Choose another folder."
        ) from error


def _mteb(content: dict[str, pa.Table], folder: Path) -> list[Path]:
    metrics: dict[str, dict[str, float]] = {}
    for score in content["scores"].to_pylist():
        metrics.setdefault(score["run_id"], {})[score["metric"]] = score["value"]
    details = {
        kind: {key(row): json.loads(row["details"]) for row in content[kind].to_pylist()}
        for kind, key in (("models", _model_key), ("tasks", _task_key))
    }
    files: dict[Path, dict] = {}
    for run in sorted(content["runs"].to_pylist(), key=lambda run: run["created"]):
        model = details["models"].get((run["model"], run["model_revision"]), {})
        task = (run["task"], run["task_revision"], run["split"], run["subset"])
        view = _view(run, model)
        place = (
            folder / "results" / _segment(run["model"].replace("/", "__")) / _segment(run["model_revision"] or "none")
        )
        if view:
            place = place / "experiments" / _segment("__".join(f"{key}_{value}" for key, value in view.items()))
        files[place / "model_meta.json"] = _model_meta(run, model, view)
        file = files.setdefault(place / f"{_segment(run['task'])}.json", _task_result(run))
        subsets = file["scores"].setdefault(run["split"], [])
        subsets[:] = [entry for entry in subsets if entry["hf_subset"] != run["subset"]]  # the newest run counts
        languages = details["tasks"].get(task, {}).get("languages", [])
        subsets.append(
            metrics.get(run["id"], {})
            | {"main_score": run["main_score"], "hf_subset": run["subset"], "languages": languages}
        )
        file["date"] = run["created"].isoformat() + "Z"
    for path, value in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    return list(files)


def _task_result(run: dict) -> dict:
    return {
        "dataset_revision": run["task_revision"] or "no_revision_available",
        "task_name": run["task"],
        "mteb_version": json.loads(run["environment"]).get("packages", {}).get("mteb"),
        "scores": {},
        "evaluation_time": None,
        "kg_co2_emissions": None,
    }


def _view(run: dict, model: dict) -> dict:
    """What sets a run apart from the model as published; mteb calls this the arguments of an experiment."""
    view = {"layer": run["layer"], "dim": run["dim"], "precision": run["precision"], "index": run["index"]}
    usual = {
        "layer": {None}, "dim": {None, model.get("dim", run["dim"])}, "precision": {"float32"}, "index": _EXACT
    }  # fmt: skip
    return {key: value for key, value in view.items() if value not in usual[key]}


def _model_meta(run: dict, model: dict, view: dict) -> dict:
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


def _segment(name: str) -> str:
    """A name as one folder or file: nothing in it leads elsewhere."""
    return re.sub(r"[^\w.=+-]", "_", name).lstrip(".") or "_"


def _model_key(row: dict) -> tuple:
    return row["name"], row["revision"]


def _task_key(row: dict) -> tuple:
    return row["name"], row["revision"], row["split"], row["subset"]
