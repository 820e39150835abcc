"""Whether documents support what an answer claims, as a judge sees it.

A claim is a sentence of the answer. Its citations, `[1]` or `[1, 3]`, name contexts by their
numbers in the prompt. Of answers that cite, recall is the share of claims that all of what they
cite supports, as in ALCE (Gao et al., EMNLP 2023, arXiv:2305.14627, section 3); precision is the
plain share of citations that support their claim by themselves. ALCE's precision is another: it
also counts a citation that a claim needs beside others, and none of a claim that is not supported.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from embedlab.errors import UserError
from embedlab.rag import prompt, refining, scoring
from embedlab.rag.generator import Generator
from embedlab.resources import DATA

_CITED = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")


class Claim(NamedTuple):
    """A sentence of an answer without its citations, and the numbers that it cites."""

    text: str
    cited: tuple[int, ...]


class Judge(Protocol):
    """name: as shown; verdicts: whether the documents support each claim, None where the judge says
    neither.
    """

    @property
    def name(self) -> str: ...

    def verdicts(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[bool | None]: ...


def claims(answer: str) -> list[Claim]:
    """The claims of an answer; none where it abstains."""
    if scoring.abstained(_CITED.sub("", answer)):
        return []
    found = []
    for sentence in refining.sentences(re.sub(r"([.!?])\s*((?:\[[\d, ]+\])+)", r" \2\1", answer)):
        cited = (int(n) for part in _CITED.findall(sentence) for n in part.split(","))
        text = re.sub(r"\s+([.,;!?])", r"\1", _CITED.sub("", sentence)).strip()
        if scoring.normalised(text):
            found.append(Claim(text, tuple(dict.fromkeys(cited))))
    return found


@dataclass(frozen=True)
class AskedModel:
    """A language model that is asked: yes or no?"""

    generator: Generator

    @property
    def name(self) -> str:
        return self.generator.name

    def verdicts(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[bool | None]:
        template = (DATA / "prompts" / "judge.txt").read_text(encoding="utf-8").rstrip("\n")
        template = template.replace("{claim}", "{question}")
        # Where there are no documents, none supports the claim, whatever the model knows itself.
        asked = [place for place, (_, documents) in enumerate(pairs) if documents]
        prompts = [
            prompt.fitted(template, pairs[place][1], pairs[place][0], self.generator.fits)[0]
            for place in asked
        ]
        found: list[bool | None] = [False] * len(pairs)
        for n, generated in self.generator.generate_all(prompts):
            word = re.match(r"\W*(yes|no)\b", generated.text, re.IGNORECASE)
            found[asked[n]] = word[1].lower() == "yes" if word else None
        return found


@dataclass(frozen=True)
class Entailment:
    """A cross-encoder trained on natural language inference: a claim is supported where one of the
    documents entails it.
    """

    name: str
    model: Any
    label: int

    def verdicts(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[bool | None]:
        flat = [(text, claim) for claim, documents in pairs for text in documents]
        if not flat:
            return [False] * len(pairs)
        entailed = self.model.predict(flat, show_progress_bar=False).argmax(axis=1) == self.label
        found: list[bool | None] = []
        start = 0
        for _, documents in pairs:
            found.append(bool(entailed[start : start + len(documents)].any()))
            start += len(documents)
        return found


def entailment(name: str, device: str | None) -> Entailment:
    """A cross-encoder by its folder or hub id.

    Raises:
        UserError: it cannot be loaded, or has no label for entailment.
    """
    from sentence_transformers import CrossEncoder

    try:
        model = CrossEncoder(name, device=device)
    except (OSError, ValueError) as error:
        raise UserError(
            f"The judge {name} cannot be loaded: {error}", "Name its folder."
        ) from error
    labels = {str(label).lower(): int(n) for n, label in (model.config.id2label or {}).items()}
    place = next((n for label, n in labels.items() if label.startswith("entail")), None)
    if place is None:
        raise UserError(
            f"The judge {name} has no label for entailment, but {', '.join(labels)}.",
            "Name a model of natural language inference, or a language model.",
        )
    return Entailment(name, model, place)
