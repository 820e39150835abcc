"""A loaded task as if nobody had evaluated anything on it yet.

mteb's tasks keep generators (`rng_state`, `np_rng`) that run on from one evaluation to the next,
and a classifier that is fitted again and again. `mteb.evaluate` on a task that was just made sees
them at their beginning; so does whoever gets a copy from here, while the data, which take the time
to read and the memory to hold, are there once for all.
"""

import random
from collections.abc import Mapping
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

if TYPE_CHECKING:
    from mteb import AbsTask


def fresh(task: "AbsTask") -> "AbsTask":
    """A copy of `task` with the state that it had when it was loaded, on the same data.

    The task itself must not be evaluated: its copies are.

    Args:
        task: a loaded mteb task.
    """
    own = copy(task)
    for name, value in vars(task).items():
        if isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
            setattr(own, name, deepcopy(value))
    if hasattr(task, "evaluator_model"):  # an attribute of the class: all tasks of a kind share one
        # Not fitted, whoever fitted the class's.
        vars(own)["evaluator_model"] = clone(task.evaluator_model, safe=False)
    own.dataset = _same_leaves(task.dataset)
    return own


def _same_leaves(data: Any, depth: int = 3) -> Any:
    """New containers of subsets, splits and a retrieval split's parts, around the very tables."""
    if depth and isinstance(data, Mapping):
        own: Any = copy(data)
        for name, part in data.items():
            own[name] = _same_leaves(part, depth - 1)
        return own
    return data
