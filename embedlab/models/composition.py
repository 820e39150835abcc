"""Composed models: from an expression such as `rrf(bm25, all-minilm-l6-v2)` to its loaded parts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedlab import models
from embedlab.errors import UserError
from embedlab.models import LoadedModel, expressions, plugin_cards
from embedlab.models.cards import Card
from embedlab.models.expressions import Expression, Leaf
from embedlab.models.kinds import Kind
from retrievers.indexes.base_index import make_index


@dataclass
class ComposedModel(LoadedModel):
    """Several models as one;
    `parts` are those that the expression `tree` names, each loaded once.
    """

    tree: Expression = field(kw_only=True)
    parts: Mapping[str, LoadedModel] = field(kw_only=True)


def find(name: str) -> Card:
    """The card of a model, or of a composition of several.

    Raises:
        UserError: the expression is malformed, a model in it is unknown, or cannot do what its
            place asks for.
    """
    if not expressions.is_composed(name):
        return models.find(name)
    tree = expressions.parse(name)
    return _card(tree, _cards(tree))


def load(name: str, **how: Any) -> LoadedModel:
    """Load a model, or all models of a composition;
    arguments and errors are those of `models.load` and `find`.
    """
    if not expressions.is_composed(name):
        return models.load(name, **how)
    tree = expressions.parse(name)
    parts = load_parts(tree, **how)
    card = _card(tree, {part: model.card for part, model in parts.items()})
    identity = "\n".join(
        [card.name, *(f"{model.identity}{model.card_mark}" for model in parts.values())]
    )
    computed = next((model for model in parts.values() if model.device), None)  # bm25 has none
    return ComposedModel(
        card,
        None,
        revision=hashlib.sha256(identity.encode()).hexdigest()[:16],
        device=computed.device if computed else "",
        dtype=computed.dtype if computed else "",
        dtype_reason=computed.dtype_reason if computed else "",
        tree=tree,
        parts=parts,
    )


def load_parts(tree: Expression, **how: Any) -> dict[str, LoadedModel]:
    """The models of an expression by name, each loaded once;
    whatever is known to be wrong shows before the first.
    """
    parts = {name: models.load(name, **how) for name in _cards(tree)}
    _check(tree, {name: model.card for name, model in parts.items()})
    return parts


def index_of(leaf: Leaf, kind: Kind, requested: str = "") -> str:
    """The index of a leaf: its own, else the one asked
    for where it takes what the model gives, else the kind's.
    """
    return leaf.index or (
        requested if requested and make_index(requested).takes == kind.gives else kind.index
    )


def fitting(kind: Kind, requested: Sequence[str]) -> list[str]:
    """The indexes that a model of this kind is searched through: of those asked for the ones that
    take what it gives.

    Where none does, it is the kind's own; "" for models that rerank, which have no index.
    """
    return [
        index for index in requested if kind.gives and make_index(index).takes == kind.gives
    ] or [kind.index]


def parts(name: str) -> list[Card]:
    """The cards of the models that a name stands for."""
    return (
        list(_cards(expressions.parse(name)).values())
        if expressions.is_composed(name)
        else [models.find(name)]
    )


def is_known(card: Card) -> bool:
    """Whether the card tells the model's kind already:
    that of a hub model shows only once it is here.
    """
    if card.method in ("auto", "file"):
        return Path(card.source).is_dir()
    return plugin_cards.is_kind_known(card)


def _cards(tree: Expression) -> dict[str, Card]:
    """The card of every model named, checked; a hub model's kind shows only once it is here."""
    names = dict.fromkeys([*(leaf.name for leaf in tree.leaves()), *tree.stages()])
    cards = {name: models.find(name) for name in names}
    _check(tree, {name: card for name, card in cards.items() if is_known(card)})
    return cards


def _card(tree: Expression, cards: Mapping[str, Card]) -> Card:
    return Card(
        name=str(tree.named(lambda part: cards[part].name)),
        method="composed",
        kind=Kind.HYBRID,
        parameters=sum(card.parameters for card in cards.values()),
        public=all(card.public for card in cards.values()),
    )


def _check(tree: Expression, cards: Mapping[str, Card]) -> None:
    for leaf in tree.leaves():
        card = cards.get(leaf.name)
        if card and not card.kind.gives:
            raise UserError(
                f"{leaf.name} reranks: it gives no vectors to index.",
                f'Type: "bm25 >> {leaf.name}"',
            )
        if card and leaf.index and make_index(leaf.index).takes != card.kind.gives:
            given = f"{card.kind} vectors of" if card.kind.encodes else "texts of"
            raise UserError(
                f"The index {leaf.index} takes no {given} {leaf.name}.",
                f"{card.kind.index} does, for example.",
            )
    for name in tree.stages():
        if name in cards and not cards[name].kind.reranks:
            raise UserError(
                f"{name} is a {cards[name].kind} model: it cannot rerank.",
                f"Choose a cross-encoder or a late-interaction model, or fuse: rrf(bm25, {name}).",
            )
