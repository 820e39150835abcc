"""One task under one model: every split, subset and view, by our retrieval or by mteb's evaluators."""

import time
from collections.abc import Iterator
from functools import partial
from numbers import Real

from embedlab.encoding.encoder import Encoder
from embedlab.encoding.vectors.views import View, cross
from embedlab.errors import UserError
from embedlab.evaluation import retrieval
from embedlab.evaluation.depth import recorded, searched, shallow
from embedlab.evaluation.protocols import mteb_search, pipeline
from embedlab.evaluation.protocols.lexical import search_texts
from embedlab.evaluation.protocols.mteb_encoder import MtebEncoder
from embedlab.evaluation.protocols.reranking import score_candidates
from embedlab.evaluation.retrieval_data import retrieval_data, told
from embedlab.models.composition import fitting
from embedlab.models.objects import MtebModel, ObjectModel
from embedlab.tasks import recorded_name
from embedlab.tasks.fresh import fresh


def evaluate_task(
    request, model, encoder: Encoder | dict | None, task, reporter
) -> Iterator[tuple[str, str, View, dict]]:
    """Evaluate a loaded task.

    Yields:
        split, subset, view, and what came of it: scores, costs, phases, and where they exist the encoding's cost and
        prompts, per-query scores, the ranking and the texts.
    """
    from mteb.abstasks import AbsTaskRetrieval

    searches = isinstance(task, AbsTaskRetrieval)
    if not searches and model.card.kind not in ("dense", "sparse"):  # of a hub model, known only once it is here
        raise UserError(
            f"{model.name} is a {model.card.kind} model: {task.metadata.type} needs a vector per text.",
            "Choose retrieval or reranking tasks for it.",
        )
    views = _views(request, model)
    if not searches:
        views = list(dict.fromkeys(view._replace(index="") for view in views))
    if getattr(task, "unofficial", False):
        here, name = task.sources[0], task.metadata.name
        reporter.say(f"{here} does not hold MTEB's data of {name}: its scores are recorded as {recorded_name(task)}.")
    copies = {view: fresh(task) for view in views}  # what a view sees does not depend on the others
    if (model.card.kind != "dense" or isinstance(model, MtebModel)) and not request.full:
        reporter.say(f"{model.name} is seen in full: --layers, --dims and --precision are for dense models.")
    for split in task.eval_splits:
        for subsets in _together(task):
            part = split if subsets == ["default"] else f"{split}, {', '.join(subsets)}"
            reporter.say(f"{model.name} on {recorded_name(task)} ({part})")
            if isinstance(model, MtebModel) and not searches:
                parts = _by_its_protocol(model, copies, split, subsets)
            elif searches:
                parts = _retrieval(request, model, encoder, copies, split, *subsets, reporter)
            else:
                parts = _by_mteb(encoder, copies, split, subsets)
            for subset, view, part in parts:
                yield split, subset, view, part


def _together(task) -> list[list[str]]:
    """The subsets in the order and the groups in which mteb evaluates them: parallel columns of texts all at once."""
    if getattr(task, "parallel_subsets", False):
        return [list(task.hf_subsets)]
    return [[subset] for subset in task.hf_subsets]


def _views(request, model) -> list[View]:
    kind = model.card.kind
    if isinstance(model, ObjectModel) and any(request.layers):
        raise UserError(
            f"{model.name} is an object whose layers nobody sees.", "Leave layers out, or give it by name or folder."
        )
    if isinstance(model, MtebModel):
        return [View(index="")]
    if kind == "hybrid":
        return pipeline.views(model, request.indexes or [""])
    indexes = fitting(kind, request.indexes)
    if kind != "dense":
        return [View(index=index) for index in indexes]
    pairs = model.fact("views")
    pairs = pairs if pairs == "any" else [tuple(pair) for pair in pairs]
    if request.diagonal:
        if pairs == "any":
            raise UserError(
                f"{model.name} declares no pairs of layer and dimensions.",
                "Leave --views out and give --layers and --dims.",
            )
        return cross((), (), request.precisions, indexes, pairs=pairs)
    asked = cross(request.layers, request.dims, request.precisions, indexes)
    if pairs == "any" and not any(view.layer for view in asked):
        if wrong := [view.dim for view in asked if view.dim and not 1 <= view.dim <= model.card.dim]:
            raise UserError(
                f"{model.name} has no {wrong[0]} dimensions.", f"Valid are dimensions 1 to {model.card.dim}."
            )
    elif any(view[:2] != (None, None) for view in asked):
        wanted = list(dict.fromkeys((view.layer or 0, view.dim or 0) for view in asked))
        check = partial(_refuse_missing, model, wanted, request.force)
        model.remembered.get(f"has views {wanted} {request.force}", check)  # a warm run need not load the model for it
    return asked


