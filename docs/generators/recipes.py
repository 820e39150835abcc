"""The shipped recipes, from data/recipes/."""

import tomllib

from embedlab.resources import DATA
from generators.page_tables import code, table

_HEAD = """# Recipes

`embedlab train NAME --out FOLDER` runs one; a path of your own TOML file works as well.
[Train a mini](../how-to/train.md) shows one from start to end.
"""


def page() -> str:
    """The page reference/recipes.md."""
    rows = []
    for path in sorted((DATA / "recipes").glob("*.toml")):
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
        if "stages" not in recipe:
            continue  # the list of packages that the minis' pairs come from
        base = recipe.get("base", "")
        stages = ", ".join(
            f"{stage['objective']} ({stage['steps']:,})" for stage in recipe["stages"]
        )
        about = recipe.get("description", "")
        rows.append(
            [
                code(path.stem),
                recipe["method"],
                "new" if isinstance(base, dict) else base,
                stages,
                about,
            ]
        )
    return f"{_HEAD}\n{table(['name', 'method', 'base', 'objectives (steps)', 'what it is'], rows)}"
