"""A pipeline with its parts loaded: everything that shapes an answer but the question."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from embedlab.rag import prompt, retrieving
from embedlab.rag.generator import Generated, Generator, costs_of, display_name
from embedlab.rag.pipeline_expressions import Stage
from embedlab.rag.questions import Question
from embedlab.rag.refining import Refiner
from embedlab.rag.rewriting import Rewriter
from embedlab.rag.sources import Source
from embedlab.servers.prices import estimated_tokens
from leaderboard.records import Answer

T = TypeVar("T")
USUAL_K = 5


@dataclass(frozen=True)
class Pipeline:
    """prompt_name: of the template, where it is not the usual one.
    where: a filter on the documents' metadata; only: the rows that it lets through.
    """

    source: Source
    k: int
    template: str
    generator: Generator | None = None
    rewriter: Rewriter | None = None
    noise: Stage | None = None
    refiner: Refiner | None = None
    order: str = ""
    prompt_name: str = ""
    asked_k: int | None = None
    where: str = ""
    only: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """What tells it from other pipelines; what is as usual is left out."""
        usual = self.asked_k in (None, USUAL_K)
        source = self.source.name if usual else f"{self.source.name} k={self.k}"
        order = f"order({self.order})" if self.order else ""
        parts = [
            self.rewriter.name if self.rewriter else "",
            source,
            f"where({self.where})" if self.where else "",
            str(self.noise or ""),
            self.refiner.name if self.refiner else "",
            order,
            f"prompt={self.prompt_name}" if self.prompt_name else "",
        ]
        shown = " | ".join(part for part in parts if part)
        return f"{shown} + {display_name(self.generator)}" if self.generator else shown

    @property
    def identity(self) -> str:
        generator = (
            (self.generator.identity, self.generator.settings, self.template)
            if self.generator
            else None
        )
        parts: list[object] = [self.source.identity, self.k, generator]
        steps = {
            "rewriter": self.rewriter.identity if self.rewriter else None,
            "noise": str(self.noise) if self.noise else None,
            "refiner": self.refiner.identity if self.refiner else None,
            "order": self.order or None,
            # Whose rows, since metadata are no part of what an index says that it is.
            "where": (self.where, _digest(self.only)) if self.only is not None else None,
        }
        if known := {name: value for name, value in steps.items() if value}:
            parts.append(known)
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]

    def answers(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """An answer for each question, as they come; what comes before the generator is done for
        all questions together.
        """
        drafts = _Drafts(self, questions)
        if self.generator is None:
            yield from (drafts.answer(place) for place in range(len(questions)))
            return
        prompts = [drafts.prompt(place) for place in range(len(questions))]
        for place, generated in self.generator.generate_all(prompts):
            yield drafts.answer(place, generated)


def _digest(rows: np.ndarray) -> str:
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16]


class _Drafts:
    """What is known of each question before it is answered."""

    def __init__(self, pipeline: Pipeline, questions: Sequence[Question]) -> None:
        self.pipeline, self.questions = pipeline, questions
        texts = [question.text for question in questions]
        retriever = pipeline.source.retriever
        self.costs: list[dict[str, float]] = [{} for _ in questions]
        self.steps: list[dict[str, list[str]]] = [{} for _ in questions]
        queries = [[text] for text in texts]
        if pipeline.rewriter:
            written = pipeline.rewriter.queries(texts)
            queries = [one.queries for one in written]
            self._note([one.costs for one in written])
            for step, one in zip(self.steps, written, strict=True):
                step["queries"] = one.queries
        self.found = retrieving.retrieve(retriever, queries, pipeline.k, pipeline.only)
        if pipeline.noise:
            retrieving.add_noise(pipeline.noise, retriever, questions, self.found, pipeline.only)
            for step, found in zip(self.steps, self.found, strict=True):
                step["noise"] = [retriever.ids[row] for row in found.noise]
        self._note([one.costs for one in self.found])
        self.rows = [retrieving.mixed(one.rows, one.noise) for one in self.found]
        # The best first; what is read of them is put in order afterwards.
        self.contexts = retrieving.passages(retriever, texts, self.rows)
        if pipeline.refiner:
            self._refine(texts)

    def _refine(self, questions: list[str]) -> None:
        assert self.pipeline.refiner
        refined = self.pipeline.refiner.refine(questions, self.contexts)
        self._note([one.costs for one in refined])
        generator = self.pipeline.generator
        count = generator.tokens if generator else estimated_tokens
        for place, one in enumerate(refined):
            before, after = (
                sum(map(count, texts)) for texts in (self.contexts[place], one.contexts)
            )
            self.costs[place] |= {"context_tokens_before": before, "context_tokens": after}
            self.contexts[place] = one.contexts
            self.steps[place]["contexts"] = self._ordered(one.contexts)

    def _ordered(self, best_first: Sequence[T]) -> list[T]:
        return retrieving.ordered(best_first, self.pipeline.order)

    def _note(self, costs: Sequence[dict[str, float]]) -> None:
        for own, more in zip(self.costs, costs, strict=True):
            price = own.get("price", 0.0)
            own |= more
            if "price" in more:
                own["price"] = price + more["price"]

    def prompt(self, place: int) -> str:
        generator = self.pipeline.generator
        assert generator
        filled, used = prompt.fitted(
            self.pipeline.template,
            self.contexts[place],
            self.questions[place].text,
            generator.fits,
            self._ordered,
        )
        self.costs[place]["contexts_read"] = used
        if used < len(self.contexts[place]):
            self._note_read(place, used)
        return filled

    def _note_read(self, place: int, used: int) -> None:
        """Keep which contexts fitted into the prompt, in the order in which they are read."""
        if self.pipeline.refiner:
            self.steps[place]["contexts"] = self._ordered(self.contexts[place][:used])
        else:
            ids = self.pipeline.source.retriever.ids
            self.steps[place]["read"] = [ids[r] for r in self._ordered(self.rows[place][:used])]

    def answer(self, place: int, generated: Generated | None = None) -> Answer:
        found, costs = self.found[place], self.costs[place]
        if generated:
            price = costs.get("price", 0.0)
            costs |= costs_of(generated, "generate")
            if "price" in costs:
                costs["price"] = price + (generated.price or 0.0)
            if generated.cut:
                costs["cut"] = 1.0
        return Answer(
            self.pipeline.identity,
            self.questions[place].text,
            [self.pipeline.source.retriever.ids[row] for row in found.rows],
            found.scores,
            generated.text if generated else None,
            costs,
            self.steps[place],
        )
