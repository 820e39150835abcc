"""Which training texts repeat a text of the built-in benchmark:
written apart from what filters them.
"""

import csv
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator

from embedlab.resources import DATA
from embedlab.tasks import stdlib
from embedlab.training.packages import words


def benchmark_texts() -> Iterator[str]:
    """Every text of every built-in task: documents, queries, labelled docstrings."""
    for name in ("stdlib", "stdlib-mini"):
        sizes = tomllib.loads((DATA / "benchmarks" / f"{name}.toml").read_text())["sizes"]
        folder = stdlib.folder(sizes)
        for file in ("corpus.jsonl", "queries.jsonl"):
            for line in (folder / "search" / file).read_text(encoding="utf-8").splitlines():
                yield json.loads(line)["text"]
        for path in folder.rglob("*.csv"):
            with path.open(encoding="utf-8", newline="") as lines:
                yield from (row["text"] for row in csv.DictReader(lines))


def repeated(training: Iterable[str], benchmark: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(training text, benchmark text) where the one equals the other, or contains it and it has
    four words or more.
    """
    whole = {words(text): text for text in benchmark}
    starts = defaultdict(list)
    for text in whole:
        if len(text) >= 4:
            starts[text[:4]].append(text)
    for text in training:
        own = words(text)
        if own in whole:
            yield text, whole[own]
        for i in range(len(own) - 3):
            for found in starts.get(own[i : i + 4], ()):
                if own[i : i + len(found)] == found:
                    yield text, whole[found]
