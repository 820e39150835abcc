"""Tasks that read their data from local files: a mirror of MTEB's data sets, and BEIR folders.

The task stays mteb's: its class, prompts, metrics and splits. Only `load_data` is replaced. Local files are taken for
the revision that mteb names when their size agrees with the statistics that mteb ships of it; otherwise the revision
becomes a hash of the files, so that no score passes for one on the official data.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from embedlab.errors import UserError
from embedlab.tasks import beir, tables


def attach(task, data_dir: Path) -> bool:
    """Make mteb's `task` read from its entry in the mirror `data_dir`; False where there is none."""
    check_mirror(data_dir)
    entries = sorted(data_dir.iterdir())
    folder = next((entry for entry in entries if entry.is_dir() and plain(entry.name) in known_as(task)), None)
    if folder:
        read_from(task, [folder])
        return True
    names = {name + split for name in known_as(task) for split in ("", "dev", *map(plain, splits(task)))}
    files = [entry for entry in entries if entry.suffix in tables.ENDINGS and plain(entry.stem) in names]
    if files:
        read_from(task, files)
    return bool(files)


def check_mirror(data_dir: Path) -> None:
    """Refuse a mirror that does not exist."""
    if not data_dir.is_dir():
        raise UserError(f"--data-dir: there is no folder {data_dir}.", "Give a folder with one entry per task.")


def read_from(task, sources: list[Path]) -> None:
    """Make `task` read its data from `sources`: one folder, or the files of its splits.

    Of several subsets (languages), those with a folder of their own are kept.
    """
    if task.metadata.is_multilingual:
        task.hf_subsets = [subset for subset in task.hf_subsets if (sources[0] / subset).is_dir()] or task.hf_subsets
    task.sources = sources
    task.load_data = partial(_load, task)


def known_as(task) -> set[str]:
    """The names under which a folder may hold this task's data, in `plain` form: its name, with or without the type
    at its end, and that of its hub repository."""
    name, kind = plain(task.metadata.name), plain(task.metadata.type)
    return {name, name.removesuffix(kind) or name, plain(task.metadata.dataset["path"].split("/")[-1])}


def plain(name: str) -> str:
    """`name` in lower case, letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def digest(files: Iterable[Path]) -> str:
    """sha256 of the files' names and contents, wherever they lie."""
    sha = hashlib.sha256()
    for path in files:
        sha.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()


def _load(task, num_proc: int | None = None, **_: Any) -> None:
    """What replaces mteb's `load_data`: fills `task.dataset`, and settles the revision."""
    from datasets import DatasetDict
    from mteb.abstasks import AbsTaskRetrieval

    if task.data_loaded:
        return
    subsets, used = {}, {}
    for subset in task.hf_subsets:
        place = _place(task, subset)
        if isinstance(task, AbsTaskRetrieval):
            folder = _beir_folder(place[0])
            subsets[subset] = {split: beir.read(folder, split) for split in task.eval_splits}
            used |= dict.fromkeys(path for split in task.eval_splits for path in beir.files(folder, split))
        else:
            paths = {split: _table(task, place, split) for split in splits(task)}
            subsets[subset] = DatasetDict(tables.read(task, paths))
            used |= dict.fromkeys(paths.values())
    # mteb keeps a retrieval task's subsets apart always, another task's only where there are several.
    apart = task.metadata.is_multilingual or isinstance(task, AbsTaskRetrieval)
    task.dataset = subsets if apart else subsets["default"]
    if not _official(task, subsets):
        origin = {**task.metadata.dataset, "revision": digest(used)}
        task.metadata = task.metadata.model_copy(update={"dataset": origin})
    task.data_loaded = True


def splits(task) -> list[str]:
    """The splits to read: the one that classifiers are trained on and those evaluated."""
    train = [task.train_split] if hasattr(task, "train_split") else []
    return list(dict.fromkeys([*train, *task.eval_splits]))


def _place(task, subset: str) -> list[Path]:
    """Where a subset's files lie: its own folder, or the task's where it is the only subset."""
    own = task.sources[0] / subset
    if own.is_dir():
        return [own]
    if len(task.hf_subsets) > 1:
        wanted = ", ".join(task.hf_subsets[:5])
        raise UserError(
            f"{task.sources[0]} lacks the subsets of {task.metadata.name}.", f"Make a folder for each: {wanted}."
        )
    return task.sources


def _beir_folder(folder: Path) -> Path:
    """`folder`, or the one BEIR folder below it."""
    below = [path.parent for path in sorted(folder.rglob("corpus.jsonl"))]
    return folder if beir.is_folder(folder) or len(below) != 1 else below[0]


def _table(task, place: list[Path], split: str) -> Path:
    """The file of one split: `<split>.*` in or below the task's folder, or `<Task>[.-]<split>.*`."""
    spellings = {plain(split), "dev"} if split == "validation" else {plain(split)}
    names = spellings | {name + spelling for name in known_as(task) for spelling in spellings}
    if split == "test":
        names |= known_as(task)
    files = sorted(place[0].rglob("*"), key=lambda path: (len(path.parts), path)) if place[0].is_dir() else place
    found = [path for path in files if path.suffix in tables.ENDINGS and plain(path.stem) in names]
    if not found:
        columns = ", ".join(tables.columns(task))
        raise UserError(
            f"{place[0]}: the {split} split of {task.metadata.name} is missing.",
            f"It is read from {split}.tsv, {split}.csv or {split}.jsonl with the columns {columns}.",
        )
    return found[0]


def _official(task, subsets: dict) -> bool:
    """Whether samples and characters of every evaluated split equal mteb's published statistics."""
    statistics = task.metadata.descriptive_stats or {}
    for subset, splits in subsets.items():
        for split in task.eval_splits:
            expected = statistics.get(split, {})
            if task.metadata.is_multilingual:
                expected = expected.get("hf_subset_descriptive_stats", {}).get(subset, {})
            texts = expected.get("text_statistics") or {}
            characters = expected.get("number_of_characters", texts.get("total_text_length"))
            if _size(task, splits[split]) != (expected.get("num_samples"), characters):
                return False
    return True


def _size(task, split) -> tuple[int, int]:
    """(samples, characters) of a loaded split, counted as mteb does."""
    if isinstance(split, dict):
        corpus, queries = split["corpus"][:], split["queries"][:]  # at once, not row by row
        documents = zip(corpus["title"], corpus["text"], strict=True)
        characters = sum(len(f"{title} {text}".strip()) for title, text in documents)
        return len(split["corpus"]) + len(split["queries"]), characters + sum(map(len, queries["text"]))
    texts = [name for name in tables.columns(task) if isinstance(split[0][name], str)]
    return len(split), sum(len(text) for name in texts for text in split[name])
