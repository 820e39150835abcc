"""A sentence-transformers model whose backbone runs elsewhere: all else of it stays as it is."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Transformer
from torch import nn
from transformers import PretrainedConfig

from embedlab.encoders.backends import onnx_files, runtimes
from embedlab.errors import UserError

_PROBES = ("a", "Which drug lowers cholesterol?", "Statins lower cholesterol. " * 12)
# The largest difference to torch, as a share of the length of a token's state, that rounding
# explains. int8 is what it is: a parity run says how much.
_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "int8": float("inf")}


class RuntimeBackbone(nn.Module):
    """Stands where a transformers model stood.

    Args:
        runtime: what runs it.
        name: of the runtime, with its version.
        config: of the transformers model.
        inputs: the tensors that it takes, by name.
        output: what its output is called.
        dtype: in which it computes.
        parameters: how many the transformers model has.
    """

    def __init__(
        self,
        runtime: runtimes.Runtime,
        name: str,
        *,
        config: PretrainedConfig,
        inputs: tuple[str, ...],
        output: str,
        dtype: str,
        parameters: int,
    ) -> None:
        super().__init__()
        self.runtime, self.runtime_name = runtime, name
        self.config, self.inputs, self.output = config, inputs, output
        self.parameter_count, self.device = parameters, torch.device("cpu")
        # sentence-transformers asks a model's parameters for its dtype.
        rounded = torch.float32 if dtype == "float32" else torch.bfloat16
        self.of_dtype = nn.Parameter(torch.empty(0, dtype=rounded), requires_grad=False)

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        """As the transformers model's, for the inputs that it was exported with."""
        arrays = {name: features[name].long().numpy() for name in self.inputs}
        states = self.runtime.run(arrays, torch.get_num_threads())
        return {self.output: torch.from_numpy(states)}

    def __deepcopy__(self, memo: dict[int, object]) -> "RuntimeBackbone":
        twin = copy.copy(self)  # copies share the runtime as they share weights
        memo[id(self)] = twin
        return twin


@torch.inference_mode()
def serve(
    encoder: BaseModel,
    backend: str,
    runtime_name: str,
    dtype: str,
    digest: Callable[[Any], str],
    name: str,
) -> BaseModel:
    """Let another runtime run the backbone of a loaded model; returns the model.

    Args:
        encoder: dense, sparse, multi-vector or cross-encoder, in float32 on the CPU.
        backend: "onnx", "onnx-int8" or "openvino".
        runtime_name: the runtime with its version.
        dtype: in which the runtime computes.
        digest: of a module's weights and settings.
        name: of the model, for messages.

    Raises:
        UserError: the model is no single transformer that can be exported, or the exported file
            gives other states than torch.
    """
    first, output = _transformer(encoder, backend, name)
    if dtype == "bfloat16" and not runtimes.multiplies_bfloat16():
        raise UserError(
            f"{name}: OpenVINO does not multiply bfloat16 on this processor.",
            "Type --dtype float32.",
        )
    features = encoder.preprocess(list(_PROBES))
    inputs = {n: features[n] for n in onnx_files.INPUTS if n in features}
    backbone = first.model
    folder = onnx_files.exported(backbone, inputs, output, digest(backbone), name)
    runtime: runtimes.Runtime
    if backend == "openvino":
        runtime = runtimes.OpenVino(folder / "model.onnx", dtype)
    else:
        file = onnx_files.quantised(folder) if backend == "onnx-int8" else folder / "model.onnx"
        runtime = runtimes.OnnxRuntime(file)
    replaced = RuntimeBackbone(
        runtime,
        runtime_name,
        config=backbone.config,
        inputs=tuple(inputs),
        output=output,
        dtype=dtype,
        parameters=sum(p.numel() for p in backbone.parameters()),
    ).eval()
    try:
        _compare(backbone, replaced, encoder, output, _TOLERANCE[dtype], f"{name} ({runtime_name})")
    except UserError:
        raise
    except Exception as error:  # runtimes have many
        problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{name}: {runtime_name} cannot run its export: {problem}",
            f"Remove the folder {folder}: the export is made anew. Or leave the backend out.",
        ) from error
    setattr(first, "model", replaced)  # noqa: B010  # no PreTrainedModel, as its type has it
    return encoder


def _transformer(encoder: BaseModel, backend: str, name: str) -> tuple[Transformer, str]:
    """The module that holds the backbone, and the name of the backbone's output."""
    first = next(encoder.children(), None)
    params = getattr(first, "modality_config", {}).get("text", {})
    output = params.get("method_output_name")
    if (
        not isinstance(first, Transformer)
        or params.get("method") != "forward"
        or not isinstance(output, str)
    ):
        raise UserError(
            f"{name}: the backend {backend} has no use for a {type(first).__name__}.",
            "It runs models whose first module is a Transformer of sentence-transformers."
            " Leave the backend out of the model's name: torch runs it.",
        )
    return first, output


def _compare(
    backbone: nn.Module,
    replaced: RuntimeBackbone,
    encoder: BaseModel,
    output: str,
    tolerance: float,
    name: str,
) -> None:
    """Run texts alone and padded through both.

    Raises:
        UserError: their states differ by more than rounding: a file that froze a shape or a mask
            would silently give other vectors.
    """
    for texts in ([_PROBES[0]], [_PROBES[1]], list(_PROBES)):
        features = encoder.preprocess(texts)
        inputs = {name: features[name] for name in replaced.inputs}
        expected = backbone(**inputs, return_dict=True)[output].float()
        actual = replaced(**inputs)[output].float()
        if expected.ndim == 3:  # the states of padding are nobody's
            mask = inputs["attention_mask"].bool()
            expected, actual = expected[mask], actual[mask]
        difference = (actual - expected).norm(dim=-1) / expected.norm(dim=-1).clip(1e-6)
        if not bool((difference <= tolerance).all()):
            raise UserError(
                f"{name} gives other states than torch: the difference is"
                f" {float(difference.max()):.2g} of their length.",
                "Leave the backend out of the model's name: torch runs it.",
            )
