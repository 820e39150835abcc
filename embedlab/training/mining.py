"""Hard negatives for training rows, found by retrievers of the laboratory.

[data.negatives]
teacher = "all-minilm-l6-v2"               # whose scores guard against false negatives
retrievers = ["all-minilm-l6-v2", "bm25"]  # which find candidates; the teacher by default
number = 7                                 # of negatives per row
ratio = 0.95                               # highest score of a negative, relative to the positive's
depth = 50                                 # candidates per retriever
skip = 0                                   # of them the first, left out
"""

import hashlib
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from scipy import sparse

import retrievers as indexes
from embedlab import models
from embedlab.corpus_index import build
from embedlab.errors import UserError
from embedlab.models import composition
from embedlab.models.expressions import is_composed
from embedlab.resources import home
from embedlab.training import teachers
from embedlab.training.task_rows import Row
from leaderboard.atomic_files import atomic_write
from retrievers.indexes.dense import normalised


def mine(
    rows: Dataset,
    right: dict[str, set[str]] | None = None,
    corpus: list[str] | None = None,
    *,
    teacher: str,
    retrievers: list[str] | None = None,
    number: int = 7,
    ratio: float = 0.95,
    depth: int = 50,
    skip: int = 0,
) -> Dataset:
    """`rows` with columns negative_1 to negative_n: texts that retrievers rank highest for the
    query.

    Positive-aware (TopK-PercPos, NV-Retriever, arXiv:2407.15831, section 3): a candidate that the
    teacher scores above `ratio` times the row's own positive may well be right, and is left out. No
    text is a negative that is right for the same query. Several retrievers take turns. Rows with
    fewer than `number` candidates left are dropped. The result is kept under
    `home()/training` and found again by everything that shaped it.

    Args:
        rows: columns query and positive; further ones are left out.
        right: by query, further texts that are right for it.
        corpus: texts to mine from, beside the positives of all rows.
        teacher: a model's name, as for `embedlab eval`; bm25 will do.
        retrievers: names of models that find candidates.
        number: of negatives per row.
        ratio: highest score of a negative, relative to the positive's.
        depth: candidates per retriever and row.
        skip: of these, the first so many are left out.

    Raises:
        UserError: a model is unknown, a number makes no sense, or no row has enough negatives.
    """
    rows = rows.select_columns(["query", "positive"])
    named = retrievers or [teacher]
    for name, value, least in (("number", number, 1), ("depth", depth, 1), ("skip", skip, 0)):
        if value < least:
            raise UserError(f"{name} is {value} in [data.negatives].", f"Give {least} or more.")
    if skip >= depth or ratio <= 0:
        raise UserError(
            f"skip = {skip}, depth = {depth}, ratio = {ratio} in [data.negatives] leave nothing.",
            "Give a skip below depth, and a ratio above 0.",
        )
    texts = sorted({*rows["positive"][:], *(corpus or ())})
    known: dict[str, set[str]] = {query: set(found) for query, found in (right or {}).items()}
    for query, positive in zip(rows["query"][:], rows["positive"][:], strict=True):
        known.setdefault(query, set()).add(positive)
    settings: dict[str, Any] = {"number": number, "ratio": ratio, "depth": depth, "skip": skip}
    file = _file(rows, known, texts, [teacher, *named], settings)
    if file.is_file():
        return Dataset.from_json(str(file), keep_in_memory=True)
    found = list(_rows(rows, known, texts, teacher, named, **settings))
    if not found:
        raise UserError(
            f"No row has {number} negatives.",
            "Lower number, or raise ratio or depth in [data.negatives].",
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, shared=True) as new, new.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in found)
    return Dataset.from_list(found)


def _rows(
    rows: Dataset,
    known: dict[str, set[str]],
    texts: list[str],
    teacher: str,
    named: list[str],
    *,
    number: int,
    ratio: float,
    depth: int,
    skip: int,
) -> Iterator[Row]:
    queries = list(dict.fromkeys(rows["query"][:]))
    place = {query: row for row, query in enumerate(queries)}
    wanted = min(depth, len(texts))
    ranked = [search(name, queries, texts, wanted).rows[:, skip:] for name in named]
    candidates = [
        [
            row
            for row in dict.fromkeys(row for turn in zip_longest(*each) for row in turn)
            if row is not None and row >= 0 and texts[row] not in known[query]
        ]
        for query, *each in zip(queries, *(found.tolist() for found in ranked), strict=True)
    ]
    number_of = {text: row for row, text in enumerate(texts)}
    score = _scorer(teacher, queries, texts)
    for query, positive in zip(rows["query"][:], rows["positive"][:], strict=True):
        there = candidates[place[query]]
        scored = score(place[query], [number_of[positive], *there])
        limit = ratio * scored[0]
        left = [row for row, each in zip(there, scored[1:], strict=True) if each <= limit]
        if len(left) >= number:
            yield {
                "query": query,
                "positive": positive,
                **{f"negative_{i}": texts[row] for i, row in enumerate(left[:number], 1)},
            }


def search(name: str, queries: list[str], texts: list[str], depth: int) -> indexes.base.Hits:
    """The best texts for each query by a model: exactly, with vectors out of the vector store."""
    loaded = models.load(name) if not is_composed(name) else None
    ids = [str(number) for number in range(len(texts))]
    if loaded is None or not loaded.card.kind.gives_vectors:
        index = build(name, ids, list(texts))
        return index.search(queries, depth)
    documents = teachers.vectors(texts, name, "document")
    spec, metric = (
        ("sparse", {})
        if sparse.issparse(documents)
        else ("torch", {"metric": loaded.card.similarity})
    )
    index = indexes.make(spec, **metric).index(ids, documents)
    return index.search(teachers.vectors(queries, name, "query"), depth)


def _scorer(teacher: str, queries: list[str], texts: list[str]) -> Any:
    """A function of a query's row and texts' rows to the teacher's scores of them."""
    card = teachers.described(teacher)
    if card.kind.gives_vectors:
        asked: Any = teachers.vectors(queries, teacher, "query")
        documents: Any = teachers.vectors(texts, teacher, "document")
        if isinstance(documents, sparse.csr_matrix):
            weights: Any = documents
            return lambda query, rows: (weights[rows] @ asked[query].T).toarray().ravel()
        if card.similarity == "cosine":
            asked, documents = normalised(asked), normalised(documents)
        return lambda query, rows: documents[rows] @ asked[query]
    index = indexes.make("lucene", **card.settings).index(
        [str(number) for number in range(len(texts))], list(texts)
    )

    def score(query: int, rows: list[int]) -> np.ndarray:
        ids = [str(row) for row in rows]
        found = dict(index.search_one(queries[query], len(set(ids)), only=set(ids)))
        return np.array([found.get(id, 0.0) for id in ids])

    return score


def _file(
    rows: Dataset,
    known: dict[str, set[str]],
    texts: list[str],
    named: list[str],
    settings: dict[str, Any],
) -> Path:
    """Where the negatives are kept: by rows, texts, models, settings, and the code that mines."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True).encode())
        digest.update(json.dumps(sorted(known[row["query"]])).encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    loaded = [(name, composition.load(name)) for name in named]
    identities = [(name, f"{model.identity}{model.card_mark}") for name, model in loaded]
    code = Path(__file__).read_bytes() + Path(teachers.__file__).read_bytes()
    digest.update(repr((identities, settings, hashlib.sha256(code).hexdigest())).encode())
    return home() / "training" / f"negatives-{digest.hexdigest()[:16]}.jsonl"
