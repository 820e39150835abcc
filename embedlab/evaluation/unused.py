"""Options that would do nothing in a request are refused before any work:
no model of it could use them.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from embedlab.errors import UserError
from embedlab.evaluation.request import Request
from embedlab.models import LoadedModel, composition, expressions
from embedlab.models.cards import Card
from embedlab.models.composition import ComposedModel
from embedlab.models.kinds import Kind
from embedlab.models.objects import MtebModel, ObjectModel
from embedlab.models.served import server_models
from embedlab.options import EncodingOptions, LoadingOptions, ServerOptions, nothing_to_load
from retrievers.indexes.base_index import make_index

if TYPE_CHECKING:
    from mteb import AbsTask


def refuse_unused(request: Request, names: list[str], given: Mapping[str, LoadedModel]) -> None:
    """Refuse indexes, views and encoding options that none of the models can use.

    A hub model's kind shows only once it is here: until then it is taken to use them all.

    Raises:
        UserError: an option has no effect; RetrieverError: an index is unknown.
    """
    if names and all(name in given for name in names):
        _refuse_for_objects(request, list(given.values()))
    cards = [
        card
        for name in names
        for card in ([given[name].card] if name in given else composition.parts(name))
    ]
    kinds = {card.kind for card in cards}
    leaves = [
        leaf
        for name in names
        if expressions.is_composed(name)
        for leaf in expressions.parse(name).leaves()
    ]
    if named := [
        index
        for index in (*request.views.indexes, *(leaf.index for leaf in leaves))
        if "metric=" in index
    ]:
        raise UserError(
            f"The metric in {named[0]} would have no effect: a model is ranked by its own"
            " similarity.",
            "Leave it out.",
        )
    used = without_unused(request, kinds)
    unfit = [index for index in request.views.indexes if index not in used.views.indexes]
    if not all(map(composition.is_known, cards)):
        return
    if unfit:
        raise UserError(
            f"No model here can be searched through {unfit[0]}.",
            "Leave it out, or choose an index that takes what the model gives: dense vectors"
            " (faiss:flat, torch), sparse ones (sparse, seismic, lucene:impact), or texts (lucene,"
            " for bm25).",
        )
    _refuse_for_servers(request, cards)
    if kinds and used.loading != request.loading:
        raise nothing_to_load()
    if request.views.force and names and not any(map(_can_be_forced, cards)):
        raise UserError(
            "--force is for checkpoints and views of models on this machine, and none is here.",
            "Leave it out.",
        )
    if not request.views.full and not any(
        (given[name].card if name in given else composition.find(name)).kind.has_views
        for name in names
    ):
        raise UserError(
            "--layers, --dims, --precision and --views are for dense models (--dims and --precision"
            " for late interaction too), and none is here.",
            "Leave them out.",
        )
    if used.encoding != request.encoding:
        raise UserError(
            "--store-dtype, --batch-tokens, --workers and --compile are for models that give"
            " vectors, and none is here.",
            "Leave them out.",
        )


def _can_be_forced(card: Card) -> bool:
    """Whether a checkpoint is loaded for it, or single views of it are seen."""
    return card.kind.has_weights and card.method != server_models.METHOD


def _refuse_for_servers(request: Request, cards: Collection[Card]) -> None:
    """Refuse what has no effect on models behind a server, and what has one on them alone."""
    served = [card for card in cards if card.method == server_models.METHOD]
    if not served and request.server != ServerOptions():
        raise UserError(
            "--in-flight, --batch-texts and --budget are for models behind a server, and none is"
            " here.",
            "Leave them out.",
        )
    elsewhere = served and all(card in served or not card.kind.has_weights for card in cards)
    if elsewhere and request.loading != LoadingOptions():
        raise UserError(
            "--device, --dtype and --trust-remote-code are for models on this machine, and none is"
            " here.",
            "Leave them out.",
        )


def without_unused(request: Request, kinds: Collection[Kind]) -> Request:
    """The request without the indexes, loading and encoding options that no model of these kinds
    can use.

    Raises:
        RetrieverError: an index is unknown.
    """
    gives = {kind.gives for kind in kinds} - {""}
    indexes = tuple(each for each in request.views.indexes if make_index(each).takes in gives)
    request = replace(request, views=replace(request.views, indexes=indexes))
    if not any(kind.has_weights for kind in kinds):
        request = replace(request, loading=LoadingOptions())
    if not any(kind.encodes for kind in kinds):
        request = replace(request, encoding=EncodingOptions())
    return request


def refuse_unsearched(request: Request, selected: "list[AbsTask]") -> None:
    """Refuse what shapes a search where none of the tasks searches.

    Raises:
        UserError: --top-k, --index, --measure or --seed has no effect.
    """
    searching = request.task.top_k or request.views.indexes or request.task.measures
    if request.task.seed is not None and selected and not any(map(draws, selected)):
        raise UserError(
            f"--seed has no effect: {selected[0].metadata.name} is {selected[0].metadata.type},"
            " which draws nothing at random.",
            "It is for tasks that do, such as classification and clustering: leave it out.",
        )
    if selected and searching and not any(ranks(task) for task in selected):
        raise UserError(
            "--top-k, --index and --measure are for tasks that search, and"
            f" {selected[0].metadata.name} is {selected[0].metadata.type}.",
            "Leave them out.",
        )


def ranks(task: "AbsTask") -> bool:
    """Whether documents are ranked for queries in a task of mteb."""
    return task.metadata.type in (
        "Retrieval",
        "Reranking",
        "InstructionRetrieval",
        "InstructionReranking",
    )


def draws(task: "AbsTask") -> bool:
    """Whether a task of mteb draws at random: what a classifier learns from, what is clustered."""
    return "Classification" in task.metadata.type.replace("PairClassification", "") or (
        task.metadata.type in ("Clustering", "Regression")
    )


def refuse_for_objects_of_files(
    request: Request, names: list[str], given: Mapping[str, LoadedModel], model: LoadedModel
) -> None:
    """Refuse what has no effect on the objects that a file of code turned out to make.

    Only the loaded model shows that it is an object. What another model of the request uses is no
    fault.

    Raises:
        UserError: an option has no effect.
    """
    parts = list(model.parts.values()) if isinstance(model, ComposedModel) else [model]
    objects = [part for part in parts if isinstance(part, ObjectModel)]
    if not objects or not all(isinstance(each, ObjectModel) for each in given.values()):
        return
    cards = [card for name in names if name not in given for card in composition.parts(name)]
    others = [card for card in cards if card.method != "file"]
    if not any(card.kind.encodes for card in others):
        _refuse_ignored(request, objects)
    if not any(map(_can_be_forced, others)):
        _refuse_of_names(request)


def _refuse_for_objects(request: Request, models: list[LoadedModel]) -> None:
    """Refuse what has no effect where every model is an object."""
    if request.loading.device or request.loading.dtype != "auto":
        raise UserError(
            "device and dtype are for models that are loaded by name.", "Leave them out."
        )
    _refuse_of_names(request)
    if all(isinstance(model, ObjectModel) for model in models):
        _refuse_ignored(request, models)


def _refuse_of_names(request: Request) -> None:
    """Refuse what is for models with files of their own, where all models are objects."""
    if request.loading.trust_remote_code or request.views.force:
        raise UserError(
            "trust_remote_code and force are for models that are loaded by name.",
            "Leave them out: what makes an object decides itself what it runs and loads.",
        )


def _refuse_ignored(request: Request, models: Collection[LoadedModel]) -> None:
    """Refuse options of encoding, and those of mteb's protocols, where all models are objects."""
    if request.encoding != EncodingOptions():
        raise UserError(
            "store_dtype, batch_tokens, workers and compiled are for models of"
            " sentence-transformers.",
            f"Leave them out: the object {next(iter(models)).name} encodes as it does by itself.",
        )
    if all(isinstance(model, MtebModel) for model in models) and (
        request.views.indexes or not request.views.full
    ):
        raise UserError(
            "Indexes and views are for models whose vectors are seen.",
            "mteb searches with its protocols.",
        )
