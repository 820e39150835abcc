"""Objects that implement mteb's protocols:
mteb searches and evaluates with them; rankings are scored here.
"""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from embedlab.compat.mteb_internals import scorings, set_seed
from embedlab.encoding.vectors.views import View
from embedlab.errors import UserError
from embedlab.evaluation import example_records
from embedlab.evaluation.protocols.encoded_models import numbers
from embedlab.evaluation.protocols.protocol import Prepared, Protocol, SearchResult
from embedlab.evaluation.retrieval_data import RetrievalData
from embedlab.evaluation.task_result import TaskResult
from embedlab.models import mteb_objects
from embedlab.models.kinds import Kind

if TYPE_CHECKING:
    from mteb.abstasks import AbsTaskRetrieval


class MtebProtocols(Protocol):
    """An object that implements `EncoderProtocol`,
    `CrossEncoderProtocol` or `SearchProtocol`: seen as it is.
    """

    def views(self) -> list[View]:
        return [View(index="")]

    def search(
        self,
        task: "AbsTaskRetrieval",
        data: RetrievalData,
        prepared: Prepared,
        view: View,
        *,
        k: int,
    ) -> SearchResult:
        """The object's own search.

        Raises:
            UserError: the object names a document that the task does not have, or reorders
                candidates where the task has none.
        """
        if self.model.card.kind is Kind.CROSS and data.candidates is None:
            raise UserError(
                f"{self.model.name} is a cross-encoder: it reorders candidates, and this task has"
                " none.",
                "Choose a reranking task, or give an object with predict(pairs), which goes behind"
                " a retriever.",
            )
        assert task.dataset is not None  # it is loaded
        parts = task.dataset[data.subset][data.split]
        known = set(data.query_ids)
        queries = parts["queries"].select(
            [row for row, id in enumerate(parts["queries"][:]["id"]) if id in known]
        )
        results, clock, spent = mteb_objects.searched(
            self.model.encoder,
            parts["corpus"],
            queries,
            data.candidates,
            k,
            task.metadata,
            data.split,
            data.subset,
        )
        rows = np.full((len(data.query_ids), k), -1, dtype=np.int32)
        scores = np.full(rows.shape, -np.inf, dtype=np.float32)
        for place, query in enumerate(data.query_ids):
            best = sorted(
                results.get(query, {}).items(), key=lambda pair: (pair[1], pair[0]), reverse=True
            )[:k]
            its_rows = data.document_ids.rows([document for document, _ in best])
            if (its_rows < 0).any():
                strange = best[int((its_rows < 0).argmax())][0]
                raise UserError(
                    f"The search found a document {strange!r}, which {task.metadata.name} does"
                    " not have."
                )
            rows[place, : len(best)] = its_rows
            scores[place, : len(best)] = [score for _, score in best]
        if clock.texts:
            spent |= {
                "encode_seconds": clock.seconds,
                "texts_per_second": clock.texts / max(clock.seconds, 1e-9),
            }
            spent["search_seconds"] -= clock.seconds
        return SearchResult(rows, scores, spent)

    def score(
        self, tasks: Mapping[View, Any], split: str, subsets: list[str]
    ) -> Iterator[TaskResult]:
        if not self.model.card.kind.gives_vectors:
            yield from super().score(tasks, split, subsets)
        for view, task in tasks.items():
            set_seed(task.seed)
            began = time.perf_counter()
            how = dict(mteb_objects.HOW)
            with scorings(task) as calls:
                scores = task.evaluate(
                    self.model.encoder, split, subsets_to_run=subsets, encode_kwargs=how
                )
            phases = {"score": time.perf_counter() - began}
            examples = example_records.of_subsets(task, subsets, calls, scores)
            for subset in subsets:
                yield TaskResult(
                    split,
                    subset,
                    view,
                    numbers(scores[subset]),
                    {},
                    phases,
                    examples=examples.get(subset),
                )
