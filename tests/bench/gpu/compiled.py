"""`--compile` beside plain layers."""

import time

import torch

from embedlab.encoding.encoder import Encoder
from embedlab.options import EncodingOptions
from tests.bench.gpu import encode
from tests.bench.gpu.figures import Figures
from tests.bench.gpu.models import SHAPES, build
from tests.bench.gpu.worker import Place


def run(figures: Figures, place: Place) -> None:
    for name in ("MiniLM", "0.6B decoder", "7B decoder"):
        assert name in SHAPES
        loaded = build(name, place.device, torch.bfloat16, place.scratch, tiny=place.tiny)
        plain, made = Encoder(loaded), Encoder(loaded, EncodingOptions(compiled=True))
        encode.warm_up(plain)
        began = time.perf_counter()
        encode.warm_up(made)
        figures.add(f"{name}, compiling", time.perf_counter() - began, "s")
        for length in (512, 64):
            rate = {
                kind: encode.encoding(
                    figures, place, f"{name}, {length} tokens, {kind}", encoder, name, length,
                    seconds=2,
                )
                for kind, encoder in (("plain", plain), ("compiled", made))
            }  # fmt: skip
            figures.add(f"{name}, {length} tokens, compiled / plain",
                        rate["compiled"] / rate["plain"], "x")  # fmt: skip
        del loaded, plain, made
