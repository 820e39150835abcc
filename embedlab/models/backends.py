"""Backends: other runtimes than torch for a model's backbone, by a suffix of its name.

    all-minilm-l6-v2@onnx          the same as all-minilm-l6-v2?backend=onnx
    FOLDER@onnx-int8?max_length=128

A model by another backend is another entrant: it gets a name, vectors and results of its own.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embedlab.bases.packaged import sha256
from embedlab.errors import UserError, missing_extra


@dataclass(frozen=True)
class Backend:
    """One way to run a backbone.

    Args:
        name: what stands behind the `@`.
        package: the distribution that runs it; its version is part of the vectors' address.
        modules: what has to be importable to export and run a model.
        extra: of embedlab, which brings them.
        dtypes: in which it computes; the first is its own choice.
        reason: why it computes so where nothing is asked for.
    """

    name: str
    package: str
    modules: tuple[str, ...]
    extra: str
    dtypes: tuple[str, ...]
    reason: str
    exports: bool = True  # runs an exported file, on the CPU, in place of torch

    @cached_property
    def runtime(self) -> str:
        """The package and its version."""
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return self.package

    def require(self, model: str) -> None:
        """Refuse to go on without its packages.

        Raises:
            UserError: one is not installed.
        """
        if any(find_spec(module) is None for module in self.modules):
            raise missing_extra(f"{model}: the backend {self.name}", self.extra)

    def dtype(self, asked: str, model: str) -> tuple[str, str]:
        """(name, reason) of the dtype that it computes in.

        Raises:
            UserError: it cannot compute in the dtype that is asked for.
        """
        if asked == "auto":
            return self.dtypes[0], self.reason
        if asked not in self.dtypes:
            raise UserError(
                f"{model}: the backend {self.name} does not compute in {asked}.",
                f"Valid: --dtype auto or {', '.join(self.dtypes)}.",
            )
        return asked, "asked for"

    def refuse_device(self, device: str | None, model: str) -> None:
        """Refuse a device that it does not run on here.

        Raises:
            UserError: another than the CPU was asked for.
        """
        if device not in (None, "cpu"):
            raise UserError(
                f"{model}: the backend {self.name} runs on the CPU, not on {device}.",
                "Leave --device out, or leave the backend out of the model's name.",
            )


_EXPORTING = ("onnx", "onnxscript")
BACKENDS = {
    backend.name: backend
    for backend in (
        Backend(
            "onnx", "onnxruntime", (*_EXPORTING, "onnxruntime"), "onnx", ("float32",),
            "as exported",
        ),
        Backend(
            "onnx-int8", "onnxruntime", (*_EXPORTING, "onnxruntime"), "onnx", ("int8",),
            "weights are int8, activations are rounded to int8 at each product",
        ),
        Backend(
            "openvino", "openvino", (*_EXPORTING, "openvino"), "openvino", ("float32", "bfloat16"),
            "as exported",
        ),
        Backend(
            "gguf", "gguf", ("gguf",), "gguf", ("float32", "bfloat16", "float16"),
            "the file's weights, dequantised", exports=False,
        ),
    )
}  # fmt: skip


def split(name: str) -> tuple[str, str]:
    """A model's name without its backend, and the backend; empty where none stands there.

    What stands behind an `@` and is no backend belongs to the name (`smollm2-135m@layers=12`), or
    is an index.
    """
    plain, _, backend = name.rpartition("@")
    if plain and backend in BACKENDS and not _is_there(name):
        return plain, backend
    return name, ""


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # longer than a path may be, or with a null byte
        return False


def ends_with_one(name: str) -> bool:
    """Whether a name, settings put aside, ends with a backend."""
    return bool(split(name.partition("?")[0])[1])


def gguf(folder: Path | None, model: str, method: str) -> tuple[dict[str, Any], str]:
    """The settings that let transformers read the GGUF file of a folder, and the file's digest.

    Its weights are dequantised as they are read: scores are those of the rounded weights, the speed
    is torch's. Which architectures transformers can read so, its documentation lists; BERT is none
    of them.

    Raises:
        UserError: the folder does not hold one such file, or the model is no stock one.
    """
    if method != "sentence-transformers" or folder is None:
        raise UserError(
            f"{model}: its method {method} reads no GGUF file.",
            "The backend gguf is for models that sentence-transformers loads by itself:"
            " FOLDER@gguf, with one .gguf file in FOLDER.",
        )
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        there = ", ".join(file.name for file in files) or "none"
        raise UserError(
            f"{model} needs one .gguf file in its folder, and has {there}.",
            f"Look into {folder}; keep one file beside config.json and the tokenizer.",
        )
    name = {"gguf_file": files[0].name}
    settings: dict[str, Any] = {"model_kwargs": dict(name)}
    if not (folder / "config.json").is_file():
        settings["config_kwargs"] = dict(name)
    if not any((folder / file).is_file() for file in ("tokenizer.json", "tokenizer.model")):
        settings["processor_kwargs"] = dict(name)
    return settings, sha256(files[0])[:16]
