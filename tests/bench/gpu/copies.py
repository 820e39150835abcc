"""Several copies of a model on one GPU, which `--workers` refuses: do they pay?

As threads, which share the weights, each with its own CUDA stream and without; and as processes of
their own that begin together.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch

from embedlab.encoding.encoder import Encoder
from embedlab.encoding.replicas import Workers
from tests.bench.gpu import encode
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.models import build
from tests.bench.gpu.worker import Place, quiet

MEASURED = {"MiniLM": (512, 64), "0.6B decoder": (64,)}
ROOT = Path(__file__).parents[3]


def run(figures: Figures, place: Place) -> None:
    children = [_child(place, number) for number in range(2)]  # they start up meanwhile
    try:
        for name, lengths in MEASURED.items():
            loaded = build(name, place.device, torch.bfloat16, place.scratch, tiny=place.tiny)
            for label, copies, streams in (
                ("1 copy", 1, False), ("2 threads", 2, False), ("2 threads and streams", 2, True),
            ):  # fmt: skip
                encoder = Encoder(loaded)
                workers = (_Streams if streams else Workers)(
                    loaded.encoder, [place.device] * copies
                )
                encoder._running._workers = None, workers
                encode.warm_up(encoder)
                for length in lengths:
                    encode.encoding(figures, place, f"{name}, {length} tokens, {label}",
                                    encoder, name, length, seconds=1)  # fmt: skip
            del loaded, encoder, workers
        rates: dict[str, float] = {}
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            out, _ = child.communicate()
            if child.returncode:
                raise RuntimeError(f"a process of its own ended with {child.returncode}: {out}")
            for line in out.splitlines():
                if line.startswith("RATE "):
                    _, rate, label = line.split(" ", 2)
                    rates[label] = rates.get(label, 0.0) + float(rate)
        for label, rate in rates.items():
            figures.add(f"{label}, 2 processes", rate, "tokens/s, both")
    finally:
        for child in children:
            child.kill()


class _Streams(Workers):
    """Copies that each compute in a CUDA stream of their own."""

    def _run(self, work: Any, arguments: tuple[Any, ...]) -> Any:
        if not torch.cuda.is_available():
            return super()._run(work, arguments)
        if not hasattr(_of_thread, "stream"):
            _of_thread.stream = torch.cuda.Stream()
        with torch.cuda.stream(_of_thread.stream):
            return super()._run(work, arguments)


_of_thread = threading.local()


def _child(place: Place, number: int) -> Any:
    scratch = place.scratch / f"copy{number}"
    scratch.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "tests.bench.gpu.copies",
        place.device,
        str(place.tiny),
        scratch,
    ]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _alone(device: str, tiny: bool, scratch: Path) -> None:
    """One of two processes: both measure the same at the same time."""
    quiet()
    place = Place(device, tiny, scratch, scratch)
    figures = _Quiet(scratch, "copies")
    ready = []
    for name in MEASURED:
        loaded = build(name, device, torch.bfloat16, scratch, tiny=tiny)
        encoder = Encoder(loaded)
        encode.warm_up(encoder)
        ready.append((name, encoder))
    sys.stdin.readline()
    began = time.monotonic()
    plan = [(name, encoder, length) for name, encoder in ready for length in MEASURED[name]]
    for number, (name, encoder, length) in enumerate(plan):
        # Both begin every figure at the same time, and take as long.
        time.sleep(max(0.0, began + number * place.seconds(3) - time.monotonic()))
        rate = encode.encoding(figures, place, "", encoder, name, length, seconds=1)
        print(f"RATE {rate} {name}, {length} tokens", flush=True)


class _Quiet(Figures):
    def add(self, name: str, value: Any, unit: str = "", **more: Any) -> None:
        """Nothing: the sum is the figure."""


if __name__ == "__main__":
    _alone(sys.argv[1], sys.argv[2] == "True", Path(sys.argv[3]))
