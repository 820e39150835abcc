"""A study runs: it trains what is missing, evaluates it, and goes on where it was stopped."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasets import disable_progress_bars

from embedlab.errors import explained, reason
from embedlab.evaluation.request import Request
from embedlab.evaluation.run import evaluate
from embedlab.models.loading import quiet
from embedlab.progress import Reporter
from embedlab.studies import curves, evaluations, perplexities
from embedlab.studies import plan as plans
from embedlab.studies.members import Member
from embedlab.studies.plan import Plan, Step
from embedlab.studies.speeds import Speeds
from embedlab.training.training_bar import Show, bar
from embedlab.training.training_run import save_untrained, train
from leaderboard import records
from leaderboard.storage.store import Store

TRAINING, PERPLEXITY = "training", "perplexity"  # stand for the task in a failure of them


@dataclass
class StudyOutcome:
    """What came of a study: the stored runs of this call, and what failed."""

    runs: list[records.Run] = field(default_factory=list)
    failures: list[records.Failure] = field(default_factory=list)


def run(
    plan: Plan, *, db: Path, device: str | None = None, reporter: Reporter | None = None
) -> StudyOutcome:
    """Do what is left of a study, member by member; one that fails never costs the others.

    Args:
        plan: from `embedlab.studies.plan.make`.
        db: the results store.
        device: torch device; None takes a GPU where there is one.
        reporter: where progress is shown.
    """
    reporter = reporter or Reporter(db)
    quiet()
    disable_progress_bars()
    store, outcome = Store(db), StudyOutcome()
    speeds = Speeds(store)
    left = [step for step in plan.steps if not step.done]
    for number, step in enumerate(left, 1):
        member = step.member
        at = f"[{number} of {len(left)}]"
        reporter.say(f"{at} {_what(step)}; {plan.left(left[number - 1 :])}")
        every = curves.every(plan.study, member, plan.members)
        if step.train and not _trained(step, at, speeds, outcome, device, reporter, every):
            continue
        # Now that it is there, it is known what of it has been evaluated: a folder may be
        # another study's.
        step = plans.step(plan, member, store, speeds, db=db, device=device)
        for request, tasks in step.todo:
            _evaluated(member, evaluations.for_tasks(request, tasks), outcome, reporter)
        for point, request, tasks in step.of_steps:
            _evaluated(point, evaluations.for_tasks(request, tasks), outcome, reporter)
        if step.perplexity:
            _read(member, outcome, device, reporter)
        for later in left[number:]:  # by what has just been measured
            _estimate(later, plan, speeds)
    return outcome


def _trained(
    step: Step,
    at: str,
    speeds: Speeds,
    outcome: StudyOutcome,
    device: str | None,
    reporter: Reporter,
    every: int | None,
) -> bool:
    """Train a member, or save its twin; whether it is there now."""
    member = step.member
    assert member.recipe is not None and member.folder is not None
    try:
        if member.role == "twin":
            save_untrained(member.recipe, member.folder)
        else:
            began = time.perf_counter()
            train(member.recipe, member.folder, device=device, progress=_bar(at), every=every)
            if not step.begun:
                speeds.trained(member.recipe, time.perf_counter() - began)
    except Exception as error:
        problem, hint = reason(error, "study")
        outcome.failures.append(records.Failure(member.name, TRAINING, problem, hint))
        reporter.say(f"{member.group} (seed {member.seed}) failed in training: {problem}")
        return False
    return True


def _evaluated(member: Member, request: Request, outcome: StudyOutcome, reporter: Reporter) -> None:
    """Evaluate a member; a request that is refused has failed on all its tasks."""
    try:
        found = evaluate(request, reporter)
    except Exception as error:
        if explained(error) is None:
            raise
        problem, hint = explained(error) or ("", "")
        outcome.failures += [
            records.Failure(member.name, task, problem, hint) for task in request.tasks
        ]
        reporter.say(f"{member.group} failed: {problem}")
        return
    outcome.runs += found.runs
    outcome.failures += found.failures
    for failure in found.failures if found.alone else ():  # of the others it was said at once
        reporter.say(f"{failure.model} on {failure.task} failed: {failure.problem}")


def _read(member: Member, outcome: StudyOutcome, device: str | None, reporter: Reporter) -> None:
    """Measure the perplexity of a member that writes."""
    try:
        perplexities.measure(member, device)
    except Exception as error:
        if explained(error) is None:
            raise
        problem, hint = explained(error) or ("", "")
        outcome.failures.append(records.Failure(member.name, PERPLEXITY, problem, hint))
        reporter.say(f"{member.group}: no perplexity: {problem}")


def _bar(at: str) -> Callable[[str, int], AbstractContextManager[Show]]:
    @contextmanager
    def progress(name: str, steps: int) -> Iterator[Show]:
        with bar(f"{at} {name}", steps) as show:
            yield show

    return progress


def _what(step: Step) -> str:
    """What is done next, in words."""
    member = step.member
    who = member.group + ("" if member.seed is None else f", seed {member.seed}")
    doing = []
    if step.train and member.role == "twin":
        doing.append("save")
    elif step.train:
        doing.append(f"go on training from step {step.begun}" if step.begun else "train")
    if step.todo:
        count = len(step.tasks)
        doing.append(f"evaluate on {count} task{'s' * (count > 1)}")
    if step.of_steps:
        doing.append(f"evaluate after {len(step.of_steps)} of its steps")
    if step.perplexity:
        doing.append("measure its perplexity")
    return f"{who}: {', '.join(doing)}"


def _estimate(step: Step, plan: Plan, speeds: Speeds) -> None:
    member: Member = step.member
    if step.train and member.role != "twin":
        step.training_seconds = speeds.training(member)
    each = [speeds.evaluation(member, name, plan.members) for name in step.tasks]
    known = [seconds for seconds in each if seconds is not None]
    step.evaluation_seconds = sum(known) if len(known) == len(each) else None
