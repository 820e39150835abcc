"""What a study found: scores, planned comparisons, views and trainings, read from the store and the
trained models' records, each with the command that shows it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embedlab.evaluation.perplexity import Perplexity
from embedlab.studies import checkpoints, curves, member_scores, members, perplexities
from embedlab.studies import plan as plans
from embedlab.studies.member_scores import Scored
from embedlab.studies.members import Member
from embedlab.studies.plan import Plan
from embedlab.studies.shown_commands import Commands
from embedlab.studies.study_file import Planned
from leaderboard.errors import LeaderboardError
from leaderboard.records import Failure
from leaderboard.storage.store import Store
from leaderboard.tables import evaluated_views
from leaderboard.tables.comparison import Comparison, Pair, compare
from leaderboard.tables.grids import Grid, grids
from leaderboard.tables.overall import Overall
from leaderboard.tables.sides import MEAN_OF


@dataclass(frozen=True)
class Tested:
    """A family of comparisons; `names` are the members of each side by their label in the store."""

    planned: Planned
    found: Comparison | None
    names: dict[str, str]
    command: str
    notes: list[str]


@dataclass
class Findings:
    """All that the report shows."""

    plan: Plan
    commands: Commands
    level: float = 0.95
    scores: list[Scored] = field(default_factory=list)
    tested: list[Tested] = field(default_factory=list)
    grids: list[tuple[Member, str, Grid]] = field(default_factory=list)  # member, task
    trained: list[tuple[Member, dict[str, Any]]] = field(default_factory=list)  # with its record
    # Of members that write text, before and after training where both are known.
    perplexities: list[tuple[Member, Perplexity | None, Perplexity | None]] = field(
        default_factory=list
    )
    # Member, steps and score of the models at some steps, and of the whole trainings beside them.
    curve: list[tuple[Member, int, Scored]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    folder: Path = Path()

    def mean(self, group: str, task: str) -> float | None:
        """The mean over the seeds of a group; None where it has no score."""
        found = [each.score for each in self.scores if (each.group, each.task) == (group, task)]
        return float(np.mean(found)) if found else None

    def groups(self) -> list[str]:
        """All groups, in the study's order."""
        return list(dict.fromkeys(member.group for member in self.plan.members))

    def tasks(self) -> list[str]:
        """The tasks on which there is a score, in the study's order."""
        there = {each.task for each in self.scores}
        return [task.name for task in self.plan.tasks if task.name in there]

    def summary(self) -> list[str]:
        """The answers in sentences: of each family how many of its firsts are better."""
        done = len({(each.group, each.seed, each.task) for each in self.scores})
        wanted = len(self.plan.members) * len(self.plan.tasks)
        said = [f"{done} of {wanted} scores are there." + " See what is missing." * (done < wanted)]
        for family in self.tested:
            if family.found is None:
                said.append(f"{family.planned.name}: nothing to test yet.")
                continue
            pairs = family.found.overall or family.found.pairs
            what = "over all tasks" if family.found.overall else "task by task"
            found = [verdict(pair, family.found.level) for pair in pairs]
            counts = [f"{found.count(each)} {each}" for each in VERDICTS if each in found]
            said.append(f"{family.planned.name}, {what}: {', '.join(counts)} of {len(pairs)}.")
        return said

    def plain(self) -> dict[str, Any]:
        """The findings as plain values, for `--json`."""
        return {
            "study": self.plan.study.name,
            "report": str(self.folder),
            "scores": [asdict(each) for each in self.scores],
            "comparisons": [
                {
                    "name": each.planned.name,
                    "command": each.command,
                    "pairs": [asdict(pair) for pair in each.found.pairs] if each.found else [],
                    "overall": [asdict(pair) for pair in each.found.overall] if each.found else [],
                    "notes": each.notes,
                }
                for each in self.tested
            ],
            "perplexities": [
                {
                    "group": member.group,
                    "seed": member.seed,
                    "before": before.perplexity if before else None,
                    "after": after.perplexity if after else None,
                }
                for member, before, after in self.perplexities
            ],
            "curve": [
                {"group": member.group, "steps": steps} | asdict(scored) | {"group": member.group}
                for member, steps, scored in self.curve
            ],
            "missing": self.missing,
            "failures": [
                {"model": each.model, "task": each.task, "problem": each.problem, "hint": each.hint}
                for each in self.failures
            ],
        }


VERDICTS = ("better", "worse", "not told apart", "not tested")


def verdict(pair: Pair | Overall, level: float) -> str:
    """What the corrected test says of the first."""
    if pair.corrected_p is None:
        return "not tested"
    if pair.corrected_p > 1 - level:
        return "not told apart"
    return "better" if pair.difference > 0 else "worse"


