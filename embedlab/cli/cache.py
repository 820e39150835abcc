"""`embedlab cache`: what the vector store, the bases that were written out, the exported models and
the corpora take, and how to free space.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.cli._json import print_json
from embedlab.terminal import echo

if TYPE_CHECKING:
    from embedlab.encoding.vectors.remote_upkeep import Kept
    from embedlab.encoding.vectors.upkeep import Stored

commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is kept on disk to be quick, and how to free space.",
)
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


@commands.command("ls")
def ls(as_json: Json = False) -> None:
    """List the corpora, and the spaces of vectors.

    There is a space for each model, role, prompt, layer and dtype.
    """
    from embedlab.encoding.vectors import upkeep
    from embedlab.tasks import kept_corpora

    there, where = _in_the_object_store()
    rows = list(_rows({space.folder.name: space for space in upkeep.spaces()}, there))
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
            *(
                [
                    Column(
                        "MB there",
                        [f"{row['remote_bytes'] / 1e6:,.1f}" for row in rows],
                        right=True,
                    )
                ]
                if there
                else []
            ),
            Column("space", [row["space"] for row in rows]),
        ],
        [*([] if rows else ["No vectors yet: embedlab eval fills the store."]), *where],
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
        taken[model] = taken.get(model, 0) + space.bytes
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
    remote: Annotated[
        bool,
        typer.Option(
            "--remote",
            help="Also in the object store that EMBEDLAB_VECTORS names: vectors of --model for"
            " everybody, and what runs that were interrupted left there a day ago.",
        ),
    ] = False,
) -> None:
    """Remove what interrupted runs left, old exports and corpora.

    A corpus is old where its file is gone or has changed.
    """
    from embedlab.bases import disk
    from embedlab.encoders.backends import exports
    from embedlab.encoding.vectors import remote_upkeep, upkeep
    from embedlab.errors import UserError
    from embedlab.tasks import kept_corpora

    there = remote_upkeep.store() if remote else None
    if remote and not there:
        raise UserError(
            "--remote goes with vectors in an object store, and EMBEDLAB_VECTORS names none.",
            "Set EMBEDLAB_VECTORS=s3://bucket/prefix, or leave --remote out.",
        )
    spaces = [*upkeep.spaces(), *(remote_upkeep.spaces(there) if there else ())]
    models = {_printable(space.ingredients)["model"] for space in spaces}
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
    if there:
        gone = remote_upkeep.prune(there, matching=model)
        echo(f"Freed {gone / 1e6:,.1f} MB in {there.address}.")
    echo(f"Freed {freed / 1e6:,.1f} MB.")


@commands.command("verify")
def verify(as_json: Json = False) -> None:
    """Check every shard and every corpus against its checksum.

    Of an object store, whether all files are there. Exit code 1 where one is damaged.
    """
    from embedlab.encoding.vectors import remote_upkeep, upkeep
    from embedlab.tasks import kept_corpora

    problems = upkeep.verify() + kept_corpora.verify()
    if there := remote_upkeep.store():
        problems += remote_upkeep.verify(there)
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


def _in_the_object_store() -> "tuple[dict[str, Kept], list[str]]":
    """Its spaces by name, and a line on where it is or why they are not known; nothing where there
    is none.
    """
    from embedlab.encoding.vectors import remote_upkeep
    from embedlab.errors import UserError

    try:
        if store := remote_upkeep.store():
            spaces = {space.name: space for space in remote_upkeep.spaces(store)}
            return spaces, [f"{store.address} holds the vectors; MB are those of the copy here."]
    except UserError as error:
        return {}, [f"{error} {error.hint}"]
    return {}, []


def _rows(here: "dict[str, Stored]", there: "dict[str, Kept]") -> Iterator[dict[str, Any]]:
    for name in sorted({*here, *there}):
        shards = [*(here[name].shards if name in here else ())]
        shards += there[name].shards if name in there else ()
        rows = {shard.name: shard.rows for shard in shards}
        described = here[name] if name in here else there[name]
        yield {
            **_printable(described.ingredients),
            "space": name,
            "texts": sum(rows.values()),
            "shards": len(rows),
            "bytes": here[name].bytes if name in here else 0,
            "remote_bytes": there[name].bytes if name in there else 0,
        }


def _printable(ingredients: dict[str, Any]) -> dict[str, Any]:
    layer = ingredients.get("layer")
    return {
        "model": ingredients.get("model", "?"),
        "role": ingredients.get("role", ""),
        "prompt": ingredients.get("prompt", ""),
        "layer": "full" if layer is None else layer,
        "dtype": f"{ingredients.get('dtype', '')}/{ingredients.get('store_dtype', '')}",
    }
