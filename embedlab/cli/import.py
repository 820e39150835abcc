"""`embedlab import`: public results, and runs of other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Db
from embedlab.terminal import echo

if TYPE_CHECKING:
    from embedlab.progress import Reporter
    from leaderboard.exchange.importing import Report, Unread
    from leaderboard.storage.store import Store

_LISTED = 20


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A folder of MTEB results (results/<model>/<revision>/<Task>.json), a CSV file of"
            " Anserini's or Pyserini's scores, or a TREC run file."
        ),
    ],
    qrels: Annotated[
        Path | None, typer.Option(help="For a TREC run: the TREC qrels file to score it by.")
    ] = None,
    task: Annotated[
        str, typer.Option("--task", "-t", help="For a TREC run: the task's name.")
    ] = "",
    model: Annotated[
        str, typer.Option("--model", "-m", help="For a TREC run: the model's name.")
    ] = "",
    split: Annotated[
        str | None, typer.Option(help="For a TREC run: the task's split; test by default.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Files read at once; one per processor by default.")
    ] = None,
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The counts as JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Import results of MTEB, Anserini, Pyserini or TREC runs.

    Of a folder that was imported before, what has changed since is read.
    """
    from importlib.metadata import version

    from embedlab import __version__
    from embedlab.errors import UserError
    from embedlab.progress import Reporter
    from embedlab.resources import home
    from leaderboard.exchange.importing import Report, import_files, result_files, unread
    from leaderboard.exchange.ir_files import is_table, read_table
    from leaderboard.storage.store import Store

    store, reporter = Store(db or home() / "results.duckdb"), Reporter()
    if not path.exists():
        raise UserError(f"There is no file or folder {path}.", "Type: embedlab import --help")
    if (qrels or task or model or split) and (path.is_dir() or is_table(path)):
        raise UserError(
            "--qrels, --task, --model and --split are for a TREC run.",
            f"{path} says all that by itself.",
        )
    if processes and not path.is_dir():
        raise UserError(
            "--processes is for a folder of results: one file is read at once.", "Leave it out."
        )
    if path.is_dir():
        from embedlab.models.facts import refreshing

        files = result_files(path)
        if not files:
            raise UserError(
                f"There is no result file in {path}.",
                "They lie in it as <model>/<revision>/<Task>.json.",
            )
        new = unread(store, files, f"mteb {version('mteb')}, embedlab {__version__}")
        report = _import(store, new, reporter, processes) if new.files else new.report
        refreshing.refresh(store)
    elif is_table(path):
        report = import_files(store, [path], read_table)
    elif qrels and task and model:
        from embedlab.evaluation.trec import trec_run

        run = trec_run(store, path, qrels, model=model, task=task, split=split or "test")
        store.add(run)
        report = Report(files=1, runs=1)
        reporter.say(_matches(run.resolved["queries"]))
    else:
        raise UserError(
            f"{path} is neither a folder of MTEB results nor a CSV file of Anserini's or Pyserini's"
            " scores.",
            "If it is a TREC run, type:"
            " embedlab import RUN --qrels QRELS --task SciFact --model NAME",
        )
    if as_json:
        malformed = [{"file": str(file), "problem": problem} for file, problem in report.malformed]
        print_json(
            {
                "files": report.files,
                "known": report.known,
                "runs": report.runs,
                "malformed": malformed,
            }
        )
        return
    echo(
        f"Read {report.files:,} files, {report.runs:,} runs;"
        f" {report.known:,} files were imported before."
    )
    for file, problem in report.malformed[:_LISTED]:
        echo(f"Not imported of {file}: {problem}", err=True)
    if len(report.malformed) > _LISTED:
        echo(f"... and {len(report.malformed) - _LISTED:,} more; --json lists them all.", err=True)


def _import(store: "Store", new: "Unread", reporter: "Reporter", processes: int | None) -> "Report":
    """Read the files, with what mteb knows of their tasks and models."""
    from functools import partial

    from embedlab.models.facts import registry_facts
    from embedlab.tasks.facts import task_facts
    from leaderboard.exchange.importing import import_unread
    from leaderboard.exchange.mteb_files import models_of, read

    models = registry_facts.of_all(models_of(file for file, _ in new.files))
    reading = partial(read, facts=task_facts(), models=models)
    with reporter.phase("import", len(new.files)) as bar:
        return import_unread(store, new, reading, processes=processes, progress=bar.advance)


def _matches(queries: dict[str, int]) -> str:
    """How a TREC run and its qrels fit together."""
    message = f"The run ranks {queries['ranked']:,} of the {queries['judged']:,} judged queries"
    message += "; the others score 0" if queries["ranked"] < queries["judged"] else ""
    return message + (
        f"; {queries['not judged']:,} of its queries are not judged."
        if queries["not judged"]
        else "."
    )
