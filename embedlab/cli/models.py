"""`embedlab models`: the model cards."""

import json
from typing import Annotated

import typer


def command(
    pattern: Annotated[str, typer.Argument(help="Only names, methods and sources that contain this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="All fields of the cards as JSON on standard output.")] = False,
) -> None:
    """List the models that embedlab knows; hub ids and local folders work as well."""
    from dataclasses import asdict

    from embedlab.cards import cards

    found = [card for card in cards().values() if pattern.lower() in f"{card.name} {card.method} {card.source}".lower()]
    if as_json:
        typer.echo(json.dumps({"models": [asdict(card) for card in found]}))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("name", "method", "kind", "source", "dim", "attention", "pooling", "weights"):
        table.add_column(name, justify="right" if name == "dim" else "left", overflow="fold")
    for card in found:
        table.add_row(card.name, card.method, card.kind, card.source, f"{card.dim:,}" if card.dim else "",
                      card.attention, card.pooling, weights(card))
    Console().print(table)


def weights(card) -> str:
    """Whether a card's weights can be had, in a word."""
    if card.kind == "lexical":
        return "none needed"
    if not card.public:
        return "not public"
    return "gated" if card.gated else "public"
