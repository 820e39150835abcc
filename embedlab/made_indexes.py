"""Where indexes were made: the dashboard finds them there."""

import json
from contextlib import suppress
from pathlib import Path

from embedlab.resources import home


def register() -> Path:
    """The file with a line for each index: its folder, as a JSON string."""
    return home() / "made-indexes.jsonl"


def remember(index: Path) -> None:
    """Add an index's folder. Where that cannot be written, the dashboard will not find it: no
    reason for an index not to be made.
    """
    line = json.dumps(str(index.resolve())) + "\n"
    file = register()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or line not in file.read_text(encoding="utf-8").splitlines(True):
            with file.open("a", encoding="utf-8") as lines:
                lines.write(line)
