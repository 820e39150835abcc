"""`embedlab runs`: what the store holds, run by run."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Db, OfModels, OnTasks
from embedlab.terminal import echo, print_table

if TYPE_CHECKING:
    from leaderboard.storage.store import Store

commands = typer.Typer(no_args_is_help=True, help="List, show, compare and remove single runs.")

AsJson = Annotated[bool, typer.Option("--json", help="As JSON on standard output, nothing else.")]

Id = Annotated[str, typer.Argument(help="A run's id, or the beginning of it.", show_default=False)]


@commands.command("list")
def list_runs(
    model: OfModels = None,
    task: OnTasks = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from leaderboard.tables.filtering import refuse_absent

    store, where = (
        _store(db),
        {name: value for name, value in (("model", model), ("task", task)) if value},
    )
    refuse_absent(store, **where)
    listed = store.runs(**where)
    runs = listed.slice(0, limit).to_pylist()
    if as_json:
        print_json({"runs": runs, "total": listed.num_rows})
        return
    if not runs:
        echo("No runs. Type: embedlab eval --model all-minilm-l6-v2 --benchmark stdlib-mini")
        return
    settings = ["index", "layer", "dim", "precision", "source"]
    revisions: dict[str, set[str]] = {}
    for run in runs:
        revisions.setdefault(run["model"], set()).add(run["model_revision"])
    if any(len(several) > 1 for several in revisions.values()):
        # Two folders of one name, for example.
        settings.insert(0, "model_revision")
    # What shapes scores beside these says something where it differs:
    # the dtype, and a depth that was asked for.
    settings += [
        name for name in ("settings", "depth") if len({run[name] or "" for run in runs}) > 1
    ]
    rows = [
        [
            run["id"][:8],
            run["model"],
            "/".join(
                [
                    run["task"],
                    *(
                        run[name]
                        for name in ("split", "subset")
                        if run[name] not in ("test", "default")
                    ),
                ]
            ),
            *("" if run[name] is None else str(run[name]) for name in settings),
            f"{run['main_score']:.4f}",
            f"{run['created']:%Y-%m-%d %H:%M}",
        ]
        for run in runs
    ]
    _table(
        [
            "id",
            "model",
            "task",
            *(name.replace("model_", "") for name in settings),
            "main score",
            "created (UTC)",
        ],
        rows,
        right={"layer", "dim", "depth", "main score"},
    )
    if listed.num_rows > limit:
        echo(f"{limit} of {listed.num_rows:,} runs. Type --limit {listed.num_rows} for all.")


@commands.command()
def show(id: Id, db: Db = None, as_json: AsJson = False) -> None:
    """Show everything about a run.

    Scores, costs, phases, settings, first rendered inputs.
    """
    from leaderboard.measures import shown
    from leaderboard.tables.differences import first_inputs, settings

    run = _store(db).run(id)
    facts = settings(run)
    if as_json:
        phases = [{"name": phase.name, "seconds": phase.seconds} for phase in run.phases]
        print_json(
            {
                "id": run.id,
                "created": run.created,
                "main_score": run.main_score,
                "scores": run.scores,
                "costs": run.costs,
                "phases": phases,
                "settings": facts,
                "first_inputs": [pair.first for pair in first_inputs(run, run)],
            }
        )
        return
    metric = shown(run.task.main_metric)
    echo(f"{run.id}  {run.created:%Y-%m-%d %H:%M} UTC  {metric} {run.main_score:.4f}")
    _table(
        ["metric", "score"],
        [[shown(name), f"{value:.4f}"] for name, value in run.scores.items()],
        right={"score"},
    )
    _table(
        ["cost", "value"],
        [[name, f"{value:,.6g}"] for name, value in run.costs.items()],
        right={"value"},
    )
    _table(
        ["phase", "seconds"],
        [[phase.name, f"{phase.seconds:.2f}"] for phase in run.phases],
        right={"seconds"},
    )
    _table(["setting", "value"], [[name, _shown(value)] for name, value in facts.items()])
    _table(["first rendered inputs"], [[pair.first] for pair in first_inputs(run, run)])


@commands.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A run's id, or the beginning of it.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another's.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Show every setting in which two runs differ.

    And their first rendered inputs side by side.
    """
    from leaderboard.tables.differences import differences, first_inputs

    store = _store(db)
    one, other = store.run(first), store.run(second)
    settings, inputs = differences(one, other), first_inputs(one, other)
    if as_json:
        print_json(
            {
                "runs": [one.id, other.id],
                "main_scores": [one.main_score, other.main_score],
                "differences": [part._asdict() for part in settings],
                "first_inputs": [part._asdict() for part in inputs],
            }
        )
        return
    header = [f"{run.id[:8]} ({run.main_score:.4f})" for run in (one, other)]
    _table(
        ["setting", *header],
        [[part.name, _shown(part.first), _shown(part.second)] for part in settings],
    )
    if not settings:
        echo("No setting differs.")
    _table([f"first rendered inputs, {header[0]}", header[1]], [list(part) for part in inputs])


@commands.command()
def rm(
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Runs' ids, or the beginnings of them.")
    ],
    db: Db = None,
) -> None:
    """Remove runs, with their rankings."""
    store = _store(db)
    for id in ids:
        echo(f"Removed {store.remove(id)}.")


@commands.command()
def measure(
    measure: Annotated[
        list[str],
        typer.Option(
            help='nDCG@7, ERR@20, Bpref, "RBP(p=0.9,rel=1)", any of ir_measures. Repeatable.'
        ),
    ],
    model: OfModels = None,
    task: OnTasks = None,
    db: Db = None,
) -> None:
    """Add measures to runs, from their rankings in the store.

    With scores of each query, so that leaderboard and compare can use them.
    """
    from embedlab.evaluation.stored_rankings import measure as measured
    from leaderboard.measures import shown
    from leaderboard.tables.filtering import refuse_absent

    store = _store(db)
    where = {name: value for name, value in (("model", model), ("task", task)) if value}
    refuse_absent(store, **where)
    for run, added in measured(store, measure, **where):
        names = ", ".join(map(shown, added)) if added else "nothing, it has them"
        echo(f"{run.id[:8]}  {run.model.name} on {run.task.name}: {names}")


@commands.command()
def prune(db: Db = None) -> None:
    """Delete files that interrupted writers left behind."""
    echo(f"Deleted {len(_store(db).prune())} files.")


def _store(db: Path | None) -> "Store":
    from embedlab.resources import home
    from leaderboard.storage.store import Store

    return Store(db or home() / "results.duckdb")


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _table(header: list[str], rows: list[list[str]], right: Collection[str] = ()) -> None:
    """A table of plain text, in which nothing is markup;
    columns without any content are left out.
    """
    from leaderboard.tables.table import Column

    cells = zip(*rows, strict=True) if rows else [[] for _ in header]
    print_table(
        [
            Column(name, list(column), right=name in right)
            for name, column in zip(header, cells, strict=True)
        ]
    )
