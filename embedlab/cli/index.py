"""`embedlab index`: a corpus and a model become an index on disk, which then takes and gives up
documents.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from embedlab.chunk_options import ChunkOptions
from embedlab.cli import _completion
from embedlab.cli._groups import with_options
from embedlab.cli._json import print_json
from embedlab.cli._options import NamedModels
from embedlab.options import DocumentOptions, LoadingOptions
from embedlab.terminal import console, echo, printable

if TYPE_CHECKING:
    from embedlab.index_changes import Changed


class _BuildsByDefault(TyperGroup):
    """`embedlab index FOLDER ...` is short for `embedlab index build FOLDER ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(
            ctx, args if args and args[0] in self.commands else ["build", *args]
        )


commands = typer.Typer(
    cls=_BuildsByDefault, help="Build an index of a corpus with a model, and change it."
)
Index = Annotated[
    Path, typer.Argument(metavar="INDEX", help="An index's folder.", show_default=False)
]
Corpus = Annotated[
    Path | None,
    typer.Option(
        "--docs",
        "--corpus",
        help="A folder of md, txt, html, pdf, docx, csv, jsonl or parquet files, one such file,"
        " or a BEIR folder (corpus.jsonl).",
    ),
]
Folder = Annotated[
    Path | None, typer.Argument(metavar="[FOLDER]", help="The documents, as --docs names them.")
]
Json = Annotated[bool, typer.Option("--json", help="What was done as JSON on standard output.")]


@commands.command("build")
@with_options(fields=DocumentOptions, chunks=ChunkOptions, loading=LoadingOptions)
def build(
    folder: Folder = None,
    model: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completion.models,
            help='A card\'s name, a hub id, a local folder, bm25, or "rrf(bm25, MODEL)".',
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(help="A card of yours, FILE.toml, in place of --model (docs/models.md)."),
    ] = None,
    corpus: Corpus = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write; an index already there is replaced.")
    ] = None,
    index: Annotated[
        str,
        typer.Option(
            help=(
                "torch, faiss:flat, faiss:hnsw32, faiss:binary,rescore=4, lucene, sparse,"
                " seismic, ..."
            )
        ),
    ] = "",
    instruction: Annotated[
        str, typer.Option(help="Fills the query template of models that have one.")
    ] = "",
    *,
    fields: DocumentOptions,
    chunks: ChunkOptions,
    loading: LoadingOptions,
    as_json: Json = False,
) -> None:
    """Build a searchable index of a corpus with a model; `build` may be left out.

    The index appears once it is whole: stopped before that, nothing is left, and an older index
    stays. `embedlab index add` and `embedlab index delete` change it later.
    """
    import time

    from rich.markup import escape
    from rich.progress import Progress

    from embedlab import corpus_index, made_indexes
    from embedlab.errors import UserError
    from retrievers.folder import check_target, size_on_disk
    from retrievers.pipelines.by_chunks import Chunked

    if card is not None:
        if model is not None:
            raise UserError("--card and --model both name the model.", "Type one of them.")
        model = str(card)
    corpus = _named_once(folder, corpus)
    if model is None or corpus is None or out is None:
        given = (("--model", model), ("--docs", corpus), ("--out", out))
        missing = [name for name, value in given if value is None]
        raise UserError(
            "index needs a model, a corpus and a folder to write; not given:"
            f" {', '.join(missing)}.",
            "Type: embedlab index --model bm25 --docs path/to/documents --out my-index",
        )
    check_target(out)
    found = corpus_index.read_corpus(corpus, fields)
    ids = found.ids
    started = time.perf_counter()
    with Progress(console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(
            escape(printable(f"Indexing {len(ids):,} documents with {model}")), total=len(ids)
        )
        retriever = corpus_index.build(
            model, ids, found.documents, index, instruction=instruction, chunk=chunks.chunk,
            **vars(loading),
            advance=lambda count: progress.advance(task, count),
        )  # fmt: skip
    retriever.save(out)
    made_indexes.remember(out)
    number = len(retriever.part.ids) if isinstance(retriever, Chunked) else 0
    built: dict[str, Any] = {
        "index": str(out),
        "documents": len(ids),
        **({"chunks": number} if number else {}),
        "unread": [unread._asdict() for unread in found.unread],
        "seconds": round(time.perf_counter() - started, 3),
        "bytes": size_on_disk(out),
    }
    if as_json:
        print_json(built)
    else:
        in_chunks = f" in {number:,} chunks" if number else ""
        echo(
            f"{out}: {len(ids):,} documents{in_chunks}, {built['bytes'] / 1e6:,.1f} MB,"
            f" {built['seconds']:,.1f} s"
        )
        echo(f'Search it: embedlab search {out} "a question"')


@commands.command("add")
@with_options(fields=DocumentOptions, loading=LoadingOptions)
def add(
    index: Index,
    folder: Folder = None,
    corpus: Corpus = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Documents of ids that are in the index take the place of those; without it they"
            " are an error.",
        ),
    ] = False,
    model: NamedModels = None,
    *,
    fields: DocumentOptions,
    loading: LoadingOptions,
    as_json: Json = False,
) -> None:
    """Add documents to an index, with the model that it was built with.

    Stopped at any moment, the index is the old one or the new one. What is in it unchanged is not
    encoded again.
    """
    import time

    from rich.markup import escape
    from rich.progress import Progress

    from embedlab import corpus_index, index_changes
    from embedlab.errors import UserError

    corpus = _named_once(folder, corpus)
    if corpus is None:
        raise UserError(
            "index add needs documents; neither FOLDER nor --docs is given.",
            f"Type: embedlab index add {index} path/to/documents",
        )
    found = corpus_index.read_corpus(corpus, fields)
    started = time.perf_counter()
    with Progress(console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(
            escape(printable(f"Adding {len(found.ids):,} documents")), total=len(found.ids)
        )
        changed = index_changes.add(
            index, found, replace=replace, named=model or (), **vars(loading),
            advance=lambda count: progress.advance(task, count),
        )  # fmt: skip
    unread = [unread._asdict() for unread in found.unread]
    _say(index, changed, time.perf_counter() - started, as_json, unread=unread)


@commands.command("delete")
def delete(
    index: Index,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID ...", help="Ids of documents.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Delete documents from an index.

    Stopped at any moment, the index is the old one or the new one. An id that begins with a dash
    stands behind --.
    """
    import time

    from embedlab import index_changes

    started = time.perf_counter()
    changed = index_changes.delete(index, ids)
    _say(index, changed, time.perf_counter() - started, as_json)


def _named_once(folder: Path | None, corpus: Path | None) -> Path | None:
    from embedlab.errors import UserError

    if folder is not None and corpus is not None:
        raise UserError("FOLDER and --docs both name the documents.", "Type one of them.")
    return folder or corpus


def _say(index: Path, changed: "Changed", seconds: float, as_json: bool, **more: Any) -> None:
    from retrievers.folder import size_on_disk

    said = changed._asdict()
    size = size_on_disk(index)
    if as_json:
        print_json(
            {"index": str(index), **said, **more, "seconds": round(seconds, 3), "bytes": size}
        )
        return
    done = ", ".join(f"{count:,} {what}" for what, count in list(said.items())[1:] if count)
    echo(
        f"{index}: {done or 'nothing to change'}; {changed.documents:,} documents,"
        f" {size / 1e6:,.1f} MB, {seconds:,.1f} s"
    )
