"""Models under several prompts: how far their scores spread, whether a prompt differs from the
model's own by more than chance, and whether the order of models depends on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import mean, median, stdev

import numpy as np

from leaderboard.records import Run
from leaderboard.statistics.example_values import values
from leaderboard.statistics.significance import CORRECTIONS, TESTS, choose, correct

OWN = "own"  # the prompts that a model has by itself


@dataclass(frozen=True)
class Prompted:
    """A model under one set of prompts on one part of a task, beside its own prompts.

    What follows `difference` is None where there are no queries to test.
    """

    task: str
    part: str  # split, subset and view, where a task has several
    metric: str
    model: str
    prompt: str
    score: float
    difference: float  # from the model's own prompts
    p: float | None = None
    corrected_p: float | None = None  # for all prompts, models and tasks of the answer


@dataclass(frozen=True)
class Spread:
    """The scores of a model over the sets of prompts, its own not among them."""

    task: str
    part: str
    model: str
    own: float
    minimum: float
    median: float
    maximum: float
    sd: float | None  # of the sample; None of a single set
    prompts: int


@dataclass(frozen=True)
class Ranks:
    """A model's place among the models by the mean of its scores, under every set of prompts."""

    model: str
    own: int
    by_prompt: dict[str, int]

    @property
    def best(self) -> int:
        """Its best place under any of them."""
        return min(self.by_prompt.values())

    @property
    def worst(self) -> int:
        """Its worst place under any of them."""
        return max(self.by_prompt.values())


@dataclass(frozen=True)
class PromptSpread:
    """All of it; `ranks` is empty for a single model."""

    prompted: list[Prompted]
    spreads: list[Spread]
    ranks: list[Ranks]
    test: str
    correction: str


def prompt_spread(
    runs: Iterable[tuple[str, str, Run]],
    *,
    test: str = "randomisation",
    correction: str = "holm",
) -> PromptSpread:
    """Compare the runs of models under several sets of prompts.

    Args:
        runs: (model, set of prompts, run); `OWN` is the set that the model has by itself. A model
            without any other reads no prompts, and takes part in the ranks alone.
        test: "randomisation", "bootstrap" or "t", paired over queries.
        correction: "holm", "bh" or "none".
    """
    tested = choose("test", test, TESTS)
    choose("correction", correction, CORRECTIONS)
    cells: dict[tuple[str, str], dict[str, dict[str, Run]]] = {}
    for model, prompt, run in runs:
        cells.setdefault((run.task.name, _part(run)), {}).setdefault(model, {})[prompt] = run
    prompted, spreads = [], []
    for (task, part), models in cells.items():
        for model, by_prompt in models.items():
            if OWN not in by_prompt or len(by_prompt) == 1:
                continue
            own = by_prompt[OWN]
            others = {name: run for name, run in by_prompt.items() if name != OWN}
            for name, run in others.items():
                difference = run.main_score - own.main_score
                p = _p(run, own, tested)
                prompted.append(
                    Prompted(
                        task, part, run.task.main_metric, model, name, run.main_score, difference, p
                    )
                )
            spreads.append(_spread(task, part, model, own, others.values()))
    return PromptSpread(_corrected(prompted, correction), spreads, _ranks(cells), test, correction)


def _part(run: Run) -> str:
    """What tells apart the runs of a model on a task: split, subset, and the view."""
    settings = [f"{name}={value}" for name, value in sorted(run.settings.items())]
    view = (run.index, f"layer={run.layer}" if run.layer else "", run.precision, *settings)
    parts = (run.task.split, run.task.subset, *view, f"{run.dim}d" if run.dim else "")
    return " ".join(filter(None, parts))


def _p(run: Run, own: Run, test: object) -> float | None:
    """The p-value of a run against that with the model's own prompts; None without queries or
    examples.
    """
    first, second = _singly(run), _singly(own)
    if first is None or second is None or first[0] != second[0] or len(first[0]) < 2:
        return None
    assert callable(test)
    return float(test(first[1] - second[1]))


def _singly(run: Run) -> tuple[list[str], np.ndarray] | None:
    """Ids and scores of a run's queries, or of its examples, by its main metric."""
    metric = run.task.main_metric
    if run.per_query and metric in run.per_query.metrics:
        return list(run.per_query.query_ids), np.asarray(run.per_query.metrics[metric])
    single = values(run.task.type, metric, run.examples) if run.examples else None
    if single is None:
        return None
    known = np.flatnonzero(~np.isnan(single))
    return list(map(str, known)), single[known]


def _spread(task: str, part: str, model: str, own: Run, others: Iterable[Run]) -> Spread:
    scores = [run.main_score for run in others]
    return Spread(
        task,
        part,
        model,
        own.main_score,
        min(scores),
        median(scores),
        max(scores),
        stdev(scores) if len(scores) > 1 else None,
        len(scores),
    )


def _corrected(prompted: list[Prompted], correction: str) -> list[Prompted]:
    values = [float("nan") if each.p is None else each.p for each in prompted]
    corrected = correct(values, correction)
    return [
        each if each.p is None else replace(each, corrected_p=float(p))
        for each, p in zip(prompted, corrected, strict=True)
    ]


def _ranks(cells: Mapping[tuple[str, str], Mapping[str, Mapping[str, Run]]]) -> list[Ranks]:
    """Places by the mean over tasks; equal means share the better place."""
    means: dict[str, dict[str, dict[str, list[float]]]] = {}
    for (task, _), models in cells.items():
        for model, by_prompt in models.items():
            for prompt, run in by_prompt.items():
                scores = means.setdefault(model, {}).setdefault(prompt, {})
                scores.setdefault(task, []).append(run.main_score)
    if len(means) < 2:
        return []
    prompts = list(dict.fromkeys(p for by in means.values() for p in by if p != OWN))

    def score(model: str, prompt: str) -> float:
        by_task = means[model].get(prompt) or means[model][OWN]
        return mean(mean(scores) for scores in by_task.values())

    def places(prompt: str) -> dict[str, int]:
        scores = {model: score(model, prompt) for model in means}
        return {
            model: 1 + sum(other > own for other in scores.values())
            for model, own in scores.items()
        }

    under = {prompt: places(prompt) for prompt in (OWN, *prompts)}
    return [
        Ranks(model, under[OWN][model], {prompt: under[prompt][model] for prompt in prompts})
        for model in sorted(means, key=lambda model: under[OWN][model])
    ]
