"""`embedlab eval`: models on tasks, through an index, into the leaderboard."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.chunks import chunking
from embedlab.cli import _completion
from embedlab.cli._groups import values_of, with_options
from embedlab.cli._json import print_json
from embedlab.cli._options import Db
from embedlab.cli._prompt_spread import print_spread
from embedlab.options import (
    EncodingOptions,
    LoadingOptions,
    ServerOptions,
    ShareOptions,
    TaskOptions,
    ViewOptions,
)
from embedlab.terminal import echo

if TYPE_CHECKING:
    from embedlab.errors import UserError
    from embedlab.evaluation.run import Outcome
    from leaderboard.records import Run


Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        autocompletion=_completion.models,
        help=(
            "A card's name (`embedlab models`), a hub id, a local folder, path/to/file.py:Class,"
            " openai:MODEL or http://HOST:PORT/v1#MODEL for a server, minis for all that ship, or"
            ' several composed: "rrf(bm25, all-minilm-l6-v2)",'
            ' "weighted(bm25, MODEL@faiss:hnsw32, weights=0.3/0.7)", "bm25 >> rerank(CROSS-ENCODER,'
            ' depth=50)". Repeatable.'
        ),
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        "-t",
        autocompletion=_completion.tasks,
        help=(
            "An MTEB task such as SciFact, a built-in task, or the path of a BEIR folder."
            " Repeatable."
        ),
    ),
]
Benchmarks = Annotated[
    list[str] | None,
    typer.Option(
        "--benchmark",
        "-b",
        autocompletion=_completion.benchmarks,
        help='stdlib, stdlib-mini, or an MTEB benchmark such as "MTEB(eng, v2)". Repeatable.',
    ),
]


Cards = Annotated[
    list[Path] | None,
    typer.Option(
        "--card",
        help="A card of yours, FILE.toml: a model with its settings, as `--model FILE.toml`; those"
        " in EMBEDLAB_HOME/models have names. Repeatable.",
    ),
]
Prompts = Annotated[
    list[Path] | None,
    typer.Option(
        "--prompts",
        help='A TOML file of prompts, claim = "Is this true? ": each model is evaluated under its'
        " own and all of them; shown are the spread, the order of models, and what is significant.",
    ),
]
Config = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        help="An experiment as a TOML file: models, tasks and all options of this command, over"
        " several dtypes and seeds. Options that are typed win.",
    ),
]


@with_options(
    views=ViewOptions,
    loading=LoadingOptions,
    encoding=EncodingOptions,
    server=ServerOptions,
    options=TaskOptions,
    share=ShareOptions,
)
def command(
    model: Models = None,
    task: Tasks = None,
    benchmark: Benchmarks = None,
    card: Cards = None,
    prompts: Prompts = None,
    config: Config = None,
    *,
    typed: set[str],
    views: ViewOptions,
    loading: LoadingOptions,
    encoding: EncodingOptions,
    server: ServerOptions,
    options: TaskOptions,
    share: ShareOptions,
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The results as JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Evaluate models on tasks, and rank the results."""
    from embedlab.evaluation import experiment_file
    from embedlab.evaluation.shares import store_of

    names = {
        "models": [*(model or ()), *map(str, card or ())],
        "tasks": [*(benchmark or ()), *(task or ())],
    }
    asked = {
        **(experiment_file.read(_only(config, "experiment")) if config else {}),
        **{name: named for name, named in names.items() if named},
        **({"prompts": _only(prompts, "file of prompts")} if prompts else {}),
        **values_of(typed, views, loading, encoding, server, options, share),
    }
    array = ShareOptions(asked.get("array")).array
    db = db or store_of(array)
    outcome, spread = experiment_file.run(asked, db)
    if array and not outcome.runs and not outcome.failures:
        echo(f"Share {array} has nothing to do: there are more shares than work.", err=True)
    if as_json:
        runs = [_as_json(run) for run in outcome.runs]
        print_json({"runs": runs} | ({"prompts": asdict(spread)} if spread else {}))
    elif spread and spread.prompted:
        print_spread(spread, db)
    elif outcome.runs:
        _print(outcome, db, array)
    if outcome.failures:
        raise _summary(outcome)


def _only(files: list[Path], what: str) -> Path:
    """The one file that was named.

    Raises:
        UserError: several were, and all but one would be passed over.
    """
    from embedlab.errors import UserError

    if len(files) > 1:
        raise UserError(f"eval takes one {what}, and {len(files)} are named.", "Leave one.")
    return files[0]


