"""`embedlab parity`: the same model by several routes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedlab.cli import _completion
from embedlab.cli._json import print_json
from embedlab.cli._options import Db, Form, check_form
from embedlab.terminal import echo

if TYPE_CHECKING:
    from embedlab.evaluation.parity import Parity

_TASK = "StdlibMiniCodeSearch"


def command(
    models: Annotated[
        list[str],
        typer.Argument(
            autocompletion=_completion.models,
            help="Two routes to one model or more; each is compared with the first: NAME NAME@onnx"
            " NAME@openvino 'NAME?dtype=bfloat16' http://HOST:PORT/v1#NAME",
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            "-t",
            autocompletion=_completion.tasks,
            help=f"A retrieval task on which all are evaluated and recorded; {_TASK} by default.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Texts in place of a task: a file with one a line, a JSONL file of documents, or a"
            " BEIR folder. Each text looks for its neighbours; nothing is recorded."
        ),
    ] = None,
    db: Db = None,
    form: Form = "text",
    as_json: Annotated[
        bool, typer.Option("--json", help="The comparison as JSON on standard output.")
    ] = False,
) -> None:
    """Check that two routes to one model agree.

    Vectors, rankings, scores, and what each costs; routes are other backends, dtypes, or a server.
    """
    from dataclasses import asdict

    from embedlab.errors import UserError
    from embedlab.evaluation import parity
    from embedlab.progress import Reporter

    check_form(form, as_json)
    if data and (task or db):
        raise UserError(
            "--data gives texts in place of a task, and nothing is recorded.",
            "Leave --task and --db out.",
        )
    reporter = Reporter(db)
    if data:
        found = parity.on_texts(models, data, _texts(data), reporter)
    else:
        found = parity.on_task(models, task or _TASK, db, reporter)
    if as_json:
        print_json(asdict(found))
    else:
        _print(found, form)


def _texts(data: Path) -> list[str]:
    """The texts of a folder, a JSONL file, or a file of lines."""
    from embedlab.corpus_index import read_corpus
    from embedlab.errors import UserError
    from retrievers.texts import joined

    if data.is_dir() or data.suffix in (".jsonl", ".json"):
        return [joined(document) for document in read_corpus(data).documents]
    if not data.is_file():
        raise UserError(f"There is no file {data}.", "Give a file with one text a line.")
    try:
        lines = data.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{data} is no text in UTF-8: {error}.", "Give one text a line.") from error
    return [line for line in lines if line.strip()]


def _print(found: "Parity", form: str) -> None:
    from embedlab.cli._tables import print_columns
    from leaderboard.measures import shown
    from leaderboard.tables.table import Column

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    routes, pairs = found.routes, found.agreements
    metric = next((shown(pair.metric) for pair in pairs if pair.metric), "score")
    columns = [
        Column("route", [route.model for route in routes]),
        Column("dtype", [route.dtype for route in routes]),
        Column("runs on", [route.runs_on for route in routes]),
        Column("texts/s", [number(r.texts_per_second, ",.1f") for r in routes], right=True),
        Column("tokens/s", [number(r.tokens_per_second, ",.0f") for r in routes], right=True),
        Column("x", [number(r.speed, ".2f") for r in routes], right=True),
        Column(metric, [number(r.score, ".5f") for r in routes], right=True),
    ]
    note = "Speed is that of the moment when each encoded the texts."
    print_columns([column for column in columns if any(column.cells)], [note], form)
    if form == "text":
        echo("")
    columns = [
        Column(f"beside {routes[0].model}", [pair.second for pair in pairs]),
        Column("cosine min", [number(pair.cosine_min, ".6f") for pair in pairs], right=True),
        *(
            Column(
                f"p{percent}",
                [number(pair.cosine_percentiles.get(percent), ".6f") for pair in pairs],
                right=True,
            )
            for percent in ("1", "50")
        ),
        Column("same top 1", [number(pair.top_1, ".1%") for pair in pairs], right=True),
        Column("overlap@10", [number(pair.overlap_10, ".4f") for pair in pairs], right=True),
        Column("tau", [number(pair.kendall_tau, ".4f") for pair in pairs], right=True),
        Column(metric, [number(pair.difference, "+.5f") for pair in pairs], right=True),
        Column(
            "95% interval",
            ["" if p.low is None else f"{p.low:+.5f} to {p.high:+.5f}" for p in pairs],
            right=True,
        ),
        Column("p", [number(pair.p, ".3f") for pair in pairs], right=True),
        Column(
            "queries changed",
            ["" if p.queries_changed is None else str(p.queries_changed) for p in pairs],
            right=True,
        ),
    ]
    others = [pair.second for pair in pairs if pair.same_model is False]
    different = f"Not the same model as {routes[0].model} by name or files: {', '.join(others)}."
    legend = [
        *([different] if others else []),
        f"{pairs[0].texts:,} texts, {pairs[0].queries:,} queries of {found.data}. overlap@10: share"
        " of the best 10 in common; tau: Kendall's, of the first's best 100; p: randomisation test"
        " over queries, Holm-corrected.",
        *_farthest(found),
    ]
    print_columns([column for column in columns if any(column.cells)], legend, form)


def _farthest(found: "Parity") -> list[str]:
    """The texts whose vectors are farthest apart, of each route one line."""
    lines = []
    for pair in found.agreements:
        far = [f"{each.cosine:.6f} {each.role} {each.text[:40]!r}" for each in pair.worst[:3]]
        if far:
            lines.append(f"Farthest apart, {pair.second}: {'; '.join(far)}")
    return lines
