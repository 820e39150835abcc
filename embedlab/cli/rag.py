"""`embedlab rag`: retrieve, prompt, answer, score."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.cli._groups import with_options
from embedlab.cli._json import print_json
from embedlab.cli._options import Db, NamedModels
from embedlab.errors import UserError
from embedlab.options import FilterOptions, LoadingOptions
from embedlab.rag.rag_options import GenerationOptions, PipelineOptions, QuestionOptions
from embedlab.servers.server_names import is_url

if TYPE_CHECKING:
    from embedlab.rag.experiment import Outcome
    from leaderboard.tables.comparison import Comparison


@with_options(
    pipelines=PipelineOptions,
    filters=FilterOptions,
    questions=QuestionOptions,
    generation=GenerationOptions,
    loading=LoadingOptions,
)
def command(
    pipelines: PipelineOptions,
    filters: FilterOptions,
    questions: QuestionOptions,
    generation: GenerationOptions,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="Documents to retrieve from: a BEIR folder, its corpus.jsonl, or any other folder"
            " or file of documents; by default those that the questions bring."
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

    Scores of answers and contexts, latency and tokens of each stage. Several pipelines are a grid:
    every one is recorded, and paired tests say which differ.

    Every question is kept as it is answered: stopped and typed again, the run goes on with the next
    one.
    """
    from embedlab.rag.experiment import Request, run
    from embedlab.resources import home

    specs = pipelines.specs()
    _check(pipelines, generation, [spec.generator.argument for spec in specs if spec.generator])
    if not questions.questions:
        raise UserError("There are no questions.", "Type for example: --questions stdlib-qa")
    db = db or home() / "results.duckdb"
    outcomes = run(
        Request(
            tuple(specs),
            questions.questions,
            db,
            corpus,
            questions.questions_form,
            questions.split,
            questions.sample,
            generation.generator_model,
            generation.max_tokens or 64,
            generation.temperature or 0.0,
            loading,
            tuple(model or ()),
            _options(generation.generator_option),
            generation.in_flight,
            generation.budget,
            questions.similarity,
            questions.judge,
            questions.judge_labels,
            filters.where,
        )
    )
    compared = _compared(outcomes)
    if not as_json:
        _print(outcomes, compared, db)
    elif len(outcomes) == 1:
        print_json(_as_json(outcomes[0]))
    else:
        pairs = [vars(pair) for pair in compared.pairs] if compared else []
        print_json({"runs": [_as_json(each) for each in outcomes], "pairs": pairs})


def _check(pipelines: PipelineOptions, generation: GenerationOptions, names: list[str]) -> None:
    """Refuse what would have no effect.

    Args:
        names: of the generators.
    """
    sampling = generation.max_tokens is not None or generation.temperature is not None
    given = generation.generator_model or generation.generator_option or pipelines.prompts
    if not names and (given or sampling):
        raise UserError(
            "--generator-model, --generator-option, --prompt, --max-tokens and --temperature are"
            " for a generator.",
            "Name one with --generator, or leave them out: the contexts alone are measured then.",
        )
    served = any(map(is_url, names))
    if generation.generator_model and not served:
        raise UserError(
            "--generator-model is the model's name at a server.",
            "Leave it out for a model on this machine.",
        )


def _compared(outcomes: Sequence["Outcome"]) -> "Comparison | None":
    """Every pair of these runs on the main metric, in paired tests over questions, corrected for
    all pairs; None of one pipeline, of different tasks, or where nothing is scored.
    """
    from leaderboard.tables.comparison import compare_scores

    scored = [each.run for each in outcomes if each.run.main_score == each.run.main_score]
    runs = {run.model.revision: run for run in scored}
    tasks = {(run.task.name, run.task.revision, run.task.main_metric) for run in runs.values()}
    if len(runs) < 2 or len(tasks) > 1:
        return None
    ((task, _, metric),) = tasks
    names = [run.model.name for run in runs.values()]
    scores = {
        # Those of one name differ in what it does not show, such as --max-tokens.
        name if names.count(name) == 1 else f"{name}@revision={revision[:8]}": (
            run.per_query.metrics[metric]
        )
        for name, (revision, run) in zip(names, runs.items(), strict=True)
        if run.per_query
    }
    return compare_scores(task, metric, scores)


