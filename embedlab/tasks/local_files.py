"""Tasks that read their data from local files: a mirror of MTEB's data sets, and BEIR folders.

The task stays mteb's: its class, prompts, metrics and splits. Only `load_data` is replaced. Local
files are taken for the revision that mteb names when all splits that the task uses agree with the
statistics that mteb ships of them (`official`); otherwise the revision becomes a hash of the files,
and scores are recorded under a name of their own, `SciFact@1f0c9ae2`, so that none passes for one
on the official data.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from embedlab.errors import UserError
from embedlab.tasks import beir, labelled_tables
from embedlab.tasks.official import is_official

if TYPE_CHECKING:
    from mteb import AbsTask

# mteb's AbsTask, with what is added here: sources, ours, settings, unofficial.
Task: TypeAlias = Any


def attach(task: "AbsTask", data_dir: Path) -> bool:
    """Make mteb's `task` read from its entry in the mirror `data_dir`;
    False where there is none.
    """
    check_mirror(data_dir)
    entries = sorted(data_dir.iterdir())
    folder = next(
        (entry for entry in entries if entry.is_dir() and plain(entry.name) in known_as(task)), None
    )
    if folder:
        read_from(task, [folder])
        return True
    names = {
        name + split for name in known_as(task) for split in ("", "dev", *map(plain, splits(task)))
    }
    files = [
        entry
        for entry in entries
        if entry.suffix in labelled_tables.ENDINGS and plain(entry.stem) in names
    ]
    if files:
        read_from(task, files)
    return bool(files)


def check_mirror(data_dir: Path) -> None:
    """Refuse a mirror that does not exist."""
    if not data_dir.is_dir():
        raise UserError(
            f"--data-dir: there is no folder {data_dir}.", "Give a folder with one entry per task."
        )


def read_from(
    task: Task,
    sources: list[Path],
    *,
    ours: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Make `task` read its data from `sources`: one folder, or the files of its splits.

    Of several subsets (languages), those with a folder of their own are kept.

    Args:
        ours: the task is none of MTEB's: its name is already one of its own.
        settings: what else than the files makes it the task that it is; part of the revision.
    """
    if task.metadata.is_multilingual:
        task.hf_subsets = [
            subset for subset in task.hf_subsets if (sources[0] / subset).is_dir()
        ] or task.hf_subsets
    task.sources, task.ours, task.settings = sources, ours, dict(settings or {})
    task.load_data = partial(_load, task)


def known_as(task: "AbsTask | type[AbsTask]") -> set[str]:
    """The names under which a folder may hold this task's data, in `plain` form: its name, with or
    without the type at its end, and that of its hub repository.
    """
    name, kind = plain(task.metadata.name), plain(task.metadata.type)
    return {
        name,
        name.removesuffix(kind) or name,
        plain(task.metadata.dataset["path"].split("/")[-1]),
    }


