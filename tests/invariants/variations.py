"""Ways of asking the same question: each gives results that must be those of asking plainly."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests import ready
from tests.invariants.worlds import (
    FOLDER,
    GROUPS,
    PAIRS,
    RANKING,
    SHARED,
    VIEWED,
    Groups,
    Results,
    World,
    moved,
)

ROOT = Path(__file__).parents[2]
# No token, none either, none known, more than the model reads.
ADDED = ("", "   ", "unknown words alone", "w1 " * 300)


class Variation(NamedTuple):
    """A way of asking.

    ask: gives the results of these groups in the world.
    tolerance: of scores, as a share of those above 1; 0 means the same bits.
    cells: which (shape, kind) are asked; all by default.
    plainly: gives what is compared with; what was asked plainly by default.
    """

    ask: Callable[[World, Groups], Results]
    tolerance: float = 0.0
    cells: Callable[[str, str], bool] = lambda shape, kind: True
    plainly: Callable[[World, Groups], Results] | None = None

    @property
    def groups(self) -> Groups:
        """`GROUPS`, as far as they are asked."""
        asked = []
        for shapes, kinds in GROUPS:
            few = tuple(kind for kind in kinds if any(self.cells(shape, kind) for shape in shapes))
            asked.append(
                (
                    tuple(
                        shape for shape in shapes if any(self.cells(shape, kind) for kind in few)
                    ),
                    few,
                )
            )
        return tuple(group for group in asked if all(group))


def opposite(world: World, groups: Groups) -> Results:
    """All is in the vector store by now."""
    return world.evaluate([(shapes[::-1], kinds[::-1]) for shapes, kinds in groups[::-1]])


def alone(world: World, groups: Groups) -> Results:
    """Each cell in an EMBEDLAB_HOME of its own."""
    found: Results = {}
    cells = [(shape, kind) for shapes, kinds in groups for shape in shapes for kind in kinds]
    for number, (shape, kind) in enumerate(cells):
        found |= world.cold(f"alone-{number}").evaluate([((shape,), (kind,))])
    return found


def in_pieces(world: World, groups: Groups) -> Results:
    return world.cold("pieces").evaluate(groups, "--workers", 3, "--batch-tokens", 48)


def killed(world: World, groups: Groups) -> Results:
    """Killed amid its shards, and typed again:
    two processes besides this one, whose hashes of strings differ.
    """
    there = world.cold("killed")
    lines = [there.command(shapes, kinds) for shapes, kinds in groups]
    assert _process(there.home, 30, lines) == -signal.SIGKILL
    assert 5 < len(list((there.home / "vectors").glob("*/*.keys.npy"))) <= 31
    db = there.home / "whole.duckdb"
    assert _process(there.home, 0, [[*line, "--db", str(db)] for line in lines]) == 0
    return there.read(db)


def _process(home: Path, kill: int, lines: list[list[str]]) -> int:
    environment = {**os.environ, "EMBEDLAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    script, typed = [Path(__file__).with_name("process.py"), kill], json.dumps(lines)
    if kill:
        ended = ready.run(*script, text=typed, env=environment)
    else:  # with a seed of hashes of its own
        ended = subprocess.run(
            [sys.executable, *map(str, script)],
            input=typed,
            env={**environment, "PYTHONHASHSEED": "0"},
            text=True,
            capture_output=True,
            check=False,
        )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr[-2000:]
    return ended.returncode


def elsewhere(world: World, groups: Groups) -> Results:
    return moved(world, world.home.parent / "moved").evaluate(groups)


def permuted(world: World, groups: Groups) -> Results:
    """Lines of corpora, queries, judgements and candidates in another order."""
    return _changed(world, "permuted", _shuffle).evaluate(groups)


def with_texts_added(world: World, groups: Groups) -> Results:
    """Without what was added, the ranking is the one that was;
    no score is comparable where it could be retrieved.
    """
    found = _changed(world, "added", _add).evaluate(groups)
    for (_, kind), parts in found.items():
        for part, scored in parts.items():
            ranking = {
                query: [pair for pair in ranked if not pair[0].startswith("added")]
                for query, ranked in scored.ranking.items()
            }
            parts[part] = scored._replace(
                ranking=ranking, scores=scored.scores if "reranking" in kind else {}
            )
    return found


def views(layers: str, name: str, world: World, groups: Groups) -> Results:
    return world.cold(name).evaluate(groups, "--layers", layers, "--dims", 8)


def _changed(world: World, name: str, change: Callable[[Path, random.Random], None]) -> World:
    """A cold world whose files are changed copies."""
    folder, rng = world.home.parent / f"{name} data", random.Random(1)
    shutil.copytree(world.data_dir, folder / "mirror")
    own = folder / Path(world.tasks[FOLDER]).name
    shutil.copytree(world.tasks[FOLDER], own)
    for path in sorted(folder.rglob("*.*")):
        change(path, rng)
    return replace(
        world.cold(name), data_dir=folder / "mirror", tasks={**world.tasks, FOLDER: str(own)}
    )


def _shuffle(path: Path, rng: random.Random) -> None:
    beir = (path.parent / "corpus.jsonl").is_file() or path.parent.name == "qrels"
    if not beir:
        return
    lines = path.read_text().splitlines()
    header, rows = (lines[:1], lines[1:]) if path.suffix == ".tsv" else ([], lines)
    if path.name == "top_ranked.jsonl":
        records = [json.loads(row) for row in rows]
        rows = [
            json.dumps(r | {"corpus-ids": rng.sample(r["corpus-ids"], len(r["corpus-ids"]))})
            for r in records
        ]
    rng.shuffle(rows)
    path.write_text("\n".join([*header, *rows]) + "\n")


def _add(path: Path, rng: random.Random) -> None:
    if path.name == "corpus.jsonl":
        more = [{"_id": f"added{n}", "title": "", "text": text} for n, text in enumerate(ADDED)]
        path.write_text("".join(json.dumps(row) + "\n" for row in more[:2]) + path.read_text()
                        + "".join(json.dumps(row) + "\n" for row in more[2:]))  # fmt: skip


def ranked(shape: str, kind: str) -> bool:
    return kind in RANKING


def ranked_by_itself(shape: str, kind: str) -> bool:
    """In BM25 a document's score depends on how many others share its words."""
    return kind in RANKING and shape not in ("bm25", "fusion")


