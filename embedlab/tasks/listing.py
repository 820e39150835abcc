"""Lists of tasks and benchmarks, and where their data are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from embedlab.errors import unknown
from embedlab.tasks import catalogue, local_files, mteb_tasks
from embedlab.tasks.availability import prepared

if TYPE_CHECKING:
    from mteb import AbsTask, TaskMetadata


def rows(
    pattern: str = "", kind: str = "", benchmark: str = "", data_dir: Path | None = None
) -> list[dict[str, Any]]:
    """Benchmarks and tasks about text: ours first, then mteb's.
    Without any condition: ours alone, at once.

    Args:
        pattern: part of a name, in any case.
        kind: a task type, such as STS.
        benchmark: only the tasks of this benchmark.
        data_dir: a local mirror, whose tasks count as available.

    Returns:
        one dict each: name, type ("Benchmark" for those), main_score, languages (number of), tasks
        (number of), data ("built in", "mirror", "cached", or "hub" where it would be downloaded),
        offline (bool), description.

    Raises:
        UserError: no such type or benchmark.
    """
    if data_dir:
        local_files.check_mirror(data_dir)
    if benchmark:
        listed = [
            _task_row(task.metadata, _place(task, data_dir))
            for task in _members(benchmark, data_dir)
        ]
    else:
        listed = _ours()
        if pattern or kind or data_dir:
            listed += _mteb(pattern, data_dir)
    if kind:
        kinds = {row["type"].lower(): row["type"] for row in listed}
        if kind.lower() not in kinds:
            raise unknown(
                "task type",
                kind,
                kinds.values(),
                f"Types: {', '.join(sorted(set(kinds.values())))}.",
            )
        listed = [row for row in listed if row["type"].lower() == kind.lower()]
    return [row for row in listed if pattern.lower() in row["name"].lower()]


def _ours() -> list[dict[str, Any]]:
    benchmarks = [
        _row(name, "Benchmark", "built in", bench["description"], tasks=len(bench["tasks"]))
        for name, bench in catalogue.benchmarks().items()
    ]
    tasks = [
        _row(
            name,
            fields["type"],
            "built in",
            fields["description"],
            main_score=fields["main_score"],
            languages=1,
        )
        for name, fields in catalogue.built_in().items()
    ]
    return benchmarks + tasks


def _mteb(pattern: str, data_dir: Path | None) -> list[dict[str, Any]]:
    from mteb.benchmarks.get_benchmark import get_benchmarks

    benchmarks = [
        _row(bench.name, "Benchmark", "hub", bench.description or "", tasks=len(bench.tasks))
        for bench in get_benchmarks()
        if all(task.metadata.modalities == ["text"] for task in bench.tasks)
    ]
    named = [
        task for name, task in mteb_tasks.registry().items() if pattern.lower() in name.lower()
    ]
    text = [task for task in named if task.metadata.modalities == ["text"]]
    mirrored = (task() for task in text) if data_dir else text
    return benchmarks + [_task_row(task.metadata, _place(task, data_dir)) for task in mirrored]


def _members(benchmark: str, data_dir: Path | None) -> "list[AbsTask]":
    from embedlab.tasks import resolve

    names = [*catalogue.benchmarks()]
    if benchmark.lower() not in (name.lower() for name in names):
        from mteb.benchmarks.get_benchmark import get_benchmarks

        names = [
            alias for bench in get_benchmarks() for alias in (bench.name, *(bench.aliases or ()))
        ] + names
        if benchmark.lower() not in (name.lower() for name in names):
            raise unknown("benchmark", benchmark, names)
    return resolve([benchmark], data_dir=data_dir)


def _place(task: "AbsTask | type[AbsTask]", data_dir: Path | None) -> str:
    """Where the data of an mteb task (or, without a mirror, its class) are."""
    if task.metadata.name in catalogue.built_in():
        return "built in"
    if data_dir and (
        hasattr(task, "sources") or local_files.attach(cast("AbsTask", task), data_dir)
    ):
        return "mirror"
    return "cached" if prepared(task.metadata.dataset["path"]) else "hub"


def is_here(task: "AbsTask", data_dir: Path | None) -> bool:
    """Whether a task's data need not be downloaded."""
    return hasattr(task, "sources") or _place(task, data_dir) != "hub"


def _task_row(metadata: "TaskMetadata", place: str) -> dict[str, Any]:
    return _row(
        metadata.name,
        metadata.type,
        place,
        metadata.description,
        main_score=metadata.main_score,
        languages=len(metadata.languages),
    )


def _row(name: str, kind: str, place: str, description: str, **details: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "data": place,
        "offline": place != "hub",
        **details,
        "description": " ".join(description.split()),
    }
