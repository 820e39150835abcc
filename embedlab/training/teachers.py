"""What teachers say of training rows, as the labels of a loss.

A teacher is any model of the laboratory. Its vectors are made once: they stay in the vector store.
"""

from typing import Any

import numpy as np
from datasets import Dataset, Features, List, Value

from embedlab import models
from embedlab.corpus_index import INSTRUCTION, prompts
from embedlab.encoding.encoder import Encoder
from embedlab.errors import UserError
from embedlab.models.cards import Card
from retrievers.indexes.dense import normalised

LABEL = "label"  # the column that sentence-transformers takes for a loss's labels


def described(teacher: str, *, vectors: bool = False) -> Card:
    """The card of a teacher.

    Args:
        vectors: whether it has to give dense vectors.

    Raises:
        UserError: it is unknown, or cannot teach.
    """
    card = models.load(teacher).card
    if vectors and not card.kind.is_dense:
        raise UserError(
            f"{teacher} is a {card.kind} model: there is nothing to compare dense vectors with.",
            'Give kind = "kl", which compares scores, or a dense teacher.',
        )
    return card


def vectors(texts: list[str], teacher: str, role: str) -> Any:
    """The vectors of texts by a teacher, through the vector store.

    Args:
        role: "query" or "document"; decides on the prompt.

    Returns:
        float32 `[n, d]`, or a CSR matrix.
    """
    loaded = models.load(teacher)
    prompt = prompts(loaded, INSTRUCTION).get(role, {}).get("prompt") or ""
    found, _ = Encoder(loaded).encode(texts, role=role, prompt=prompt)
    return found[None].read()


def scores(rows: Dataset, teacher: str) -> np.ndarray:
    """What a teacher scores each row's documents with its query, float32 `[n, columns - 1]`.

    Cosines of dense models (dot products of those that say so), dot products of sparse ones, and
    BM25 over all documents of the rows.

    Raises:
        UserError: the teacher is unknown, or scores no pairs of texts this way.
    """
    query, *documents = rows.column_names
    card = described(teacher)
    if not card.kind.gives_vectors:
        if card.method != "bm25":
            raise UserError(
                f"{teacher} is a {card.kind} model: it gives no vectors to be taught by.",
                "Give a dense or a sparse model, or bm25.",
            )
        return _lexical(rows[query][:], [rows[name][:] for name in documents], card)
    queries = vectors(rows[query][:], teacher, "query")
    found = []
    for name in documents:
        others = vectors(rows[name][:], teacher, "document")
        if card.kind.is_dense and card.similarity == "cosine":
            products = (normalised(queries) * normalised(others)).sum(1)
        elif card.kind.is_dense:
            products = (queries * others).sum(1)
        else:
            products = np.asarray(queries.multiply(others).sum(1)).ravel()
        found.append(products)
    return np.stack(found, axis=1).astype(np.float32)


def _lexical(queries: list[str], columns: list[list[str]], card: Card) -> np.ndarray:
    import retrievers

    texts = sorted({text for column in columns for text in column})
    place = {text: str(number) for number, text in enumerate(texts)}
    index = retrievers.make("lucene", **card.settings).index(list(place.values()), texts)
    found = np.zeros((len(queries), len(columns)), dtype=np.float32)
    for row, (query, *documents) in enumerate(zip(queries, *columns, strict=True)):
        ids = [place[text] for text in documents]
        scored = dict(index.search_one(query, len(set(ids)), only=set(ids)))
        found[row] = [max(scored.get(id, 0.0), 0.0) for id in ids]
    return found


def with_scores(rows: Dataset, settings: dict[str, Any], key: str) -> Dataset:
    """`rows` with the scores of the teachers that the settings name under `key` as their label.

    One teacher's scores stay as they are; of several, each is brought to 0 to 1 within every row,
    and the labels are their mean.

    Raises:
        UserError: no teacher is named, or the rows have no negatives.
    """
    named = settings.get(key) or []
    teachers = [named] if isinstance(named, str) else list(named)
    if not teachers:
        raise UserError(
            f"The objective needs {key} in its settings.", f'Give {key} = "all-minilm-l6-v2".'
        )
    if len(rows.column_names) < 3:
        raise UserError(
            "A teacher's scores of a single document teach nothing: the rows have no negatives.",
            "Add a column of negatives, or [data.negatives].",
        )
    found = [scores(rows, teacher) for teacher in teachers]
    if len(found) > 1:
        found = [_spread(one) for one in found]
    return _labelled(rows, np.mean(found, axis=0))


def _spread(found: np.ndarray) -> np.ndarray:
    """Each row brought to 0 to 1; a row of equal scores to 0.5."""
    low, high = found.min(1, keepdims=True), found.max(1, keepdims=True)
    return np.where(high > low, (found - low) / np.where(high > low, high - low, 1), 0.5)


def distilled(rows: Dataset, settings: dict[str, Any]) -> Dataset:
    """`rows` with the labels of `embedlab.training.losses.distil`:
    scores, or vectors for "cosine".
    """
    if settings.get("kind", "kl") != "cosine":
        return with_scores(rows, settings, "teacher")
    columns = [
        vectors(rows[name][:], settings["teacher"], "document" if number else "query")
        for number, name in enumerate(rows.column_names)
    ]
    return _labelled(rows, np.stack(columns, axis=1))


def _labelled(rows: Dataset, labels: np.ndarray) -> Dataset:
    kind: Any = Value("float32")
    for _ in labels.shape[1:]:
        kind = List(kind)
    features = Features({**rows.features, LABEL: kind})
    return Dataset.from_dict(
        {**{name: rows[name][:] for name in rows.column_names}, LABEL: labels.astype(np.float32)},
        features=features,
    )
