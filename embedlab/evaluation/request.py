"""What the user asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedlab.encoding.options import EncodingOptions
from leaderboard.records import plain


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

    def plain(self) -> dict[str, Any]:
        """The request as plain values, for the record."""
        return plain(self)
