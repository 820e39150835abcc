"""A run: plan, encode, view, search, score, record; one failed task never costs the others."""

import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from embedlab import composed, tasks
from embedlab.cards import Card
from embedlab.errors import explained
from embedlab.evaluation.encode import Encoder
from embedlab.evaluation.in_memory import ObjectEncoder
from embedlab.evaluation.objects import MtebModel, ObjectModel
from embedlab.evaluation.options import EncodingOptions
from embedlab.evaluation.progress import Reporter
from embedlab.evaluation.record import asked, run_record
from embedlab.evaluation.task_run import evaluate_task
from embedlab.evaluation.unused import ranks, refuse_unsearched, refuse_unused
from embedlab.models import LoadedModel
from embedlab.tasks import availability
from leaderboard import records
from leaderboard.store import Store


@dataclass(frozen=True)
class Request:
    """What the user asked for; recorded with every run."""

    models: Sequence[str]
    tasks: Sequence[str]
    indexes: Sequence[str] = ()  # none: each model's own
    layers: Sequence[int | None] = (None,)
    dims: Sequence[int | None] = (None,)
    precisions: Sequence[str] = ("float32",)
    diagonal: bool = False  # only the (layer, dim) pairs that the method was trained for
    force: bool = False  # also pairs that it was not trained for, and checkpoints that do not fit their model
    trust_remote_code: bool = False  # run the code that a model's folder brings
    device: str | None = None
    dtype: str = "auto"
    encoding: EncodingOptions = field(default_factory=EncodingOptions)
    top_k: int | None = None
    split: str | None = None
    ignore_identical_ids: bool = False  # of BEIR folders of one's own
    data_dir: Path | None = None
    db: Path | None = None

    @property
    def full(self) -> bool:
        """Whether models are seen at their full depth, width and precision only."""
        return (*self.layers, *self.dims, *self.precisions, self.diagonal) == (None, None, "float32", False)


@dataclass
class Outcome:
    """What came of a request: the stored runs, and what failed."""

    runs: list[records.Run] = field(default_factory=list)
    failures: list[records.Failure] = field(default_factory=list)
    alone: bool = False  # a single evaluation was asked for


def evaluate(
    request: Request, reporter: Reporter | None = None, given: Mapping[str, LoadedModel] | None = None
) -> Outcome:
    """Evaluate every model on every task and record each result as it is finished.

    Args:
        request: names models and tasks.
        reporter: where progress is shown.
        given: those of the named models that are objects (`embedlab.evaluation.objects`).

    Raises:
        UserError: a name in the request is unknown; nothing has been run then.
    """
    reporter, given = reporter or Reporter(request.db), given or {}
    names = list(dict.fromkeys(request.models))
    cards = [given[name].card if name in given else composed.find(name) for name in names]
    refuse_unused(request, names, given)
    selected = tasks.resolve(
        request.tasks,
        data_dir=request.data_dir,
        split=request.split,
        ignore_identical_ids=request.ignore_identical_ids,
    )
    refuse_unsearched(request, selected)
    if request.data_dir and not any(tasks.is_mirrored(task, request.data_dir) for task in selected):
        reporter.say(f"Nothing in {request.data_dir} belongs to these tasks.")
    selected, out_of_reach = availability.split(selected, request.tasks)
    if out_of_reach:
        reporter.say(out_of_reach.problem)
    # What fails is said at once, unless it is all that was asked for: the error that ends the run says it then.
    store, outcome = Store(request.db), Outcome(alone=len(names) * len(selected) == 1 and not out_of_reach)
    for name, card in zip(names, cards, strict=True):
        if out_of_reach:
            missing = records.Failure(name, out_of_reach.benchmarks, *out_of_reach.why, asked=asked(request))
            outcome.failures.append(missing)
        todo = [task for task in selected if _applies(card, task, reporter)]
        with _recorded(outcome, request, name, [task.metadata.name for task in todo], reporter):
            started = time.perf_counter()
            model = given.get(name) or composed.load(
                name,
                device=request.device,
                dtype=request.dtype,
                force=request.force,
                trust_remote_code=request.trust_remote_code,
            )
            if model.misfit:
                reporter.say(f"{model.name} does not fit its checkpoint, and is evaluated all the same.")
            if card.method == "auto" and model.card.notes:
                reporter.say(f"{model.name}: {model.card.notes}")
            loading = time.perf_counter() - started
            encoder = _encoder(request, model, reporter)
            for task in todo:
                with (
                    _recorded(outcome, request, name, [task.metadata.name], reporter),
                    reporter.evaluation(model.name, task.metadata.name),
                ):
                    tasks.load(task)
                    for part in evaluate_task(request, model, encoder, task, reporter):
                        with _recorded(outcome, request, name, [task.metadata.name], reporter):
                            run = run_record(request, model, task, *part[:3], loading, part[3])
                            store.add(run)
                            outcome.runs.append(run)
    if outcome.runs:  # a request of which nothing came leaves the store as it was
        for failure in outcome.failures:
            store.add_failure(failure)
    return outcome


def _encoder(request: Request, model: LoadedModel, reporter: Reporter) -> Encoder | ObjectEncoder | dict | None:
    """The model with its vector store: by part for a composed one, None for one that gives no vectors.

    An object's vectors have no store.
    """
    if isinstance(model, ObjectModel):
        return None if isinstance(model, MtebModel) else ObjectEncoder(model, reporter)
    if isinstance(model, composed.ComposedModel):
        return {name: _encoder(request, part, reporter) for name, part in model.parts.items()}
    if model.card.kind not in ("dense", "sparse") and request.encoding != EncodingOptions():
        options = "--store-dtype, --batch-tokens, --workers and --compile"
        reporter.say(f"{model.name} gives no vectors to keep: {options} are not for it.")
    if not model.device:  # bm25
        return None
    return Encoder(model, request.encoding, reporter=reporter)


def _applies(card: Card, task, reporter: Reporter) -> bool:
    """Whether the model can do the task at all; what only ranks, or scores pairs, has no vectors to classify."""
    if card.kind in ("lexical", "hybrid", "cross", "multi-vector", "search") and not ranks(task):
        reporter.say(f"{card.name} skips {task.metadata.name}: {task.metadata.type} needs a vector per text.")
        return False
    return True


@contextmanager
def _recorded(outcome: Outcome, request: Request, model: str, names: list[str], reporter: Reporter) -> Iterator[None]:
    """Turn an error into recorded failures of the named tasks, so that the rest goes on."""
    try:
        yield
    except Exception as error:
        if os.environ.get("EMBEDLAB_DEBUG"):
            traceback.print_exc()
        problem, hint = explained(error) or (
            f"{type(error).__name__}: {error}", "Type `embedlab --debug eval ...` to see where it happened."
        )  # fmt: skip
        for name in names:
            failure = records.Failure(model, name, problem, hint, asked=asked(request))
            outcome.failures.append(failure)
        if not outcome.alone:
            reporter.say(f"{model} on {', '.join(names)} failed: {problem}")
