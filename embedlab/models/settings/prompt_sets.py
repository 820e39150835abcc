"""Several prompts to evaluate a model under, as a TOML file.

claim = "Is this claim true? "          # before queries, and before texts without a role

[e5]                                    # or all that settings say of prompts
query = "query: "
document = "passage: "

[instruct]
instruction = "Instruct: {instruction}\\nQuery: "
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

from embedlab import toml_files
from embedlab.errors import UserError
from embedlab.models.settings import common_settings
from leaderboard.tables.prompt_spread import OWN

_NAME = re.compile(r"\s*\[?\s*(\"[^\"]+\"|'[^']+'|[\w-]+)\s*(?:\]|=)")
_FORM = 'A line reads: claim = "Is this claim true? "'


def read(path: Path) -> dict[str, dict[str, str]]:
    """Settings of each set of prompts by its name: "prompt.query", "instruction".

    Raises:
        UserError: there are none, one comes twice, or a prompt has a placeholder that there is not;
            names file and line.
    """
    if not path.is_file():
        raise UserError(f"There is no file of prompts {path}.", f"It is a TOML file. {_FORM}")
    _refuse_repeated(path)
    said, at = toml_files.read(path, "file of prompts", _FORM), partial(toml_files.where, path)
    if not said:
        raise UserError(f"The file of prompts {path} is empty.", _FORM)
    sets: dict[str, dict[str, str]] = {}
    for name, prompts in said.items():
        if name == OWN:
            raise UserError(
                f"{at((name,))}: {OWN!r} stands for the model's own prompts.",
                "Choose another name.",
            )
        settings = _settings(prompts)
        if not settings:
            raise UserError(f"{at((name,))}: {name} has no prompt.", _FORM)
        for key, text in settings.items():
            place = (name, key.removeprefix("prompt.")) if isinstance(prompts, dict) else (name,)
            try:
                common_settings.check_values({key: text})
            except UserError as error:
                raise UserError(f"{at(place)}: {error}", error.hint) from error
        if same := [other for other, known in sets.items() if known == settings]:
            raise UserError(f"{at((name,))}: {name} says the same as {same[0]}.", "Leave one out.")
        sets[name] = settings
    return sets


def _settings(prompts: Any) -> dict[str, Any]:
    if not isinstance(prompts, dict):
        return common_settings.of_prompts({"query": prompts, "text": prompts})
    return {key if key == "instruction" else f"prompt.{key}": text for key, text in prompts.items()}


def _refuse_repeated(path: Path) -> None:
    """Refuse a name that comes twice, at the top or as a table; TOML's own words are less clear."""
    seen: dict[str, int] = {}
    within = False
    for number, line in enumerate(
        path.read_text(encoding="utf-8", errors="replace").split("\n"), 1
    ):
        found = _NAME.match(line)
        table = line.lstrip().startswith("[")
        if not found or (within and not table):
            continue
        within = within or table
        name = found[1].strip("\"'")
        if name in seen:
            raise UserError(
                f"{path}:{number} gives the name {name!r} a second time, after line {seen[name]}.",
                "Each set of prompts has a name of its own.",
            )
        seen[name] = number
