"""The same model by several routes: do vectors, rankings and scores agree, how fast is each?

A route is a model's name: another backend (`NAME@onnx`), dtype (`NAME?dtype=bfloat16`), server.
Each is compared with the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse, stats

from embedlab import tasks
from embedlab.encoding.cost import Cost
from embedlab.errors import UserError
from embedlab.evaluation.protocols.choice import protocol_for
from embedlab.evaluation.protocols.dense_models import DenseModels
from embedlab.evaluation.protocols.encoded_models import SparseModels
from embedlab.evaluation.request import Request
from embedlab.evaluation.retrieval_data import retrieval_data
from embedlab.evaluation.run import evaluate
from embedlab.evaluation.unused import ranks
from embedlab.models import LoadedModel, composition
from embedlab.models.served import server_models
from embedlab.models.settings import model_settings
from embedlab.models.settings.prompts import prompts_for_search
from embedlab.progress import Reporter
from leaderboard.records import Run
from leaderboard.statistics.intervals import interval, resampled_means
from leaderboard.statistics.significance import TESTS, correct

TOP, TAU_DEPTH, WORST = 10, 100, 5
_ASKING = 1_000  # texts of a file that look for their neighbours


@dataclass(frozen=True)
class Route:
    """One way to a model's vectors. Rates are those of the moment when it encoded the texts."""

    model: str
    dtype: str
    runs_on: str  # what multiplies, and on which device
    texts_per_second: float | None
    tokens_per_second: float | None
    speed: float | None  # texts per second as a multiple of the first route's
    score: float | None = None


@dataclass(frozen=True)
class Far:
    """A text whose vectors by two routes are among those farthest apart."""

    role: str
    text: str
    cosine: float


@dataclass
class Agreement:
    """A route beside the first. Cosines are those of a text's two vectors; None where a route gives
    no vector per text.

    same_model: whether both are one model by name or files; None where one is behind a server, and
    nobody sees. top_1: share of queries with the same best document; overlap_10: mean share of the
    best 10 in common; kendall_tau: mean over queries of tau-b between both orders of the first's
    best 100.
    """

    first: str
    second: str
    texts: int
    queries: int
    same_model: bool | None
    top_1: float
    overlap_10: float
    kendall_tau: float
    cosine_min: float | None = None
    cosine_percentiles: dict[str, float] = field(default_factory=dict)  # "1", "5", "50"
    worst: list[Far] = field(default_factory=list)
    metric: str | None = None
    difference: float | None = None  # of the second's score, less the first's
    low: float | None = None
    high: float | None = None
    p: float | None = None  # Holm-corrected over all routes
    queries_changed: int | None = None  # whose score differs at all


@dataclass(frozen=True)
class Parity:
    """All routes, and each beside the first."""

    data: str
    routes: list[Route]
    agreements: list[Agreement]


@dataclass
class _Seen:
    """What a route made of the texts: vectors by role, ranked rows `[queries, k]`, scores."""

    model: LoadedModel
    vectors: dict[str, Any]
    rows: np.ndarray
    cost: Cost | None
    run: Run | None = None


def on_task(names: Sequence[str], task: str, db: Path | None, reporter: Reporter) -> Parity:
    """Compare routes on a retrieval task; each is evaluated and recorded like any model.

    Raises:
        UserError: fewer than two routes, a task that ranks nothing, or models of other dimensions.
    """
    names = _several(names)
    resolved: Any = tasks.resolve([task])[0]
    if not ranks(resolved):
        raise UserError(
            f"{task} ranks no documents: a {resolved.metadata.type} task does not.",
            "Choose a retrieval task, or give texts: --data FILE",
        )
    request = Request.of(names, [task], db=db)
    outcome = evaluate(request, reporter)
    if outcome.failures:
        failed = outcome.failures[0]
        raise UserError(f"{failed.model} on {failed.task}: {failed.problem}", failed.hint)
    runs = outcome.runs
    if len(runs) != len(names):
        raise UserError(
            f"{task} has several splits or subsets.", "Choose a task with one: SciFact, NFCorpus."
        )
    tasks.load(resolved)
    data = retrieval_data(resolved, runs[0].task.split, runs[0].task.subset)
    seen = []
    for name, run in zip(names, runs, strict=True):
        model = composition.load(name)
        protocol = protocol_for(request, model, reporter)
        assert run.ranking is not None  # a retrieval task's
        vectors, cost = {}, None
        if isinstance(protocol, DenseModels | SparseModels):
            prepared = protocol.prepare(resolved, data, protocol.views())
            by_role = zip(("query", "document"), prepared.vectors[None], strict=True)
            vectors = {role: made.read() for role, made in by_role}
            cost = prepared.cost
        seen.append(_Seen(model, vectors, run.ranking.rows, cost, run))
    texts = {"query": data.queries, "document": data.documents}
    return _parity(task, seen, texts)


