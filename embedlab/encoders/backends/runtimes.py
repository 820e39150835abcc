"""The runtimes that execute an exported backbone; each file of weights is loaded once, and several
threads run it side by side.
"""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Arrays = Mapping[str, np.ndarray]


class Runtime(Protocol):
    """Runs a file for a number of threads."""

    def run(self, inputs: Arrays, threads: int) -> np.ndarray:
        """The file's one output, `[B, L, d]` or `[B, labels]`, of int64 inputs `[B, L]`."""


class OnnxRuntime:
    """ONNX Runtime: the calling thread works, with `threads - 1` more where that is above 1.

    Args:
        file: of ONNX.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._session: tuple[int, Any] | None = None

    def run(self, inputs: Arrays, threads: int) -> np.ndarray:
        output: np.ndarray = self._ready(threads).run(None, dict(inputs))[0]
        return output

    def _ready(self, threads: int) -> Any:
        with self._lock:
            if self._session is None or self._session[0] != threads:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads, options.log_severity_level = threads, 3
                session = onnxruntime.InferenceSession(
                    self._file, options, providers=["CPUExecutionProvider"]
                )
                self._session = threads, session
            return self._session[1]


class OpenVino:
    """OpenVINO on the CPU: a stream for each thread that calls.

    Args:
        file: of ONNX, which it reads itself.
        dtype: "float32" or "bfloat16"; said outright, for its own choice would be what the
            processor multiplies fastest.
    """

    def __init__(self, file: Path, dtype: str) -> None:
        self._file, self._dtype, self._lock = file, dtype, threading.Lock()
        self._compiled: tuple[int, Any] | None = None
        self._requests = threading.local()

    def run(self, inputs: Arrays, threads: int) -> np.ndarray:
        compiled = self._ready(threads)
        if getattr(self._requests, "of", None) is not compiled:
            self._requests.of, self._requests.one = compiled, compiled.create_infer_request()
        # A copy: the request writes its next answer into the same memory.
        return np.array(self._requests.one.infer(dict(inputs))[0])

    def _ready(self, threads: int) -> Any:
        with self._lock:
            if self._compiled is None or self._compiled[0] != threads:
                import openvino

                streams = max(1, _cores() // threads)
                settings = {
                    "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self._dtype],
                    "NUM_STREAMS": str(streams),
                    "INFERENCE_NUM_THREADS": str(streams * threads),
                }
                core = openvino.Core()
                self._compiled = threads, core.compile_model(self._file, "CPU", settings)
            return self._compiled[1]


def multiplies_bfloat16() -> bool:
    """Whether OpenVINO multiplies bfloat16 here; it would go on in float32 where it does not."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