def gather(plan: Plan, failures: Sequence[Failure], *, db: Path, folder: Path) -> Findings:
    """Everything that is known by now; what is missing is named.

    Args:
        plan: of the study.
        failures: of this call.
        db: the results store.
        folder: of the report.
    """
    commands = Commands(db, plan.study.metric, str(plan.study.options.get("split", "")))
    found = Findings(plan, commands, failures=list(failures), folder=folder)
    store = Store(db)
    for task in plan.tasks:
        found.scores += member_scores.of_members(plan, store, task.name)
    found.tested = [_tested(plan, store, commands, planned) for planned in plan.study.comparisons]
    found.grids = list(_grids(plan, store))
    found.trained = [
        (member, checkpoints.record(member.folder))
        for member in plan.members
        if member.folder and member.role != "twin" and checkpoints.is_trained(member.folder)
    ]
    found.perplexities = list(_perplexities(plan))
    found.curve = list(member_scores.of_steps(plan, store))
    found.missing = _missing(plan, found)
    return found


def _perplexities(
    plan: Plan,
) -> Iterator[tuple[Member, Perplexity | None, Perplexity | None]]:
    twins = {each.group: each for each in plan.members if each.role == "twin"}
    for member in plan.members:
        if member.role == "twin" or not member.folder:
            continue
        after = perplexities.known(member)
        before = perplexities.known(twins[member.twin]) if member.twin in twins else None
        if after or (before and perplexities.writes(member)):
            yield member, before, after


def _tested(plan: Plan, store: Store, commands: Commands, planned: Planned) -> Tested:
    study = plan.study
    tasks = plans.tasks_of(plan, planned.tasks, planned.name)
    split = str(study.options.get("split", ""))
    names: dict[str, str] = {}
    notes: list[str] = []
    try:
        known = set(store.runs()["task"].to_pylist())
        tasks = [task for task in tasks if task in known]
        if not tasks:
            raise LeaderboardError("There are no results on these tasks yet.")
        views = evaluated_views.read(store, tasks, study.metric, split=split)
        full = member_scores.in_full(plan, views)
        sides: list[str] = []
        for pair in members.pairs(planned, plan.members):
            both = [_side(plan, group, views, full) for group in pair]
            if all(typed for typed, _ in both):
                sides += [typed for typed, _ in both]
                names |= {label: group for (_, label), group in zip(both, pair, strict=True)}
            else:
                lacking = [g for g, (typed, _) in zip(pair, both, strict=True) if not typed]
                notes.append(f"{pair[0]} less {pair[1]}: no results of {' and '.join(lacking)}.")
        if not sides:
            raise LeaderboardError("None of its pairs has results yet.")
        found = compare(
            store,
            sides,
            tasks,
            metric=study.metric,
            test=planned.test,
            correction=planned.correction,
            level=planned.level,
            split=split,
            planned=True,
        )
        return Tested(
            planned, found, names, commands.compare(sides, tasks, planned), [*notes, *found.notes]
        )
    except LeaderboardError as error:
        return Tested(planned, None, names, "", [*notes, str(error)])


def _side(
    plan: Plan, group: str, views: evaluated_views.Views, full: dict[str, int]
) -> tuple[str, str]:
    """A group as `embedlab compare` takes it, its seeds joined, and as it is labelled there; empty
    where it has no results.
    """
    models, labels = views.table["model"].to_dict(), views.table["label"].to_dict()
    plain, settings = members.view_of(group)
    own = [m.name for m in plan.members if m.group == plain and m.name in full]
    typed, shown = [], []
    for name in dict.fromkeys(own):
        label = str(labels[full[name]])
        alone = sum(models[view] == name for view in views.full) == 1
        found = name if alone else label
        if settings:
            try:
                found = name + settings
                label = str(views.select([found]).table["label"].iloc[0])
            except LeaderboardError:
                continue
        typed.append(found)
        shown.append(label)
    return MEAN_OF.join(typed), MEAN_OF.join(shown)


def _grids(plan: Plan, store: Store) -> "list[tuple[Member, str, Grid]]":
    groups = {g for view in plan.study.views for g in members.seen(view, plan.members)}
    found = []
    for member in plan.members:
        for task in plan.tasks if member.group in groups else []:
            try:
                for grid in grids(store, member.name, [task.name], metric=plan.study.metric):
                    if grid.scores.notna().to_numpy().sum() > 1:
                        found.append((member, task.name, grid))
            except LeaderboardError:
                continue
    return found


def _missing(plan: Plan, found: Findings) -> list[str]:
    """What a reader would look for in vain, in sentences."""
    said = list(plan.notes)
    there = {(each.group, each.seed, each.task) for each in found.scores}
    for member in plan.members:
        who = member.group + ("" if member.seed is None else f" (seed {member.seed})")
        if member.folder and member.role != "twin" and not checkpoints.is_trained(member.folder):
            said.append(f"{who} is not trained yet.")
        lacking = [
            task.name for task in plan.tasks if (member.group, member.seed, task.name) not in there
        ]
        if curves.lacks(plan.study, member, plan.members):
            said.append(
                f"{who} was trained before its curve was asked for: to train it again, remove"
                f" {member.folder}."
            )
        if lacking:
            said.append(f"{who} has no score on {', '.join(lacking)}.")
    said += [f"{each.model} on {each.task} failed: {each.problem}" for each in found.failures]
    return list(dict.fromkeys(said))
