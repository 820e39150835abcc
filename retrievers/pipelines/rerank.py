"""Second stages: `bm25 >> rerank(cross_encoder)`.
Pairs, whole lists in one pass, and late interaction.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy as np

from retrievers import folder, ties, topk
from retrievers.base import Documents, Hits, Only, Queries, Retriever
from retrievers.errors import RetrieverError
from retrievers.index_checks import check_encoder, check_indexed, check_new
from retrievers.metadata_columns import Columns
from retrievers.pipelines.late import MaxSim
from retrievers.texts import Document, joined

Scores = Sequence[float] | np.ndarray
# A scorer of one query's candidates: query, texts -> scores [len(texts)].
Listwise = Callable[[str, list[str]], Scores]
TOGETHER = 128  # queries whose candidates a scorer of many lists gets at once


@runtime_checkable
class ListScorer(Protocol):
    """A scorer that sees the candidates of many queries at once: so it reads a text that several
    of them found once, or has several requests under way.
    """

    def score_lists(self, queries: Sequence[str], lists: Sequence[list[str]]) -> Sequence[Scores]:
        """Scores of each query's candidates, in their order.

        Args:
            queries: `[q]` texts.
            lists: `[q]` lists of candidates' texts, none of them empty.
        """


def rerank(model: Any, depth: int = 100, *, id: str = "", name: str = "") -> "Rerank":
    """A stage that scores the first `depth` documents anew.

    Args:
        model: a cross-encoder (`predict` on pairs of query and text); a late-interaction encoder
            (`encode_query` and `encode_document` give one array of token vectors per text); or what
            sees a query's whole list in one pass, as Uni-Encoder does (arXiv:2106.01263): a
            function `(query, texts) -> scores`, or a model with such a method `score_list`; or
            what sees the lists of many queries (`ListScorer`). Or a text retriever, such as
            `Encoded(multi_vector_encoder, "maxsim")`: it indexes the same documents, and ranks
            the candidates by what it holds of them.
        id: changes whenever the scores would: the weights' revision or digest.
        name: what to load the model by again. A stage with a name is saved with its index.
    """
    if depth < 1:
        raise RetrieverError(f"The depth is {depth}.", "Rerank 1 document or more.")
    if isinstance(model, ListScorer | Retriever):
        return Rerank(model, depth, id, name)
    if hasattr(model, "score_list"):
        return Rerank(model.score_list, depth, id, name)
    if hasattr(model, "predict"):
        return Rerank(Pairwise(model), depth, id, name)
    if hasattr(model, "encode_query") and hasattr(model, "encode_document"):
        return Rerank(MaxSim(model), depth, id, name)
    if not callable(model):
        raise RetrieverError(
            f"A {type(model).__name__} cannot rerank.",
            "Give a cross-encoder, a late-interaction encoder, or a function (query, texts) ->"
            " scores.",
        )
    return Rerank(model, depth, id, name)


@dataclass(frozen=True)
class Rerank:
    """A stage: what scores, how deep, and what identifies the model (see `rerank`)."""

    scorer: Listwise | ListScorer | Retriever
    depth: int = 100
    id: str = ""
    name: str = ""

    def after(self, first: Retriever) -> "Reranked":
        return Reranked(first, self)


class Reranked(Retriever):
    """A retriever whose best documents another model has put in order;
    none beyond the stage's depth are returned.
    """

    settles_ties: ClassVar[bool] = True

    def __init__(self, first: Retriever, stage: Rerank):
        self.first, self.stage = first, stage

    @property
    def ids(self) -> Sequence[str]:  # type: ignore[override]  # those of the first stage, not to be set
        return self.first.ids

    def index(self, ids: Sequence[str], documents: Documents) -> "Reranked":
        for part in self.parts:
            part.index(ids, documents)
        return self

    def add(self, ids: Sequence[str], documents: Documents) -> "Reranked":
        check_new(ids, self.ids)
        for part in self.parts:
            part.add(ids, documents)
        return self

    def replace(self, ids: Sequence[str], documents: Documents) -> "Reranked":
        for part in self.parts:
            part.replace(ids, documents)
        return self

    def delete(self, ids: Collection[str]) -> "Reranked":
        check_indexed(ids, self.ids)
        for part in self.parts:
            part.delete(ids)
        return self

    def search(self, queries: Queries, k: int, *, only: Only | None = None) -> Hits:
        k = topk.check_k(k)
        candidates = ties.search(self.first, queries, self.stage.depth, only=only)
        scores = self._scores(queries, candidates)
        everything = topk.best(candidates.rows, scores, self.stage.depth)
        return topk.pad(ties.by_id(everything, self.ids), k)

    @property
    def _second(self) -> Retriever | None:
        """The retriever that ranks the candidates, where one does."""
        return self.stage.scorer if isinstance(self.stage.scorer, Retriever) else None

    @property
    def parts(self) -> Sequence[Retriever]:  # type: ignore[override]  # those of its stages, not to be set
        """Both stages, or the first alone: those that hold documents."""
        return [self.first, self._second] if self._second else [self.first]

    def _scores(self, queries: Queries, candidates: Hits) -> np.ndarray:
        """Of each candidate, as the stage has them: `[q, depth]`."""
        if self._second:
            return _ranked(self._second, queries, candidates, self.ids)
        assert not isinstance(self.stage.scorer, Retriever)
        scores = np.full(candidates.rows.shape, -np.inf, dtype=np.float32)
        texts = cast("Sequence[Document]", queries)
        counts = (candidates.rows >= 0).sum(axis=1)
        found = np.flatnonzero(counts)
        for start in range(0, len(found), TOGETHER):
            part = found[start : start + TOGETHER]
            lists = [self._texts(candidates.rows[q, : counts[q]]) for q in part]
            answers = scored(self.stage.scorer, [joined(texts[q]) for q in part], lists)
            for q, answer in zip(part, answers, strict=True):
                scores[q, : counts[q]] = answer
        return scores

    def _texts(self, rows: np.ndarray) -> list[str]:
        candidates = [self.first.text(int(row)) for row in rows]
        texts = [text for text in candidates if text is not None]
        if len(texts) < len(candidates):
            raise RetrieverError(
                "The first stage keeps no texts to rerank.",
                "Put the stage behind a text retriever.",
            )
        return texts

    def text(self, row: int) -> str | None:
        return self.first.text(row)

    def metadata(self, row: int) -> dict[str, Any]:
        return self.first.metadata(row)

    @property
    def columns(self) -> Columns:
        return self.first.columns

    def save(self, path: Path) -> None:
        """Write the first stage, and the reranker's name to load it by again; of a stage that is
        a retriever, what it holds.

        Raises:
            RetrieverError: the reranker has no name.
        """
        if not self.stage.name and not self._second:
            raise RetrieverError(
                "A reranker without a name cannot be saved.",
                "Name it, rerank(model, id=..., name=...), or save the first stage alone.",
            )
        manifest = {
            "retriever": "reranked",
            "model": {"name": self.stage.name, "id": self.stage.id},
            "depth": self.stage.depth,
            "indexed": self._second is not None,
            "documents": len(self.ids),
        }

        def fill(target: Path) -> None:
            self.first.save(target / "first")
            if self._second:
                self._second.save(target / "second")

        folder.write(path, manifest, fill)

    @classmethod
    def opened(
        cls, path: Path, manifest: dict[str, Any], data: Path, encoder: Any = None
    ) -> "Reranked":
        """Read the first stage and put the reranker back.

        Args:
            path, manifest, data: as `Retriever.opened` has them.
            encoder: a function from the recorded name of any model of the index to its `Encoder`,
                whose `model` is here what `rerank` takes.

        Raises:
            RetrieverError: no such function is given, or it gives another model than the recorded
                one.
        """
        from retrievers.registry import load

        name, id = manifest["model"]["name"], manifest["model"]["id"]
        if manifest.get("indexed"):
            second = load(data / "second", encoder)
            return cls(
                load(data / "first", encoder), rerank(second, manifest["depth"], id=id, name=name)
            )
        if not callable(encoder):
            raise RetrieverError(
                f"The index at {path} needs its reranker, {name}.",
                "Type: retrievers.load(path, encoder=function), which takes a name and gives"
                " Encoder(model, id).",
            )
        scorer = encoder(name)
        check_encoder(path, id, scorer.id)
        return cls(
            load(data / "first", encoder), rerank(scorer.model, manifest["depth"], id=id, name=name)
        )


def _ranked(
    second: Retriever, queries: Queries, candidates: Hits, ids: Sequence[str]
) -> np.ndarray:
    """The scores that a retriever of the same documents gives the candidates."""
    scores = np.full(candidates.rows.shape, -np.inf, dtype=np.float32)
    texts = cast("Sequence[Document]", queries)
    for q, rows in enumerate(candidates.rows):
        names = [ids[row] for row in rows[rows >= 0].tolist()]
        if not names:
            continue
        hits = second.search([texts[q]], len(names), only=names)
        own = [second.ids[row] for row in hits.rows[0][hits.rows[0] >= 0].tolist()]
        found = dict(zip(own, hits.scores[0].tolist(), strict=False))
        scores[q, : len(names)] = [found.get(name, -np.inf) for name in names]
    return scores


def scored(
    scorer: Listwise | ListScorer, queries: Sequence[str], lists: Sequence[list[str]]
) -> list[np.ndarray]:
    """A reranker's scores of each query's candidates: `[q]` arrays, float32 `[len(list)]`.

    Raises:
        RetrieverError: they are not one finite number each.
    """
    if isinstance(scorer, ListScorer):
        answers = list(scorer.score_lists(queries, lists))
    else:
        answers = [scorer(query, texts) for query, texts in zip(queries, lists, strict=True)]
    if len(answers) != len(lists):
        raise RetrieverError(
            f"The reranker gave {len(answers)} lists of scores for {len(lists)} queries.",
            "A reranker gives one list of scores per query.",
        )
    return [_checked(answer, len(texts)) for answer, texts in zip(answers, lists, strict=True)]


def _checked(answer: Scores, count: int) -> np.ndarray:
    try:
        scores = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise RetrieverError(
            f"The reranker gave a {type(answer).__name__} that holds no numbers, for {count}"
            " documents.",
            "A reranker gives one finite score per document: a list or an array.",
        ) from error
    if scores.shape != (count,) or not np.isfinite(scores).all():
        raise RetrieverError(
            f"The reranker gave scores of shape {list(scores.shape)} for {count} documents, or"
            " NaN.",
            "A reranker gives one finite score per document: a cross-encoder with one label.",
        )
    return scores


@dataclass(frozen=True)
class Pairwise:
    """Scores of a cross-encoder, from its `predict`."""

    model: Any

    def __call__(self, query: str, texts: list[str]) -> Sequence[float]:
        pairs = [(query, text) for text in texts]
        shows = "show_progress_bar" in inspect.signature(self.model.predict).parameters
        scores: Sequence[float] = (
            self.model.predict(pairs, show_progress_bar=False)
            if shows
            else self.model.predict(pairs)
        )
        return scores
