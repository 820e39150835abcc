"""A backbone as an ONNX file: exported once, kept in EMBEDLAB_HOME/exports, by its content.

    EMBEDLAB_HOME/exports/<digest of the backbone and the exporter>/model.onnx, int8/model.onnx

`torch.onnx.export` over torch.export's graph does it. (optimum, through which
sentence-transformers' own backends go, wants an older transformers than this.) Its older exporter,
over traces, would freeze the padding of its example into the file.
"""

import logging
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import nn

from embedlab import kept_folders
from embedlab.encoders.backends import exports
from embedlab.errors import UserError
from embedlab.resources import home

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
# A file of ONNX holds up to 2 GB; larger weights lie beside it.
_LARGEST = 1_500_000_000


def exported(
    backbone: nn.Module, example: Mapping[str, torch.Tensor], output: str, digest: str, name: str
) -> Path:
    """The folder with `model.onnx`, made where it is not there yet.

    Args:
        backbone: in float32, on the CPU.
        example: inputs by name, each `[B, L]`; B and L are free in the file.
        output: the name of the backbone's output.
        digest: of the backbone's weights and settings.
        name: for messages.

    Raises:
        UserError: torch cannot export it.
    """

    def make(new: Path) -> None:
        weights = sum(p.numel() * p.element_size() for p in backbone.parameters())
        names = tuple(example)
        free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        with _quiet():
            try:
                torch.onnx.export(
                    _Named(backbone, names, output).eval(),
                    tuple(example.values()),
                    str(new / "model.onnx"),
                    input_names=list(names),
                    output_names=[output],
                    dynamic_shapes=[tuple(free for _ in names)],
                    dynamo=True,
                    external_data=weights > _LARGEST,
                    verbose=False,
                )
            except Exception as error:  # the exporter has many, none of them the user's
                first = str(error).strip().splitlines() or [""]
                raise UserError(
                    f"{name}: {type(backbone).__name__} cannot be exported to ONNX"
                    f" ({type(error).__name__}: {first[0]}).",
                    "Leave the backend out of the model's name: torch runs it.",
                ) from error
        exports.describe(new, name)

    key = blake2b(repr((digest, list(example), output, exports.made_by())).encode(), digest_size=16)
    return kept_folders.made(home() / "exports" / key.hexdigest(), make)


def quantised(folder: Path) -> Path:
    """`model.onnx` with the weights of its products as int8, channel by channel.

    Activations are rounded as they come, with one scale for all of a batch: a vector depends, in
    its last digits, on the texts beside it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def make(new: Path) -> None:
        with _quiet():
            quantize_dynamic(
                folder / "model.onnx",
                new / "model.onnx",
                per_channel=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=any(folder.glob("model.onnx.data")),
            )

    return kept_folders.made(folder / "int8", make) / "model.onnx"


class _Named(nn.Module):
    """A backbone that takes its inputs by place and gives the one output that is read."""

    def __init__(self, backbone: nn.Module, names: tuple[str, ...], output: str) -> None:
        super().__init__()
        self.backbone, self.names, self.output = backbone, names, output

    def forward(self, *inputs: torch.Tensor) -> Any:
        given = dict(zip(self.names, inputs, strict=True))
        return self.backbone(**given, return_dict=True)[self.output]


@contextmanager
def _quiet() -> Any:
    """Without what exporters print of their own state."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
