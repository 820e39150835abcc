"""Records as Arrow tables, one for each table of the schema, and back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaderboard.errors import LeaderboardError
from leaderboard.plain_json import to_json
from leaderboard.records import Answer, Examples, Failure, Model, PerQuery, Phase, Run, Task
from leaderboard.storage import example_rows

_TEXT, _REAL, _WHOLE = pa.string(), pa.float64(), pa.int32()
_NAMES = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("us")

SCHEMAS = {
    "models": pa.schema(dict.fromkeys(("name", "revision", "kind", "details"), _TEXT)),
    "tasks": pa.schema(
        dict.fromkeys(
            ("name", "revision", "split", "subset", "type", "main_metric", "details"), _TEXT
        )
    ),
    "runs": pa.schema(
        dict.fromkeys(
            ("id", "model", "model_revision", "task", "task_revision", "split", "subset", "index"),
            _TEXT,
        )
        | {
            "layer": _WHOLE,
            "dim": _WHOLE,
            "precision": _TEXT,
            "settings": _TEXT,
            "depth": _WHOLE,
            "main_score": _REAL,
        }
        | dict.fromkeys(("asked", "resolved", "environment", "source"), _TEXT)
        | {"has_ranking": pa.bool_(), "created": _TIME}
    ),
    "scores": pa.schema({"run_id": _NAMES, "metric": _NAMES, "value": _REAL}),
    "per_query": pa.schema(
        {"run_id": _NAMES, "query_id": _NAMES, "metric": _NAMES, "value": _REAL}
    ),
    "phases": pa.schema({"run_id": _TEXT, "position": _WHOLE, "name": _TEXT, "seconds": _REAL}),
    "costs": pa.schema({"run_id": _TEXT, "name": _TEXT, "value": _REAL}),
    "failures": pa.schema(
        dict.fromkeys(("model", "task", "problem", "hint", "asked"), _TEXT) | {"created": _TIME}
    ),
    "answers": pa.schema(
        dict.fromkeys(
            ("pipeline", "question", "documents", "scores", "answer", "costs", "steps"), _TEXT
        )
        | {"created": _TIME}
    ),
}


def tables(runs: Sequence[Run]) -> dict[str, pa.Table]:
    """The rows of `runs` by table name; rankings and texts,
    which live in files, are not among them.
    """
    return {
        "models": models_table(list({id(run.model): run.model for run in runs}.values())),
        "tasks": _table("tasks", _unique(_task(run.task) for run in runs)),
        "runs": _table("runs", [_run(run) for run in runs]),
        "scores": _scores([(run.id, _known(run.scores)) for run in runs]),
        "per_query": _per_query([(run.id, run.per_query) for run in runs if run.per_query]),
        "examples": example_rows.table([(run.id, run.examples) for run in runs if run.examples]),
        "phases": _table(
            "phases",
            [
                (run.id, i, phase.name, phase.seconds)
                for run in runs
                for i, phase in enumerate(run.phases)
            ],
        ),
        "costs": _table("costs", [(run.id, *cost) for run in runs for cost in _known(run.costs)]),
    }


def models_table(models: Sequence[Model]) -> pa.Table:
    """Rows of the table models."""
    return _table("models", _unique(map(_model, models)))


def more_scores(run_id: str, per_query: PerQuery) -> dict[str, pa.Table]:
    """The rows by which measures are added to a run, by table name."""
    means = {name: float(np.mean(values)) for name, values in per_query.metrics.items()}
    return {
        "scores": _table("scores", [(run_id, *score) for score in _known(means)]),
        "per_query": _per_query([(run_id, per_query)]),
    }


def failure_table(failure: Failure) -> pa.Table:
    """One row of the table failures."""
    return _table(
        "failures",
        [
            (
                failure.model,
                failure.task,
                failure.problem,
                failure.hint,
                to_json(failure.asked),
                utc(failure.created),
            )
        ],
    )


def answers_table(answers: Sequence[Answer]) -> pa.Table:
    """Rows of the table answers."""
    return _table(
        "answers",
        [
            (
                answer.pipeline,
                answer.question,
                *map(to_json, (answer.documents, answer.scores)),
                answer.answer,
                to_json(answer.costs),
                to_json(answer.steps) if answer.steps else None,
                utc(answer.created),
            )
            for answer in answers
        ],
    )


def answer_record(row: dict[str, Any]) -> Answer:
    """The answer of one row of the table answers."""
    parsed = {
        name: json.loads(row[name] or "{}") for name in ("documents", "scores", "costs", "steps")
    }
    return Answer(**{**row, **parsed, "created": row["created"].replace(tzinfo=UTC)})


def run_record(
    row: dict[str, Any],
    scores: dict[str, float],
    costs: dict[str, Any],
    phases: list[Phase],
    per_query: PerQuery | None,
    examples: Examples | None,
) -> Run:
    """The run of one row of the view `results` with its model's and task's details;
    no ranking, no texts.
    """
    return Run(
        id=row["id"],
        model=Model(
            row["model"], row["model_revision"], row["kind"], json.loads(row["model_details"])
        ),
        task=Task(
            row["task"],
            row["type"],
            row["split"],
            row["subset"],
            row["task_revision"],
            row["main_metric"],
            json.loads(row["task_details"]),
        ),
        main_score=row["main_score"],
        scores=scores,
        index=row["index"],
        layer=row["layer"],
        dim=row["dim"],
        precision=row["precision"],
        settings=settings_of(row["settings"]),
        depth=row["depth"],
        costs=costs,
        asked=json.loads(row["asked"]),
        resolved=json.loads(row["resolved"]),
        environment=json.loads(row["environment"]),
        phases=phases,
        per_query=per_query,
        examples=examples,
        source=row["source"],
        created=row["created"].replace(tzinfo=UTC),
    )


def per_query_record(table: pa.Table) -> PerQuery | None:
    """The per-query scores of one run from its rows, metric by metric; NaN for a query that a
    metric has no row of.
    """
    if not table.num_rows:
        return None
    place = {query: n for n, query in enumerate(dict.fromkeys(table["query_id"].to_pylist()))}
    metrics: dict[str, np.ndarray] = {}
    for query, metric, value in zip(
        *(table[name].to_pylist() for name in table.column_names), strict=True
    ):
        metrics.setdefault(metric, np.full(len(place), np.nan))[place[query]] = value
    return PerQuery(list(place), metrics)


def settings_text(settings: Mapping[str, str]) -> str:
    """What shapes scores as one text that tells views apart: dtype=bfloat16,store_dtype=float16."""
    return ",".join(f"{name}={settings[name]}" for name in sorted(settings))


def settings_of(text: str) -> dict[str, str]:
    """The settings that `settings_text` made `text` of."""
    return dict(part.split("=", 1) for part in text.split(",") if part)


def utc(time: datetime) -> datetime:
    """`time` in UTC without its zone, as the store keeps it;
    a time without a zone is taken as UTC.
    """
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def _model(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (model.name, model.revision), (model.kind, to_json(model.details))


def _task(task: Task) -> tuple[tuple[str, ...], tuple[str, ...]]:
    key = (task.name, task.revision, task.split, task.subset)
    return key, (task.type, task.main_metric, to_json(task.details))


def _known(values: Mapping[str, float]) -> list[tuple[str, float]]:
    """Without the values that are no numbers:
    an abstention score where all queries score alike, a speed of nothing.
    """
    return [(name, value) for name, value in values.items() if isfinite(value)]


def _unique(rows: Iterable[tuple[tuple[str, ...], tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Rows with the same key once: the last that has details."""
    first: dict[tuple[str, ...], tuple[str, ...]] = {}
    for key, rest in rows:
        if key not in first or rest[-1] != "{}":
            first[key] = rest
    return [key + rest for key, rest in first.items()]


