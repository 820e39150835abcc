"""What is searched for in the place of a question, as a language model writes it.

* rewrite: a search query (Ma et al., EMNLP 2023, arXiv:2305.14283).
* hyde: a passage that might answer it, beside the question (Gao et al., ACL 2023,
  arXiv:2212.10496). The paper averages their vectors; here their rankings are fused, which works
  for every retriever, BM25 among them.
* multi: the question in other words, n of them beside it; their rankings are fused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from embedlab.rag.generator import Generator, costs_of
from embedlab.rag.pipeline_expressions import Stage
from embedlab.resources import DATA

_NUMBERED = re.compile(r"^\s*(?:\d+[.)]|[-*])\s*")


@dataclass(frozen=True)
class Written:
    """What is searched for, and what that cost."""

    queries: list[str]
    costs: dict[str, float]


@dataclass(frozen=True)
class Rewriter:
    """A step that turns questions into queries."""

    stage: Stage
    generator: Generator

    @property
    def name(self) -> str:
        return self.stage.shown(self._unset, "max_tokens", "temperature")

    @property
    def _unset(self) -> str:
        """Its name without settings that are written, as identities have known it all along."""
        n = f", n={self.number}" if self.stage.function == "multi" else ""
        return f"{self.generator.name}{n}"

    @property
    def number(self) -> int:
        return int(self.stage.setting("n", 3))

    @property
    def identity(self) -> list[object]:
        name = f"{self.stage.function}({self._unset})"
        return [name, self.generator.identity, self.generator.settings, self._template()]

    def queries(self, questions: Sequence[str]) -> list[Written]:
        """What to search for, question by question; where the model wrote nothing of use, the
        question itself.
        """
        template = self._template().replace("{n}", str(self.number))
        prompts = [template.replace("{question}", question) for question in questions]
        found: list[Written] = [Written([], {})] * len(questions)
        for place, generated in self.generator.generate_all(prompts):
            costs = costs_of(generated, "rewrite", "rewrite_")
            found[place] = Written(self._read(questions[place], generated.text), costs)
        return found

    def _read(self, question: str, text: str) -> list[str]:
        if self.stage.function == "multi":
            lines = (_NUMBERED.sub("", line).strip() for line in text.splitlines())
            more = list(dict.fromkeys(line for line in lines if line))[: self.number]
            return list(dict.fromkeys([question, *more]))
        text = " ".join(text.split())
        if self.stage.function == "hyde":
            return [question, text] if text else [question]
        return [text or question]

    def _template(self) -> str:
        path = DATA / "prompts" / f"{self.stage.function}.txt"
        return path.read_text(encoding="utf-8").rstrip("\n")
