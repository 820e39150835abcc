"""What a study has to do, what is there already, and how long the rest takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedlab.evaluation.request import Request
from embedlab.hardware import choose_device
from embedlab.studies import checkpoints, curves, evaluations, members, perplexities
from embedlab.studies.evaluations import StudyTask
from embedlab.studies.members import Member
from embedlab.studies.speeds import Speeds, in_words
from embedlab.studies.study_file import Study
from leaderboard.storage.store import Store


@dataclass
class Step:
    """A member's part of the work: what is to be trained, and what to be evaluated on which tasks.

    seconds: None where nothing like it has been measured.
    """

    member: Member
    train: bool
    begun: int = 0  # steps of the training that are kept
    todo: list[tuple[Request, list[StudyTask]]] = field(default_factory=list)
    # The same, of the models at some of its steps.
    of_steps: list[tuple[Member, Request, list[StudyTask]]] = field(default_factory=list)
    training_seconds: float | None = 0.0
    evaluation_seconds: float | None = 0.0
    perplexity: bool = False  # whether it writes text, and how well is still to be measured

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.train or self.todo or self.of_steps or self.perplexity)

    @property
    def tasks(self) -> list[str]:
        """The tasks that are still to be evaluated."""
        return list(dict.fromkeys(task.name for _, each in self.todo for task in each))


@dataclass
class Plan:
    """A study with its members, tasks and steps."""

    study: Study
    path: Path
    members: list[Member]
    tasks: list[StudyTask]
    steps: list[Step]
    notes: list[str]

    def left(self, steps: Sequence[Step] | None = None) -> str:
        """How long these steps take (by default all), as far as anything like them was measured."""
        parts = [
            part
            for step in (self.steps if steps is None else steps)
            for part in (
                *([step.training_seconds] if step.train and step.member.role != "twin" else []),
                *([step.evaluation_seconds] if step.todo else []),
            )
        ]
        known = [part for part in parts if part is not None]
        unknown = len(parts) - len(known)
        if not parts:
            return "nothing left to do"
        if not known:
            return "time left unknown: nothing like it was measured here yet"
        return f"about {in_words(sum(known))} left" + (
            f", and {unknown} part{'s' * (unknown > 1)} of which nothing was measured yet"
            if unknown
            else ""
        )


def make(study: Study, path: Path, *, db: Path, device: str | None = None) -> Plan:
    """The plan of a study; looks at the disk and the store, and runs nothing.

    Raises:
        UserError: a name in the study is unknown, or fits nothing; the device is not there.
    """
    if device:
        choose_device(device)  # or every part of the study would fail for it
    everyone = members.members(study, path)
    for planned in study.comparisons:
        members.pairs(planned, everyone)
    for view in study.views:
        members.seen(view, everyone)
    tasks, out_of_reach = evaluations.resolve(study)
    curves.tasks(study, tasks)
    for member in everyone:
        curves.every(study, member, everyone)
    for planned in study.comparisons:
        _named(planned.tasks, tasks, planned.name)
    plan = Plan(study, path, everyone, tasks, [], [out_of_reach] if out_of_reach else [])
    store = Store(db)
    speeds = Speeds(store)
    for member in everyone:
        plan.steps.append(step(plan, member, store, speeds, db=db, device=device))
    plan.notes += [f"{task.asked}: {task.problem}" for task in tasks if task.problem]
    return plan


def step(
    plan: Plan, member: Member, store: Store, speeds: Speeds, *, db: Path, device: str | None
) -> Step:
    """What is left to do for one member."""
    todo: list[tuple[Request, list[StudyTask]]] = []
    train, begun = False, 0
    if member.recipe and member.folder:
        train = not (
            checkpoints.is_saved(member.folder)
            if member.role == "twin"
            else checkpoints.is_trained(member.folder)
        )
        begun = checkpoints.steps_done(member.folder, member.recipe) if train else 0
    # What is not trained yet has no kind to fit a request to: it is made when it is.
    if train:
        requests = [Request([member.model], [], db=db)]
    else:
        requests = evaluations.requests(plan.study, member, plan.members, db=db, device=device)
    for request in requests:
        left = plan.tasks if train else evaluations.missing(store, request, plan.tasks)
        if left:
            todo.append((request, list(left)))
    writes = not train and perplexities.missing(member)
    found = Step(member, train, begun, todo, perplexity=writes)
    if not train:
        for point in curves.points(plan.study, member, plan.members).values():
            full, *_ = evaluations.requests(plan.study, point, plan.members, db=db, device=device)
            left = evaluations.missing(store, full, curves.tasks(plan.study, plan.tasks))
            if left:
                found.of_steps.append((point, full, list(left)))
    found.training_seconds = speeds.training(member) if train else 0.0
    names = [task.name for _, each in todo for task in each]
    each = [speeds.evaluation(member, name, plan.members) for name in dict.fromkeys(names)]
    known = [seconds for seconds in each if seconds is not None]
    found.evaluation_seconds = sum(known) if len(known) == len(each) else None
    return found


def _named(names: Sequence[str], tasks: Sequence[StudyTask], comparison: str) -> list[StudyTask]:
    """The tasks that a comparison names.

    Raises:
        UserError: one of them is none of the study's.
    """
    from embedlab.errors import unknown

    known = {each.asked.lower(): each for each in tasks}
    for name in names:
        if name.lower() not in known:
            raise unknown(
                f"task in the comparison {comparison!r}", name, [each.asked for each in tasks]
            )
    return [known[name.lower()] for name in names] or list(tasks)


def tasks_of(plan: Plan, names: Sequence[str], comparison: str) -> list[str]:
    """The tasks of a comparison as they are recorded; all of the study where it names none."""
    return [each.name for each in _named(names, plan.tasks, comparison)]
