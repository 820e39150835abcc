"""Tiny models and tasks, and what `embedlab eval` leaves of them in the store,
asked for in whichever way.
"""

import contextlib
import io
import random
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.oracles import shapes, task_types

FOLDER = "own folder"  # beside mteb's task types: a BEIR folder that is given by its path
KINDS = (*task_types.kinds(), FOLDER)
RANKING = (
    *(
        name
        for name, kind in task_types.kinds().items()
        if kind.write.__qualname__.startswith("beir.")
    ),
    FOLDER,
)
PAIRS = ("cross", "multi-vector")  # they score pairs, one by one, and keep no vectors
# One task of each kind that sees the views of a model's vectors.
VIEWED = (
    "retrieval",
    "STS",
    "classification",
    "multilabel classification",
    "clustering",
    "clustering, legacy",
)
# Kinds for two models at once: those whose evaluation keeps state, and one of each that does not.
SHARED = (*VIEWED, FOLDER)
Groups = Sequence[tuple[Sequence[str], Sequence[str]]]
# Which shapes are asked on which kinds of task, by one command for each line: a new shape or kind
# joins by one word.
GROUPS: Groups = (
    (("cosine, not normalised", "sparse"), SHARED),
    (("cosine, not normalised",), [kind for kind in KINDS if kind not in SHARED]),
    (("euclidean", "truncated", "left padding", "no special tokens"), ("retrieval", "STS")),
    (PAIRS, ("reranking",)),
    (("bm25", "fusion"), ("retrieval", "reranking", FOLDER)),
)
CELLS = tuple((shape, kind) for shapes, kinds in GROUPS for kind in kinds for shape in shapes)


class Part(NamedTuple):
    """What a run is of: split, subset, and the view (layer, dimensions, precision, index)."""

    split: str
    subset: str
    layer: int | None
    dim: int | None
    precision: str
    index: str


class Scored(NamedTuple):
    """A run's scores by metric, and for a ranking each query's (document, score), best first."""

    scores: dict[str, float]
    ranking: dict[str, list[tuple[str, float]]]


Results = dict[tuple[str, str], dict[Part, Scored]]  # (shape, kind) -> its runs


@dataclass(frozen=True)
class World:
    """Where models and data lie.

    Args:
        models: shape -> what follows --model.
        tasks: kind -> what follows --task.
        data_dir: the mirror of mteb's tasks.
        home: EMBEDLAB_HOME; each evaluation has a results store of its own in it.
    """

    models: Mapping[str, str]
    tasks: Mapping[str, str]
    data_dir: Path
    home: Path
    _number: Iterable[int] = field(default_factory=count)

    def cold(self, name: str) -> "World":
        """The same world with an empty EMBEDLAB_HOME."""
        return replace(self, home=self.home.parent / name, _number=count())

    def command(self, models: Sequence[str], tasks: Sequence[str], *options: object) -> list[str]:
        """The arguments of `embedlab` that evaluate these shapes on these kinds; their order is
        that of the options.
        """
        chosen = [part for name in models for part in ("--model", self.models[name])]
        chosen += [part for kind in tasks for part in ("--task", self.tasks[kind])]
        # BM25 counts words, and takes no dtype.
        dtype = () if set(models) == {"bm25"} else ("--dtype", "float32")
        return [
            "eval",
            *chosen,
            *map(str, options),
            "--data-dir",
            str(self.data_dir),
            *dtype,
            "--json",
        ]

    def evaluate(self, groups: Groups = GROUPS, *options: object) -> Results:
        """Evaluate each group by one command with these further options, and read the store."""
        db = self.home / f"{next(self._number)}.duckdb"
        for models, tasks in groups:
            in_process(self.home, [*self.command(models, tasks, *options), "--db", str(db)])
        return self.read(db)

    def read(self, db: Path) -> Results:
        """What a results store holds."""
        from leaderboard.storage.store import Store

        store, found = Store(db), {}
        shape_of = {recorded(typed): shape for shape, typed in self.models.items()}
        kind_of = {Path(typed).name: kind for kind, typed in self.tasks.items()}
        scores: dict[str, dict[str, float]] = {}
        for row in store.query("SELECT run_id, metric, value FROM scores").to_pylist():
            scores.setdefault(row["run_id"], {})[row["metric"]] = row["value"]
        for row in store.runs().to_pylist():
            # A folder's name is followed by its digest.
            cell = (shape_of[row["model"]], kind_of[row["task"].partition("@")[0]])
            part = Part(*(row[name] for name in Part._fields))
            assert part not in found.setdefault(cell, {}), f"{cell} has two runs of {part}"
            own = scores[row["id"]] | {"main": row["main_score"]}
            found[cell][part] = Scored(
                own, _ranking(store, row["id"]) if cell[1] in RANKING else {}
            )
        return found


