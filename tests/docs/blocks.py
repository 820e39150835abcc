"""The fenced blocks of README.md, CONTRIBUTING.md, docs/ and examples/:
what they are, and which of them run.

A comment before a block says what is not run with the rest, and why:

    <!-- not run: needs the hub -->     its command lines are parsed, its Python is compiled
    <!-- slow: trains for minutes -->   the same, and run under the marker `bench`

`python -m tests.docs.blocks` counts them.
"""

import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELL = ("sh", "bash", "console")
DATA = ("toml", "json")
SHOWN = ("text", "mermaid", "sql", "bibtex", "")  # what nobody types
_FENCE = re.compile(
    r"(?:<!--\s*(?P<mark>not run|slow):\s*(?P<reason>[^>]+?)\s*-->\n+)?"
    r"^```(?P<head>[^\n`]*)\n(?P<body>.*?)^```$",
    re.M | re.S,
)
ASSIGNED = re.compile(r"[A-Z_]+=")  # FUZZ=1000 python ...
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: the word behind the fence.
        title: the file that the block is the content of; empty where it is typed.
        mark: "not run", "slow", or empty.
        reason: why it has its mark.
        line: where it begins in its page, from 1.
    """

    language: str
    body: str
    title: str = ""
    mark: str = ""
    reason: str = ""
    line: int = field(default=0, compare=False)

    @property
    def commands(self) -> list[str]:
        """The command lines, each whole; nothing for other languages."""
        if self.language not in SHELL:
            return []
        joined = self.body.replace("\\\n", " ")
        return [
            line.strip()
            for line in joined.splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]


def pages() -> dict[str, Path]:
    """The pages by their path from the repository's root; generated ones are not among them."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found += [
        path for folder in ("docs", "examples") for path in sorted((ROOT / folder).rglob("*.md"))
    ]
    return {str(path.relative_to(ROOT)): path for path in found}


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        head = match["head"].strip()
        title = _TITLE.search(head)
        line = text.count("\n", 0, match.start("head")) + 1
        language = head.split(" ")[0] if head else ""
        found.append(
            Block(
                language,
                match["body"],
                title[1] if title else "",
                match["mark"] or "",
                match["reason"] or "",
                line,
            )
        )
    return found


def words(command: str) -> list[str]:
    """The words of a command line, as a shell would split them;
    a comment at its end is none of them.
    """
    return shlex.split(command, comments=True)


def runs_here(command: str) -> bool:
    """Whether a command line is run;
    installing, `make` and pytest are looked up in their files instead.
    """
    return next(word for word in words(command) if not ASSIGNED.match(word)) not in LOOKED_UP


LOOKED_UP = (
    "make", "pip", ".venv/bin/pip", "python", ".venv/bin/python", "source", "git", "pre-commit",
    ".ci/run",
)  # fmt: skip


def count() -> list[tuple[str, Counter]]:
    """By page: how many blocks are run, slow, parsed, files, or only shown."""
    found = []
    for name, path in pages().items():
        kinds: Counter = Counter()
        for block in blocks(path.read_text(encoding="utf-8")):
            if block.title:
                kinds["files"] += 1
            elif block.language in DATA:
                kinds["data, parsed"] += 1
            elif block.language in SHOWN:
                kinds["shown"] += 1
            elif block.mark:
                kinds["slow" if block.mark == "slow" else "not run"] += 1
            elif block.language in SHELL and not any(map(runs_here, block.commands)):
                kinds["looked up"] += 1
            else:
                kinds["run"] += 1
        found.append((name, kinds))
    return found


if __name__ == "__main__":
    total: Counter = Counter()
    for page, kinds in count():
        total += kinds
        if kinds:
            print(
                f"{page:32}",
                ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items())),
            )
    print(f"{'all':32}", ", ".join(f"{kind} {number}" for kind, number in sorted(total.items())))
    for page, path in pages().items():
        for block in blocks(path.read_text(encoding="utf-8")):
            if block.mark:
                print(f"{page}:{block.line}: {block.mark}: {block.reason}")
