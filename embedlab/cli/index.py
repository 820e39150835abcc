"""`embedlab index`: a corpus and a model become an index on disk."""

from pathlib import Path
from typing import Annotated, Any

import typer

from embedlab.chunk_options import ChunkOptions
from embedlab.cli import _completion
from embedlab.cli._groups import with_options
from embedlab.cli._json import print_json
from embedlab.options import DocumentOptions, LoadingOptions
from embedlab.terminal import console, echo, printable


@with_options(fields=DocumentOptions, chunks=ChunkOptions, loading=LoadingOptions)
def command(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="The documents, as --docs names them.")
    ] = None,
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
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--docs",
            "--corpus",
            help="A folder of md, txt, html, pdf, docx, csv, jsonl or parquet files, one such file,"
            " or a BEIR folder (corpus.jsonl).",
        ),
    ] = None,
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
    as_json: Annotated[
        bool, typer.Option("--json", help="What was built as JSON on standard output.")
    ] = False,
) -> None:
    """Build a searchable index of a corpus with a model.

    The index appears once it is whole: stopped before that, nothing is left, and an older index
    stays.
    """
    import time

    from rich.markup import escape
    from rich.progress import Progress

    from embedlab import corpus_index
    from embedlab.errors import UserError
    from retrievers.folder import check_target, size_on_disk
    from retrievers.pipelines.by_chunks import Chunked

    if card is not None:
        if model is not None:
            raise UserError("--card and --model both name the model.", "Type one of them.")
        model = str(card)
    if folder is not None:
        if corpus is not None:
            raise UserError("FOLDER and --docs both name the documents.", "Type one of them.")
        corpus = folder
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
