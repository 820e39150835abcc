"""What a request names: its tasks, and each of its models as it is to be loaded."""

from typing import Any

from embedlab import tasks
from embedlab.evaluation.request import Request
from embedlab.models import LoadedModel, composition


def requested_tasks(request: Request) -> list[Any]:
    """mteb's tasks of a request.

    Raises:
        UserError: one is unknown.
    """
    found: list[Any] = tasks.resolve(
        request.tasks,
        data_dir=request.task.data_dir,
        split=request.task.split,
        ignore_identical_ids=request.task.ignore_identical_ids,
    )
    return found


def requested_model(request: Request, name: str) -> LoadedModel:
    """One of the models of a request.

    Raises:
        UserError: it cannot be loaded.
    """
    return composition.load(
        name,
        device=request.loading.device,
        dtype=request.loading.dtype,
        force=request.views.force,
        trust_remote_code=request.loading.trust_remote_code,
    )
