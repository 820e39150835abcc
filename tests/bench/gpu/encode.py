"""Encoding by embedlab's own Encoder, from texts to stored vectors: tokens/s, and the share of the
matrix peak.
"""

import os
import shutil
import tempfile
import time
from typing import Any

import torch

from embedlab.encoding.encoder import Encoder
from embedlab.models import LoadedModel
from tests.bench.gpu import texts
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.machine import matrix_rates, synchronize
from tests.bench.gpu.models import SHAPES, build, flop
from tests.bench.gpu.worker import Place

MOST_TEXTS = 60_000
KERNELS = 5  # of a profile


def run(figures: Figures, place: Place) -> None:
    for name in SHAPES:
        began = time.perf_counter()
        loaded = build(name, place.device, torch.bfloat16, place.scratch, tiny=place.tiny)
        encoder = Encoder(loaded)
        warm_up(encoder)
        figures.add(f"{name}, ready", time.perf_counter() - began, "s")
        for length in (512, 64):
            encoding(figures, place, f"{name}, {length} tokens", encoder, name, length)
            inside(figures, place, f"{name}, {length} tokens", loaded, name, length)
        encoding(figures, place, f"{name}, 16 to 512 tokens", encoder, name, 512, mixed=True)
        del loaded, encoder
        if place.device != "cpu":
            torch.cuda.empty_cache()


def warm_up(encoder: Encoder) -> None:
    """Let kernels be chosen and memory be taken: one batch of each kind."""
    fresh(encoder, [*texts.cut_at(512, 16), *texts.mixed(512, 48)])


def encoding(
    figures: Figures,
    place: Place,
    label: str,
    encoder: Encoder,
    name: str,
    length: int,
    *,
    mixed: bool = False,
    seconds: float = 2,
) -> float:
    """Add the figure of a pass that takes about so many seconds; the answer is tokens/s."""
    model = encoder.model.encoder
    peak, _ = matrix_rates(place.device, torch.bfloat16, place.tiny)
    model.max_seq_length = length
    mean = (16 + length) // 2 if mixed else length
    most = place.seconds(0.3) * 0.4 * peak / flop(model, name, mean)
    number, taken = int(min(most, 200_000 / mean)) + 8, 0.0
    for _ in range(2):  # the first pass says how many texts the second can take
        if taken:
            number = 8 + int(min(MOST_TEXTS, place.seconds(seconds) * number / taken))
        rows = texts.mixed(length, number) if mixed else texts.cut_at(length, number)
        taken, cost, lengths = fresh(encoder, rows)
    done = sum(flop(model, name, one) * n for one, n in _counted(lengths))
    tokens = int(lengths.sum())
    figures.add(
        label, tokens / taken, "tokens/s", share_of_peak=done / taken / peak,
        TFLOPs=done / taken / 1e12, texts=len(rows), tokens_per_text=tokens / len(rows),
        seconds=taken, share_padding=1 - tokens / max(cost.padded_tokens, 1),
        batch_tokens=cost.batch_tokens, kernels=cost.kernels, workers=cost.workers,
    )  # fmt: skip
    return tokens / taken


def fresh(encoder: Encoder, rows: list[str]) -> tuple[float, Any, Any]:
    """Encode texts of which no vector is stored; (seconds, cost, tokens of each text)."""
    before = os.environ["EMBEDLAB_HOME"]
    os.environ["EMBEDLAB_HOME"] = home = tempfile.mkdtemp()
    try:
        vectors, cost = encoder.encode(rows, role="document")
        return cost.seconds, cost, vectors[None].tokens()
    finally:
        os.environ["EMBEDLAB_HOME"] = before
        shutil.rmtree(home, ignore_errors=True)


def inside(
    figures: Figures, place: Place, label: str, loaded: LoadedModel, name: str, length: int
) -> None:
    """What of it is the tokenizer, what the model alone, and the model's costliest kernels."""
    from torch.profiler import ProfilerActivity, profile

    from embedlab.encoding.forward import vectors_of

    model, gpu = loaded.encoder, place.device != "cpu"
    model.max_seq_length = length
    rows = texts.cut_at(length, max(2, (512 if place.tiny else 32_768) // length))
    began = time.perf_counter()
    features = model.preprocess(rows)
    figures.add(f"{label}, tokenising alone",
                len(rows) * length / (time.perf_counter() - began), "tokens/s")  # fmt: skip

    def forward() -> None:
        vectors_of(model, dict(features), [None])
        synchronize(place.device)

    forward()
    began = time.perf_counter()
    forward()
    taken = time.perf_counter() - began
    peak, _ = matrix_rates(place.device, torch.bfloat16, place.tiny)
    share = len(rows) * flop(model, name, length) / taken / peak
    figures.add(f"{label}, model alone", len(rows) * length / taken, "tokens/s",
                share_of_peak=share)  # fmt: skip
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=kinds) as seen:
        forward()
    field = "self_device_time_total" if gpu else "self_cpu_time_total"
    device = torch.autograd.DeviceType.CUDA if gpu else torch.autograd.DeviceType.CPU
    spent = {
        event.key: float(getattr(event, field))
        for event in seen.key_averages()
        if event.device_type == device
    }
    total = sum(spent.values()) or 1.0
    for key, part in sorted(spent.items(), key=lambda item: -item[1])[:KERNELS]:
        figures.add(f"{label}, kernel {key[:70]}", round(part / 1e3, 2), "ms", share=part / total)


def _counted(lengths: Any) -> list[tuple[int, int]]:
    import numpy as np

    values, counts = np.unique(lengths, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))