def _summary(outcome: "Outcome") -> "UserError":
    """The error that ends a run of which something failed.

    What is wrong was said when it showed, save where it is all that there is to say: here is what
    to do about it, once for all that it befell.
    """
    from embedlab.errors import UserError

    if outcome.alone:
        return UserError(outcome.failures[0].problem, outcome.failures[0].hint)
    befell: dict[str, list[str]] = {}
    for failure in outcome.failures:
        befell.setdefault(failure.hint, []).append(f"{failure.model} on {failure.task}")
    lines = [f"  {', '.join(where)}: {hint}" for hint, where in befell.items()]
    number, all_of_them = len(outcome.failures), len(outcome.failures) + len(outcome.runs)
    recorded = "; the others are recorded" if outcome.runs else ""
    return UserError(f"{number} of {all_of_them} evaluations failed{recorded}.", "\n".join(lines))


def _as_json(run: "Run") -> dict[str, Any]:
    """The contract that scripts rely on."""
    return {
        "model": run.model.name,
        "task": run.task.name,
        "split": run.task.split,
        "subset": run.task.subset,
        "index": run.index,
        "layer": run.layer,
        "dim": run.dim,
        "precision": run.precision,
        "settings": run.settings,
        "main_score": run.main_score,
        "main_metric": run.task.main_metric,
        # JSON has no NaN, which an abstention score is where all queries score alike.
        "scores": {name: None if value != value else value for name, value in run.scores.items()},
        "costs": run.costs,
        "run_id": run.id,
    }


def _print(outcome: "Outcome", db: Path, array: str | None) -> None:
    from embedlab.cli._tables import print_columns
    from leaderboard.measures import shown
    from leaderboard.tables.table import Column

    runs = sorted(outcome.runs, key=lambda run: (run.task.name, run.task.subset, -run.main_score))

    def cost(title: str, name: str, digits: int, scale: float = 1) -> Column:
        return Column(
            title,
            [f"{run.costs[name] / scale:,.{digits}f}" if name in run.costs else "" for run in runs],
            right=True,
        )

    print_columns(
        [
            Column("task", [run.task.name for run in runs]),
            *(
                [Column("subset", [run.task.subset for run in runs])]
                if len({run.task.subset for run in runs}) > 1
                else []
            ),
            Column("model", [run.model.name for run in runs]),
            *(
                [Column("revision", [run.model.revision for run in runs])]
                if len({(run.model.name, run.model.revision) for run in runs})
                > len({run.model.name for run in runs})
                else []
            ),
            Column("view", [_view(run) for run in runs]),
            Column("metric", [shown(run.task.main_metric) for run in runs]),
            Column("score", [f"{run.main_score:.4f}" for run in runs], right=True),
            cost("encode s", "encode_seconds", 1),
            cost("texts/s", "texts_per_second", 0),
            cost("tokens/text", "tokens_per_text", 0),
            cost("query ms p50", "latency_p50_ms", 2),
            cost("index MB", "index_bytes", 1, 1e6),
        ],
        [
            f"Recorded in {db}.",
            (
                "Type `embedlab compare A B` for what is significant, `embedlab dashboard` to look"
                " around."
            )
            if array is None
            else f"This is share {array}: `embedlab merge` joins the stores of all.",
        ],
    )
    if array is None:
        _print_ranking(runs, db)


def _print_ranking(runs: "list[Run]", db: Path) -> None:
    """Where the models of this run stand on the tasks that all of them did."""
    from embedlab.cli._tables import print_leaderboard
    from leaderboard.storage.store import Store
    from leaderboard.tables.standings import rank

    done: dict[str, set[str]] = {}
    for run in runs:
        done.setdefault(run.model.name, set()).add(run.task.name)
    shared = sorted(set.intersection(*done.values())) if done else []
    if shared:
        echo(f"\nThe leaderboard on {', '.join(shared)}")
        print_leaderboard(rank(Store(db), tasks=shared))


def _view(run: "Run") -> str:
    parts = (
        run.index,
        f"layer {run.layer}" if run.layer else "",
        f"{run.dim}d" if run.dim else "",
        "" if run.precision == "float32" else run.precision,
        chunking.typed(run.settings),
    )
    return " ".join(filter(None, parts))
