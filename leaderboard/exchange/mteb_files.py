"""MTEB's result files: `results/<model>/<revision>/<Task>.json`,
of every mteb version, read as runs.

Since mteb 1.11 a file holds `scores: {split: [{hf_subset, languages, main_score, metric: value}]}`;
before, splits stood at the top level, with nested similarity scores and no main score. A folder's
optional model_meta.json names the model. The revision "external" marks scores that a model's
authors reported themselves.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from leaderboard.errors import Malformed, MalformedBeside, Partial
from leaderboard.plain_json import from_json
from leaderboard.records import Model, Run, Task

# Old names of the similarities, under which files before 1.11 nest their scores.
_NESTED = {
    "cos_sim": "cosine",
    **{name: name for name in ("manhattan", "euclidean", "dot", "max", "similarity")},
}
_NO_SCORES = {"main_score", "hf_subset", "languages", "evaluation_time"}


class TaskFacts(NamedTuple):
    """What a file does not say of its task: its name today, mteb's type, main metric and splits."""

    name: str
    type: str
    main_metric: str
    eval_splits: tuple[str, ...] = ()


def read(
    path: Path,
    content: bytes,
    facts: Mapping[str, TaskFacts],
    models: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Run]:
    """The runs of one file, one for each split and subset,
    with ids that depend on what was evaluated alone.

    Args:
        path: `.../<model>/<revision>/<Task>.json`.
        content: the file's bytes.
        facts: of the tasks by name; a task without keeps its name, an empty type, and the main
            metric "main_score".
        models: what is known of models by name, before what their folders say.

    Raises:
        Malformed: no JSON, no scores, or no entry with a main score; Partial where only some
            entries have none.
    """
    data = _object(content)
    name = data.get("task_name", data.get("mteb_dataset_name"))
    if not isinstance(name, str):
        raise Malformed("no task name")
    task = facts.get(name, TaskFacts(name, "", "main_score"))
    entries = list(_entries(data, task.main_metric))
    if not entries:
        raise Malformed("no scores")
    model = _model(path.parent)
    if known := (models or {}).get(model.name):
        model = replace(model, details={**model.details, **known})
    seconds, created = data.get("evaluation_time"), _date(data.get("date"))
    resolved = {"file": "/".join(path.parts[-3:])}
    version = data.get("mteb_version")
    versions = {"packages": {"mteb": str(version)}} if version else {}
    runs = {}
    problems = []
    for split, subset, entry in entries:
        if not _is_number(entry["main_score"]):
            problems.append(f"no main score for split {split!r}, subset {subset!r}")
            continue
        details = {
            "languages": _texts(entry.get("languages")),
            "eval_splits": list(task.eval_splits),
        }
        place = Task(
            task.name,
            task.type,
            split,
            subset,
            str(data.get("dataset_revision") or ""),
            task.main_metric,
            {key: value for key, value in details.items() if value},
        )
        scores = {
            key: float(value)
            for key, value in entry.items()
            if key not in _NO_SCORES and _is_number(value)
        }
        run = Run(
            model,
            place,
            float(entry["main_score"]),
            scores,
            costs=(
                {"evaluation_seconds": float(seconds)}
                if _is_number(seconds) and len(entries) == 1
                else {}
            ),
            resolved=resolved,
            environment=versions,
            source="mteb-external" if model.revision == "external" else "mteb",
            id=imported_id(model, place),
            created=created,
        )
        runs[run.id] = run
    if problems:
        raise (
            Partial("; ".join(problems), list(runs.values()))
            if runs
            else Malformed("; ".join(problems))
        )
    return list(runs.values())


def models_of(paths: Iterable[Path]) -> set[str]:
    """The names of the models whose results these files hold, as far as they can be read."""
    names = set()
    for folder in {path.parent for path in paths}:
        with suppress(Malformed, OSError):
            names.add(str(_model(folder).name))
    return names


def imported_id(model: Model, task: Task, *more: str) -> str:
    """The id of an imported run: the same whenever the same thing is imported again."""
    parts = [model.name, model.revision, task.name, task.revision, task.split, task.subset, *more]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _object(content: bytes) -> dict[str, Any]:
    try:
        data = from_json(content)
    except ValueError as error:  # UnicodeDecodeError is one
        raise Malformed(f"no JSON: {error}") from None
    if not isinstance(data, dict):
        raise Malformed(f"a JSON {type(data).__name__}, not an object")
    return data


def _entries(data: dict[str, Any], main_metric: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for split, scores in _splits(data).items():
        if isinstance(scores, list):
            entries = [
                (entry.get("hf_subset") or "default", entry)
                for entry in scores
                if isinstance(entry, dict)
            ]
        elif isinstance(scores, dict):
            by_subset = any(
                isinstance(value, dict) and key not in _NESTED for key, value in scores.items()
            )
            entries = list(scores.items()) if by_subset else [("default", scores)]
            entries = [(subset, entry) for subset, entry in entries if isinstance(entry, dict)]
        else:
            raise Malformed(f"the scores of {split!r} are a {type(scores).__name__}")
        for subset, entry in entries:
            entry = _flat(entry)
            entry.setdefault("main_score", entry.get(main_metric))
            yield split, str(subset), entry


def _splits(data: dict[str, Any]) -> dict[str, Any]:
    if "scores" in data:
        if not isinstance(data["scores"], dict):
            raise Malformed(f"the scores are a {type(data['scores']).__name__}, not an object")
        scores: dict[str, Any] = data["scores"]
        return scores
    return {key: value for key, value in data.items() if isinstance(value, dict)}


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """Nested scores, as `cos_sim: {spearman: 0.8}`, by the names of today: `cosine_spearman`."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            flat |= {f"{_NESTED.get(key, key)}_{inner}": score for inner, score in value.items()}
        else:
            flat[key] = value
    return flat


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _texts(value: object) -> list[str]:
    """The texts of a list; of anything else, none."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _date(value: Any) -> datetime:
    try:
        if isinstance(value, str):
            date = datetime.fromisoformat(value)
            return date if date.tzinfo else date.replace(tzinfo=UTC)
        return datetime.fromtimestamp(value, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.now(UTC)


@cache
def _model(folder: Path) -> Model:
    name, revision, details = folder.parent.name.replace("__", "/"), folder.name, {}
    meta_file = folder / "model_meta.json"
    if meta_file.is_file():
        meta = _meta(meta_file)
        name, revision = meta.get("name") or name, meta.get("revision") or revision
        if not (isinstance(name, str) and isinstance(revision, str)):
            raise MalformedBeside("model_meta.json has a name or a revision that is no text")
        known = {
            "dim": meta.get("embed_dim"),
            "parameters": meta.get("n_parameters"),
            "licence": meta.get("license"),
            "public": meta.get("open_weights"),
            "max_length": meta.get("max_tokens"),
            "training_datasets": meta.get("training_datasets"),
        }
        details = {key: value for key, value in known.items() if value is not None}
    return Model(name, revision, details=details)


def _meta(file: Path) -> dict[str, Any]:
    try:
        return _object(file.read_bytes())
    except (Malformed, OSError) as error:
        raise MalformedBeside(f"{file.name}: {error}") from None
