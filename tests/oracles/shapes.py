"""Tiny models of every shape: what a user types after --model,
and how sentence-transformers itself loads the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZE = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
RANDOM = {"initializer_range": 0.5}  # wide enough that texts differ


@dataclass(frozen=True)
class Shape:
    """A model on disk.

    Args:
        typed: what follows --model.
        load: gives what `mteb.evaluate` takes.
        options: further options of `embedlab eval`.
    """

    typed: str
    load: Callable[[], Any]
    options: tuple[str, ...] = ()


def make(folder: Path, tokenizer) -> dict[str, Shape]:
    """Every shape by name, saved below `folder`: a new one joins by one line."""
    raw = backbones(folder / "raw", tokenizer)
    return {
        "normalised": dense(folder / "normalised", raw, normalise=True),
        "cosine, not normalised": dense(folder / "plain", raw),
        "dot": dense(folder / "dot", raw, similarity="dot"),
        "euclidean": dense(folder / "euclidean", raw, similarity="euclidean"),
        "manhattan": dense(folder / "manhattan", raw, similarity="manhattan"),
        "prompts": dense(
            folder / "prompts",
            raw,
            prompts={"query": "q : ", "document": "w1 w2 : ", "STS": "w3 : "},
        ),
        "truncated": truncated(folder / "truncated", raw, 8),
        "--dims 8": viewed(folder / "cut", raw, 8),
        "sparse": sparse(folder / "sparse", raw),
        "multi-vector": multi_vector(folder / "multi-vector", raw),
        "cross": cross(folder / "cross", raw),
    }


def backbones(folder: Path, tokenizer) -> dict[str, Path]:
    """Random BERTs: bare, with a language model's head, with a classifier's."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

    torch.set_num_threads(1)  # models this small lose more to threads than they win
    made = {}
    for kind, layers, labels in (
        (BertModel, 2, 2),
        (BertForMaskedLM, 1, 2),
        (BertForSequenceClassification, 2, 1),
    ):
        torch.manual_seed(0)
        made[kind.__name__] = folder / kind.__name__
        config = BertConfig(
            vocab_size=len(tokenizer), num_hidden_layers=layers, num_labels=labels, **SIZE, **RANDOM
        )
        model = kind(config)
        if kind is BertForMaskedLM:  # most terms inactive, as in a trained sparse model
            torch.nn.init.constant_(model.cls.predictions.bias, -4.0)
        model.save_pretrained(made[kind.__name__])
        tokenizer.save_pretrained(made[kind.__name__])
    return made


def dense(folder: Path, raw, *, normalise=False, similarity="cosine", prompts=None) -> Shape:
    """Mean pooling, and a projection that makes random vectors differ; see `projection`."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    modules = [Transformer(str(raw["BertModel"]), max_seq_length=64), Pooling(32, "mean")]
    modules += [projection(modules)]
    modules += [Normalize()] if normalise else []
    model = SentenceTransformer(
        modules=modules, device="cpu", similarity_fn_name=similarity, prompts=prompts
    )
    model.save(str(folder))
    return Shape(str(folder), lambda: SentenceTransformer(str(folder), device="cpu"))


def projection(modules: list):
    """32 -> 24 dimensions around the origin. All texts of a random BERT point the same way, and
    layer norms leave its last dimension a sum of the others: near ties and least squares would then
    depend on the last bit of a vector.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense

    torch.manual_seed(0)
    made = Dense(32, 24, activation_function=torch.nn.Identity())
    some = SentenceTransformer(modules=modules, device="cpu").encode(
        [f"w{n} w{n + 1} w{n + 2}" for n in range(0, 90, 3)]
    )
    with torch.no_grad():
        made.linear.bias.copy_(-made.linear.weight @ torch.as_tensor(some).mean(dim=0))
    return made


def truncated(folder: Path, raw, width: int) -> Shape:
    """Cut by a setting of sentence-transformers' constructor,
    which no folder keeps: a plug-in's file.
    """
    from sentence_transformers import SentenceTransformer

    whole = dense(folder, raw).typed
    file = folder.with_suffix(".py")
    file.write_text(
        "from sentence_transformers import SentenceTransformer\n\n\n"
        "class Truncated:\n"
        "    def __new__(cls, device=None, dtype=None):\n"
        f"        return SentenceTransformer({whole!r}, device=device, truncate_dim={width})\n"
    )
    return Shape(
        f"{file}:Truncated", lambda: SentenceTransformer(whole, device="cpu", truncate_dim=width)
    )


def viewed(folder: Path, raw, width: int) -> Shape:
    """A view of the stored vectors is what sentence-transformers' own cut gives."""
    from sentence_transformers import SentenceTransformer

    whole = dense(folder, raw, normalise=True).typed
    load = lambda: SentenceTransformer(whole, device="cpu", truncate_dim=width)  # noqa: E731
    return Shape(whole, load, ("--dims", str(width)))


def sparse(folder: Path, raw) -> Shape:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    modules = [
        Transformer(str(raw["BertForMaskedLM"]), transformer_task="fill-mask"),
        SpladePooling("max"),
    ]
    SparseEncoder(modules=modules, device="cpu").save(str(folder))
    return Shape(str(folder), lambda: SparseEncoder(str(folder), device="cpu"))


def multi_vector(folder: Path, raw) -> Shape:
    from sentence_transformers import MultiVectorEncoder

    MultiVectorEncoder(str(raw["BertModel"]), device="cpu").save(str(folder))
    return Shape(str(folder), lambda: MultiVectorEncoder(str(folder), device="cpu"))


def cross(folder: Path, raw) -> Shape:
    from sentence_transformers import CrossEncoder

    CrossEncoder(str(raw["BertForSequenceClassification"]), device="cpu").save(str(folder))
    return Shape(str(folder), lambda: CrossEncoder(str(folder), device="cpu"))
