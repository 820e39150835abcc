"""Encoding beside SentenceTransformer.encode:
long and short texts, and the cost curve over sequence lengths.
"""

from importlib.util import find_spec

from measuring import Child, alternate, best, ratio, table
from peak import model_flop
from texts import abstracts, of_length, short

OURS, OURS_FLOAT, COMPILED = "embedlab", "embedlab float32", "embedlab compiled"
BACKENDS = {
    "onnxruntime": ("embedlab onnx float32", "embedlab onnx-int8"),
    "openvino": ("embedlab openvino float32", "embedlab openvino bfloat16"),
}
THEIRS, THEIRS_BF16 = "sentence-transformers float32", "sentence-transformers bfloat16"


def compare(peaks: dict[str, float], *, tiny: bool, compiled: bool) -> tuple[str, list[list[str]]]:
    """Long and short texts through every system. Gives the tables, and the rows of the summary."""
    others = [name for package, names in BACKENDS.items() if find_spec(package) for name in names]
    names = [OURS, OURS_FLOAT, THEIRS, THEIRS_BF16, *others, *([COMPILED] if compiled else [])]
    children = {name: Child(name) for name in names}
    out, summary = [], []
    try:
        for label, texts in (
            ("SciFact abstracts", abstracts(20 if tiny else 240)),
            ("Banking77 questions", short(50 if tiny else 2_000)),
            ("texts of 256 tokens", of_length(256, 16 if tiny else 160)),
        ):
            if not texts:
                out.append(f"\n{label}: the data are not here, skipped.")
                continue
            if compiled:
                first = children[COMPILED](texts=texts)
                out.append(
                    f"\n{label}: the first pass with --compile, compilation included, took"
                    f" {first.seconds:.1f} s."
                )
            taken = alternate(
                {n: lambda c=c, t=texts: c(texts=t) for n, c in children.items()},
                1 if tiny else 3,
            )
            lengths = best(taken[OURS]).facts["lengths"]
            flop, tokens = model_flop(lengths), sum(lengths)
            rows = []
            for name, each in taken.items():
                one = best(each)
                rate, peak = flop / one.seconds, peaks.get(one.facts["dtype"])
                rows.append(
                    [
                        name,
                        one.facts["dtype"],
                        f"{one.seconds:.2f}",
                        f"{tokens / one.seconds:,.0f}",
                        f"{one.facts['padding']:.1%}" if "padding" in one.facts else "",
                        f"{rate / 1e9:,.0f}",
                        f"{rate / peak:.0%}" if peak else "",
                        f"{one.busy:.0%}",
                        f"{one.peak / 1e9:.2f}",
                        ratio(taken[THEIRS], each),
                    ]
                )
            columns = [
                "system",
                "dtype",
                "s",
                "tokens/s",
                "padding",
                "GFLOP/s",
                "of peak",
                "CPU busy",
                "peak GB",
                f"x {THEIRS}",
            ]
            out.append(table(f"Encoding {len(texts):,} {label}, {tokens:,} tokens", columns, rows))
            share = flop / best(taken[OURS]).seconds / peaks[best(taken[OURS]).facts["dtype"]]
            summary += [
                [
                    f"encode {label}",
                    (
                        f"{ratio(taken[THEIRS], taken[OURS])} x {THEIRS}; {share:.0%} of the matrix"
                        " peak"
                    ),
                ],
                [
                    f"encode {label}, float32",
                    f"{ratio(taken[THEIRS], taken[OURS_FLOAT])} x {THEIRS}",
                ],
            ]
            summary += [
                [
                    f"encode {label}, {name}",
                    f"{ratio(taken[name], taken[ours])} x as fast is {ours}",
                ]
                for name in others
                for ours in [OURS_FLOAT if name.endswith("float32") else OURS]
            ]
    finally:
        for child in children.values():
            child.close()
    return "\n".join(out), summary


def curve(*, tiny: bool) -> str:
    """Tokens per second at sequences of 16 to 512 tokens."""
    children = {name: Child(name) for name in (OURS, THEIRS, THEIRS_BF16)}
    rows = []
    try:
        for tokens in (16, 64) if tiny else (16, 32, 64, 128, 256, 512):
            texts = of_length(tokens, max(8, (500 if tiny else 20_000) // tokens))
            taken = alternate(
                {n: lambda c=c, t=texts: c(texts=t, max_length=512) for n, c in children.items()},
                1 if tiny else 2,
            )
            total = tokens * len(texts)
            rows.append(
                [tokens, *(f"{total / best(each).seconds:,.0f}" for each in taken.values()),
                 ratio(taken[THEIRS], taken[OURS]), ratio(taken[THEIRS_BF16], taken[OURS])]
            )  # fmt: skip
    finally:
        for child in children.values():
            child.close()
    columns = [
        "tokens per text",
        *(f"{name}, tokens/s" for name in children),
        "x float32",
        "x bfloat16",
    ]
    return table("Cost curve: sequence length", columns, rows)