def _options(given: Sequence[str]) -> dict[str, Any]:
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


def _print(outcomes: Sequence["Outcome"], compared: "Comparison | None", db: Path) -> None:
    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    runs = [each.run for each in outcomes]
    costs = (
        ("retrieve ms p50", "latency_p50_ms", 1),
        ("p95", "latency_p95_ms", 1),
        ("generate ms p50", "generate_p50_ms", 1),
        ("p95", "generate_p95_ms", 1),
        ("prompt tokens", "prompt_tokens_per_question", 0),
        ("answer tokens", "answer_tokens_per_question", 1),
        ("context tokens saved", "context_tokens_saved", 2),
        ("USD a question", "price_per_question", 6),
    )
    every = dict.fromkeys(name for run in runs for name in run.scores)
    # Of grids over k, measures at one cut-off say nothing beside those at another.
    metrics = [
        name for name in every if "_at_" not in name or all(name in run.scores for run in runs)
    ]
    print_columns(
        [
            Column("task", [run.task.name for run in runs]),
            Column("pipeline", [run.model.name for run in runs]),
            Column("questions", [f"{len(each.questions):,}" for each in outcomes], right=True),
            *(
                Column(
                    name.replace("_", " "),
                    [f"{run.scores[name]:.4f}" if name in run.scores else "" for run in runs],
                    right=True,
                )
                for name in metrics
            ),
            *(
                Column(
                    title,
                    [f"{run.costs[name]:,.{n}f}" if name in run.costs else "" for run in runs],
                    right=True,
                )
                for title, name, n in costs
                if any(name in run.costs for run in runs)
            ),
        ],
        [*_notes(outcomes, db)],
    )
    if compared:
        _print_pairs(compared)


def _notes(outcomes: Sequence["Outcome"], db: Path) -> list[str]:
    runs = [each.run for each in outcomes]
    notes = []
    if not any(run.scores for run in runs):
        notes.append("Nothing was scored: the questions name no answers and no relevant documents.")
    if len(runs) == 1:
        name, task = runs[0].model.name, runs[0].task.name
        notes.append(f"Recorded in {db} as run {runs[0].id[:8]}.")
        quoted = shlex.quote(name) if '"' in name else f'"{name}"'
        notes.append(f'Beside another: embedlab compare {quoted} OTHER --task "{task}"')
    else:
        notes.append(f"Recorded in {db}: {len(runs)} runs.")
    return notes


def _print_pairs(compared: "Comparison") -> None:
    """The pairs that differ by more than chance; how many were tested."""
    from embedlab.cli._tables import print_columns
    from leaderboard.tables.table import Column

    tested = [pair for pair in compared.pairs if pair.corrected_p is not None]
    sure = [pair for pair in tested if (pair.corrected_p or 0.0) <= 1 - compared.level]
    sure.sort(key=lambda pair: pair.corrected_p or 0.0)
    counted = (
        f"{len(sure)} of {len(tested)} pairs differ in {tested[0].metric} by more than chance"
        f" ({compared.test} test over {tested[0].queries} questions, corrected by"
        f" {compared.correction} for all pairs)."
        if tested
        else "No pair could be tested."
    )
    better = [(p.first, p.second) if p.difference > 0 else (p.second, p.first) for p in sure]
    if not sure:
        from embedlab.terminal import echo

        echo(counted)
        return
    print_columns(
        [
            Column("better", [first for first, _ in better]),
            Column("than", [second for _, second in better]),
            Column("by", [f"{abs(pair.difference):.4f}" for pair in sure], right=True),
            Column("p", [f"{pair.corrected_p:.4f}" for pair in sure], right=True),
        ],
        [counted],
    )
