"""Where the time of encoding goes: the share of each kind of operation, one core at work."""

import time

from measuring import table
from texts import of_length

# The first kind that has a part of an operation's name takes it.
KINDS = {
    "linear layers, bias and GELU inside": ("linear", "addmm", "mm"),
    "attention": ("attention", "softmax"),
    "layer norms": ("norm",),
    "additions of residuals and embeddings": ("add",),
    "the rest": ("",),
}
BESIDE = ("tokenising, beside it", "tokens/s of one core")
TOKENS = 2_048  # of a batch, as the encoder fills it


def shares(*, tiny: bool) -> str:
    """Long and short texts in both dtypes: shares of the time within torch's operations, and
    tokens/s of one core.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        columns = {
            f"{dtype}, {length} tokens": _of(dtype, length, 2 if tiny else 12)
            for dtype in ("bfloat16", "float32")
            for length in (256, 16)
        }
    finally:
        torch.set_num_threads(threads)
    rows = [[kind, *(column[kind] for column in columns.values())] for kind in [*KINDS, *BESIDE]]
    return table(
        "Where the time goes (one core, embedlab's packed layers)", ["operations", *columns], rows
    )


def _of(dtype: str, length: int, batches: int) -> dict[str, str]:
    from torch.profiler import ProfilerActivity, profile

    from embedlab import models
    from embedlab.encoding import kernels
    from embedlab.encoding.forward import vectors_of

    encoder = kernels.replica(
        models.load("all-minilm-l6-v2", device="cpu", dtype=dtype).encoder, "cpu"
    )
    kernels.pack(encoder)
    each = TOKENS // length
    texts = of_length(length, each * batches)
    encoder.preprocess(texts[:each])
    began = time.perf_counter()
    features = [
        encoder.preprocess(texts[start : start + each]) for start in range(0, len(texts), each)
    ]
    tokenising = time.perf_counter() - began
    vectors_of(encoder, features[0], [None])
    began = time.perf_counter()
    for batch in features:
        vectors_of(encoder, batch, [None])
    seconds = time.perf_counter() - began
    with profile(activities=[ProfilerActivity.CPU]) as taken:
        for batch in features:
            vectors_of(encoder, batch, [None])
    spent = dict.fromkeys(KINDS, 0.0)
    for operation in taken.key_averages():
        kind = next(
            kind for kind, parts in KINDS.items() if any(part in operation.key for part in parts)
        )
        spent[kind] += operation.self_cpu_time_total
    total = sum(spent.values())
    beside = (f"{tokenising / seconds:.1%}", f"{len(texts) * length / seconds:,.0f}")
    return {kind: f"{part / total:.0%}" for kind, part in spent.items()} | dict(
        zip(BESIDE, beside, strict=True)
    )
