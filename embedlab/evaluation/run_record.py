"""What a run records: settings asked and resolved, costs, phases, where it ran."""

import resource
import sys
from math import isfinite
from typing import Any

from embedlab.chunks import chunking
from embedlab.errors import UserError
from embedlab.evaluation.environment import environment
from embedlab.evaluation.request import Request
from embedlab.evaluation.task_result import TaskResult
from embedlab.evaluation.unused import draws
from embedlab.models.facts.registry_facts import details
from embedlab.models.facts.training_sets import of_card, of_several
from embedlab.models.loaded_model import LoadedModel
from embedlab.tasks import recorded_name
from leaderboard import records


def run_record(
    request: Request, model: LoadedModel, task: Any, result: TaskResult, loading: float
) -> records.Run:
    """The record of one model on one part of a task, seen through one view.

    Raises:
        UserError: the main score is no number, as a correlation with scores that are all equal is.
    """
    metadata, card, cost, view = task.metadata, model.card, result.cost, result.view
    main_score = result.scores.get(metadata.main_score, float("nan"))
    if not isfinite(main_score):
        part = "" if result.subset == "default" else f" ({result.split}, {result.subset})"
        where = f"{metadata.name}{part}"
        raise UserError(
            f"The {metadata.main_score} of {card.name} on {where} is no number.",
            "A model that gives all texts the same vector, or a vector with NaN, has no such score:"
            " look at its vectors, or try --dtype float32.",
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    resolved = {
        "model": model.identity,
        "method": card.method,
        "device": model.device,
        "dtype": model.dtype,
        "dtype_reason": model.dtype_reason,
        "backend": card.backend or "torch",
        "settings": model.settings,
        "chosen": card.chosen,  # behind the name, or on a card of the user's
        "card": card.file,
        "misfit": model.misfit,
        "prompts": result.prompts,
        "max_length": card.max_length,
        "similarity": card.similarity,
        "view": view._asdict(),
        "kernels": cost.kernels if cost else "",
        "workers": cost.workers if cost else 0,
        "batch_tokens": cost.batch_tokens if cost else 0,
        "attention_kernel": model.fact("attention_kernel") if model.loader else None,
        "first_inputs": cost.first_inputs if cost else [],
        "first_tokens": cost.first_tokens if cost else [],
        "missing": result.missing,  # judged queries and documents that the task's data lack
        "sources": [str(source) for source in getattr(task, "sources", ())],
    }
    if parts := getattr(model, "parts", None):
        resolved["parts"] = {
            name: _part(each, result.prompts.get(name, {})) for name, each in parts.items()
        }
    return records.Run(
        model=records.Model(card.name, model.recorded_revision, card.kind.value, _facts(model)),
        task=records.Task(
            recorded_name(task),
            metadata.type,
            result.split,
            result.subset,
            metadata.revision or "",
            metadata.main_score,
            {"languages": list(metadata.languages), "eval_splits": list(metadata.eval_splits)},
        ),
        main_score=main_score,
        scores=result.scores,
        index=view.index,
        layer=view.layer,
        dim=view.dim or card.dim or None,
        precision=view.precision,
        settings=shaping(request, model)
        | _seed(request, task)
        | (chunking.parse(view.chunk).settings if view.chunk else {}),
        depth=result.depth,
        costs={
            **result.costs,
            "parameters": float(card.parameters),
            "peak_memory_bytes": float(peak),
        },
        asked=request.plain(),
        resolved=resolved,
        environment=environment(),
        phases=[
            records.Phase(name, seconds)
            for name, seconds in {"load model": loading, **result.phases}.items()
        ],
        per_query=result.per_query,
        examples=result.examples,
        ranking=result.ranking,
        texts=result.texts,
    )


def shaping(request: Request, model: LoadedModel) -> dict[str, str]:
    """What shapes the scores beside the view's own layer, dimensions, precision and index."""
    stored = request.encoding.store_dtype
    shaping = {
        "dtype": model.dtype,
        "store_dtype": stored if model.device and stored != "float32" else "",
    }
    return {name: value for name, value in shaping.items() if value}


def _seed(request: Request, task: Any) -> dict[str, str]:
    """The seed asked for, where the task draws at random."""
    return {} if request.task.seed is None or not draws(task) else {"seed": str(request.task.seed)}


def _part(model: LoadedModel, prompts: dict[str, Any]) -> dict[str, Any]:
    """What a part of a composed model resolved to."""
    return {
        "model": model.identity,
        "kind": model.card.kind.value,
        "method": model.card.method,
        "device": model.device,
        "dtype": model.dtype,
        "dtype_reason": model.dtype_reason,
        "settings": model.settings or model.card.settings,
        "chosen": model.card.chosen,
        "misfit": model.misfit,
        "prompts": prompts,
        "max_length": model.card.max_length,
        "similarity": model.card.similarity,
    }


def _facts(model: LoadedModel) -> dict[str, Any]:
    """What is known of the model: of mteb's registry, and before that of its card and itself."""
    card, parts = model.card, getattr(model, "parts", None)
    known = of_several(part.card for part in parts.values()) if parts else of_card(card)
    return details(card, known)
