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

from tests.invariants.worlds import CELLS, FOLDER, GROUPS, RANKING, Results, World, moved

ROOT = Path(__file__).parents[2]
ADDED = ("", "   ", "unknown words alone", "w1 " * 300)  # no token, none either, none known, more than the model reads
VIEWS = ("cosine, not normalised",)  # dense models alone have layers and dimensions
VIEWED = ("retrieval", "STS", "classification", "multilabel classification", "clustering", "clustering, legacy")
PAIRS = ("cross", "multi-vector")  # they score pairs, one by one, and keep no vectors
NEIGHBOURS = ("cosine, not normalised", "sparse", "euclidean", "truncated", "left padding", "no special tokens")


class Variation(NamedTuple):
    """A way of asking.

    ask: gives the results in the world.
    tolerance: of scores, as a share of those above 1; 0 means the same bits.
    cells: which (shape, kind) it is about; all by default.
    plainly: gives what is compared with; what was asked plainly by default.
    """

    ask: Callable[[World], Results]
    tolerance: float = 0.0
    cells: Callable[[str, str], bool] = lambda shape, kind: True
    plainly: Callable[[World], Results] | None = None


def opposite(world: World) -> Results:
    """All is in the vector store by now."""
    return world.evaluate([(models[::-1], tasks[::-1]) for models, tasks in GROUPS[::-1]])


def alone(world: World) -> Results:
    found: Results = {}
    for number, (shape, kind) in enumerate(CELLS):
        found |= world.cold(f"alone-{number}").evaluate([((shape,), (kind,))])
    return found


def in_pieces(world: World) -> Results:
    groups = [(models, tasks) for models, tasks in GROUPS if not {*PAIRS} & {*models}]
    return world.cold("pieces").evaluate(groups, "--workers", 3, "--batch-tokens", 48)


def killed(world: World) -> Results:
    """Killed amid its shards, and typed again: two processes besides this one, whose hashes of strings differ."""
    there = world.cold("killed")
    lines = [there.command(models, tasks) for models, tasks in GROUPS]
    assert _process(there.home, 70, lines) == -signal.SIGKILL
    manifests = list((there.home / "vectors").glob("*/manifest.json"))
    assert 5 < sum(len(json.loads(path.read_text())["shards"]) for path in manifests) <= 70
    db = there.home / "whole.duckdb"
    assert _process(there.home, 0, [[*line, "--db", str(db)] for line in lines]) == 0
    return there.read(db)


def _process(home: Path, kill: int, lines: list[list[str]]) -> int:
    environment = {**os.environ, "EMBEDLAB_HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(kill)}
    script = [sys.executable, str(Path(__file__).with_name("process.py")), str(kill)]
    ended = subprocess.run(
        script, input=json.dumps(lines), env=environment, text=True, capture_output=True, check=False
    )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr[-2000:]
    return ended.returncode


def elsewhere(world: World) -> Results:
    return moved(world, world.home.parent / "moved").evaluate()


def permuted(world: World) -> Results:
    """Lines of corpora, queries, judgements and candidates in another order."""
    return _changed(world, "permuted", _shuffle).evaluate(_ranking_groups())


def with_texts_added(world: World) -> Results:
    """Without what was added, the ranking is the one that was; no score is comparable where it could be retrieved."""
    found = _changed(world, "added", _add).evaluate(_ranking_groups())
    for (_, kind), parts in found.items():
        for part, scored in parts.items():
            ranking = {
                query: [pair for pair in ranked if not pair[0].startswith("added")]
                for query, ranked in scored.ranking.items()
            }
            parts[part] = scored._replace(ranking=ranking, scores=scored.scores if "reranking" in kind else {})
    return found


def views(layers: str, name: str, world: World) -> Results:
    return world.cold(name).evaluate([(VIEWS, VIEWED)], "--layers", layers, "--dims", 8)


def _ranking_groups() -> list:
    return [(models, kinds) for models, tasks in GROUPS if (kinds := tuple(kind for kind in tasks if kind in RANKING))]


def _changed(world: World, name: str, change: Callable[[Path, random.Random], None]) -> World:
    """A cold world whose files are changed copies."""
    folder, rng = world.home.parent / f"{name} data", random.Random(1)
    shutil.copytree(world.data_dir, folder / "mirror")
    own = folder / Path(world.tasks[FOLDER]).name
    shutil.copytree(world.tasks[FOLDER], own)
    for path in sorted(folder.rglob("*.*")):
        change(path, rng)
    return replace(world.cold(name), data_dir=folder / "mirror", tasks={**world.tasks, FOLDER: str(own)})


def _shuffle(path: Path, rng: random.Random) -> None:
    beir = (path.parent / "corpus.jsonl").is_file() or path.parent.name == "qrels"
    if not beir:
        return
    lines = path.read_text().splitlines()
    header, rows = (lines[:1], lines[1:]) if path.suffix == ".tsv" else ([], lines)
    if path.name == "top_ranked.jsonl":
        records = [json.loads(row) for row in rows]
        rows = [json.dumps(r | {"corpus-ids": rng.sample(r["corpus-ids"], len(r["corpus-ids"]))}) for r in records]
    rng.shuffle(rows)
    path.write_text("\n".join([*header, *rows]) + "\n")


def _add(path: Path, rng: random.Random) -> None:
    if path.name == "corpus.jsonl":
        more = [{"_id": f"added{n}", "title": "", "text": text} for n, text in enumerate(ADDED)]
        path.write_text("".join(json.dumps(row) + "\n" for row in more[:2]) + path.read_text()
                        + "".join(json.dumps(row) + "\n" for row in more[2:]))  # fmt: skip


def viewed(shape: str, kind: str) -> bool:
    return shape in VIEWS and kind in VIEWED


together = partial(views, "2,1", "views together")

VARIATIONS = {
    "warm, models and tasks in the opposite order": Variation(opposite),
    "each model alone on each task, cold": Variation(alone),
    "three workers and small batches": Variation(
        # Least squares over more dimensions than texts magnifies the last bit.
        in_pieces,
        1e-5,
        lambda shape, kind: shape not in PAIRS and (shape, kind) != ("sparse", "regression"),
    ),
    "killed and resumed in other processes": Variation(killed),
    "models, data and vectors moved and renamed": Variation(elsewhere),
    "lines of the files permuted": Variation(permuted, 1e-5, lambda shape, kind: kind in RANKING),
    "texts added that nobody retrieves": Variation(
        with_texts_added, 1e-5, lambda shape, kind: kind in RANKING and shape in (*NEIGHBOURS, *PAIRS)
    ),
    "a view alone": Variation(partial(views, "1", "view"), 0.0, viewed, together),
    "views in the opposite order": Variation(partial(views, "1,2", "views opposite"), 0.0, viewed, together),
}
