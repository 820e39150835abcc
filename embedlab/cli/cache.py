"""`embedlab cache`: what the vector store, the bases that were written out, the exported models and
the corpora take, and how to free space.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from embedlab.cli._json import print_json
from embedlab.terminal import echo

commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is kept on disk to be quick, and how to free space.",
)
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


@commands.command("ls")
def ls(as_json: Json = False) -> None:
    """List the spaces, one per model, role, prompt, layer and dtype, and the corpora."""
    from embedlab.encoding.vectors.upkeep import spaces
    from embedlab.tasks import kept_corpora

    rows = [
        {
            **_printable(space.ingredients),
            "space": space.folder.name,
            "texts": sum(shard.rows for shard in space.shards),
            "shards": len(space.shards),
            "bytes": _size(space.folder),
        }
        for space in spaces()
    ]
    corpora = kept_corpora.kept()
    if as_json:
        print_json({"spaces": rows, "corpora": corpora})
        return

    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    print_columns(
        [
            *(
                Column(name, [str(row[name]) for row in rows])
                for name in ("model", "role", "prompt", "layer", "dtype")
            ),
            Column("texts", [f"{row['texts']:,}" for row in rows], right=True),
            Column("MB", [f"{row['bytes'] / 1e6:,.1f}" for row in rows], right=True),
            Column("space", [row["space"] for row in rows]),
        ],
        ["No vectors yet: embedlab eval fills the store."] if not rows else [],
    )
    if corpora:
        print_columns(
            [
                Column("corpus", [each["source"] for each in corpora]),
                Column("documents", [f"{each['documents']:,}" for each in corpora], right=True),
                Column("MB", [f"{each['bytes'] / 1e6:,.1f}" for each in corpora], right=True),
                Column("folder", [each["folder"] for each in corpora]),
            ]
        )


@commands.command("du")
def du(as_json: Json = False) -> None:
    """Say how much disk vectors, exports, bases and corpora take."""
    from embedlab.bases import disk
    from embedlab.encoders.backends import exports
    from embedlab.encoding.vectors.upkeep import spaces
    from embedlab.tasks import kept_corpora

    taken: dict[str, int] = {}
    for space in spaces():
        model = _printable(space.ingredients)["model"]
        taken[model] = taken.get(model, 0) + _size(space.folder)
    bases, exported, corpora = disk.sizes(), exports.sizes(), kept_corpora.sizes()
    if as_json:
        print_json({"bytes": taken, "bases": bases, "exports": exported, "corpora": corpora})
        return
    named = [
        *taken.items(),
        *((f"base {name}", size) for name, size in bases.items()),
        *((f"export {name}", size) for name, size in exported.items()),
        *((f"corpus {name}", size) for name, size in corpora.items()),
    ]
    for name, size in sorted(named, key=lambda item: -item[1]):
        echo(f"{size / 1e6:12,.1f} MB  {name}")
    echo(f"{sum(size for _, size in named) / 1e6:12,.1f} MB  in all")


@commands.command("prune")
def prune(
    model: Annotated[
        str,
        typer.Option(
            help="Also remove all vectors and exports of models whose name contains this."
        ),
    ] = "",
    base: Annotated[
        str,
        typer.Option(
            help="Also remove the weights of bases whose name contains this; they are written"
            " again when they are needed."
        ),
    ] = "",
    corpus: Annotated[
        str,
        typer.Option(
            help="Also remove the corpora of files whose path contains this; they are converted"
            " again when they are needed."
        ),
    ] = "",
) -> None:
    """Remove what interrupted runs left, old exports, and corpora whose file is gone or changed."""
    from embedlab.bases import disk
    from embedlab.encoders.backends import exports
    from embedlab.encoding.vectors import upkeep
    from embedlab.errors import UserError
    from embedlab.tasks import kept_corpora

    models = {_printable(space.ingredients)["model"] for space in upkeep.spaces()}
    models |= exports.sizes().keys()
    if model and not any(model.lower() in name.lower() for name in models):
        raise UserError(
            f"No vectors of a model {model!r} are stored, and no export.",
            "Type `embedlab cache du` for all that are.",
        )
    if corpus and not any(corpus.lower() in source.lower() for source in kept_corpora.sizes()):
        raise UserError(
            f"No corpus of a file {corpus!r} is kept.", "Type `embedlab cache ls` for all that are."
        )
    freed = disk.prune(base) + exports.prune(model) + upkeep.prune(matching=model)
    freed += kept_corpora.prune(corpus)
    echo(f"Freed {freed / 1e6:,.1f} MB.")


@commands.command("verify")
def verify(as_json: Json = False) -> None:
    """Check every shard and every corpus against its checksum.

    Exit code 1 where one is damaged.
    """
    from embedlab.encoding.vectors import upkeep
    from embedlab.tasks import kept_corpora

    problems = upkeep.verify() + kept_corpora.verify()
    if as_json:
        print_json({"problems": problems})
    else:
        for problem in problems:
            echo(problem)
        echo(
            f"{len(problems)} damaged; the next run makes them again."
            if problems
            else "All shards and corpora are intact."
        )
    raise typer.Exit(1 if problems else 0)


def _printable(ingredients: dict[str, Any]) -> dict[str, Any]:
    layer = ingredients.get("layer")
    return {
        "model": ingredients.get("model", "?"),
        "role": ingredients.get("role", ""),
        "prompt": ingredients.get("prompt", ""),
        "layer": "full" if layer is None else layer,
        "dtype": f"{ingredients.get('dtype', '')}/{ingredients.get('store_dtype', '')}",
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
