"""A model behind a server, ready to be asked."""

from embedlab.models.cards import Card
from embedlab.models.served.server_models import ServerModel, ServerTexts
from embedlab.models.served.server_rerankers import reranker
from embedlab.servers import server_names


def load(card: Card) -> ServerModel:
    """The model of a card of `server_models`; nothing is asked of the server yet."""
    model = ServerModel(
        card,
        None,
        revision=card.revision or "as served",
        settings=dict(card.settings),
        address=server_names.address((card.origin or card.name).partition("?")[0]),
    )
    embeds = card.settings["api"] == "embeddings"
    model.loader = lambda: ServerTexts(model) if embeds else reranker(model)
    return model
