"""`embedlab study`: a comparison as a paper does it, from a TOML file to its report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Db, Device
from embedlab.terminal import echo, print_table

if TYPE_CHECKING:
    from embedlab.errors import UserError
    from embedlab.studies.plan import Plan, Step
    from embedlab.studies.study_run import StudyOutcome


def command(
    file: Annotated[
        Path, typer.Argument(help="A TOML file, or the name of a shipped study (data/studies/).")
    ],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be trained and evaluated, what is there, and how long it takes.",
        ),
    ] = False,
    report_only: Annotated[
        bool,
        typer.Option(
            "--report-only", help="Write the report of what is there; train and evaluate nothing."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The report's folder; studies/NAME beside the store by default."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="One more task, such as a BEIR folder of this machine. Repeatable.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="A local mirror of MTEB data sets, as for `embedlab eval`.")
    ] = None,
    device: Device = None,
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The findings as JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Run a study: train, evaluate, test, report.

    What is there already is used. Stopped or killed, it goes on: type the same again.
    """
    from embedlab import hub
    from embedlab.errors import UserError, training_packages
    from embedlab.resources import home

    if dry_run and (report_only or out):
        raise UserError(
            f"--dry-run writes nothing, and {'--report-only' if report_only else '--out'} asks for"
            " a report.",
            "Type one of them.",
        )
    hub.settle()
    with training_packages("A study"):
        from embedlab.studies import plan as plans
        from embedlab.studies import study_file
        from embedlab.studies.study_run import StudyOutcome, run

    study, path = study_file.read(file)
    study = study_file.here(study, task or (), data_dir)
    db = db or home() / "results.duckdb"
    plan = plans.make(study, path, db=db, device=device)
    if dry_run:
        if as_json:
            print_json(_planned(plan))
        else:
            _print(plan)
        return
    outcome = StudyOutcome() if report_only else run(plan, db=db, device=device)
    from embedlab.studies import report

    findings = report.write(plan, outcome, out or db.parent / "studies" / study.name, db=db)
    if as_json:
        print_json(findings.plain())
    else:
        for line in (*findings.summary(), f"The report: {findings.folder / 'report.html'}"):
            echo(line)
    if outcome.failures:
        raise _summary(outcome)


def _summary(outcome: "StudyOutcome") -> "UserError":
    """The error that ends a study of which something failed: what to do, once for all it befell."""
    from embedlab.errors import UserError

    befell: dict[str, list[str]] = {}
    for failure in outcome.failures:
        befell.setdefault(failure.hint, []).append(f"{failure.model} on {failure.task}")
    lines = [f"  {', '.join(where)}: {hint}" for hint, where in befell.items()]
    return UserError(
        f"{len(outcome.failures)} parts of the study failed; the rest is done and reported.",
        "\n".join(lines),
    )


def _state(step: "Step") -> str:
    if not step.train:
        return "there"
    if step.member.role == "twin":
        return "to be saved"
    return f"begun, step {step.begun}" if step.begun else "to be trained"


def _planned(plan: "Plan") -> dict[str, Any]:
    return {
        "study": plan.study.name,
        "members": [
            {
                "group": step.member.group,
                "role": step.member.role,
                "seed": step.member.seed,
                "model": step.member.model,
                "state": _state(step),
                "evaluate": step.tasks,
            }
            for step in plan.steps
        ],
        "left": plan.left(),
        "notes": plan.notes,
    }


def _print(plan: "Plan") -> None:
    from leaderboard.tables.table import Column

    study, steps = plan.study, plan.steps
    echo(f"{study.title}\n{study.question}\n")
    print_table(
        [
            Column("member", [step.member.group for step in steps]),
            Column("role", [step.member.role for step in steps]),
            Column("seed", [step.member.seed for step in steps]),
            Column("model", [_state(step) for step in steps]),
            Column(
                "evaluate on",
                [
                    f"{len(step.tasks)} of {len(plan.tasks)} tasks" if step.todo else "done"
                    for step in steps
                ],
            ),
        ]
    )
    echo(f"Tasks: {', '.join(task.name for task in plan.tasks)}.")
    for planned in study.comparisons:
        from embedlab.studies.members import pairs

        count = len(pairs(planned, plan.members))
        echo(f"{planned.name}: {count} pair{'s' * (count > 1)}, {planned.correction}-corrected.")
    if study.budget:
        echo(f"Budget: {study.budget}")
    for note in plan.notes:
        echo(note)
    training = sum(step.train and step.member.role != "twin" for step in steps)
    echo(
        f"{training} to train, {sum(bool(step.todo) for step in steps)} to evaluate; {plan.left()}."
    )