def _run(run: Run) -> tuple[Any, ...]:
    if run.scores and not isfinite(run.main_score):
        # A run whose questions have no known answers has no scores at all.
        raise LeaderboardError(
            f"The main score of {run.model.name} on {run.task.name} is {run.main_score}: no number"
            " to rank by.",
            "Nothing of this run was recorded.",
        )
    return (
        run.id,
        run.model.name,
        run.model.revision,
        run.task.name,
        run.task.revision,
        run.task.split,
        run.task.subset,
        run.index,
        run.layer,
        run.dim,
        run.precision,
        settings_text(run.settings),
        run.depth,
        float(run.main_score),
        *(to_json(each) if each else "{}" for each in (run.asked, run.resolved, run.environment)),
        run.source,
        run.ranking is not None,
        utc(run.created),
    )


def _table(name: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    schema = SCHEMAS[name]
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    return pa.table(
        [_column(values, field.type) for values, field in zip(columns, schema, strict=True)], schema
    )


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


def _scores(scored: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> pa.Table:
    """The rows of runs by their ids: column by column, since imports bring millions."""
    counts = [len(scores) for _, scores in scored]
    names = [name for _, scores in scored for name, _ in scores]
    values = [value for _, scores in scored for _, value in scores]
    columns = [
        pa.DictionaryArray.from_arrays(
            np.repeat(np.arange(len(scored), dtype=np.int32), counts),
            pa.array([run_id for run_id, _ in scored], _TEXT),
        ),
        _column(names, _NAMES),
        pa.array(values, _REAL),
    ]
    return pa.table(columns, SCHEMAS["scores"])


def _per_query(scored: Sequence[tuple[str, PerQuery]]) -> pa.Table:
    """The rows of runs by their ids."""
    parts = [SCHEMAS["per_query"].empty_table()]
    for run_id, per_query in scored:
        queries, metrics = per_query.query_ids, per_query.metrics
        count = len(queries)
        columns = [
            pa.DictionaryArray.from_arrays(np.zeros(count * len(metrics), np.int32), [run_id]),
            pa.DictionaryArray.from_arrays(
                np.tile(np.arange(count, dtype=np.int32), len(metrics)), pa.array(queries, _TEXT)
            ),
            pa.DictionaryArray.from_arrays(
                np.repeat(np.arange(len(metrics), dtype=np.int32), count), pa.array(metrics, _TEXT)
            ),
            pa.array(
                np.concatenate(
                    [np.asarray(v, np.float64) for v in metrics.values()] or [np.empty(0)]
                )
            ),
        ]
        table = pa.table(columns, SCHEMAS["per_query"])
        # A query that a metric does not apply to.
        parts.append(table.filter(pc.invert(pc.is_nan(table["value"]))))
    return pa.concat_tables(parts)
