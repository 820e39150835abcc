"""Which tasks and benchmarks there are, and how a name becomes tasks."""

import os
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab import toml_files
from embedlab.errors import UserError, unknown
from embedlab.resources import DATA
from embedlab.tasks import beir, local_files
from embedlab.tasks.mteb_tasks import registry
from embedlab.tasks.official import known_folder

if TYPE_CHECKING:
    from mteb import AbsTask, TaskMetadata

    pass


@cache
def benchmarks() -> dict[str, dict[str, Any]]:
    """The benchmarks in data/benchmarks/, by name: `description`, `tasks` (names); where they bring
    tasks of their own, `define` (their metadata) and `sizes`.

    Raises:
        UserError: a file in data/benchmarks/ is no TOML.
    """
    by_name = {}
    for path in sorted((DATA / "benchmarks").glob("*.toml")):
        by_name[path.stem] = toml_files.read(path, "benchmark")
    return by_name


def built_in() -> dict[str, dict[str, Any]]:
    """The tasks that our benchmarks define: name -> fields of mteb's `TaskMetadata`, `settings`
    (attributes of the task), `folder` and `sizes` (see `stdlib.folder`).
    """
    defined = {}
    for bench in benchmarks().values():
        for name, fields in bench.get("define", {}).items():
            defined[name] = {**fields, "sizes": bench["sizes"]}
    return {
        name: {**defined.get(fields.get("like"), {}), **fields} for name, fields in defined.items()
    }


def is_here(name: str) -> bool:
    """Whether `name` needs neither mteb's registry nor the hub: a BEIR folder, or built in."""
    ours = {ours.lower() for ours in (*benchmarks(), *built_in())}
    return name.lower() in ours or beir.is_folder(Path(name))


def find(
    name: str, *, split: str | None = None, ignore_identical_ids: bool = False, apart: bool = True
) -> "list[AbsTask]":
    """The tasks, not loaded, that `name` stands for.

    Args:
        name: a task, a benchmark, or the path of a BEIR folder.
        split: of a folder, the split to evaluate.
        ignore_identical_ids: of a folder of one's own, drop documents that have the query's id.
        apart: the members of an aggregate such as CQADupstackRetrieval, which are evaluated one by
            one; else itself, which counts as one task.

    Raises:
        UserError: no task, benchmark or folder has this name (with the closest names), or it is not
            about text alone.
    """
    folder = Path(name).expanduser()
    if beir.is_folder(folder):
        return [_from_folder(folder, split, ignore_identical_ids)]
    if os.sep in name or name.startswith("."):
        raise UserError(
            f"{name} is no BEIR folder: there is no {folder / 'corpus.jsonl'}.", beir.LAYOUT
        )
    for ours, bench in benchmarks().items():
        if name.lower() == ours.lower():
            return [task for member in bench["tasks"] for task in find(member, apart=apart)]
    for ours in built_in():
        if name.lower() == ours.lower():
            return [_built_in(ours)]
    return _from_mteb(name, apart)


def _from_mteb(name: str, apart: bool) -> "list[AbsTask]":
    import mteb
    from mteb.benchmarks.get_benchmark import get_benchmark, get_benchmarks

    tasks = {task.lower(): task for task in registry()}
    groups: dict[str, str] = {}
    if name.lower() not in tasks:  # to list the benchmarks takes seconds
        groups = {
            alias.lower(): bench.name
            for bench in get_benchmarks()
            for alias in (bench.name, *(bench.aliases or ()))
        }
    if name.lower() in tasks:
        matches = [mteb.get_task(tasks[name.lower()])]
    elif name.lower() in groups:
        matches = deepcopy(list(get_benchmark(groups[name.lower()]).tasks))
    else:
        names = [*benchmarks(), *built_in(), *registry(), *groups.values()]
        raise unknown(
            "task",
            name,
            dict.fromkeys(names),
            "Type `embedlab tasks PATTERN` to search the names, or give the path of a BEIR folder.",
        )
    if apart:
        matches = [
            member
            for task in matches
            for member in (getattr(task.metadata, "tasks", ()) if task.is_aggregate else [task])
        ]
    for task in matches:
        if task.metadata.modalities != ["text"]:
            raise UserError(
                f"{task.metadata.name} is about {' and '.join(task.metadata.modalities)}.",
                "embedlab evaluates tasks of text alone. Type `embedlab tasks PATTERN` to find"
                " some.",
            )
    return matches


def _from_folder(folder: Path, split: str | None, ignore_identical_ids: bool) -> "AbsTask":
    """A retrieval task on a BEIR folder:
    mteb's own where its content is that of an mteb data set.
    """
    if known := known_folder(folder, _named(folder)):
        task = known()
        local_files.read_from(task, [folder])
        return task
    splits = beir.splits(folder)
    split = split or ("test" if "test" in splits or not splits else splits[0])
    settings = {"ignore_identical_ids": True} if ignore_identical_ids else {}
    reranking = "top_ranked" in beir.files(folder, split)
    name, revision = (
        folder.resolve().name,
        local_files.digest(local_files.split_files(folder, split), **settings),
    )
    return _task(
        local_files.name_of_own(name, revision),
        folder,
        {
            "description": f"Retrieval on the BEIR folder {name}.",
            "type": "Reranking" if reranking else "Retrieval",
            "main_score": "map_at_1000" if reranking else "ndcg_at_10",
            "eval_splits": [split],
            "settings": settings,
        },
        revision,
    )


def _named(folder: Path) -> "list[type[AbsTask]]":
    """The mteb classes that a folder's name may stand for, those of the very name first."""
    name = local_files.plain(folder.resolve().name)
    return [task for task in registry().values() if name in local_files.known_as(task)]


def _built_in(name: str) -> "AbsTask":
    """A task of the built-in benchmark, whose texts are collected where they have not been yet."""
    from embedlab.tasks import stdlib

    fields = {key: value for key, value in built_in()[name].items() if key != "like"}
    folder = stdlib.folder(fields.pop("sizes")) / fields.pop("folder")
    return _task(name, folder, fields)


def metadata_of(name: str) -> "TaskMetadata":
    """The metadata of a built-in task, whose texts need not be here."""
    left_out = ("like", "sizes", "folder", "settings")
    fields = {key: value for key, value in built_in()[name].items() if key not in left_out}
    return _metadata(name, fields, "")


def _metadata(name: str, fields: dict[str, Any], revision: str) -> "TaskMetadata":
    from mteb import TaskMetadata

    return TaskMetadata(
        name=name, dataset={"path": name, "revision": revision}, eval_langs=["eng-Latn"], **fields
    )


def _task(name: str, folder: Path, fields: dict[str, Any], revision: str = "") -> "AbsTask":
    """A task of our own on local files: an mteb class made from `fields`;
    its revision is the files' hash.
    """
    import mteb.abstasks as kinds

    kind = {"Classification": kinds.AbsTaskClassification, "Clustering": kinds.AbsTaskClustering}
    fields = dict(fields)
    settings = fields.pop("settings", {})
    base = kind.get(fields["type"], kinds.AbsTaskRetrieval)
    metadata = _metadata(name, fields, revision)
    task: AbsTask = type(name, (base,), {**settings, "metadata": metadata})()
    local_files.read_from(task, [folder], ours=True, settings=settings)
    return task
