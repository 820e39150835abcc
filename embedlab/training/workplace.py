"""The folder of a training run: what is done in it gets its name once it is whole.

DIR/unfinished/recipe          whose run this is; the whole folder is gone when the run is done
              /1-contrastive   a stage: its checkpoints, then its state
              /result          the model, until it is whole
DIR/modules.json ...           the model;  training.json, its record, comes last
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from embedlab.errors import UserError
from embedlab.models.facts.training_sets import RECORD
from leaderboard.atomic_files import atomic_write

WORK = "unfinished"
WHOLE = "whole"  # in a checkpoint: all of it is there
# Without these a folder is no model, and no program takes a part of one for it: they come last.
_LAST = ("modules.json", "config.json", RECORD)


def claim(out: Path, digest: str) -> dict[str, Any] | None:
    """Make `out` the place of the run with this digest; the record if the run is done.

    Raises:
        UserError: `out` holds the result of another recipe, or files of somebody else's.
    """
    record, mark = out / RECORD, out / WORK / "recipe"
    if record.is_file():
        found = _read(record)
        if found.get("digest") == digest:
            shutil.rmtree(out / WORK, ignore_errors=True)
            return found
        raise UserError(
            f"{out} holds a model trained by another recipe.", "Give another folder: --out DIR"
        )
    marked = mark.read_text(encoding="utf-8") if mark.is_file() else ""
    if marked and marked != digest:
        raise UserError(
            f"{out} holds an unfinished run of another recipe.",
            f"Remove {out / WORK}, or give --out DIR",
        )
    if not marked and out.exists() and not _is_fresh(out):
        raise UserError(f"{out} is not empty.", "Give another folder: --out DIR")
    mark.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(mark) as temporary:
        temporary.write_text(digest, encoding="utf-8")
    return None


@contextmanager
def begun(out: Path) -> Iterator[None]:
    """A run in its place: where it is refused or stopped before anything was kept, nothing of it is
    left, so that the next one finds the place free.
    """
    try:
        yield
    except BaseException:
        kept = [path for path in out.rglob("*") if path.is_file() and path != out / WORK / "recipe"]
        if not kept:
            shutil.rmtree(out / WORK, ignore_errors=True)
            with suppress(OSError):  # not empty
                out.rmdir()
        raise


def _is_fresh(out: Path) -> bool:
    """Whether nobody's work is in a folder: it is empty,
    or a run was stopped in it before it began.
    """
    return out.is_dir() and all(
        path.name == WORK
        and path.is_dir()
        and not [p for p in path.iterdir() if p.name not in ("recipe", ".recipe.part")]
        for path in out.iterdir()
    )


def _read(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(
            f"{record} is damaged.", "Remove it to train again, or give another folder: --out DIR"
        )
    return found


def publish(out: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write the model's files, and put them in their place once all are there."""
    result = out / WORK / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True)
    fill(result)
    for path in sorted(
        result.iterdir(), key=lambda path: (path.name in _LAST and 1 + _LAST.index(path.name), path)
    ):
        target = out / path.name
        if target.is_dir():  # of a run that was stopped here
            shutil.rmtree(target)
        path.replace(target)
    shutil.rmtree(out / WORK)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was saved."""
    return int(checkpoint.name.rpartition("-")[2])


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a stage's folder; those that are not whole are removed."""
    whole = []
    for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if (path / WHOLE).is_file():
            whole.append(path)
        else:
            shutil.rmtree(path)
    return max(whole, key=step_of, default=None)


def keep_last_checkpoint(folder: Path, step: int) -> None:
    """Mark the checkpoint of this step as whole, and remove the earlier ones."""
    (folder / f"{PREFIX_CHECKPOINT_DIR}-{step}" / WHOLE).touch()
    for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if path.name != f"{PREFIX_CHECKPOINT_DIR}-{step}":
            # First, so that a half removed one counts as none.
            (path / WHOLE).unlink(missing_ok=True)
            shutil.rmtree(path)
