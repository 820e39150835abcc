"""What the machine can do: the fastest rate of matrix products
that torch reaches, and a model's arithmetic.
"""

import time


def matrix_rate(dtype: str, seconds: float = 3.0) -> float:
    """FLOP/s of the fastest of several linear layers, all cores at work."""
    import torch

    kind = getattr(torch, dtype)
    greatest = 0.0
    shapes = ((2048, 384, 1536), (2048, 1536, 384), (2048, 768, 3072), (4096, 1024, 1024))
    with torch.inference_mode():
        for rows, width, out in shapes:
            states, weight = (
                torch.randn(rows, width, dtype=kind),
                torch.randn(out, width, dtype=kind),
            )
            packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
            for layer in (
                lambda states=states, weight=weight: torch.nn.functional.linear(states, weight),
                lambda states=states, packed=packed: torch.ops.mkldnn._linear_pointwise(
                    states, packed, None, "none", [], ""
                ),
            ):
                layer()
                until = time.perf_counter() + seconds / (2 * len(shapes))
                while time.perf_counter() < until:
                    began = time.perf_counter()
                    layer()
                    greatest = max(greatest, 2 * rows * width * out / (time.perf_counter() - began))
    return greatest


def model_flop(lengths, *, layers: int = 6, width: int = 384, inner: int = 1536) -> float:
    """Matrix products of a BERT-like encoder over texts of these token counts,
    padding not counted.
    """
    linear = 2 * layers * (4 * width**2 + 2 * width * inner)
    return float(sum(length * linear + 4 * layers * width * length**2 for length in lengths))
