"""Options that would do nothing in a request are refused before any work: no model of it could use them."""

from embedlab import composed
from embedlab.errors import UserError
from embedlab.evaluation.options import EncodingOptions
from retrievers import make


def refuse_unused(request, names: list[str]) -> None:
    """Refuse indexes, views and encoding options that none of the models can use.

    A hub model's kind shows only once it is here: until then it is taken to use them all.

    Raises:
        UserError: an option has no effect; RetrieverError: an index is unknown.
    """
    cards = [card for name in names for card in composed.parts(name)]
    kinds = {card.kind for card in cards}
    takers = tuple(composed.TAKES[kind][0] for kind in kinds & composed.TAKES.keys())
    if named := [index for index in request.indexes if "metric=" in index]:
        raise UserError(
            f"The metric in {named[0]} would have no effect: a model is ranked by its own similarity.", "Leave it out."
        )
    unfit = [index for index in request.indexes if not isinstance(make(index), takers)]
    if not all(map(composed.is_known, cards)):
        return
    if unfit:
        raise UserError(
            f"No model here can be searched through {unfit[0]}.",
            "Leave it out, or choose an index that takes what the model gives: dense vectors (faiss:flat, torch), "
            "sparse ones (sparse, seismic, lucene:impact), or texts (lucene, for bm25).",
        )
    if not request.full and not any(card.kind == "dense" for name in names for card in [composed.find(name)]):
        raise UserError(
            "--layers, --dims, --precision and --views are for dense models, and none is here.", "Leave them out."
        )
    if request.encoding != EncodingOptions() and not kinds & {"dense", "sparse"}:
        raise UserError(
            "--store-dtype, --batch-tokens, --workers and --compile are for models that give vectors, "
            "and none is here.",
            "Leave them out.",
        )
