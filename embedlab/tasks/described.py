"""What is known of tasks: sizes, languages, licence, metric, citation; a sample of their data."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab.resources import home
from embedlab.tasks import catalogue, corpus_texts, rendering
from embedlab.tasks.mteb_tasks import registry
from leaderboard.atomic_files import atomic_write

if TYPE_CHECKING:
    from mteb import AbsTask, TaskMetadata

Described = dict[str, Any]
_FORM = 2  # raised when what is written changes
# mteb's names of what it counts, by ours.
_COUNTS = {
    "documents": ("num_documents",),
    "queries": ("num_queries",),
    "judgements": ("relevant_docs_statistics", "num_relevant_docs"),
    "samples": ("num_samples",),
    "labels": ("label_statistics", "unique_labels"),
}


def of(metadata: "TaskMetadata") -> Described:
    """What mteb's metadata say of a task; None where they say nothing.

    Keys: name, type, description, metric (as in the store), splits and subsets (those evaluated),
    languages (as eng-Latn), domains, licence, date (of the texts: first and last), instruction (of
    its queries), link, citation (BibTeX), data (repository on the hub), revision, public,
    replaced_by, members (of an aggregate), sizes: split -> documents, queries, judgements, samples,
    labels.
    """
    prompt, dates = metadata.prompt, metadata.date
    return {
        "name": metadata.name,
        "type": metadata.type,
        "description": " ".join(metadata.description.split()),
        "metric": metadata.main_score,
        "splits": list(metadata.eval_splits),
        "subsets": list(metadata.hf_subsets),
        "languages": sorted(map(str, metadata.bcp47_codes)),
        "domains": list(metadata.domains) if metadata.domains else None,
        "licence": metadata.license and str(metadata.license),
        "date": [str(each)[:10] for each in dates] if dates else None,
        "instruction": prompt.get("query") if isinstance(prompt, dict) else prompt,
        "link": metadata.reference and str(metadata.reference),
        "citation": (metadata.bibtex_citation or "").strip() or None,
        "data": None if hasattr(metadata, "tasks") else metadata.dataset["path"],
        "revision": metadata.revision or None,
        "public": metadata.is_public,
        "replaced_by": metadata.superseded_by,
        "members": [each.metadata.name for each in getattr(metadata, "tasks", ())] or None,
        "sizes": {
            split: _counts(each) for split, each in (metadata.descriptive_stats or {}).items()
        } or None,
    }  # fmt: skip


def of_task(task: "AbsTask") -> Described:
    """As `of`; of a folder of one's own, whose metadata are ours, mteb says nothing."""
    known = of(task.metadata)
    if known["data"] == known["name"] and known["name"] not in catalogue.built_in():
        known |= dict.fromkeys(("languages", "public", "data"))
    return known


def file() -> Path:
    """Where the dashboard finds all tasks: one file for each version of mteb."""
    return home() / f"tasks-mteb-{version('mteb')}-{_FORM}.json"


def known() -> dict[str, Described]:
    """What is known of every task of text, by name; found out where no one has asked before."""
    with suppress(OSError, ValueError):
        kept: dict[str, Described] = json.loads(file().read_bytes())
        return kept
    with suppress(OSError):  # it will be asked again, no more
        write(file())
    return _ask()


def write(target: Path) -> None:
    """Write what is known of every task of text, by name, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target, shared=True) as temporary:
        temporary.write_text(json.dumps(_ask()), encoding="utf-8")


@cache
def _ask() -> dict[str, Described]:
    every = [task.metadata for task in registry().values()]
    found = {each.name: of(each) for each in every if each.modalities == ["text"]}
    return found | {name: of(catalogue.metadata_of(name)) for name in catalogue.built_in()}


def sizes(task: "AbsTask") -> dict[str, dict[str, int]]:
    """The sizes of a loaded task's data, by split; of the first subset."""
    found = {}
    for split, data in _parts(task):
        if isinstance(data, Mapping):  # of a retrieval task
            judged = sum(map(len, data["relevant_docs"].values()))
            found[split] = {
                "documents": len(data["corpus"]),
                "queries": len(data["queries"]),
                "judgements": judged,
            }
        else:
            found[split] = {"samples": len(data)}
    return found


def sample(task: "AbsTask", count: int) -> list[dict[str, Any]]:
    """The first rows of a loaded task's data: of retrieval, queries with a relevant document."""
    for _, data in _parts(task):
        if not isinstance(data, Mapping):
            return [dict(row) for row in data.select(range(min(count, len(data))))]
        relevant = {
            str(query): max(judged, key=lambda id: judged[id])
            for query, judged in data["relevant_docs"].items()
            if any(grade > 0 for grade in judged.values())
        }
        ids = [str(id) for id in data["queries"][:]["id"]]
        rows = [row for row, id in enumerate(ids) if id in relevant][:count]
        queries = rendering.queries(data["queries"].select(rows))
        document_ids, rows_by_id = corpus_texts.by_id(data["corpus"])
        places = document_ids.rows([relevant[ids[row]] for row in rows])
        documents = rendering.documents(data["corpus"], rows_by_id)
        return [
            {"query": query, "relevant": documents[place] if place >= 0 else None}
            for query, place in zip(queries, places.tolist(), strict=True)
        ]
    return []


def _parts(task: "AbsTask") -> Iterator[tuple[str, Any]]:
    """The data of each evaluated split, of the first subset."""
    data: Any = task.dataset
    for split in task.metadata.eval_splits:
        for by_split in (data, *(data[name] for name in task.hf_subsets if name in data)):
            with suppress(KeyError):
                yield split, by_split[split]
                break


def _counts(statistics: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, path in _COUNTS.items():
        value: Any = statistics
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int) and not (name == "samples" and "documents" in found):
            found[name] = value
    return found
