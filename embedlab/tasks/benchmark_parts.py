"""What a ranking asks of benchmarks, kept between runs: mteb takes seconds to import and to ask."""

import json
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from embedlab.resources import DATA, home
from leaderboard.atomic_files import atomic_write
from leaderboard.tables.benchmarks import Benchmarks, read

if TYPE_CHECKING:
    from mteb import AbsTask

_FORM = 3  # raised when what is written changes


def file() -> Path:
    """Where it is kept: one file for each version of mteb and state of the built-in benchmarks."""
    digest = blake2b(digest_size=4)
    for path in sorted((DATA / "benchmarks").glob("*.toml")):
        digest.update(path.read_bytes())
    return home() / f"benchmarks-mteb-{version('mteb')}-{_FORM}-{digest.hexdigest()}.json"


def known() -> Benchmarks:
    """All benchmarks of text; found out where no one has asked before."""
    return _known(file())


@cache
def _known(target: Path) -> Benchmarks:
    kept = read(target)
    if kept.parts:
        return kept
    found = ask()
    with suppress(OSError):  # it will be asked again, no more
        write(found, target)
    return found


def write(found: Benchmarks, target: Path) -> None:
    """Put them into the file, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target, shared=True) as temporary:
        temporary.write_text(json.dumps(vars(found)), encoding="utf-8")


def ask() -> Benchmarks:
    """All benchmarks of text, from mteb and from data/benchmarks."""
    from mteb import get_benchmarks, get_model_metas

    from embedlab.tasks.catalogue import benchmarks

    theirs = [
        each
        for each in get_benchmarks()
        if all(task.metadata.modalities == ["text"] for task in each.tasks)
    ]
    # Where they are: `find` would copy mteb's tasks and collect the texts of ours.
    parts = {name: _ours(each["tasks"]) for name, each in benchmarks().items()}
    parts |= {each.name: _parts(each.tasks) for each in theirs}
    metas = get_model_metas()
    return Benchmarks(
        parts,
        {meta.name: meta.revision for meta in metas if meta.name and meta.revision},
        {alias: each.name for each in theirs for alias in each.aliases or ()},
    )


def of(name: str) -> dict[str, list[tuple[str, str]]]:
    """The (split, subset) pairs of each task of a benchmark, as mteb has it today; an aggregate
    is one task.

    Raises:
        UserError: as `embedlab.tasks.catalogue.find`.
    """
    from embedlab.tasks.catalogue import find

    return _parts(find(name, apart=False))


def _ours(tasks: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """The parts of the tasks of a built-in benchmark, by what defines them."""
    from embedlab.tasks.catalogue import built_in

    known, parts = built_in(), dict[str, list[tuple[str, str]]]()
    for name in tasks:
        splits = known[name].get("eval_splits", ["test"]) if name in known else []
        parts |= {name: [(split, "default") for split in splits]} if splits else of(name)
    return parts


def _parts(tasks: "Iterable[AbsTask]") -> dict[str, list[tuple[str, str]]]:
    return {
        task.metadata.name: [
            (split, subset) for split in task.eval_splits for subset in task.hf_subsets
        ]
        for task in tasks
    }
