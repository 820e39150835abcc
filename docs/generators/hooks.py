"""Pages that are written from the code while the site is built;
mkdocs calls `on_files` (mkdocs.yml).
"""

import sys
from collections.abc import Callable
from pathlib import Path

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parents[1]))
from generators import architecture, cards, commands, options, recipes, store

PAGES: dict[str, Callable[[], str]] = {
    "architecture.svg": architecture.picture,
    "reference/cards.md": cards.page,
    "reference/commands.md": commands.page,
    "reference/options.md": options.page,
    "reference/recipes.md": recipes.page,
    "reference/levels.md": architecture.page,
    "reference/store.md": store.page,
}


def on_files(files, config):
    """Add the generated pages to those of the folder."""
    for path, written in PAGES.items():
        files.append(File.generated(config, path, content=written()))
    return files
