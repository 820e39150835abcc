"""An experiment: models on tasks under options, over several dtypes and seeds, as a TOML file.

models = ["bm25", "all-minilm-l6-v2?max_length=128", "my-card.toml"]
tasks = ["SciFact", "stdlib-mini"]     # tasks, benchmarks, BEIR folders
dims = [64, 128]                       # any argument of `embedlab.evaluate`
precisions = ["float32", "int8"]
dtypes = ["float32", "bfloat16"]       # one evaluation for each
seeds = [42, 43]                       # and for each, where tasks draw at random
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from embedlab import toml_files
from embedlab.errors import UserError, unknown
from embedlab.evaluation import prompt_sweep
from embedlab.evaluation.request import Request
from embedlab.evaluation.run import Outcome, evaluate
from embedlab.models.cards import expand
from embedlab.options import GROUPS, grouped
from leaderboard.errors import LeaderboardError
from leaderboard.tables.prompt_spread import PromptSpread

_LISTS = ("models", "cards", "tasks", "benchmarks")
_EACH = {"dtypes": "dtype", "seeds": "seed"}  # one evaluation for each, and the option that it is
_OPTIONS = tuple(each.name for group in GROUPS.values() for each in fields(group))


def read(path: Path) -> dict[str, Any]:
    """What the file asks for: models, tasks, and options by their names.

    Raises:
        UserError: a key is unknown, or its value of another kind; names file and line.
    """
    if not path.is_file():
        raise UserError(
            f"There is no experiment {path}.", 'It is a TOML file: models = ["bm25"], tasks = [...]'
        )
    said, at = toml_files.read(path, "experiment"), partial(toml_files.where, path)
    known = (*_LISTS, "prompts", *_EACH, *_OPTIONS)
    for key, value in said.items():
        if key not in known:
            raise unknown(
                "key", key, known, f"It stands in {at((key,))}. Valid: {', '.join(known)}."
            )
        several = value if isinstance(value, list) else [value]
        if key in (*_LISTS, *_EACH) and not several:
            raise UserError(f"{at((key,))}: {key} is empty.", "Leave it out, or fill it.")
        if key in _LISTS and not all(isinstance(each, str) and each for each in several):
            raise UserError(f"{at((key,))}: {key} = {value!r} names nothing.", "Write names: [...]")
        if key == "prompts" and not (isinstance(value, str) and value):
            raise UserError(f"{at((key,))}: prompts = {value!r} is no file.", "Write its path.")
        if _EACH.get(key) in said:
            raise UserError(f"{at((key,))}: {key} and {_EACH[key]} say the same.", "Write one.")
        try:
            for each in several if key in _EACH else (value,) if key in _OPTIONS else ():
                grouped({_EACH.get(key, key): each})
        except (UserError, LeaderboardError) as error:
            raise UserError(f"{at((key,))}: {error}", error.hint) from error
        said[key] = several if key in (*_LISTS, *_EACH) else value
    models, tasks = (
        [*said.pop(one, ()), *said.pop(other, ())]
        for one, other in (("models", "cards"), ("benchmarks", "tasks"))
    )
    return {**said, "models": models, "tasks": tasks}


def run(asked: Mapping[str, Any], db: Path) -> tuple[Outcome, PromptSpread | None]:
    """Evaluate what was asked for, one dtype and seed after the other.

    Args:
        asked: "models", "tasks", "prompts" (a file, `prompt_sets`), and options by their fields'
            names.
        db: the results store.

    Returns:
        What came of it, and the comparison of prompts where a file of them was given.

    Raises:
        UserError: there is no model or no task, or an option has no effect.
    """
    options = dict(asked)
    prompts = options.pop("prompts", None)
    names, tasks = (options.pop(name, ()) for name in ("models", "tasks"))
    if not names or not tasks:
        raise UserError(
            "eval needs a model and a task.",
            "Type: embedlab eval --model all-minilm-l6-v2 --model bm25 --benchmark stdlib-mini",
        )
    each = {}
    for several, option in _EACH.items():
        values = options.pop(several, None)
        if values and option not in options:  # which was typed, and stands in place of the list
            each[option] = values
    asked_once = Request.of(expand(names), tasks, db=db, **options)
    requests = [
        asked_once.with_options(**dict(zip(each, values, strict=True)))
        for values in product(*each.values())
    ]
    if prompts and asked_once.share.array:
        raise UserError(
            "--prompts compares all sets of prompts, and --array does a share of them.",
            "Leave one out; a set of prompts is a model too: --model 'NAME?prompt.query=...'.",
        )
    if prompts:
        return prompt_sweep.run(requests, Path(prompts))
    outcomes = [evaluate(request, turn=turn) for turn, request in enumerate(requests)]
    together = Outcome(
        [run for outcome in outcomes for run in outcome.runs],
        [failure for outcome in outcomes for failure in outcome.failures],
        alone=len(outcomes) == 1 and outcomes[0].alone,
    )
    return together, None
