"""Models under several sets of prompts: each set is a model of its own name, and what it shares
with the others, such as the documents' vectors, is made once.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedlab.errors import UserError
from embedlab.evaluation.request import Request
from embedlab.evaluation.requested import requested_model, requested_tasks
from embedlab.evaluation.run import Outcome, evaluate
from embedlab.models import composition, expressions
from embedlab.models.settings import model_settings, prompt_sets, user_cards
from embedlab.models.settings.common_settings import is_sentence
from embedlab.models.settings.prompts import has_roles, without_effect
from leaderboard.records import Run
from leaderboard.tables.prompt_spread import OWN, PromptSpread, prompt_spread


def run(requests: Sequence[Request], prompts: Path) -> tuple[Outcome, PromptSpread]:
    """Evaluate the requests' models under their own prompts and under those of a file.

    A model that reads no prompts (bm25, a composition) is evaluated as it is, and takes its place
    among the others.

    Raises:
        UserError: the file is wrong, or no model has a use for its prompts.
    """
    sets = prompt_sets.read(prompts)
    swept = [_swept(request, sets) for request in requests]
    outcomes = [
        evaluate(replace(request, models=list(dict.fromkeys(names.values()))))
        for request, names in zip(requests, swept, strict=True)
    ]
    found = [
        (model, prompt, one)
        for outcome, names in zip(outcomes, swept, strict=True)
        for one in outcome.runs
        for model, prompt in _of(one, names)
    ]
    together = Outcome(
        [run for outcome in outcomes for run in outcome.runs],
        [failure for outcome in outcomes for failure in outcome.failures],
    )
    return together, prompt_spread(found)


def _of(one: Run, names: dict[tuple[str, str], str]) -> list[tuple[str, str]]:
    """The models and sets of prompts that a run stands for: several, where a set is the own."""
    return [key for key, name in names.items() if composition.find(name).name == one.model.name]


def _swept(request: Request, sets: dict[str, dict[str, str]]) -> dict[tuple[str, str], str]:
    """(model, set of prompts) -> the name to evaluate."""
    described = [task.metadata for task in requested_tasks(request)]
    names: dict[tuple[str, str], str] = {}
    reads = False
    for name in request.models:
        card = composition.find(name)
        names[card.name, OWN] = name
        if expressions.is_composed(name) or not card.kind.encodes:
            continue
        model = requested_model(request, name)
        own = model.fact("prompts")
        for label, prompts in sets.items():
            chosen = {**_without_sentences(model.card.chosen), **prompts}
            idle = without_effect(replace(model.card, chosen=chosen), own, described)
            if not any(map(has_roles, described)) and "prompt.text" in prompts:
                idle.append("prompt.query")  # a single text stands for either
            used = {key: text for key, text in prompts.items() if key not in idle}
            names[card.name, label] = _under(name, used)
            reads |= bool(used)
    if not reads:
        raise UserError(
            "No model here reads any of these prompts on these tasks.",
            "Name a model that gives vectors, or other tasks or prompts.",
        )
    return names


def _without_sentences(chosen: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in chosen.items() if not is_sentence(key)}


def _under(name: str, prompts: dict[str, str]) -> str:
    """The model's name with these prompts in place of any behind it. A card of the user's gives
    way to its model and its other settings: one of its prompts could win over these.
    """
    name = user_cards.by_settings(name)
    if not prompts and "?" not in name:
        return name
    plain, settings = model_settings.split(name)
    written = model_settings.written({**_without_sentences(settings), **prompts})
    return f"{plain}?{written}" if written else plain