def encoded(shape: str, kind: str) -> bool:
    return shape not in PAIRS and kind in (
        "retrieval",
        "STS",
        "classification",
        "clustering",
        FOLDER,
    )


def each_once(shape: str, kind: str) -> bool:
    """Every kind under one model, every model on one kind."""
    return shape == "cosine, not normalised" or kind in ("retrieval", "reranking")


def few(shape: str, kind: str) -> bool:
    return shape not in ("bm25", "fusion") and kind in (*SHARED, "reranking", "pair classification")


def viewed(shape: str, kind: str) -> bool:
    """Dense models alone have layers and dimensions."""
    return shape == "cosine, not normalised" and kind in VIEWED


together = partial(views, "2,1", "views together")

VARIATIONS = {
    "warm, models and tasks in the opposite order": Variation(opposite),
    "each model alone on each task, cold": Variation(alone, 0.0, each_once),
    "three workers and small batches": Variation(in_pieces, 1e-5, encoded),
    "killed and resumed in other processes": Variation(killed, 0.0, encoded),
    "models, data and vectors moved and renamed": Variation(elsewhere, 0.0, few),
    "lines of the files permuted": Variation(permuted, 1e-5, ranked),
    "texts added that nobody retrieves": Variation(with_texts_added, 1e-5, ranked_by_itself),
    "a view alone": Variation(partial(views, "1", "view"), 0.0, viewed, together),
    "views in the opposite order": Variation(
        partial(views, "1,2", "views opposite"), 0.0, viewed, together
    ),
}
