"""Contexts made shorter before they are read.

* refine(LLM): a language model copies what helps, under headings (Refiner: Li et al., EMNLP 2024
  Findings, arXiv:2406.11357); it becomes the one context.
* extract(EMBEDDER): the n sentences nearest to the question, in their order, each in its document
  (the extractive compressor of RECOMP: Xu et al., ICLR 2024, arXiv:2310.04408). A sentence that
  several documents have stays in the first of them.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from embedlab.rag import prompt, scoring
from embedlab.rag.generator import Generator, costs_of
from embedlab.rag.pipeline_expressions import Stage
from embedlab.resources import DATA
from retrievers.indexes.dense import normalised

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)|\n\s*\n")
_HEADING = re.compile(r"^\s*(?:#+|\d+(?:\.\d+)*[.)]?)\s")


@dataclass
class Refined:
    """The contexts of one question as the generator reads them, and what that cost."""

    contexts: list[str]
    costs: dict[str, float] = field(default_factory=dict)


class Refiner(Protocol):
    """name: as shown; identity: changes whenever the contexts would."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> list[object]: ...

    def refine(
        self, questions: Sequence[str], contexts: Sequence[Sequence[str]]
    ) -> list[Refined]: ...


def sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line."""
    parts = (" ".join(part.split()) for part in _SENTENCE.split(text))
    return [part for part in parts if part]


@dataclass(frozen=True)
class Copied:
    """See `refine(LLM)` above."""

    stage: Stage
    generator: Generator

    @property
    def name(self) -> str:
        return self.stage.shown(self.generator.name, "max_tokens", "temperature")

    @property
    def identity(self) -> list[object]:
        name = f"refine({self.generator.name})"  # the settings follow
        return [name, self.generator.identity, self.generator.settings, _template()]

    def refine(self, questions: Sequence[str], contexts: Sequence[Sequence[str]]) -> list[Refined]:
        """Where the model copies nothing, the contexts stay as they were."""
        prompts = [
            prompt.fitted(_template(), texts, question, self.generator.fits)[0]
            for question, texts in zip(questions, contexts, strict=True)
        ]
        found = [Refined(list(texts)) for texts in contexts]
        for place, generated in self.generator.generate_all(prompts):
            one = found[place]
            one.costs |= costs_of(generated, "refine", "refine_")
            if generated.text:
                one.costs["refine_verbatim"] = _verbatim(generated.text, contexts[place])
                one.contexts = [generated.text]
        return found


@dataclass(frozen=True)
class Extracted:
    """See `extract(EMBEDDER)` above; `encoder` is a `retrievers.Encoder`."""

    model: str
    encoder: Any
    number: int

    @property
    def name(self) -> str:
        return f"extract({self.model}, n={self.number})"

    @property
    def identity(self) -> list[object]:
        return [self.name, self.encoder.id, "each once"]  # earlier versions repeated some

    def refine(self, questions: Sequence[str], contexts: Sequence[Sequence[str]]) -> list[Refined]:
        began = time.perf_counter()
        cut = [[sentences(text) for text in texts] for texts in contexts]
        known = list(dict.fromkeys(s for texts in cut for text in texts for s in text))
        if not known:
            return [Refined(list(texts)) for texts in contexts]
        row_of = {sentence: row for row, sentence in enumerate(known)}
        vectors = normalised(np.asarray(self.encoder.encode_documents(known), dtype=np.float32))
        asked = normalised(
            np.asarray(self.encoder.encode_queries(list(questions)), dtype=np.float32)
        )
        found = []
        for place, texts in enumerate(cut):
            near = {s: float(vectors[row_of[s]] @ asked[place]) for text in texts for s in text}
            kept = set(sorted(near, key=lambda s: -near[s])[: self.number])
            found.append(Refined(_only(kept, texts)))
        seconds = (time.perf_counter() - began) / max(1, len(found))
        for one in found:
            one.costs["refine_seconds"] = seconds
        return found


def _only(kept: set[str], contexts: Sequence[Sequence[str]]) -> list[str]:
    """Of the contexts' sentences those that are kept, each once; a context without any goes."""
    left, short = set(kept), []
    for sentences_of in contexts:
        own = [s for s in dict.fromkeys(sentences_of) if s in left]
        left.difference_update(own)
        short.append(" ".join(own))
    return [text for text in short if text]


def _verbatim(text: str, contexts: Sequence[str]) -> float:
    """The share of what was copied that stands in the contexts word for word; headings aside."""
    lines = [line for line in text.splitlines() if not _HEADING.match(line)]
    copied = sentences("\n\n".join(lines))
    if not copied:
        return 0.0
    return sum(scoring.answer_recall(contexts, [one]) for one in copied) / len(copied)


def _template() -> str:
    return (DATA / "prompts" / "refine.txt").read_text(encoding="utf-8").rstrip("\n")
