"""`embedlab rag`: retrieve, prompt, answer, score."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.cli._groups import with_options
from embedlab.cli._json import print_json
from embedlab.cli._options import Db, NamedModels
from embedlab.errors import UserError
from embedlab.options import LoadingOptions

if TYPE_CHECKING:
    from embedlab.rag.experiment import Outcome


@with_options(loading=LoadingOptions)
def command(
    retriever: Annotated[
        str,
        typer.Option(
            help="A saved index's folder; or with --corpus a model, or"
            ' "rrf(bm25, MODEL) >> RERANKER".'
        ),
    ],
    questions: Annotated[
        Path,
        typer.Option(
            help='JSON lines: {"id": "1", "question": "...", "answers": ["..."],'
            ' "relevant": ["document-id"]}; answers and relevant may be absent.'
        ),
    ],
    generator: Annotated[
        str,
        typer.Option(
            help="A causal language model (smollm2-135m, a hub id, a folder), a trained GEM, or the"
            " URL of an OpenAI-compatible server, such as http://localhost:8000/v1. Without one,"
            " the contexts alone are measured."
        ),
    ] = "",
    generator_model: Annotated[str, typer.Option(help="The model's name at the server.")] = "",
    corpus: Annotated[
        Path | None, typer.Option(help="A BEIR folder to retrieve from, or its corpus.jsonl.")
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", "-k", min=1, help="Documents per question; 5 by default.")
    ] = None,
    prompt: Annotated[
        Path | None, typer.Option(help="A template with {context} and {question}.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The most tokens of an answer; 64 by default.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, help="0, the default, takes the likeliest token each time."),
    ] = None,
    generator_option: Annotated[
        list[str] | None,
        typer.Option(
            help="A further field of the requests to a server, NAME=VALUE: reasoning_effort=low."
            " Repeatable."
        ),
    ] = None,
    model: NamedModels = None,
    *,
    loading: LoadingOptions,
    db: Db = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Scores, costs and answers as JSON on standard output, nothing else."
        ),
    ] = False,
) -> None:
    """Answer questions from retrieved documents, and score.

    Scores of answers and contexts, latency and tokens of each stage.

    Every question is kept as it is answered: stopped and typed again, the run goes on with the next
    one.
    """
    from embedlab.rag.experiment import Request, run
    from embedlab.resources import home

    if not generator and (
        generator_model
        or generator_option
        or prompt
        or max_tokens is not None
        or temperature is not None
    ):
        raise UserError(
            "--generator-model, --generator-option, --prompt, --max-tokens and --temperature are"
            " for a generator.",
            "Name one with --generator, or leave them out: the contexts alone are measured then.",
        )
    if generator_model and not generator.startswith(("http://", "https://")):
        raise UserError(
            "--generator-model is the model's name at a server.",
            "Leave it out for a model on this machine.",
        )
    db = db or home() / "results.duckdb"
    outcome = run(
        Request(retriever, questions, db, corpus, generator, generator_model,
                k, prompt, max_tokens or 64, temperature or 0.0, loading,
                tuple(model or ()), _options(generator_option or []))
    )  # fmt: skip
    if as_json:
        print_json(_as_json(outcome))
    else:
        _print(outcome, db)


def _options(given: list[str]) -> dict[str, Any]:
    """NAME=VALUE as fields of a request;
    a value that reads as JSON is what it says, any other is a string.
    """
    fields = {}
    for option in given:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise UserError(
                f"--generator-option {option!r} is not NAME=VALUE.",
                "Type: reasoning_effort=low, top_p=0.9",
            )
        try:
            fields[name] = json.loads(value)
        except (ValueError, RecursionError):
            fields[name] = value
    return fields


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    """The contract that scripts rely on."""
    run = outcome.run
    metrics = run.per_query.metrics if run.per_query else {}
    return {
        "run_id": run.id,
        "model": run.model.name,
        "task": run.task.name,
        "main_metric": run.task.main_metric,
        "scores": run.scores,
        "costs": run.costs,
        "questions": [
            {
                "id": question.id,
                "question": question.text,
                "answer": answer.answer,
                "documents": answer.documents,
                "scores": {
                    name: float(values[place])
                    for name, values in metrics.items()
                    if values[place] == values[place]
                },
                "costs": answer.costs,
            }
            for place, (question, answer) in enumerate(
                zip(outcome.questions, outcome.answers, strict=True)
            )
        ],
    }


def _print(outcome: "Outcome", db: Path) -> None:
    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    run = outcome.run
    costs = (
        ("retrieve ms p50", "latency_p50_ms", 1),
        ("p95", "latency_p95_ms", 1),
        ("generate ms p50", "generate_p50_ms", 1),
        ("p95", "generate_p95_ms", 1),
        ("prompt tokens", "prompt_tokens_per_question", 0),
        ("answer tokens", "answer_tokens_per_question", 1),
    )
    print_columns(
        [
            Column("task", [run.task.name]),
            Column("pipeline", [run.model.name]),
            Column("questions", [f"{len(outcome.questions):,}"], right=True),
            *(
                Column(name.replace("_", " "), [f"{value:.4f}"], right=True)
                for name, value in run.scores.items()
            ),
            *(
                Column(title, [f"{run.costs[name]:,.{digits}f}"], right=True)
                for title, name, digits in costs
                if name in run.costs
            ),
        ],
        [
            *(
                []
                if run.scores
                else [
                    "Nothing was scored: the questions name no answers and no relevant documents."
                ]
            ),
            f"Recorded in {db} as run {run.id[:8]}.",
            f'Beside another: embedlab compare "{run.model.name}" OTHER --task "{run.task.name}"',
        ],
    )
