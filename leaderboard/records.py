"""What one evaluation hands to the results store. Plain values: no torch, no mteb, no DuckDB."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Model:
    """A model as evaluated; (name, revision) identifies it."""

    name: str
    revision: str = ""
    kind: str = "dense"  # dense | sparse | lexical | cross | hybrid | rag
    # The card: dim, parameters, licence, public, training sets, ...
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A task's split and subset; (name, revision, split, subset) identifies it."""

    name: str
    type: str  # mteb's task types: Retrieval, Reranking, STS, Classification, ...
    split: str = "test"
    subset: str = "default"
    revision: str = ""
    main_metric: str = "ndcg_at_10"
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """One timed phase of a run: load, encode queries, encode documents, index, search, score."""

    name: str
    seconds: float


@dataclass(frozen=True)
class PerQuery:
    """Scores of each query: `metrics[name]` is a float64 array aligned with `query_ids`."""

    query_ids: list[str]
    metrics: dict[str, np.ndarray]


@dataclass(frozen=True)
class Examples:
    """What the score of a task that ranks nothing was computed from, example by example.

    series: by name, float64 `[experiments, examples]` in the data's order, NaN where an example
    takes no part in an experiment. By the task's type:
        STS: gold, cosine (similarity of each pair).
        Classification, BitextMining: gold, predicted (labels; of bitext, the partner's position).
        MultilabelClassification: gold_set, predicted_set (bit n: label n), or accuracy (right or
            not) where there are more than 52 labels.
        PairClassification: gold, and each similarity or distance of a pair.
        Clustering: v_measure and ami, `[levels, bootstraps]` or of each set of texts; of
            bootstraps, error: the standard error of the V-measure of the clusters as they are.
        Summarization: cosine_spearman of each text; NaN where it has none.
    """

    series: dict[str, np.ndarray]


@dataclass(frozen=True)
class Ranking:
    """A retrieval run: `document_ids[rows[q, r]]` stands at rank r for query q;
    row -1 marks an empty place.
    """

    query_ids: list[str]
    document_ids: Sequence[str]
    rows: np.ndarray  # int32 [queries, k]
    scores: np.ndarray  # float32 [queries, k]


@dataclass(frozen=True)
class Texts:
    """What the dashboard shows beside a ranking; kept once per task revision."""

    queries: dict[str, str]  # query id -> text
    qrels: dict[str, dict[str, int]]  # query id -> document id -> relevance
    # Document id -> beginning of its text, for judged and top-ranked documents.
    documents: dict[str, str]
    # Query id -> all answers that count as right; none where it is known that nothing answers it.
    answers: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One model x task x view, whole: the unit that the store writes, all or nothing."""

    model: Model
    task: Task
    main_score: float
    scores: dict[str, float]
    index: str = ""  # faiss:flat, torch, lucene, ...; empty for tasks without an index
    layer: int | None = None
    dim: int | None = None
    precision: str = "float32"
    # What else shapes scores and so tells views apart: dtype.
    settings: dict[str, str] = field(default_factory=dict)
    # Documents ranked for a query; None where no metric of the task needs more.
    depth: int | None = None
    # encode_seconds, texts_per_second, index_bytes, ...
    costs: dict[str, float] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)  # settings as the user gave them
    # Settings as used: prompts, dtype and why, first rendered inputs.
    resolved: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)  # versions, hardware, git revision
    phases: list[Phase] = field(default_factory=list)
    per_query: PerQuery | None = None
    examples: Examples | None = None
    ranking: Ranking | None = None
    texts: Texts | None = None
    # Empty: computed here. Imported: mteb, mteb-external (self-reported), anserini, pyserini, trec.
    source: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Answer:
    """One question of a RAG run; (pipeline, question) identifies it."""

    # Digest of all that shapes an answer but the question; the run has it in `resolved`.
    pipeline: str
    question: str  # its text
    documents: list[str]  # ids of those retrieved, best first
    scores: list[float]  # theirs
    answer: str | None = None  # None where nothing was generated
    # retrieve_seconds, generate_seconds, prompt_tokens, ...
    costs: dict[str, float] = field(default_factory=dict)
    # What was made on the way: "queries" written by a model, "noise" (ids of documents that were
    # put among the contexts), "contexts" as the generator read them where they are no documents,
    # "read" (ids, in the order of reading) where not all of them fitted into the prompt.
    steps: dict[str, list[str]] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Failure:
    """A task that could not be finished:
    recorded beside the runs, so that nothing fails silently.
    """

    model: str
    task: str
    problem: str
    hint: str = ""
    asked: dict[str, Any] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


def plain(request: Any) -> dict[str, Any]:
    """A request, any dataclass, as a run records it: its fields by name, paths as text."""
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(request).items()
    }