def _refuse_missing(model, pairs: list[tuple[int, int]], force: bool) -> None:
    """Refuse (layer, dimension) pairs that the model does not have or was not trained for; 0 stands for all."""
    from embedlab.encoders.modules.layers import number_of_layers
    from embedlab.encoders.modules.matryoshka import check_views

    depth = number_of_layers(model.encoder)
    check_views(model.encoder, [(layer or depth, dim or model.card.dim) for layer, dim in pairs], force=force)


def _retrieval(request, model, encoder, copies: dict, split, subset, reporter) -> Iterator[tuple[str, View, dict]]:
    started = time.perf_counter()
    views, task = list(copies), next(iter(copies.values()))
    data = retrieval_data(task, split, subset)
    if data.missing:
        reporter.say(told(data.missing))
    reading = time.perf_counter() - started
    depth = shallow(request.top_k, task, data)
    k = searched(request.top_k, depth, task)
    encoded, extra = None, {}
    if model.card.kind in ("dense", "sparse") and not isinstance(model, MtebModel):
        layers = list(dict.fromkeys(view.layer for view in views))
        encoded, prompts, cost = retrieval.encode(encoder, data, task.metadata, layers)
        extra = {"cost": cost, "prompts": prompts}
    elif model.card.kind == "hybrid":
        encoded, extra = pipeline.encode(encoder, data, task.metadata)
    for view in views:
        if isinstance(model, MtebModel):
            rows, scores, spent = mteb_search.search(model.encoder, copies[view], data, split, subset, k=k)
        elif model.card.kind == "lexical":
            rows, scores, spent = search_texts(view.index, model.card.settings, data, k=k, reporter=reporter)
        elif model.card.kind == "hybrid":
            rows, scores, spent = pipeline.search(view, model, encoded, data, k=k, reporter=reporter)
        elif model.card.kind in ("cross", "multi-vector"):
            rows, scores, spent = score_candidates(model, data, k=k, reporter=reporter)
        else:
            queries, documents = encoded[view.layer]
            rows, scores, spent = retrieval.search_vectors(
                view, queries, documents, data, similarity=model.card.similarity, k=k, reporter=reporter
            )
        cost = extra["cost"].of(view.layer) if extra else None
        started = time.perf_counter()
        kind = model.card.kind
        result = retrieval.score(copies[view], data, rows, scores, split=split, subset=subset, depth=depth, kind=kind)
        result["depth"] = recorded(request.top_k, depth, task)
        if getattr(task, "ours", False) and (found := result["found_itself"]):
            reporter.say(
                f"{found} of {len(data.query_ids)} queries find the document of their own id first, which nobody "
                "judged relevant. If queries are documents here, type --ignore-identical-ids."
            )
        phases = {
            "read texts": reading,
            "encode": cost.seconds if cost else spent.get("encode_seconds", 0.0),
            "index": spent.get("index_seconds", 0.0),
            "search": spent["search_seconds"],
            "score": time.perf_counter() - started,
        }
        costs = {**(cost.named() if cost else {}), **spent}
        yield subset, view, {**result, **extra, "cost": cost, "costs": costs, "phases": phases}


def _by_mteb(encoder: Encoder, copies: dict, split, subsets: list[str]) -> Iterator[tuple[str, View, dict]]:
    """Every task type but retrieval: mteb's own evaluators over our vectors."""
    from mteb._set_seed import _set_seed

    layers = list(dict.fromkeys(view.layer for view in copies))
    for view, task in copies.items():
        seen = MtebEncoder(encoder, view, layers)
        _set_seed(task.seed)  # as a task does when it is made, for whatever draws from the global generators
        started = time.perf_counter()
        found = task.evaluate(seen, split, subsets_to_run=subsets, encode_kwargs={})
        seconds = time.perf_counter() - started
        cost = seen.cost.of(view.layer)
        for subset in subsets:
            yield (
                subset,
                view,
                {
                    "scores": _plain(found[subset]),
                    "costs": cost.named(),
                    "cost": cost,
                    "prompts": seen.prompts,
                    "phases": {"encode": cost.seconds, "score": seconds - seen.cost.seconds},
                },
            )


def _by_its_protocol(model: MtebModel, copies: dict, split, subsets: list[str]) -> Iterator[tuple[str, View, dict]]:
    """The same with an object that implements mteb's EncoderProtocol: what it encodes is its own affair."""
    for view, task in copies.items():
        for subset, scores, seconds in mteb_search.evaluate(model.encoder, task, split, subsets):
            yield subset, view, {"scores": _plain(scores), "costs": {}, "phases": {"score": seconds}}


def _plain(scores: dict) -> dict[str, float]:
    """The numbers among an evaluator's scores by their own names."""
    return {name: float(value) for name, value in scores.items() if isinstance(value, Real) and name != "main_score"}