def on_texts(names: Sequence[str], file: Path, texts: list[str], reporter: Reporter) -> Parity:
    """Compare routes on texts alone: each of them looks for its neighbours among the others.

    Raises:
        UserError: fewer than two routes, too few texts, or a model that gives no vectors.
    """
    names, texts = _several(names), list(dict.fromkeys(texts))
    if len(texts) < 2:
        raise UserError(f"{file} holds fewer than two different texts.", "Give more, one a line.")
    seen = []
    for name in names:
        model = composition.load(name)
        protocol = protocol_for(Request.of(names, []), model, reporter)
        if not isinstance(protocol, DenseModels | SparseModels):
            raise UserError(
                f"{name} gives no vector per text.", "Compare it on a task: --task SciFact"
            )
        prompts = prompts_for_search(model.card, model.fact("prompts"), "")
        made, cost = protocol.encoder.encode(texts, role="document", **prompts["document"])
        vectors = made[None].read()
        rows = _neighbours(vectors)
        seen.append(_Seen(model, {"document": vectors}, rows, cost))
    return _parity(str(file), seen, {"document": texts})


def _several(names: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(names))
    shown: dict[str, str] = {}
    for name in names:
        known = composition.find(name).name
        if known in shown:
            raise UserError(
                f"{shown[known]} and {name} are one route: both are named {known}.",
                "Give a model once by each route, and folders different names.",
            )
        shown[known] = name
    if len(names) < 2:
        raise UserError(
            "parity compares two routes or more.",
            "Type: embedlab parity all-minilm-l6-v2 all-minilm-l6-v2@onnx",
        )
    return names


def _parity(data: str, seen: list[_Seen], texts: Mapping[str, Sequence[str]]) -> Parity:
    first = seen[0]
    agreements = [_agreement(first, other, texts) for other in seen[1:]]
    _test(first, seen[1:], agreements)
    rates = [each.cost.named() if each.cost else {} for each in seen]
    own = rates[0].get("texts_per_second")
    routes = [
        Route(
            each.model.name,
            each.model.dtype,
            " ".join(filter(None, (each.cost.kernels if each.cost else "", each.model.device))),
            rate.get("texts_per_second"),
            rate.get("tokens_per_second"),
            rate["texts_per_second"] / own if own and "texts_per_second" in rate else None,
            each.run.main_score if each.run else None,
        )
        for each, rate in zip(seen, rates, strict=True)
    ]
    return Parity(data, routes, agreements)


def _agreement(first: _Seen, other: _Seen, texts: Mapping[str, Sequence[str]]) -> Agreement:
    top = [_overlap(*pair) for pair in zip(first.rows, other.rows, strict=True)]
    found = Agreement(
        first.model.name,
        other.model.name,
        sum(map(len, texts.values())),
        len(first.rows),
        _same_model(first.model, other.model),
        top_1=float((first.rows[:, 0] == other.rows[:, 0]).mean()),
        overlap_10=float(np.mean(top)),
        kendall_tau=float(np.mean([_tau(*p) for p in zip(first.rows, other.rows, strict=True)])),
    )
    roles = [role for role in texts if role in first.vectors and role in other.vectors]
    if not roles:
        return found
    cosines = [_cosines(first, other, role) for role in roles]
    every = np.concatenate(cosines)
    found.cosine_min = float(every.min())
    found.cosine_percentiles = {
        str(percent): float(np.percentile(every, percent)) for percent in (1, 5, 50)
    }
    far = [
        Far(role, texts[role][row], float(values[row]))
        for role, values in zip(roles, cosines, strict=True)
        for row in np.argsort(values, kind="stable")[:WORST]
    ]
    found.worst = sorted(far, key=lambda each: each.cosine)[:WORST]
    return found