def _ranking(store, id: str) -> dict[str, list[tuple[str, float]]]:
    ranking = store.ranking(id)
    return {
        query: [
            (ranking.document_ids[row], score)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
            if row >= 0
        ]
        for query, rows, scores in zip(ranking.query_ids, ranking.rows, ranking.scores, strict=True)
    }


def recorded(typed: str) -> str:
    """The name under which a model is recorded: its folder's, its class's, its parts'."""
    return re.sub(r"[^\s(),]*[/:]", "", typed)


def make(folder: Path, tokenizer) -> World:
    """Write all models and tasks below `folder`."""
    left, bare = deepcopy(tokenizer), deepcopy(tokenizer)
    left.padding_side = "left"
    bare.backend_tokenizer.post_processor = None  # so that an empty text has no token at all
    made = {name: shape.typed for name, shape in shapes.make(folder / "models", tokenizer).items()}
    made |= {
        "left padding": (
            shapes.dense(folder / "models/left", shapes.backbones(folder / "left", left)).typed
        ),
        "no special tokens": (
            shapes.dense(folder / "models/bare", shapes.backbones(folder / "bare", bare)).typed
        ),
        "bm25": "bm25",
    }
    made["fusion"] = f"rrf(bm25, {made['cosine, not normalised']})"
    kinds = {
        name: kind._replace(subsets=kind.subsets[:1]) for name, kind in task_types.kinds().items()
    }
    for kind in kinds.values():
        rng = random.Random(kind.task)
        for subset in kind.subsets or ("",):
            (folder / "mirror" / kind.task / subset).mkdir(parents=True)
            kind.write(folder / "mirror" / kind.task / subset, rng)
    (folder / "corner").mkdir()
    task_types.beir(("test",))(folder / "corner", random.Random(0))
    tasks = {name: kind.task for name, kind in kinds.items()} | {FOLDER: str(folder / "corner")}
    asked = dict.fromkeys(shape for shape, _ in CELLS)
    return World(
        {shape: made[shape] for shape in asked}, tasks, folder / "mirror", folder / "homes" / "base"
    )


def moved(world: World, folder: Path) -> World:
    """Everything elsewhere and under other names: models, mirror,
    the own folder, EMBEDLAB_HOME with its vectors.
    """
    old = Path(world.models["cosine, not normalised"]).parent
    shutil.copytree(old, folder / "elsewhere")
    for path in list((folder / "elsewhere").iterdir()):
        if path.suffix == ".py":  # a plug-in names a folder
            path.write_text(path.read_text().replace(str(old), str(folder / "elsewhere")))
    shutil.copytree(world.data_dir, folder / "another mirror")
    shutil.copytree(world.tasks[FOLDER], folder / "the edge")
    shutil.copytree(world.home / "vectors", folder / "home" / "vectors")
    models = {
        shape: typed.replace(str(old), str(folder / "elsewhere"))
        for shape, typed in world.models.items()
    }
    for shape in ("sparse", "euclidean", "cross"):
        models[shape] = str(Path(models[shape]).rename(folder / "elsewhere" / f"renamed-{shape}"))
    return World(
        models,
        {**world.tasks, FOLDER: str(folder / "the edge")},
        folder / "another mirror",
        folder / "home",
    )


def in_process(home: Path | None, arguments: Sequence[str]) -> None:
    """A command line in this process, under this EMBEDLAB_HOME or the one that is set."""
    from embedlab import cli

    cli.app.registered_commands.clear()
    cli.app.registered_groups.clear()
    err, code = io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(err),
    ):
        if home:
            patch.setenv("EMBEDLAB_HOME", str(home))
        patch.setattr(sys, "argv", ["embedlab", *arguments])
        try:
            cli.run()
        except SystemExit as stop:
            code = stop.code or 0
    assert code == 0, err.getvalue()
