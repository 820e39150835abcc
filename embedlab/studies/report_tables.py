"""The tables of a report, as columns."""

from typing import Any

import numpy as np

from embedlab.evaluation.perplexity import Perplexity
from embedlab.studies.findings import Findings, Tested, verdict
from embedlab.studies.speeds import in_words
from leaderboard.measures import shown
from leaderboard.tables.comparison import Pair
from leaderboard.tables.overall import Overall
from leaderboard.tables.table import Column

DASH = "-"  # where there is no number, or nothing can be tested


def scores(found: Findings) -> list[Column]:
    """Members by tasks: the mean over seeds, and how far the seeds spread."""
    groups, tasks = found.groups(), found.tasks()
    roles = {member.group: member.role for member in found.plan.members}
    columns = [Column("member", groups), Column("role", [roles[group] for group in groups])]
    if any(len(_seeds(found, group)) > 1 for group in groups):
        columns.append(Column("seeds", [len(_seeds(found, group)) or DASH for group in groups]))
    for task in tasks:
        columns.append(Column(task, [_cell(found, group, task) for group in groups], right=True))
    if len(tasks) > 1:
        means = [[found.mean(group, task) for task in tasks] for group in groups]
        every = [DASH if None in each else f"{np.mean(each):.4f}" for each in means]  # type: ignore[arg-type]
        columns.append(Column("mean", every, right=True))
    return columns


def _seeds(found: Findings, group: str) -> set[str]:
    return {each.model for each in found.scores if each.group == group}


def _cell(found: Findings, group: str, task: str) -> str:
    own = [each for each in found.scores if (each.group, each.task) == (group, task)]
    if not own:
        return DASH
    values = [each.score for each in own]
    if len(own) > 1:
        return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"
    return f"{values[0]:.4f}{_between(own[0].low, own[0].high)}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None else f" ({low:.4f} to {high:.4f})"


def every_score(found: Findings) -> list[Column]:
    """Each member, seed and task with its interval, and the commands that show the runs."""
    each = found.scores
    return [
        Column("member", [one.group for one in each]),
        Column("seed", [one.seed for one in each]),
        Column("task", [one.task for one in each]),
        Column("score", [f"{one.score:.4f}" for one in each], right=True),
        Column(
            f"{found.level:.0%} interval",
            [DASH if one.low is None else f"{one.low:.4f} to {one.high:.4f}" for one in each],
            right=True,
        ),
        Column("in the store", [one.model for one in each]),
        Column("command", [found.commands.run(one.runs[0]) for one in each]),
    ]


def tested(family: Tested) -> list[Column]:
    """The pairs of a family: on each task, then over all tasks."""
    assert family.found is not None
    lines: list[tuple[str, Pair | Overall]] = [
        *((_part(pair), pair) for pair in family.found.pairs),
        *((f"mean over {pair.tasks} tasks", pair) for pair in family.found.overall),
    ]
    order = {label: place for place, label in enumerate(family.names)}
    lines.sort(key=lambda line: (order[line[1].first], order[line[1].second]))
    level = family.found.level
    pairs = [pair for _, pair in lines]
    return [
        Column("first", [family.names[pair.first] for pair in pairs]),
        Column("second", [family.names[pair.second] for pair in pairs]),
        Column("task", [task for task, _ in lines]),
        Column("verdict", [verdict(pair, level) for pair in pairs]),
        Column("first score", [f"{pair.first_score:.4f}" for pair in pairs], right=True),
        Column("second score", [f"{pair.second_score:.4f}" for pair in pairs], right=True),
        Column("difference", [f"{pair.difference:+.4f}" for pair in pairs], right=True),
        Column(
            f"{level:.0%} interval",
            [
                DASH if pair.low is None else f"{pair.low:+.4f} to {pair.high:+.4f}"
                for pair in pairs
            ],
            right=True,
        ),
        Column("p", [_p(pair.p) for pair in pairs], right=True),
        Column("corrected p", [_p(pair.corrected_p) for pair in pairs], right=True),
    ]


def _part(pair: Pair) -> str:
    parts = [
        pair.task,
        *(part for part in (pair.split, pair.subset) if part not in ("test", "default")),
    ]
    return f"{' '.join(parts)}, {shown(pair.metric)}"


def _p(value: float | None) -> str:
    if value is None:
        return DASH
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def trainings(found: Findings) -> list[Column]:
    """What each training took, and on which machine."""
    rows: list[dict[str, Any]] = []
    for member, record in found.trained:
        recipe, machine = record.get("recipe") or {}, record.get("environment") or {}
        stages = recipe.get("stages") or []
        read = sum(s["steps"] * s["batch_size"] * s.get("accumulate", 1) for s in stages)
        losses = record.get("final_loss") or []
        gpus = machine.get("gpus") or []
        rows.append(
            {
                "member": member.group,
                "seed": member.seed,
                "method": recipe.get("method"),
                "base": recipe.get("base") if isinstance(recipe.get("base"), str) else "new",
                "steps": " + ".join(str(stage["steps"]) for stage in stages),
                "rows read": read,
                "tokens": record.get("tokens") or DASH,
                "wall time": in_words(record["seconds"]) if record.get("seconds") else DASH,
                "last loss": DASH if not losses or losses[-1] is None else f"{losses[-1]:.4f}",
                "machine": ", ".join(gpus)
                or f"{machine.get('cpu', '')}, {machine.get('threads', '?')} threads",
                "checkpoint": member.folder.name if member.folder else "",
            }
        )
    return [Column(name, [row[name] for row in rows], right=name in _FIGURES) for name in rows[0]]


_FIGURES = ("steps", "rows read", "tokens", "wall time", "last loss")


def perplexities(found: Findings) -> list[Column]:
    """One line per member and seed that writes text."""
    every = found.perplexities
    return [
        Column("member", [member.group for member, _, _ in every]),
        Column("seed", [member.seed for member, _, _ in every]),
        Column("before", [_perplexity(before) for _, before, _ in every], right=True),
        Column("after", [_perplexity(after) for _, _, after in every], right=True),
    ]


def _perplexity(measured: Perplexity | None) -> str:
    return f"{measured.perplexity:.3f}" if measured else DASH


def by_step(found: Findings) -> list[Column]:
    """One line per member, seed and step: its score on each task of the curve."""
    tasks = list(dict.fromkeys(scored.task for _, _, scored in found.curve))
    places = {(member.group, member.seed, step): member for member, step, _ in found.curve}
    scores = {
        (member.group, member.seed, step, each.task): f"{each.score:.4f}"
        for member, step, each in found.curve
    }
    order = {group: place for place, group in enumerate(found.groups())}
    rows = sorted(places, key=lambda row: (order[row[0]], row[1] or 0, row[2]))
    return [
        Column("member", [group for group, _, _ in rows]),
        Column("seed", [seed for _, seed, _ in rows]),
        Column("steps", [step for _, _, step in rows]),
        *(
            Column(task, [scores.get((*row, task), DASH) for row in rows], right=True)
            for task in tasks
        ),
    ]
