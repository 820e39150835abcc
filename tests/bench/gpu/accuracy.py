"""Vectors on the GPU in three dtypes beside those of the same model on the CPU in float32."""

import numpy as np
import torch

from embedlab.encoding.encoder import Encoder
from tests.bench.gpu import texts
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.models import build
from tests.bench.gpu.unpadded import vectors
from tests.bench.gpu.worker import Place, Skipped


def run(figures: Figures, place: Place) -> None:
    for name, label in (("MiniLM", "MiniLM"), ("0.6B decoder", "a small decoder")):
        tiny = place.tiny or name != "MiniLM"
        rows = texts.mixed(256, 12 if place.tiny else 64)
        cpu = build(name, "cpu", torch.float32, place.scratch, tiny=tiny)
        expected = vectors(Encoder(cpu), rows)
        weights = cpu.encoder.state_dict()
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            there = build(name, place.device, dtype, place.scratch, tiny=tiny)
            there.encoder.load_state_dict(weights)
            found = vectors(Encoder(there), rows)
            if not np.isfinite(found).all():
                raise Skipped(f"{label} in {dtype} gives NaN")
            figures.add(
                f"{label}, {str(dtype).removeprefix('torch.')}, least cosine to float32 on the CPU",
                f"{(expected * found).sum(1).min():.7f}",
                most_difference=float(np.abs(expected - found).max()), texts=len(rows),
            )  # fmt: skip
