"""mteb's own tasks."""

from typing import TYPE_CHECKING

from embedlab.compat.mteb_internals import task_classes

if TYPE_CHECKING:
    from mteb import AbsTask


def registry() -> "dict[str, type[AbsTask]]":
    """mteb's task classes by name."""
    return task_classes()
