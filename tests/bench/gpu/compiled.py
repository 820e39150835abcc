"""`--compile` beside plain layers, for the model that the section's name ends with."""

import time

import torch

from embedlab.encoding.encoder import Encoder
from embedlab.options import EncodingOptions
from tests.bench.gpu import encode
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.models import SHAPES, build
from tests.bench.gpu.worker import Place


def run(figures: Figures, place: Place) -> None:
    (name,) = (name for name in SHAPES if name.startswith(figures.section.partition("-")[2]))
    loaded = build(name, place.device, torch.bfloat16, place.scratch, tiny=place.tiny)
    encoders = {
        "plain": Encoder(loaded),
        "compiled": Encoder(loaded, EncodingOptions(compiled=True)),
    }
    encode.warm_up(encoders["plain"])
    began = time.perf_counter()
    encode.warm_up(encoders["compiled"])
    figures.add(f"{name}, compiling", time.perf_counter() - began, "s")
    for length in (512, 64):
        rates = [
            encode.encoding(figures, place, f"{name}, {length} tokens, {kind}", encoder, name,
                            length, seconds=1)
            for kind, encoder in encoders.items()
        ]  # fmt: skip
        figures.add(f"{name}, {length} tokens, compiled / plain", rates[1] / rates[0], "x")
