"""The model cards, from data/models/."""

from dataclasses import fields

from embedlab.cli.models import weights
from embedlab.models.cards import Card, cards
from generators.page_tables import code, table

_HEAD = """# Model cards

`embedlab models` lists them, `embedlab models NAME --json` shows all of one. Hub ids and folders
work without a card.
"""


def page() -> str:
    """The page reference/cards.md."""
    rows = [
        [
            code(card.name),
            card.method,
            str(card.kind.value),
            card.paper,
            card.dim or "",
            card.attention,
            card.pooling,
            weights(card),
        ]
        for card in cards().values()
    ]
    header = ["name", "method", "kind", "paper", "dimensions", "attention", "pooling", "weights"]
    keys = ", ".join(code(each.name) for each in fields(Card))
    return (
        f"{_HEAD}\n{table(header, rows)}\nThe keys of a card (`data/models/NAME.toml`): {keys}.\n"
    )
