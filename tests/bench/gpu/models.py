"""Models of known shapes with random weights, made on the device where they run."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from embedlab.models import LoadedModel
from embedlab.models.cards import Card
from tests.bench.gpu.texts import tokenizer


class Shape(NamedTuple):
    """An architecture of transformers and the fields of its configuration."""

    architecture: str
    config: dict[str, Any]
    pooling: str = "lasttoken"

    @property
    def causal(self) -> bool:
        return self.architecture != "bert"


SHAPES = {
    "7B decoder": Shape("mistral", {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
        "sliding_window": None,
    }),
    "0.6B decoder": Shape("qwen3", {
        "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
    }),
    "MiniLM": Shape("bert", {
        "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6,
        "num_attention_heads": 12, "vocab_size": 30522, "max_position_embeddings": 512,
    }, "mean"),
}  # fmt: skip
TINY = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 8192,
}  # fmt: skip


def build(
    name: str, device: str, dtype: torch.dtype, scratch: Path, *, tiny: bool, seed: int = 0
) -> LoadedModel:
    """A model of this shape as embedlab has it loaded; its texts are cut at 512 tokens."""
    import transformers as tf
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    shape = SHAPES[name]
    config = _config(shape, tiny)
    small = scratch / f"{shape.architecture}-small"  # what carries tokenizer and class from disk
    if not small.is_dir():
        words = tokenizer()
        words.model_max_length = 512
        words.save_pretrained(small)
        _model(_config(shape, tiny=True)).save_pretrained(small)
    torch.manual_seed(seed)
    transformer = Transformer(str(small), max_seq_length=512, model_kwargs={"dtype": dtype})
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            attention = transformer.model.config._attn_implementation
            transformer.model = _model(config).eval()
            transformer.model.set_attn_implementation(attention)
    finally:
        torch.set_default_dtype(torch.float32)
    width = config.hidden_size
    model = SentenceTransformer(
        modules=[transformer, Pooling(width, shape.pooling), Normalize()], device=device
    ).eval()
    assert isinstance(transformer.model, tf.PreTrainedModel)
    kind = str(dtype).removeprefix("torch.")
    return LoadedModel(Card(name, "test", dim=width), lambda: model, "1", device, kind)


def _config(shape: Shape, tiny: bool) -> Any:
    from transformers import AutoConfig

    small = {key: TINY[key] for key in shape.config if key in TINY} if tiny else {}
    return AutoConfig.for_model(shape.architecture, **(shape.config | small))


def _model(config: Any) -> Any:
    from transformers import AutoModel

    more = {"add_pooling_layer": False} if config.model_type == "bert" else {}
    return AutoModel.from_config(config, **more)


def flop(model: nn.Module, name: str, length: float) -> float:
    """Floating-point operations of a text of so many tokens: products of the linear layers, and
    attention, of which a causal model needs half.
    """
    config: Any = next(m for m in model.modules() if hasattr(m, "config")).config
    linear = 2 * sum(m.weight.numel() for m in model.modules() if type(m) is nn.Linear)
    heads = config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    attention = 4 * config.num_hidden_layers * width * length**2
    return length * linear + attention / (2 if SHAPES[name].causal else 1)
