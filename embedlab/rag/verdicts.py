"""Measures that need a model: how near an answer is to the right one, and what a judge says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embedlab.errors import UserError
from embedlab.progress import Reporter
from embedlab.rag.claims import AskedModel, Claim, Judge, claims, entailment
from embedlab.rag.evidence import Evidence
from embedlab.rag.pipeline_expressions import Stage
from embedlab.rag.rag_parts import Parts
from embedlab.tasks.beir import json_lines
from leaderboard.typed_values import Misfit, convert
from retrievers.indexes.dense import normalised

_LABEL = 'A line reads {"claim": "...", "context": "...", "supported": true}.'
_VERDICT = 8  # the most tokens of a verdict


@dataclass(frozen=True)
class _Label:
    claim: str
    context: str
    supported: bool


@dataclass
class Measures:
    """similarity, judge, labels: as the options of these names."""

    similarity: str
    judge: str
    labels: Path | None
    parts: Parts
    facts: dict[str, Any] = field(default_factory=dict)
    _judge: Judge | None = None
    _encoder: Any = None

    def prepare(self) -> None:
        """Load the models, and ask the judge about claims whose answer is known.

        Raises:
            UserError: a model cannot be had, or the labels are malformed.
        """
        if self.labels and not self.judge:
            raise UserError("--judge-labels are for a judge.", "Name one with --judge.")
        if self.similarity:
            self._encoder = self.parts.encoder(self.similarity)
            self.facts["similarity"] = {"model": self.similarity, "identity": self._encoder.id}
        if self.judge.startswith("nli(") and self.judge.endswith(")"):
            self._judge = entailment(self.judge[4:-1].strip(), self.parts.loading.device)
        elif self.judge:
            self._judge = AskedModel(self.parts.writer(Stage("judge", self.judge), _VERDICT))
        if self._judge:
            self.facts["judge"] = {"name": self.judge, **self._agreement()}

    def of(
        self, evidence: Evidence, reporter: Reporter
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Scores of each question by metric, and what the run says about them."""
        scores: dict[str, np.ndarray] = {}
        facts = {name: dict(value) for name, value in self.facts.items()}
        if self._encoder is not None:
            scores["semantic_similarity"] = self._similarities(evidence)
        if self._judge:
            judged, unreadable = self._judged(evidence)
            scores |= judged
            facts["judge"]["unreadable"] = unreadable
            if unreadable:
                reporter.say(
                    f"{unreadable:,} verdicts of the judge {self._judge.name} say neither yes nor"
                    " no; they are left out."
                )
        return {name: v for name, v in scores.items() if not np.isnan(v).all()}, facts

    def _similarities(self, evidence: Evidence) -> np.ndarray:
        found = np.full(len(evidence.answers), np.nan)
        places = [
            place
            for place, question in enumerate(evidence.questions)
            if question.answers and evidence.answers[place].answer is not None
        ]
        given = {place: evidence.answers[place].answer or "" for place in places}
        texts = [
            *given.values(),
            *(a for place in places for a in evidence.questions[place].answers),
        ]
        known = list(dict.fromkeys(texts))
        if not known:
            return found
        encoded = self._encoder.encode_documents(known)
        vectors = normalised(np.asarray(encoded, dtype=np.float64))
        vector = dict(zip(known, vectors, strict=True))
        for place in places:
            found[place] = max(
                float(vector[given[place]] @ vector[right])
                for right in evidence.questions[place].answers
            )
        return found

    def _judged(self, evidence: Evidence) -> tuple[dict[str, np.ndarray], int]:
        assert self._judge
        asked: list[tuple[str, Sequence[str]]] = []
        plans: list[tuple[int, Claim, int, int, list[int]]] = []  # places in `asked`
        for place, answer in enumerate(evidence.answers):
            contexts = evidence.contexts(place) if answer.answer else []
            for claim in claims(answer.answer or ""):
                cited = [contexts[n - 1] for n in claim.cited if 0 < n <= len(contexts)]
                whole = len(asked)
                # What is too long for the judge loses its end: the best come first.
                asked += [(claim.text, evidence.by_rank(place))]
                together = len(asked)
                asked += [(claim.text, cited)] if cited else []
                alone = list(range(len(asked), len(asked) + len(cited)))
                asked += [(claim.text, [one]) for one in cited]
                plans.append((place, claim, whole, together if cited else -1, alone))
        verdicts = self._judge.verdicts(asked)
        support: dict[int, list[float]] = {}
        recall: dict[int, list[float]] = {}
        precision: dict[int, list[float]] = {}
        cites = {place for place, claim, *_ in plans if claim.cited}
        for place, claim, whole, together, alone in plans:
            if (verdict := verdicts[whole]) is not None:
                support.setdefault(place, []).append(verdict)
            if place in cites:
                backed = verdicts[together] if together >= 0 else False
                if backed is not None:
                    recall.setdefault(place, []).append(backed)
                said = [v for n in alone if (v := verdicts[n]) is not None]
                # A number that names no context supports nothing.
                said += [False] * (len(claim.cited) - len(alone))
                precision.setdefault(place, []).extend(said)
        scores = {
            "claim_support": support,
            "citation_recall": recall,
            "citation_precision": precision,
        }
        return {
            name: _means(values, len(evidence.answers)) for name, values in scores.items()
        }, sum(verdict is None for verdict in verdicts)

    def _agreement(self) -> dict[str, float]:
        """How far the judge agrees with the labels: accuracy, and Cohen's kappa (1960)."""
        if not self.labels:
            return {}
        assert self._judge
        labels = _read_labels(self.labels)
        said = self._judge.verdicts([(one.claim, [one.context]) for one in labels])
        pairs = [(v, one.supported) for v, one in zip(said, labels, strict=True) if v is not None]
        found = {"labels": float(len(labels)), "labels_unreadable": float(len(labels) - len(pairs))}
        if not pairs:
            return found
        verdict, truth = (np.array(column) for column in zip(*pairs, strict=True))
        agreement = float((verdict == truth).mean())
        chance = float(verdict.mean() * truth.mean() + (1 - verdict.mean()) * (1 - truth.mean()))
        kappa = (agreement - chance) / (1 - chance) if chance < 1 else 1.0
        found |= {"agreement": agreement, "kappa": kappa}
        self.parts.reporter.say(
            f"The judge {self._judge.name} agrees with {agreement:.0%} of {len(pairs):,} labels"
            f" (kappa {kappa:.2f})."
        )
        return found


def _means(values: dict[int, list[float]], count: int) -> np.ndarray:
    found = np.full(count, np.nan)
    for place, each in values.items():
        if each:
            found[place] = float(np.mean(each))
    return found


def _read_labels(path: Path) -> list[_Label]:
    if not path.is_file():
        raise UserError(f"There is no file {path}.", _LABEL)
    labels = []
    for place, row in json_lines(path):
        try:
            labels.append(convert(row, _Label))
        except Misfit as error:
            raise UserError(f"{place}: {error}.", _LABEL) from error
    if not labels:
        raise UserError(f"{path} holds no labels.", _LABEL)
    return labels
