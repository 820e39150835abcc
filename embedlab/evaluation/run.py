"""A run: plan, encode, view, search, score, record; one failed task never costs the others."""

import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from embedlab import models, tasks
from embedlab.cards import Card
from embedlab.errors import UserError
from embedlab.evaluation import retrieval
from embedlab.evaluation.encode import Cost, Encoder
from embedlab.evaluation.environment import environment
from embedlab.evaluation.lexical import evaluate_lexical
from embedlab.evaluation.mteb_encoder import MtebEncoder
from embedlab.evaluation.progress import Reporter
from embedlab.evaluation.retrieval_data import retrieval_data
from embedlab.evaluation.views import View, cross
from leaderboard import records
from leaderboard.store import Store
from retrievers import make


@dataclass(frozen=True)
class Request:
    """What the user asked for; recorded with every run."""

    models: Sequence[str]
    tasks: Sequence[str]
    indexes: Sequence[str] = ("faiss:flat",)
    layers: Sequence[int | None] = (None,)
    dims: Sequence[int | None] = (None,)
    precisions: Sequence[str] = ("float32",)
    diagonal: bool = False  # only the (layer, dim) pairs that the method was trained for
    force: bool = False  # also pairs that it was not trained for
    device: str | None = None
    dtype: str = "auto"
    store_dtype: str = "float32"
    batch_tokens: int | None = None
    top_k: int | None = None
    split: str | None = None
    data_dir: Path | None = None
    db: Path | None = None


