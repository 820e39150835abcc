"""What the figures of a report show: differences, curves of loss and score, views."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from embedlab.studies import figures
from embedlab.studies.figures import Interval, Panel, curve
from embedlab.studies.findings import Findings, Tested
from embedlab.studies.pages import Picture
from embedlab.training.training_run import CURVE

_LINES = 60  # of a forest plot; beyond, the means over tasks alone


def differences(family: Tested, number: int, folder: Path) -> Picture | None:
    """The forest plot of a family of comparisons."""
    assert family.found is not None
    lines = []
    for pair in family.found.pairs:
        who = f"{family.names[pair.first]} - {family.names[pair.second]}"
        label = f"{who}: {pair.task}"
        lines.append((who, Interval(label, pair.difference, pair.low, pair.high)))
    for mean in family.found.overall:
        who = f"{family.names[mean.first]} - {family.names[mean.second]}"
        label = f"{who}: mean of {mean.tasks} tasks"
        lines.append((who, Interval(label, mean.difference, mean.low, mean.high, bold=True)))
    order = {who: place for place, who in enumerate(dict.fromkeys(who for who, _ in lines))}
    lines.sort(key=lambda line: (order[line[0]], not line[1].bold))
    shown = [each for _, each in lines]
    if len(shown) > _LINES and family.found.overall:
        shown = [each for each in shown if each.bold]
    title = f"Difference with {family.found.level:.0%} interval"
    name = f"differences-{number}"
    svg = figures.save(figures.forest(shown, title), folder, name)
    about = (
        f"{family.planned.name}: first less second; right of the dotted line the first is better."
    )
    return Picture(name, about, svg)


def losses(found: Findings, folder: Path) -> Picture | None:
    """The loss of every training, one panel per member, one line per seed and stage."""
    by_group: dict[str, list[figures.Line]] = {}
    for member, record in found.trained:
        assert member.folder is not None
        for stage, points in _curves(member.folder / CURVE):
            stages = (record.get("recipe") or {}).get("stages") or []
            kind = stages[int(stage) - 1]["objective"] if len(stages) > 1 else ""
            name = f"seed {member.seed}{f', {kind}' if kind else ''}"
            by_group.setdefault(member.group, []).append(curve(points, name))
    panels = [Panel(group, lines) for group, lines in by_group.items()]
    if not panels:
        return None
    svg = figures.save(figures.panels(panels, "step", "loss"), folder, "losses")
    return Picture("losses", f"The loss of each training, from its {CURVE}.", svg)


def _curves(file: Path) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    if not file.is_file():
        return
    stages: dict[str, list[tuple[float, float]]] = {}
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            stages.setdefault(row["stage"], []).append((float(row["step"]), float(row["loss"])))
    yield from stages.items()


def steps(found: Findings, folder: Path) -> Picture | None:
    """Score against steps, of trainings that a grid varies in their steps; a training of no step is
    the untrained twin.
    """
    panels = []
    for task in found.tasks():
        lines: dict[str, list[tuple[float, float]]] = {}
        for member in found.plan.members:
            score = found.mean(member.group, task)
            if "steps" in member.values and score is not None:
                others = [str(value) for key, value in member.values.items() if key != "steps"]
                name = "-".join([member.training, *others])
                lines.setdefault(name, []).append((float(member.values["steps"]), score))
                if (before := found.mean(member.twin, task)) is not None:
                    lines[name].append((0.0, before))
        if lines:
            drawn = [curve(set(points), name) for name, points in lines.items()]
            panels.append(Panel(task, drawn))
    if not panels:
        return None
    svg = figures.save(figures.panels(panels, "steps", "score", marks=True), folder, "steps")
    return Picture("steps", "Score against steps of training; step 0 is the untrained twin.", svg)


def by_step(found: Findings, folder: Path) -> Picture | None:
    """Score against steps within each training, the mean over its seeds."""
    of: dict[str, dict[str, dict[int, list[float]]]] = {}
    for member, step, each in found.curve:
        lines = of.setdefault(each.task, {}).setdefault(member.group, {})
        lines.setdefault(step, []).append(each.score)
    panels = [
        Panel(
            task,
            [
                curve(((float(step), float(np.mean(own))) for step, own in steps.items()), group)
                for group, steps in groups.items()
            ],
        )
        for task, groups in of.items()
    ]
    if not panels:
        return None
    svg = figures.save(figures.panels(panels, "steps", "score", marks=True), folder, "curve")
    about = "Score against steps of the last stage; step 0 is the untrained twin."
    return Picture("curve", about, svg)


def views(found: Findings, folder: Path) -> Iterator[Picture]:
    """Score by dimension and layer, one figure per task, one panel per member; means over seeds."""
    for number, task in enumerate(dict.fromkeys(task for _, task, _ in found.grids), 1):
        panels, by_layer = [], False
        for group in dict.fromkeys(member.group for member, at, _ in found.grids if at == task):
            cells: dict[tuple[int | None, int], list[float]] = {}
            for member, at, grid in found.grids:
                if (member.group, at) == (group, task) and grid.precision == "float32":
                    for cell in grid.cells()["cells"]:
                        place = (cell["layer"], int(cell["dim"]))
                        cells.setdefault(place, []).append(float(cell["score"]))
            dims = {dim for _, dim in cells}
            if not cells:
                continue
            by_layer = by_layer or len(dims) == 1
            panels.append((group, cells))
        drawn = [Panel(group, list(_lines(cells, by_layer))) for group, cells in panels]
        if not drawn:
            continue
        plot = figures.panels(
            drawn,
            "layer" if by_layer else "dimensions",
            "score",
            logarithmic=not by_layer,
            marks=True,
        )
        about = f"{task}: score by {'layer' if by_layer else 'dimensions, one line per layer'}."
        name = f"views-{number}"
        yield Picture(name, about, figures.save(plot, folder, name))


def _lines(
    cells: dict[tuple[int | None, int], list[float]], by_layer: bool
) -> Iterator[figures.Line]:
    means = {place: float(np.mean(values)) for place, values in cells.items()}
    if by_layer:
        deepest = max((layer or 0 for layer, _ in means), default=0) + 1
        yield curve((float(layer or deepest), score) for (layer, _), score in means.items())
        return
    for layer in sorted({layer for layer, _ in means}, key=lambda layer: layer or 10_000):
        name = f"layer {layer}" if layer else "full depth"
        yield curve(((float(d), score) for (at, d), score in means.items() if at == layer), name)
