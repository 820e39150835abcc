"""`embedlab publish`: the leaderboard as a site that needs no server."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.cli import _completion
from embedlab.cli._options import Db

if TYPE_CHECKING:
    from leaderboard.publishing.boards import Board
    from leaderboard.publishing.front_page import Site
    from leaderboard.storage.store import Store
    from leaderboard.tables.benchmarks import Parts

_ALL = "All tasks"
_FILTERS = ("kind", "source", "licence", "open weights", "instruction tuned")


def command(
    out: Annotated[
        Path, typer.Option(help="The folder to write; a site of embedlab there is replaced.")
    ] = Path("site"),
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            "-b",
            autocompletion=_completion.benchmarks,
            help="A leaderboard of this benchmark. Repeatable; by default of every one whose tasks"
            " all have results, and of all tasks where some are of none of these.",
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="The site's heading.")] = "Leaderboard",
    db: Db = None,
) -> None:
    """Write the leaderboard as a static site.

    It opens from disk, needs no server, and can be put on any. The numbers are those of `embedlab
    leaderboard`.
    """
    from embedlab.progress import Reporter
    from embedlab.resources import home
    from embedlab.tasks import benchmark_parts
    from embedlab.terminal import echo, printable
    from leaderboard.publishing import site_files
    from leaderboard.storage import latest_runs
    from leaderboard.storage.store import Store
    from leaderboard.tables.evaluated_views import read

    site_files.refuse_foreign(out)
    store = Store(db or home() / "results.duckdb")
    if not latest_runs.tasks(store):
        read(store)  # says what to type
    known = benchmark_parts.known()
    typed = dict.fromkeys(known.named(name) or name for name in benchmark or ())
    names = list(typed) or _with_results(store, known.parts)
    with Reporter().phase("publish", len(names)) as bar:
        boards = _boards(store, names, bar)
        files = site_files.write(out, _site(store, printable(title), typed), boards)
    size = sum(file.stat().st_size for file in files) / 1e6
    count = f"{len(names)} leaderboard{'s' if len(names) > 1 else ''}"
    echo(f"Wrote {count}, {size:.1f} MB. Open {files[0]}.")


def _with_results(store: "Store", tasks: "Mapping[str, Parts]") -> list[str]:
    """The benchmarks whose tasks all have results, the fullest first; all tasks, where some are of
    none of them.
    """
    from leaderboard.storage import latest_runs
    from leaderboard.tables import aggregates
    from leaderboard.tables.benchmarks import held

    found = held(store, tasks)
    whole = [name for name, each in found.items() if each.tasks == each.of and each.models]
    covered = {task for name in whole for task in tasks[name]}
    here = aggregates.counted(latest_runs.tasks(store))
    return whole if whole and covered >= set(here) else [*whole, _ALL]


def _boards(store: "Store", names: list[str], bar: Any) -> "Iterator[Board]":
    from embedlab.tasks import described

    known = described.known()
    for name in names:
        yield _board(store, name, known)
        bar.advance(1)


def _board(store: "Store", name: str, known: dict[str, Any]) -> "Board":
    """The ranking of a benchmark, as `embedlab leaderboard` has it; where no model has all tasks,
    that by Borda count, as MTEB ranks such, with the means of unlike tasks out of sight.
    """
    from embedlab.cli._leaderboard_table import column_sets, legend
    from embedlab.cli.leaderboard import main_revisions, parts
    from embedlab.terminal import printable
    from leaderboard.publishing import task_columns
    from leaderboard.publishing.boards import Board, cleaned
    from leaderboard.tables.evaluated_views import read
    from leaderboard.tables.standings import rank_views, tasks_of

    every = name == _ALL
    views = read(
        store,
        tasks_of(store, None) if every else parts(name),
        main_revisions=None if every else main_revisions(),
    )
    ranked = rank_views(store, views, every_view=False)
    incomplete = all(row.place is None for row in ranked.rows)
    if incomplete:
        ranked = rank_views(store, views, every_view=False, incomplete=True, sort="borda")
    columns, sets = column_sets(ranked)
    unlike = ("mean", "mean by type") if incomplete else ()
    words = ["--benchmark", name] * (not every) + ["--incomplete", "--sort", "borda"] * incomplete
    return Board(
        title=printable(name),
        columns={printable(key): cleaned(each, printable) for key, each in columns.items()},
        sets={
            name: [printable(each) for each in of_set if each not in unlike]
            for name, of_set in sets.items()
        },
        tasks=[cleaned(each, printable) for each in task_columns.table(views, ranked, known)],
        more=[cleaned(each, printable) for each in task_columns.more(ranked, known)],
        filters=_FILTERS,
        legend=[printable(line) for line in legend(ranked, typed=False)],
        command=printable(shlex.join(["embedlab", "leaderboard", *words])),
        coverage=ranked.coverage,
    )


def _site(store: "Store", title: str, benchmarks: Iterable[str]) -> "Site":
    """What the site says of itself: when, from which results, by which commands."""
    from datetime import UTC, datetime

    from embedlab import __version__
    from leaderboard.publishing.front_page import Site

    counts = store.query(
        "SELECT count(*) AS runs, count(DISTINCT model) AS models, count(DISTINCT task) AS tasks,"
        " count(*) FILTER (source = '') AS own, max(created) AS newest FROM runs"
    ).to_pylist()[0]
    typed = ["embedlab", "publish", *(word for name in benchmarks for word in ("-b", name))]
    return Site(
        title,
        __version__,
        [
            f"embedlab {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {shlex.join(typed)}.",
            f"From {counts['runs']:,} runs of {counts['models']:,} models on"
            f" {counts['tasks']:,} tasks, {counts['own']:,} of them computed here and the others"
            f" imported; the newest is of {counts['newest']:%Y-%m-%d}.",
        ],
    )
