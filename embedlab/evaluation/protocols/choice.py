"""Which protocol evaluates a model: chosen here, once."""

from embedlab.evaluation.protocols.dense_models import DenseModels
from embedlab.evaluation.protocols.encoded_models import SparseModels
from embedlab.evaluation.protocols.late_interaction import LateModels
from embedlab.evaluation.protocols.lexical import LexicalModels
from embedlab.evaluation.protocols.mteb_protocol import MtebProtocols
from embedlab.evaluation.protocols.pipeline import Compositions
from embedlab.evaluation.protocols.protocol import Protocol
from embedlab.evaluation.protocols.reranking import RerankingModels
from embedlab.evaluation.request import Request
from embedlab.models import LoadedModel
from embedlab.models.composition import ComposedModel
from embedlab.models.kinds import Kind
from embedlab.models.objects import MtebModel
from embedlab.models.served.server_models import ServerModel
from embedlab.progress import Reporter

_OF_KIND: dict[Kind, type[Protocol]] = {
    Kind.DENSE: DenseModels,
    Kind.SPARSE: SparseModels,
    Kind.LEXICAL: LexicalModels,
    Kind.CROSS: RerankingModels,
    Kind.LATE: LateModels,
}


def protocol_for(request: Request, model: LoadedModel, reporter: Reporter) -> Protocol:
    """The protocol of a loaded model, or of each part of a composition."""
    if isinstance(model, ComposedModel):
        parts = {name: protocol_for(request, part, reporter) for name, part in model.parts.items()}
        return Compositions(request, model, reporter, parts)
    if isinstance(model, ServerModel):
        model.options = request.server
    if isinstance(model, MtebModel):
        return MtebProtocols(request, model, reporter)
    return _OF_KIND[model.card.kind](request, model, reporter)
