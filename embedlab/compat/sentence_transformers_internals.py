"""Private API of sentence-transformers, read in sentence-transformers 6.2."""

from collections.abc import Mapping
from typing import Any

from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Router
from torch import nn


def declare_modules(classes: Mapping[str, type[nn.Module]]) -> None:
    """Let models name these modules in their modules.json without remote code
    (`BaseModel._module_classes`).
    """
    BaseModel._module_classes = classes


def position_offset(module: nn.Module) -> int:
    """Where a model that takes texts end to end begins to count
    (`Transformer._flatten_position_offset`).
    """
    return int(getattr(module, "_flatten_position_offset"))  # noqa: B009  # a plain attribute is a Tensor to mypy


def first_of_route(router: Router, task: str | None) -> nn.Module:
    """The first module that a router sends the texts of a task through
    (`Router._resolve_route`).
    """
    route = str(router._resolve_route(task=task, modality="text"))
    modules: Any = router.sub_modules[route]  # a Sequential
    first: nn.Module = modules[0]
    return first