def _same_model(one: LoadedModel, other: LoadedModel) -> bool | None:
    """Whether two routes lead to one model by its name or its files; None where nobody sees."""
    cards = one.card, other.card
    if any(card.method == server_models.METHOD for card in cards):
        return None
    names = [card.source or model_settings.split(card.name)[0] for card in cards]
    versions = [card.chosen.get("revision") for card in cards]
    return one.revision == other.revision or (names[0] == names[1] and versions[0] == versions[1])


def _cosines(first: _Seen, other: _Seen, role: str) -> np.ndarray:
    """The cosine of each text's two vectors, `[n]`; two vectors of zeros are the same."""
    a, b = first.vectors[role], other.vectors[role]
    if a.shape != b.shape:
        raise UserError(
            f"{first.model.name} gives {a.shape[1]} dimensions, {other.model.name} {b.shape[1]}.",
            "Routes of one model give vectors of one width.",
        )
    dots, lengths = _dots(a, b), np.sqrt(_dots(a, a) * _dots(b, b))
    cosines: np.ndarray = np.where(lengths > 0, dots / np.maximum(lengths, 1e-30), dots == lengths)
    return cosines


def _dots(a: Any, b: Any) -> np.ndarray:
    """Row by row, in float64."""
    if isinstance(a, sparse.csr_matrix):
        return np.asarray(a.astype(np.float64).multiply(b).sum(axis=1)).ravel()
    dots: np.ndarray = np.einsum("nd,nd->n", a, b, dtype=np.float64)
    return dots


def _neighbours(vectors: Any) -> np.ndarray:
    """The nearest other texts of the first 1,000 by cosine, int `[n, 100]`."""
    lengths = np.maximum(np.sqrt(_dots(vectors, vectors)), 1e-30)[:, None]
    if isinstance(vectors, sparse.csr_matrix):
        unit = vectors.multiply(1 / lengths).tocsr()
        scores = (unit[:_ASKING] @ unit.T).toarray()
    else:
        unit = vectors / lengths
        scores = unit[:_ASKING] @ unit.T
    np.fill_diagonal(scores, -np.inf)
    rows: np.ndarray = np.argsort(-scores, axis=1, kind="stable")
    return rows[:, : min(TAU_DEPTH, len(rows[0]) - 1)]


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    best, others = (set(rows[:TOP][rows[:TOP] >= 0].tolist()) for rows in (first, second))
    return len(best & others) / max(len(best), 1)


def _tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's tau-b between the first's order of its best 100 and the second's; what the second
    did not find shares its last place.
    """
    best = first[:TAU_DEPTH][first[:TAU_DEPTH] >= 0]
    place = {int(row): at for at, row in enumerate(second) if row >= 0}
    places = [place.get(int(row), len(place)) for row in best]
    if len(best) < 2:
        return 1.0
    tau = stats.kendalltau(range(len(best)), places).statistic
    return 0.0 if np.isnan(tau) else float(tau)


def _test(first: _Seen, others: list[_Seen], agreements: list[Agreement]) -> None:
    """Paired tests of the task's main metric over queries."""
    if first.run is None:
        return
    metric = first.run.task.main_metric
    for other, found in zip(others, agreements, strict=True):
        assert other.run is not None  # all routes did the same task
        found.metric = metric
        found.difference = other.run.main_score - first.run.main_score
        pair = [
            run.per_query.metrics.get(metric) for run in (first.run, other.run) if run.per_query
        ]
        if len(pair) < 2 or pair[0] is None or pair[1] is None:
            continue
        differences = pair[1] - pair[0]
        low, high = interval(resampled_means([[differences[None]]], resamples=10_000))
        found.low, found.high = float(low[0]), float(high[0])
        found.p = float(TESTS["randomisation"](differences))
        found.queries_changed = int((np.abs(differences) > 1e-9).sum())
    corrected = correct([np.nan if found.p is None else found.p for found in agreements])
    for found, p in zip(agreements, corrected, strict=True):
        found.p = None if found.p is None else float(p)
