"""The models of installed packages: a card for each that their encoders have
(`embedlab.encoders.methods`).
"""

from pathlib import Path

from embedlab.encoders.methods import METHODS, RESERVED, Method, method, registered
from embedlab.errors import UserError
from embedlab.models.cards import Card


def named(name: str) -> Card | None:
    """The card of the model that has the name of a package's method; no other package is imported.

    Raises:
        UserError: that package is broken, or its method loads files, and none are named.
    """
    brought = registered().get(name)
    if brought is None or brought.plugin is None:
        return None
    by_name = {card.name: card for card in of(brought)}
    if name not in by_name and not Path(name).is_dir():
        raise UserError(
            f"{name!r} is a method that loads a model's files.",
            f"Type: --model 'FOLDER?method={name}'"
            + (f", or one of {', '.join(by_name)}" if by_name else ""),
        )
    return by_name.get(name)


def of(brought: Method) -> list[Card]:
    """The cards of a package's method:
    its `CARDS`, and one for itself where it can be loaded without files.

    Raises:
        UserError: the package is broken, or its `CARDS` are no cards of this method.
    """
    assert brought.plugin is not None
    known = registered()
    if wrong := [
        card for card in brought.cards if not isinstance(card, Card) or card.method not in known
    ]:
        raise UserError(
            f"The plug-in {brought.plugin} has in CARDS {wrong[0]!r}, which is no card of a"
            " method.",
            f'Each is an embedlab.models.cards.Card(NAME, method="{brought.name}").'
            f" {brought.plugin.hint}",
        )
    declared = [card for card in brought.cards if card.method == brought.name]
    itself = (
        []
        if brought.needs_source or brought.name in {card.name for card in declared}
        else [_itself(brought)]
    )
    return [*declared, *itself]


def _itself(brought: Method) -> Card:
    text = (brought.function.__doc__ or "").strip().partition("\n")[0]
    return Card(brought.name, method=brought.name, description=text)


def every() -> tuple[list[Card], list[UserError]]:
    """The cards of all installed packages, and the errors of those that are broken."""
    cards: list[Card] = []
    errors: list[UserError] = []
    for brought in registered().values():
        if brought.plugin is None:
            continue
        try:
            cards += of(brought)
        except UserError as error:
            errors.append(error)
    return cards, errors


def without_files(card: Card) -> bool:
    """Whether a package's method loads the model by itself, from no folder or hub id."""
    if card.method in (*METHODS, *RESERVED) or card.source or card.checkpoint or card.offline:
        return False
    return not method(card.method).needs_source


def is_kind_known(card: Card) -> bool:
    """Whether the kind on a card is more than a guess:
    a method without `CARDS` shows it once the model is loaded.
    """
    if card.method in (*METHODS, *RESERVED):
        return True
    return bool(method(card.method).cards)