@cache  # a folder's name is compared with those of all of mteb's tasks
def plain(name: str) -> str:
    """`name` in lower case, letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def digest(files: Mapping[str, Path], **settings: Any) -> str:
    """sha256 of the files' contents by their part in a task,
    wherever they lie and whatever their names.

    Args:
        files: what a file is for (such as "default/test/qrels") -> the file; a packed one counts as
            unpacked.
        settings: of the task, where they shape its scores.
    """
    sha = hashlib.sha256()
    for part, path in sorted(files.items()):
        sha.update(f"{part}\0{beir.content_digest(path)}\n".encode())
    for name, value in sorted(settings.items()):
        sha.update(f"{name}\0{value}\n".encode())
    return sha.hexdigest()


def name_of_own(name: str, revision: str) -> str:
    """How scores on data of one's own are recorded:
    no two contents share a name, and no official task has it.
    """
    return f"{name}@{revision[:8]}"


def split_files(folder: Path, split: str, subset: str = "default") -> dict[str, Path]:
    """The files of one split of a BEIR folder, as `digest` takes them."""
    return {f"{subset}/{split}/{part}": path for part, path in beir.files(folder, split).items()}


def _load(task: Task, num_proc: int | None = None, **_: Any) -> None:
    """What replaces mteb's `load_data`: fills `task.dataset`, and settles the revision."""
    from datasets import DatasetDict
    from mteb.abstasks import AbsTaskRetrieval

    if task.data_loaded:
        return
    subsets: dict[str, Any] = {}
    used: dict[str, Path] = {}
    for subset in task.hf_subsets:
        place = place_of(task, subset)
        if isinstance(task, AbsTaskRetrieval):
            folder = beir_folder(place[0])
            subsets[subset] = {split: beir.read(folder, split) for split in task.eval_splits}
            for split in task.eval_splits:
                used |= split_files(folder, split, subset)
        else:
            paths = {split: table_of(task, place, split) for split in splits(task)}
            subsets[subset] = DatasetDict(labelled_tables.read(task, paths))
            used |= {f"{subset}/{split}": path for split, path in paths.items()}
    # mteb keeps a retrieval task's subsets apart always,
    # another task's only where there are several.
    apart = task.metadata.is_multilingual or isinstance(task, AbsTaskRetrieval)
    task.dataset = subsets if apart else subsets["default"]
    if not is_official(task, subsets, splits(task)):
        _settle(task, used)
    task.data_loaded = True


def _settle(task: Task, used: Mapping[str, Path]) -> None:
    """Make the files' hash the revision of a task whose data are not MTEB's;
    one of MTEB's is `unofficial` then.
    """
    origin, revision = task.metadata.dataset, digest(used, **task.settings)
    if task.ours and origin["revision"] not in ("", revision):
        raise UserError(
            f"{task.sources[0]} has changed since this run began.",
            "Run again on what it holds now.",
        )
    task.metadata = task.metadata.model_copy(update={"dataset": {**origin, "revision": revision}})
    task.unofficial = not task.ours


def splits(task: "AbsTask") -> list[str]:
    """The splits to read: the one that classifiers are trained on and those evaluated."""
    train = [task.train_split] if hasattr(task, "train_split") else []
    return list(dict.fromkeys([*train, *task.eval_splits]))


def place_of(task: Task, subset: str) -> list[Path]:
    """Where a subset's files lie: its own folder, or the task's where it is the only subset."""
    own = task.sources[0] / subset
    if own.is_dir():
        return [own]
    if len(task.hf_subsets) > 1:
        wanted = ", ".join(task.hf_subsets[:5])
        raise UserError(
            f"{task.sources[0]} lacks the subsets of {task.metadata.name}.",
            f"Make a folder for each: {wanted}.",
        )
    sources: list[Path] = task.sources
    return sources


def beir_folder(folder: Path) -> Path:
    """`folder`, or the one BEIR folder below it."""
    below = sorted(
        {path.parent for name in ("corpus.jsonl", "corpus.jsonl.gz") for path in folder.rglob(name)}
    )
    return folder if beir.is_folder(folder) or len(below) != 1 else below[0]


def table_of(task: "AbsTask", place: list[Path], split: str) -> Path:
    """The file of one split: `<split>.*` in or below the task's folder,
    or `<Task>[.-]<split>.*`.
    """
    spellings = {plain(split), "dev"} if split == "validation" else {plain(split)}
    names = spellings | {name + spelling for name in known_as(task) for spelling in spellings}
    if split == "test":
        names |= known_as(task)
    files = (
        sorted(place[0].rglob("*"), key=lambda path: (len(path.parts), path))
        if place[0].is_dir()
        else place
    )
    tables = [
        path
        for path in files
        if path.suffix in labelled_tables.ENDINGS and plain(path.stem) in names
    ]
    if not tables:
        columns = ", ".join(labelled_tables.columns(task))
        raise UserError(
            f"{place[0]}: the {split} split of {task.metadata.name} is missing.",
            f"It is read from {split}.tsv, {split}.csv or {split}.jsonl with the columns"
            f" {columns}.",
        )
    return tables[0]
