"""`embedlab search`: ask an index, or several side by side."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.cli._groups import with_options
from embedlab.cli._json import print_json
from embedlab.cli._options import NamedModels
from embedlab.errors import UserError
from embedlab.options import FilterOptions, LoadingOptions
from embedlab.terminal import console, printable, replaced

if TYPE_CHECKING:
    from rich.text import Text

    from retrievers import Retriever

_K = 10
_TYPE = 'Type: embedlab search INDEX "a query", or --compare INDEX INDEX "a query".'
_EXCERPT = 240  # characters shown of a document


@with_options(filters=FilterOptions, loading=LoadingOptions)
def command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="INDEX QUERY", help="An index's folder and a query."),
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="Documents to show; 10 by default.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Several indexes, then the query: side by side.")
    ] = False,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Show what else is known of each document.")
    ] = False,
    model: NamedModels = None,
    *,
    filters: FilterOptions,
    loading: LoadingOptions,
    as_json: Annotated[
        bool, typer.Option("--json", help="The results as JSON on standard output.")
    ] = False,
) -> None:
    """Search an index that `embedlab index` built.

    For example: embedlab search INDEX "a question" -k 10"""
    from embedlab import corpus_index

    words = arguments or []
    if len(words) > 1 and not words[-1]:
        raise UserError("The query is empty.", _TYPE)
    if len(words) < 2 or all(Path(word).is_dir() for word in words):
        there = f"there is only {' '.join(words)}" if words else "there is neither"
        raise UserError(f"search needs an index and a query; {there}.", _TYPE)
    *paths, query = words
    if len(paths) != 1 and not (compare and paths):
        raise UserError(
            f"search takes an index and a query, not {len(words)} words.",
            f"{_TYPE} A query of several words stands in quotes.",
        )
    how = {"named": model or (), **vars(loading)}
    indexes = corpus_index.load_all(map(Path, paths), **how)
    results = {
        path: _results(indexes[Path(path)], query, k, filters.where)
        for path in dict.fromkeys(paths)
    }
    if as_json:
        answer = {"indexes": results} if compare else {"results": results[paths[0]]}
        print_json({"query": query, **answer}, ascii=False)
    elif compare:
        _print_side_by_side(results, metadata)
    else:
        _print(results[paths[0]], metadata)


def _results(retriever: "Retriever", query: str, k: int | None, where: str) -> list[dict[str, Any]]:
    """The hits, each with its text, where in the document that is if it is a chunk, the spans
    `[start, end)` of the query's words in it, and its metadata.
    """
    from embedlab.corpus_index import depth

    return [
        {
            "rank": rank,
            "id": found.id,
            "score": found.score,
            "text": found.text,
            **({} if found.start is None else {"start": found.start, "end": found.end}),
            "highlights": _spans(query, found.text),
            "metadata": found.metadata,
        }
        for rank, found in enumerate(
            retriever.retrieve(query, depth(k, retriever, _K, "-k"), where=where), 1
        )
    ]  # fmt: skip


def _spans(query: str, text: str) -> list[tuple[int, int]]:
    words = {word.casefold() for word in re.findall(r"\w+", query) if len(word) > 2}
    return [match.span() for match in re.finditer(r"\w+", text) if match[0].casefold() in words]


def _excerpt(result: dict[str, Any]) -> "Text":
    """The part of the text with the first highlight, the query's words in bold."""
    from rich.text import Text

    spans = result["highlights"]
    start = max(0, spans[0][0] - _EXCERPT // 4) if spans and spans[0][0] > _EXCERPT else 0
    cut = replaced(result["text"][start : start + _EXCERPT])
    shown = Text(
        ("... " if start else "") + cut + (" ..." if start + _EXCERPT < len(result["text"]) else "")
    )
    offset = start - (4 if start else 0)
    for begin, end in spans:
        if start <= begin and end <= start + len(cut):
            shown.stylize("bold", begin - offset, end - offset)
    return shown


def _fields(result: dict[str, Any]) -> str:
    """What is known of a document beside title and text, which are shown as its text."""
    fields = {name: value for name, value in result["metadata"].items() if name != "title"}
    said = (
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in fields.items()
    )
    return printable("\n".join(said))


def _print(results: list[dict[str, Any]], metadata: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "id", "score", "text", *(["metadata"] if metadata else []))
    for result in results:
        more = [Text(_fields(result))] if metadata else []
        score = f"{result['score']:.4f}"
        table.add_row(str(result["rank"]), result["id"], score, _excerpt(result), *more)
    console().print(table if results else "Nothing was found.")


def _print_side_by_side(results: dict[str, list[dict[str, Any]]], metadata: bool) -> None:
    """One column per index; behind each document the ranks it has in the others,
    "-" where it is missing.
    """
    from rich.table import Table
    from rich.text import Text

    ranks = {
        path: {result["id"]: result["rank"] for result in found} for path, found in results.items()
    }
    table = Table("", *results, show_lines=True)
    for place in range(max(map(len, results.values()), default=0)):
        cells = []
        for path, found in results.items():
            if place >= len(found):
                cells.append(Text())
                continue
            result = found[place]
            others = ", ".join(
                str(ranks[other].get(result["id"], "-")) for other in results if other != path
            )
            head = printable(f"{result['id']}  {result['score']:.4f}  (there: {others})")
            more = Text(f"\n{_fields(result)}", "dim") if metadata else Text()
            cells.append(Text(f"{head}\n", "cyan") + _excerpt(result) + more)
        table.add_row(str(place + 1), *cells)
    console().print(table)
