"""On which devices and in which dtype a model runs, with the reason.
Imports torch only where the answer needs it.
"""

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from embedlab.errors import UserError, unknown

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")
# Drivers of NVIDIA, AMD, and either under WSL.
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
MOST_CPU_WORKERS = 8  # beyond, the interpreter lock costs more than the cores give


def choose_device(device: str | None) -> str:
    """The torch device asked for, checked; a GPU where there is one and none is asked for.

    Raises:
        UserError: the device cannot be used here.
    """
    if device == "cpu" or (device is None and _surely_no_gpu()):
        return "cpu"
    import torch

    if device is None:
        return (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    try:
        torch.ones(1, device=device).cpu()  # "meta" makes a tensor, but holds nothing
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"The device {device!r} cannot be used here: {str(error).splitlines()[0][:200]}",
            "Type `embedlab doctor` to see what this machine has; --device cpu always works.",
        ) from error
    return device


def devices(device: str, workers: int | None = None, *, compiled: bool = False) -> list[str]:
    """The device of each copy of the model that encodes.

    Args:
        device: a torch device; "cuda" without a number stands for every GPU.
        workers: how many; None takes all GPUs, or a copy per CPU thread up to `MOST_CPU_WORKERS`.
        compiled: compiled layers belong to one copy of the model, so there is one per device.

    Raises:
        UserError: more workers than the device takes.
    """
    if device == "cpu" and not compiled:
        if workers:
            return ["cpu"] * workers
        import torch

        return ["cpu"] * min(torch.get_num_threads(), MOST_CPU_WORKERS)
    every = [device]
    if device == "cuda":
        import torch

        every = [f"cuda:{number}" for number in range(max(1, torch.cuda.device_count()))]
    if (workers or 0) > len(every):
        raise UserError(
            f"--workers {workers} is more than there are devices: {', '.join(every)}.",
            f"One copy of the model{' that is compiled' if compiled else ''} works on each: "
            f"type --workers {len(every)}{' or leave --compile out' if device == 'cpu' else ''}.",
        )
    return every[:workers]


def choose_dtype(dtype: str, device: str) -> tuple[str, str]:
    """(name, reason) of a dtype;
    "auto" takes what a GPU multiplies natively, and float32 elsewhere.

    On CPUs "auto" is float32 also where bfloat16 is native: rounding to bfloat16 makes the last
    bits of a vector depend on the texts beside it in a batch, which a clustering turns into another
    score.

    Raises:
        UserError: an unknown dtype.
    """
    if dtype in DTYPES:
        return dtype, "asked for"
    if dtype != "auto":
        raise unknown("dtype", dtype, [*DTYPES, "auto"], f"Valid: auto, {', '.join(DTYPES)}.")
    if device.startswith("cuda"):
        import torch

        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "the GPU multiplies bfloat16 natively"
        return "float16", "the GPU has no native bfloat16"
    return "float32", f"on {device} what is encoded together changes vectors by rounding alone"


def as_torch(dtype: str) -> "torch.dtype":
    """The torch dtype of a name out of `DTYPES`."""
    import torch

    value: torch.dtype = getattr(torch, dtype)
    return value


def _surely_no_gpu() -> bool:
    return sys.platform == "linux" and not any(Path(file).exists() for file in _GPU_FILES)


@cache
def processor_flags() -> set[str]:
    """What the processor can do, by Linux's names; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next(
        (set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set()
    )
