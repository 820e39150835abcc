"""What a pipeline made of all questions, as measures look at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from embedlab.rag import retrieving
from embedlab.rag.questions import Question
from embedlab.rag.rag_pipeline import Pipeline
from leaderboard.records import Answer


@dataclass(frozen=True)
class Evidence:
    """Questions and answers, place by place."""

    questions: Sequence[Question]
    answers: Sequence[Answer]
    pipeline: Pipeline

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.pipeline.source.retriever.ids)}

    @cached_property
    def documents(self) -> list[str]:
        """The ids of all documents that were retrieved."""
        return list(dict.fromkeys(id for answer in self.answers for id in answer.documents))

    @cached_property
    def texts(self) -> dict[str, str]:
        """Documents by id, whole: those retrieved, and those put among them."""
        text = self.pipeline.source.retriever.text
        noise = (id for answer in self.answers for id in answer.steps.get("noise", ()))
        return {id: text(self._row_of[id]) or "" for id in [*self.documents, *noise]}

    @cached_property
    def retrieved(self) -> list[list[str]]:
        """What the documents retrieved say to each question, best first."""
        return self._passages([answer.documents for answer in self.answers])

    @cached_property
    def _arranged(self) -> list[list[str]]:
        order = self.pipeline.order
        return self._passages(
            [
                answer.steps.get("read")
                or retrieving.arranged(answer.documents, answer.steps.get("noise", []), order)
                for answer in self.answers
            ]
        )

    def contexts(self, place: int) -> list[str]:
        """The contexts as the generator read them; [1] is the first."""
        answer = self.answers[place]
        shown = answer.steps.get("contexts")
        shown = self._arranged[place] if shown is None else shown
        return shown[: int(answer.costs.get("contexts_read", len(shown)))]

    def by_rank(self, place: int) -> list[str]:
        """The contexts that the generator read, the best first."""
        return retrieving.by_rank(self.contexts(place), self.pipeline.order)

    def _passages(self, ids: Sequence[Sequence[str]]) -> list[list[str]]:
        rows = [[self._row_of[id] for id in each] for each in ids]
        asked = [answer.question for answer in self.answers]
        return retrieving.passages(self.pipeline.source.retriever, asked, rows)
