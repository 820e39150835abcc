"""The machine, and the most it can do: matrix products and memory, measured."""

import platform
import time
from collections.abc import Callable
from functools import cache

import torch

from tests.bench.gpu.figures import Figures
from tests.bench.gpu.worker import Place


def run(figures: Figures, place: Place) -> None:
    for name, value in facts().items():
        figures.add(name, value)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        best, mean = matrix_rates(place.device, dtype, place.tiny)
        name = str(dtype).removeprefix("torch.")
        figures.add(f"matrix peak, {name}", best / 1e12, "TFLOP/s", sustained=mean / 1e12)
    figures.add("memory, reading", memory_rate(place.device, place.tiny) / 1e9, "GB/s")
    array = torch.empty(1 << (20 if place.tiny else 29), dtype=torch.int16, device=place.device)
    other = torch.empty_like(array)
    seconds, _ = timed(lambda: other.copy_(array), place.device, place.seconds(0.3))
    figures.add("memory, copying", 2 * array.nbytes / seconds / 1e9, "GB/s")
    for pinned in (False, True) if place.device != "cpu" else (False,):
        host = torch.empty(array.shape, dtype=array.dtype, pin_memory=pinned)
        seconds, _ = timed(lambda host=host: array.copy_(host), place.device, place.seconds(0.3))
        name = "pinned" if pinned else "pageable"
        figures.add(f"host to device, {name}", host.nbytes / seconds / 1e9, "GB/s")


def facts() -> dict[str, str]:
    """Names and versions."""
    from embedlab.evaluation.environment import environment

    found = environment()
    packages = ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
    told = {
        "processor": f"{found['cpu']}, {found['threads']} threads",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {found['packages'].get(name, '-')}" for name in packages),
    }
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        told["GPU"] = (
            f"{gpu.name}, {gpu.total_memory / 1e9:.1f} GB, {gpu.multi_processor_count} SMs"
        )
        told["CUDA"] = f"{torch.version.cuda}, capability {gpu.major}.{gpu.minor}"
        told["FlashAttention in torch"] = str(torch.backends.cuda.is_flash_attention_available())
    return told


@cache
def matrix_rates(device: str, dtype: torch.dtype, tiny: bool = False) -> tuple[float, float]:
    """FLOP/s of large products of normal numbers: the best of several shapes, and that shape's mean
    over a second. float32 is float32, not TF32.
    """
    sides = ((256, 256, 256),) if tiny else ((8192, 8192, 8192), (16384, 8192, 4096))
    best = mean = 0.0
    for rows, inner, columns in sides:
        left = torch.randn(rows, inner, device=device, dtype=dtype)
        right = torch.randn(columns, inner, device=device, dtype=dtype)
        out = torch.empty(rows, columns, device=device, dtype=dtype)
        fastest, usual = timed(
            lambda a=left, b=right, o=out: torch.mm(a, b.T, out=o), device, 0.02 if tiny else 0.7
        )
        flop = 2 * rows * inner * columns
        if flop / fastest > best:
            best, mean = flop / fastest, flop / usual
    return best, mean


@cache
def memory_rate(device: str, tiny: bool = False) -> float:
    """Bytes per second of reading a large array: its sum."""
    array = torch.zeros(1 << (18 if tiny else 30), device=device, dtype=torch.float32)
    return array.nbytes / timed(array.sum, device, 0.02 if tiny else 0.3)[0]


def timed(call: Callable[[], object], device: str, seconds: float) -> tuple[float, float]:
    """Seconds of a call, the best and the mean, over so many seconds after one to warm up."""
    call()
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        synchronize(device)
        began = time.perf_counter()
        call()
        synchronize(device)
        taken.append(time.perf_counter() - began)
    return min(taken), sum(taken) / len(taken)


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
