"""What of a study is evaluated: its requests, and which of their runs the store has."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedlab import tasks
from embedlab.errors import UserError, explained
from embedlab.evaluation.protocols.choice import protocol_for
from embedlab.evaluation.request import Request
from embedlab.evaluation.requested import requested_model
from embedlab.evaluation.run_record import shaping
from embedlab.evaluation.unused import ranks, without_unused
from embedlab.models import LoadedModel, composition
from embedlab.options import ViewOptions
from embedlab.progress import Reporter
from embedlab.studies import members
from embedlab.studies.members import Member
from embedlab.studies.study_file import Study
from embedlab.tasks import availability
from leaderboard.storage.rows import settings_text
from leaderboard.storage.store import Store

if TYPE_CHECKING:
    from mteb import AbsTask


@dataclass
class StudyTask:
    """A task of a study: the name that was asked for, and mteb's task once its data are needed."""

    asked: str
    task: "AbsTask"
    problem: str = ""  # why its data cannot be had

    @cached_property
    def name(self) -> str:
        """The name under which it is recorded."""
        self._load()
        return tasks.recorded_name(self.task)

    @cached_property
    def parts(self) -> list[tuple[str, str]]:
        """Its splits and subsets."""
        self._load()
        return [(split, sub) for split in self.task.eval_splits for sub in self.task.hf_subsets]

    @property
    def revision(self) -> str:
        """Of its data."""
        return self.task.metadata.revision or ""

    @property
    def searches(self) -> bool:
        """Whether documents are searched, through an index."""
        from mteb.abstasks import AbsTaskRetrieval

        return isinstance(self.task, AbsTaskRetrieval)

    def _load(self) -> None:
        """Its revision and name are known for sure once its data are here."""
        if self.problem or getattr(self.task, "data_loaded", False):
            return
        try:
            tasks.load(self.task)
        except UserError as error:
            self.problem = str(error)


def resolve(study: Study) -> tuple[list[StudyTask], str]:
    """The tasks of a study, and what of its benchmarks is out of reach.

    Raises:
        UserError: a task is unknown, or none of a benchmark is on this machine.
    """
    options = {
        name: value
        for name, value in study.options.items()
        if name in ("split", "ignore_identical_ids")
    }
    if "data_dir" in study.options:
        options["data_dir"] = Path(study.options["data_dir"])
    found: dict[str, StudyTask] = {}
    selected: list[AbsTask] = []
    for name in study.tasks:
        for task in tasks.resolve([name], **options):
            folder = os.sep in name or name.startswith(".") or Path(name).is_dir()
            asked = name if folder and hasattr(task, "sources") else task.metadata.name
            selected.append(task)
            found.setdefault(asked, StudyTask(asked, task))
    reach, missing = availability.split(selected, study.tasks)
    kept = [each for each in found.values() if each.task in reach]
    return kept, missing.problem if missing else ""


def requests(
    study: Study, member: Member, everyone: Sequence[Member], *, db: Path, device: str | None
) -> list[Request]:
    """What is asked of a member, without tasks yet: the full view, then the others."""
    options = study.options | ({"device": device} if device else {})
    if "data_dir" in options:
        options = options | {"data_dir": Path(options["data_dir"])}
    kinds = {card.kind for card in composition.parts(member.model)}
    # A study's options are for all its models.
    full = without_unused(Request.of([member.model], [], db=db, **options), kinds)
    views = [
        ViewOptions(
            full.views.indexes,
            tuple(view.layers) or (None,),
            tuple(view.dims) or (None,),
            tuple(view.precisions),
            view.diagonal,
            full.views.force,
        )
        for view in study.views
        if member.group in members.seen(view, everyone)
    ]
    return [full, *(replace(full, views=each) for each in views if each != full.views)]


def for_tasks(request: Request, asked: Sequence[StudyTask]) -> Request:
    """The request on these tasks."""
    request = replace(request, tasks=[task.asked for task in asked])
    if not any(ranks(task.task) for task in asked):
        views = replace(request.views, indexes=())
        request = replace(request, task=replace(request.task, top_k=None), views=views)
    return request


def missing(store: Store, request: Request, asked: Sequence[StudyTask]) -> list[StudyTask]:
    """The tasks on which the store lacks a run of this request."""
    (name,) = request.models
    card = composition.find(name)
    if not card.kind.gives_vectors:
        asked = [task for task in asked if ranks(task.task)]
    if not store.runs(model=card.name).num_rows:
        return list(asked)
    try:
        model = requested_model(request, name)
        views = protocol_for(request, model, Reporter(quiet=True)).views()
    except Exception as error:
        if explained(error) is None:
            raise
        return list(asked)  # evaluating it will say what is wrong
    there = _there(store, request, model)
    return [task for task in asked if not _needed(task, model, views) <= there]


def _needed(task: StudyTask, model: LoadedModel, views: Sequence[Any]) -> set[tuple[Any, ...]]:
    width = model.card.dim or None
    return {
        (
            task.name,
            task.revision,
            *part,
            view.index if task.searches else "",
            view.layer,
            view.dim or width,
            view.precision,
        )
        for part in task.parts
        for view in views
    }


def _there(store: Store, request: Request, model: LoadedModel) -> set[tuple[Any, ...]]:
    """The runs of this very model, computed here and with the same settings and depth."""
    columns = ("task", "task_revision", "split", "subset", "index", "layer", "dim", "precision")
    rows = store.query(
        f"""SELECT {", ".join(f'"{name}"' for name in columns)} FROM results
        WHERE model = ? AND model_revision = ? AND settings = ? AND source = ''
        AND coalesce(asked->>'top_k', '') = ?""",
        [
            model.name,
            model.recorded_revision,
            settings_text(shaping(request, model)),
            str(request.task.top_k or ""),
        ],
    ).to_pylist()
    return {tuple(row[name] for name in columns) for row in rows}