@dataclass
class Outcome:
    """What came of a request: the stored runs, and what failed or did not apply."""

    runs: list[records.Run] = field(default_factory=list)
    failures: list[records.Failure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def evaluate(request: Request, reporter: Reporter | None = None) -> Outcome:
    """Evaluate every model on every task and record each result as it is finished.

    Raises:
        UserError: a name in the request is unknown; nothing has been run then.
    """
    reporter = reporter or Reporter(request.db)
    names = models.expand(request.models)
    for spec in request.indexes:
        make(spec)  # an unknown index is refused before any work
    cards = [models.find(name) for name in names]
    selected = tasks.resolve(request.tasks, data_dir=request.data_dir, split=request.split)
    store, outcome = Store(request.db), Outcome()
    for name, card in zip(names, cards, strict=True):
        todo = [task for task in selected if _applies(card, task, outcome, reporter)]
        with _recorded(outcome, store, request, name, [task.metadata.name for task in todo], reporter):
            started = time.perf_counter()
            model = models.load(name, device=request.device, dtype=request.dtype)
            loading = time.perf_counter() - started
            encoder = (
                Encoder(model, batch_tokens=request.batch_tokens, store_dtype=request.store_dtype, reporter=reporter)
                if model.encoder is not None
                else None
            )
            for task in todo:
                with (
                    _recorded(outcome, store, request, name, [task.metadata.name], reporter),
                    reporter.evaluation(model.name, task.metadata.name),
                ):
                    tasks.load(task)
                    for run in _evaluate_task(request, model, encoder, task, loading, reporter):
                        store.add(run)
                        outcome.runs.append(run)
    return outcome


def _applies(card: Card, task, outcome: Outcome, reporter: Reporter) -> bool:
    """Whether the model can do the task at all; bm25 ranks documents and has no vectors to classify or cluster."""
    ranks = task.metadata.type in ("Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking")
    if card.kind == "lexical" and not ranks:
        line = f"{card.name} skips {task.metadata.name}: {task.metadata.type} needs vectors."
        outcome.skipped.append(line)
        reporter.say(line)
        return False
    return True


@contextmanager
def _recorded(
    outcome: Outcome, store: Store, request: Request, model: str, names: list[str], reporter: Reporter
) -> Iterator[None]:
    """Turn an error into recorded failures of the named tasks, so that the rest goes on."""
    try:
        yield
    except Exception as error:
        if os.environ.get("EMBEDLAB_DEBUG"):
            traceback.print_exc()
        problem = str(error) if hasattr(error, "hint") else f"{type(error).__name__}: {error}"
        hint = getattr(error, "hint", "") or "Type `embedlab --debug eval ...` to see where it happened."
        for name in names:
            failure = records.Failure(model, name, problem, hint, asked=_asked(request))
            store.add_failure(failure)
            outcome.failures.append(failure)
        reporter.say(f"{model} on {', '.join(names)} failed: {problem}\n{hint}")


def _evaluate_task(
    request: Request, model, encoder: Encoder | None, task, loading: float, reporter: Reporter
) -> Iterator[records.Run]:
    from mteb.abstasks import AbsTaskRetrieval

    views = _views(request, model)
    for split in task.eval_splits:
        for subset in task.hf_subsets:
            reporter.say(
                f"{model.name} on {task.metadata.name} ({split}{'' if subset == 'default' else f', {subset}'})"
            )
            if isinstance(task, AbsTaskRetrieval):
                parts = _retrieval(request, model, encoder, task, split, subset, views, reporter)
            else:
                parts = _by_mteb(encoder, task, split, subset, views)
            for view, part in parts:
                yield _run(request, model, task, split, subset, view, loading, part)


def _views(request: Request, model) -> list[View]:
    if model.encoder is None or model.card.kind in ("cross", "sparse"):
        return [View(index=index) for index in request.indexes]
    from embedlab.encoders.matryoshka import check_views, trained_views

    pairs = trained_views(model.encoder)
    if request.diagonal:
        if pairs == "any":
            raise UserError(
                f"{model.name} declares no pairs of layer and dimensions.",
                "Leave --views out and give --layers and --dims.",
            )
        return cross((), (), request.precisions, request.indexes, pairs=pairs)
    asked = cross(request.layers, request.dims, request.precisions, request.indexes)
    if pairs == "any" and not any(view.layer for view in asked):
        if wrong := [view.dim for view in asked if view.dim and not 1 <= view.dim <= model.card.dim]:
            raise UserError(
                f"{model.name} has no {wrong[0]} dimensions.", f"Valid are dimensions 1 to {model.card.dim}."
            )
    elif any(view[:2] != (None, None) for view in asked):
        from embedlab.encoders.layers import number_of_layers

        depth = number_of_layers(model.encoder)
        check_views(
            model.encoder, [(view.layer or depth, view.dim or model.card.dim) for view in asked], force=request.force
        )
    return asked


def _retrieval(request, model, encoder, task, split, subset, views, reporter) -> Iterator[tuple[View, dict]]:
    started = time.perf_counter()
    data = retrieval_data(task, split, subset)
    phases = {"read texts": time.perf_counter() - started}
    k = request.top_k or max(task.k_values)
    if encoder is None:
        yield evaluate_lexical(model, task, data, k, split, subset, phases, reporter)
        return
    layers = list(dict.fromkeys(view.layer for view in views))
    queries, documents, prompts, cost = retrieval.encode(encoder, data, task.metadata, layers)
    for view in views:
        rows, scores, spent = retrieval.search_vectors(
            view,
            queries[view.layer],
            documents[view.layer],
            data,
            similarity=model.card.similarity,
            k=k,
            reporter=reporter,
        )
        started = time.perf_counter()
        result = retrieval.score(task, data, rows, scores, split=split, subset=subset)
        scoring = time.perf_counter() - started
        yield (
            view,
            {
                **result,
                "costs": {**encoding_costs(cost), **spent},
                "cost": cost,
                "prompts": prompts,
                "phases": {
                    **phases,
                    "encode": cost.seconds,
                    "index": spent["index_seconds"],
                    "search": spent["search_seconds"],
                    "score": scoring,
                },
            },
        )


def _by_mteb(encoder: Encoder, task, split, subset, views) -> Iterator[tuple[View, dict]]:
    """Every task type but retrieval: mteb's own evaluators over our vectors."""
    layers = list(dict.fromkeys(view.layer for view in views))
    for view in dict.fromkeys(view._replace(index="") for view in views):  # these tasks search nothing
        seen = MtebEncoder(encoder, view, layers)
        started = time.perf_counter()
        scores = task.evaluate(seen, split, subsets_to_run=[subset], encode_kwargs={})[subset]
        seconds = time.perf_counter() - started
        plain = {
            name: float(value)
            for name, value in scores.items()
            if isinstance(value, int | float) and name not in ("main_score", "hf_subset")
        }
        yield (
            view,
            {
                "scores": plain,
                "costs": encoding_costs(seen.cost),
                "cost": seen.cost,
                "prompts": seen.prompts,
                "phases": {"encode": seen.cost.seconds, "score": seconds - seen.cost.seconds},
            },
        )


def encoding_costs(cost: Cost) -> dict[str, float]:
    """What encoding the texts took when they were encoded, and what this run still had to do."""
    return {
        "encode_seconds": cost.measured_seconds,
        "texts_per_second": cost.texts / max(cost.measured_seconds, 1e-9),
        "tokens_per_second": cost.tokens / max(cost.measured_seconds, 1e-9),
        "tokens_per_text": cost.tokens / max(cost.texts, 1),
        "truncated_share": cost.truncated / max(cost.texts, 1),
        "encoded_now_seconds": cost.seconds,
        "encoded_now_texts": cost.encoded_texts,
    }


def _run(request: Request, model, task, split, subset, view: View, loading: float, part: dict) -> records.Run:
    metadata, card, cost = task.metadata, model.card, part.get("cost")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    resolved = {
        "model": model.identity,
        "method": card.method,
        "device": model.device,
        "dtype": model.dtype,
        "dtype_reason": model.dtype_reason,
        "settings": model.settings,
        "prompts": part.get("prompts", {}),
        "max_length": card.max_length,
        "similarity": card.similarity,
        "view": view._asdict(),
        "attention_kernel": getattr(getattr(model.encoder, "config", None), "_attn_implementation", None),
        "first_inputs": cost.first_inputs if cost else [],
        "first_tokens": cost.first_tokens if cost else [],
        "sources": [str(source) for source in getattr(task, "sources", ())],
    }
    return records.Run(
        model=records.Model(card.name, model.revision, card.kind, _facts(card)),
        task=records.Task(
            metadata.name,
            metadata.type,
            split,
            subset,
            metadata.dataset.get("revision", ""),
            metadata.main_score,
            {"languages": list(metadata.languages)},
        ),
        main_score=part["scores"][metadata.main_score],
        scores=part["scores"],
        index=view.index,
        layer=view.layer,
        dim=view.dim or card.dim or None,
        precision=view.precision,
        costs={**part["costs"], "parameters": float(card.parameters), "peak_memory_bytes": float(peak)},
        asked=_asked(request),
        resolved=resolved,
        environment=environment(),
        phases=[records.Phase(name, seconds) for name, seconds in {"load model": loading, **part["phases"]}.items()],
        per_query=part.get("per_query"),
        ranking=part.get("ranking"),
        texts=part.get("texts"),
    )


def _facts(card: Card) -> dict:
    return {key: value for key, value in asdict(card).items() if value not in ("", 0, [], {}) and key != "settings"}


def _asked(request: Request) -> dict:
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(request).items()}
