"""Tiny random models of every shape that sentence-transformers loads:
what the words of `build` name.
"""

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sentence_transformer.modules import (
    CNN,
    LSTM,
    BoW,
    Dense,
    Normalize,
    Pooling,
    StaticEmbedding,
    WordEmbeddings,
    WordWeights,
)
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer
from sentence_transformers.sparse_encoder.modules import (
    MLMTransformer,
    SparseStaticEmbedding,
    SpladePooling,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, PreTrainedTokenizerFast

WORDS = [f"w{n}" for n in range(100)]
SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
BACKBONES = {
    "bert": {**SIZE, "max_position_embeddings": 32},
    "roberta": {**SIZE, "max_position_embeddings": 34, "pad_token_id": 1, "layer_norm_eps": 1e-5},
    "gpt2": {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 32,
        "bos_token_id": 0,
        "eos_token_id": 0,
    },
    "opt": {
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "ffn_dim": 64,
        "max_position_embeddings": 32,
    },
}


def tokenizer(
    *, marks: bool = True, side: str = "right", padding: bool = True, length: int | None = None
):
    """Words w0 to w99; `marks` puts [CLS] and [SEP] around a text."""
    special = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: n for n, word in enumerate([*special, *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if marks:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    named = {"unk_token": "[UNK]", "mask_token": "[MASK]", "eos_token": "[SEP]"}
    named |= {"pad_token": "[PAD]"} if padding else {}
    named |= {"model_max_length": length} if length else {}
    return PreTrainedTokenizerFast(tokenizer_object=made, padding_side=side, **named)


def backbone(folder: Path, kind: str, made, *, masked: bool = False) -> Path:
    """A random transformer and its tokenizer as transformers saves them."""
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        kind, vocab_size=len(WORDS) + 5, initializer_range=0.5, **BACKBONES[kind]
    )
    (AutoModelForMaskedLM if masked else AutoModel).from_config(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def transformer(folder: Path, kind: str = "bert", **settings) -> Transformer:
    length = settings.pop("max_seq_length", None)
    return Transformer(
        str(backbone(folder / "raw", kind, tokenizer(**settings))), max_seq_length=length
    )


def words() -> WordEmbeddings:
    vectors = np.random.default_rng(0).standard_normal((len(WORDS), 16)).astype(np.float32)
    return WordEmbeddings(WhitespaceTokenizer(WORDS, stop_words=set()), vectors, max_seq_length=20)


def static(dim: int = 32) -> StaticEmbedding:
    torch.manual_seed(2)
    return StaticEmbedding(tokenizer(), embedding_weights=torch.randn(len(WORDS) + 5, dim))


def dense(modules: list, **settings) -> SentenceTransformer:
    return SentenceTransformer(modules=modules, device="cpu", **settings)


def splade(folder: Path, **settings) -> SparseEncoder:
    raw = backbone(folder / "raw", "bert", tokenizer(), masked=True)
    return SparseEncoder(
        modules=[MLMTransformer(str(raw)), SpladePooling("max")], device="cpu", **settings
    )


def asymmetric(folder: Path) -> SentenceTransformer:
    return dense(
        [Router.for_query_document([static()], [transformer(folder), Pooling(32, "mean")])]
    )


def inference_free(folder: Path) -> SparseEncoder:
    made = tokenizer()
    raw = backbone(folder / "raw", "bert", made, masked=True)
    query = SparseStaticEmbedding(tokenizer=made, weight=torch.rand(len(WORDS) + 5))
    router = Router.for_query_document([query], [MLMTransformer(str(raw)), SpladePooling("max")])
    return SparseEncoder(modules=[router], device="cpu")


SHAPES = {
    "normalised": lambda folder: dense([transformer(folder), Pooling(32, "mean"), Normalize()]),
    "cosine": lambda folder: dense([transformer(folder), Pooling(32, "cls")]),
    "dense layer": lambda folder: dense([transformer(folder), Pooling(32, "mean"), Dense(32, 16)]),
    "truncated": lambda folder: dense(
        [transformer(folder), Pooling(32, "mean"), Normalize()], truncate_dim=8
    ),
    **{
        f"no marks, padded {side}, {pooling}": lambda folder, side=side, pooling=pooling: dense(
            [transformer(folder, "gpt2", marks=False, side=side), Pooling(32, pooling)]
        )
        for side in ("left", "right")
        for pooling in ("mean", "lasttoken", "weightedmean")
    },
    "bert padded left": lambda folder: dense(
        [transformer(folder, side="left"), Pooling(32, "mean")]
    ),
    "opt padded left": lambda folder: dense(
        [transformer(folder, "opt", side="left"), Pooling(32, "lasttoken")]
    ),
    "no padding token": lambda folder: dense(
        [transformer(folder, "gpt2", padding=False), Pooling(32, "mean")]
    ),
    "without its prompt": lambda folder: dense(
        [transformer(folder), Pooling(32, "mean", include_prompt=False)]
    ),
    "roberta without a limit": lambda folder: dense(
        [transformer(folder, "roberta"), Pooling(32, "mean")]
    ),
    "opt without a limit": lambda folder: dense([transformer(folder, "opt"), Pooling(32, "mean")]),
    "a limit beyond the positions": lambda folder: dense(
        [transformer(folder, length=512, max_seq_length=512), Pooling(32, "mean")]
    ),
    "static": lambda folder: dense([static()]),
    "static for queries": asymmetric,
    "bag of words": lambda folder: dense([BoW(WORDS, word_weights={"w1": 2.0})]),
    "word embeddings": lambda folder: dense(
        [words(), WordWeights(WORDS, {"w1": 3.0}), Pooling(16, "mean")]
    ),
    "cnn": lambda folder: dense([words(), CNN(16, 16), Pooling(48, "mean")]),
    "lstm": lambda folder: dense([words(), LSTM(16, 16), Pooling(32, "mean")]),
    "splade": splade,
    "splade of few terms": lambda folder: splade(folder, max_active_dims=5),
    "inference-free splade": inference_free,
}


def build(name: str, folder: Path) -> Path:
    """A shape as a folder."""
    (folder / "model").mkdir()
    SHAPES[name](folder).save(str(folder / "model"))
    return folder / "model"
