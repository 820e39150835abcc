"""The score of each member of a study on a task, as the leaderboard shows it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from embedlab.studies import curves
from embedlab.studies.members import Member
from embedlab.studies.plan import Plan
from leaderboard.errors import LeaderboardError
from leaderboard.storage.store import Store
from leaderboard.tables import evaluated_views, standings
from retrievers.registry import canonical


@dataclass(frozen=True)
class Scored:
    """A member's score on a task; low and high bound its interval, None where nothing can be
    resampled.
    """

    group: str
    seed: int | None
    model: str  # in the store
    task: str
    score: float
    low: float | None
    high: float | None
    runs: list[str]


def of_members(plan: Plan, store: Store, task: str) -> list[Scored]:
    """The score of each member on a task, as `embedlab leaderboard --task` shows it."""
    study = plan.study
    split = str(study.options.get("split", ""))
    try:
        views = evaluated_views.read(store, [task], study.metric, split=split)
        rows = standings.rank(store, [task], metric=study.metric, split=split, incomplete=True).rows
    except LeaderboardError:
        return []
    full = in_full(plan, views)
    found = []
    for member in plan.members:
        if (view := full.get(member.name)) is None:
            continue
        label = str(views.table["label"][view])
        row = next(row for row in rows if row.label == label)
        runs = views.runs.loc[views.runs["view"] == view, "run_id"].tolist()
        if task not in row.scores:
            continue
        score = row.scores[task]
        found.append(
            Scored(
                member.group, member.seed, label, task, score, row.low, row.high, sorted(set(runs))
            )
        )
    return found


def in_full(plan: Plan, views: evaluated_views.Views) -> dict[str, int]:
    """By the name of each member in the store, its view in full that stands for it: of several the
    one of the newest run, through the first index that the study asks for.
    """
    asked = map(canonical, plan.study.options.get("indexes", []))
    places = {index: n for n, index in enumerate(asked)}
    created = views.runs.groupby("view")["created"].max().to_dict()
    rows = views.table.reset_index().to_dict("records")
    found: dict[str, int] = {}
    for member in plan.members:
        own = [
            row
            for row in rows
            if row["model"] == member.name and row["view"] in views.full and not row["source"]
        ]
        if not own:
            continue
        newest = max(own, key=lambda row: created[row["view"]])
        same = [
            row
            for row in own
            if (row["revision"], row["settings"]) == (newest["revision"], newest["settings"])
        ]
        found[member.name] = min(same, key=lambda row: places.get(row["index"], len(places)))[
            "view"
        ]
    return found


def of_steps(plan: Plan, store: Store) -> Iterator[tuple[Member, int, Scored]]:
    """Every score of a curve; step 0 is the untrained twin."""
    study, everyone = plan.study, plan.members
    at: dict[str, list[tuple[Member, int]]] = {}  # by the name of the model that is scored
    scored: dict[str, Member] = {}
    twins = {each.group: each for each in everyone if each.role == "twin"}
    for member in everyone:
        if not curves.every(study, member, everyone) or not member.recipe:
            continue
        steps = curves.points(study, member, everyone)
        every = {**steps, member.recipe.stages[-1].steps: member}
        if member.twin in twins:
            every[0] = twins[member.twin]
        for step, point in every.items():
            at.setdefault(point.name, []).append((member, step))
            scored[point.name] = replace(point, group=point.name)
    of_points = replace(plan, members=list(scored.values()))
    for task in curves.tasks(study, plan.tasks):
        for each in of_members(of_points, store, task.name):
            yield from ((member, step, each) for member, step in at[each.group])
