"""Training rows out of the training split of a task, which lies on disk: a BEIR folder, or an entry
of a mirror as `--data-dir` takes it (`embedlab.tasks`).

retrieval        query, positive: a query with each document judged relevant; all documents are
                 there to mine negatives from
STS              query, positive: both orders of every pair of `min_score` or more (NV-Embed,
                 arXiv:2405.17428, takes 4 of 5)
classification   query, positive: a text with another of its class, drawn at random, and
                 negative_1 to negative_n, one each of `other_classes` other classes ("example-
                 based" labels, NV-Embed v2)
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from embedlab import tasks
from embedlab.errors import UserError
from embedlab.tasks import beir, labelled_tables, local_files, rendering

Row = dict[str, str]


@dataclass
class Source:
    """Rows, and what else is known of them.

    Args:
        rows: of text columns.
        right: by query, the texts that are right for it, and so never its negatives.
        corpus: texts that negatives may be mined from beside the rows' positives.
        tasks: the tasks whose other splits are not to be seen.
    """

    rows: list[Row]
    right: dict[str, set[str]] = field(default_factory=dict)
    corpus: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    origin: dict[str, Any] = field(default_factory=dict)


def read(
    name: str,
    data_dir: str | None = None,
    split: str = "train",
    *,
    min_score: float = 4.0,
    other_classes: int = 0,
    seed: int = 1,
) -> Source:
    """The rows of a task's training split.

    Args:
        name: a task's name, or the path of a BEIR folder.
        data_dir: the mirror that the task's data lie in.
        split: never one that the task is evaluated on.
        min_score: of STS pairs that count as positive.
        other_classes: negatives of a classification row.
        seed: of the examples that are drawn.

    Raises:
        UserError: the split is one that models are evaluated on, the data are not on disk, or the
            task has no texts to train on.
    """
    from mteb.abstasks import AbsTaskClassification, AbsTaskRetrieval, AbsTaskSTS

    refuse_test(split, f"{name} in [data]")
    found = tasks.resolve([name], data_dir=Path(data_dir) if data_dir else None)
    if len(found) != 1:
        raise UserError(
            f"{name} stands for {len(found)} tasks.",
            "Give one task, and [[data.sources]] for more.",
        )
    task: Any = found[0]
    title = task.metadata.name.partition("@")[0]
    if split in task.metadata.eval_splits:
        raise UserError(
            f"{title} is evaluated on its split {split}, which no recipe may train on.",
            'Give split = "train".',
        )
    if not hasattr(task, "sources"):
        raise UserError(
            f"The training split of {title} is read from disk.",
            'Give data_dir = "DIR" with an entry for it, or the path of a BEIR folder as task.',
        )
    if isinstance(task, AbsTaskRetrieval):
        source = _retrieval(task, split)
    elif isinstance(task, AbsTaskSTS):
        source = _sts(task, split, min_score)
    elif isinstance(task, AbsTaskClassification):
        source = _classification(task, split, other_classes, Random(seed))
    else:
        raise UserError(
            f"{title} is of the type {task.metadata.type}, and no pairs are made of that.",
            "Give a task of retrieval, STS or classification.",
        )
    source.tasks = [name]
    source.origin = {"task": title, "split": split}
    return source


def refuse_test(split: str, where: str) -> None:
    """Refuse the name of a test split or file, `test[:10]` and `train+test` too.

    Raises:
        UserError: it is one.
    """
    parts = re.split(r"[^a-z0-9]+", split.lower())
    if "test" in parts:
        raise UserError(
            f"{where} names a test split ({split}), which no recipe may train on.",
            'Give the training split: split = "train", or its file.',
        )


def _retrieval(task: Any, split: str) -> Source:
    folder = local_files.beir_folder(task.sources[0])
    data = beir.read(folder, split)
    documents = dict(zip(data["corpus"]["id"][:], rendering.documents(data["corpus"]), strict=True))
    queries = dict(zip(data["queries"]["id"][:], rendering.queries(data["queries"]), strict=True))
    source = Source([], corpus=[text for text in documents.values() if text])
    for id, judged in data["relevant_docs"].items():
        relevant = [
            documents[doc] for doc, score in judged.items() if score > 0 and doc in documents
        ]
        source.right.setdefault(queries[id], set()).update(relevant)
        source.rows += [{"query": queries[id], "positive": text} for text in relevant if text]
    return source


def _sts(task: Any, split: str, min_score: float) -> Source:
    table = _table(task, split)
    first, second = task.column_names
    source = Source([])
    for one, other, score in zip(table[first], table[second], table["score"], strict=True):
        if score >= min_score and one != other:
            for query, positive in ((one, other), (other, one)):
                source.rows.append({"query": query, "positive": positive})
                source.right.setdefault(query, set()).add(positive)
    if not source.rows:
        raise UserError(
            f"No pair of {task.metadata.name} has a score of {min_score} or more.",
            "Lower min_score in [data].",
        )
    return source


def _classification(task: Any, split: str, other_classes: int, random: Random) -> Source:
    table = _table(task, split)
    classes: dict[Any, list[str]] = defaultdict(list)
    for text, label in zip(
        table[task.input_column_name], table[task.label_column_name], strict=True
    ):
        classes[label].append(text)
    if other_classes >= len(classes):
        raise UserError(
            f"other_classes is {other_classes}, and {task.metadata.name} has {len(classes)}"
            " classes.",
            f"Give {len(classes) - 1} or less.",
        )
    together = {label: set(texts) for label, texts in classes.items()}
    source = Source([])
    for label, texts in classes.items():
        others = [each for each in classes if each != label]
        for text in texts:
            same = sorted(together[label] - {text})
            if not same:
                continue
            row = {"query": text, "positive": same[random.randrange(len(same))]}
            for number, other in enumerate(random.sample(others, other_classes), 1):
                row[f"negative_{number}"] = random.choice(classes[other])
            source.rows.append(row)
            source.right[text] = together[label]
    return source


def _table(task: Any, split: str) -> dict[str, list[Any]]:
    """The columns of a table of the task; its file lies beside those that an evaluation reads."""
    place = local_files.place_of(task, task.hf_subsets[0])
    if not place[0].is_dir():
        place = sorted(path for path in place[0].parent.iterdir() if path.is_file())
    path = local_files.table_of(task, place, split)
    data = labelled_tables.read(task, {split: path})[split]
    columns: dict[str, list[Any]] = data[:]
    return columns
