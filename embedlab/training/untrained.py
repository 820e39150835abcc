"""Each method on a base, before training: what a recipe starts from,
and what a trained model is compared with.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Normalize
from torch import nn

from embedlab.bases import origins
from embedlab.bases.folders import require_language_model
from embedlab.encoders.modules.decoder import Decoder
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.template import Template
from embedlab.errors import UserError, explained, unknown

Model = SentenceTransformer | SparseEncoder | MultiVectorEncoder


def build(method: str, base: str | Path, settings: dict[str, Any]) -> Model:
    """An untrained model.

    Args:
        method: a key of METHODS.
        base: a shipped checkpoint's name, one of a package (`smollm2-135m@layers=12`,
            `all-minilm-l6-v2`), a folder, or a hub id.
        settings: of the method.

    Raises:
        UserError: a setting is unknown, or the base does not fit.
    """
    folder = resolve(base)
    if method not in ENCODERS and not (folder / "adapter_config.json").is_file():
        require_language_model(folder, str(base))
    try:
        return METHODS[method](folder, **settings)
    except TypeError as error:
        raise UserError(
            f"The settings do not fit the method {method}: {error}.", "Correct [settings]."
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if explained(error):  # of the machine
            raise
        problem = str(error).partition("\n")[0].rstrip(".: ")
        raise UserError(
            f"The method {method} cannot be built on {base}: {problem}.",
            "Give another base, or correct [settings].",
        ) from error


def resolve(base: str | Path) -> Path:
    """The folder of a base.

    Raises:
        UserError: it is nowhere, and the hub does not have it.
    """
    return origins.find(str(base))


def decoder(
    base: Path,
    *,
    attention: str = "causal",
    pooled: str = "all",
    max_length: int = 512,
    language_model: bool = False,
) -> SentenceTransformer:
    """A decoder with `<s> text </s>`,
    and the mean over "all" tokens or over the "end" token alone.
    """
    model = _read(
        base,
        Template(pooled=pooled, max_length=max_length),
        attention,
        language_model=language_model,
    )
    return _dense([model, MarkedPooling(model.get_embedding_dimension())])


def causal2vec(base: Path, *, context_encoder: str, **settings: Any) -> SentenceTransformer:
    from embedlab.encoders import causal2vec as method

    return method.create(base, resolve(context_encoder), **settings)


def gem(base: Path, **settings: Any) -> SentenceTransformer:
    from embedlab.encoders import gem as method

    return method.create(base, **settings)


def nv_embed(
    base: Path,
    *,
    latents: int = 512,
    heads: int = 8,
    head_size: int = 4096,
    max_length: int = 512,
    attention: str = "bidirectional",
) -> SentenceTransformer:
    """Latent-attention pooling, L2, and as published bidirectional attention (arXiv:2405.17428)."""
    from embedlab.encoders.nv_embed import TEMPLATE, LatentAttentionPooling

    model = _read(base, replace(TEMPLATE, max_length=max_length), attention)
    pooling = LatentAttentionPooling(model.get_embedding_dimension(), latents, heads, head_size)
    return _dense([model, pooling, Normalize()])


def llm2vec(base: Path, *, max_length: int = 512, **settings: Any) -> SentenceTransformer:
    from embedlab.encoders import llm2vec as method

    return method.load(
        base, max_length=max_length, text_max_length=None, language_model=True, **settings
    )


def multi_layer(
    base: Path,
    *,
    attention: str = "bidirectional",
    reads: str = "",
    latents: int = 768,
    heads: int = 32,
    head_size: int = 2048,
    max_length: int = 1024,
) -> SentenceTransformer:
    """Multi-layer trainable pooling (arXiv:2409.02727).

    Without `reads` as published: the last token of each layer under causal attention (variant 3),
    the mean of each layer under bidirectional (variant 5).
    """
    from embedlab.encoders.pooling_and_attn import TrainablePooling

    model = _read(
        base, Template(max_length=max_length), attention, padding_side="left", all_layers=True
    )
    size, layers = model.get_embedding_dimension(), model.model.config.num_hidden_layers
    reads = reads or ("last_of_layers" if attention == "causal" else "layers")
    if reads not in ("layers", "last_of_layers"):
        raise unknown("reads", reads, ("layers", "last_of_layers"))
    return _dense(
        [model, TrainablePooling(size, layers, reads, latents, heads, head_size), Normalize()]
    )


def genc(base: Path, *, max_length: int = 512, **settings: Any) -> SentenceTransformer:
    """ULLME's GenC: bidirectional, mean over the content;
    the language-model head stays for GRL's other losses.
    """
    template = Template(pooled="content", max_length=max_length)
    model = _read(base, template, "bidirectional", language_model=True)
    return _dense([model, MarkedPooling(model.get_embedding_dimension())])


def echo(base: Path, **settings: Any) -> SentenceTransformer:
    from embedlab.encoders import echo as method

    return method.load(base, **settings)


def echo_splade(base: Path, **settings: Any) -> SparseEncoder:
    from embedlab.encoders import echo_splade as method

    return method.load(base, **settings)


def encoder(base: Path, **settings: Any) -> SentenceTransformer:
    """A BERT-like encoder with a pooling: MRL, 2DMSE, RetroMAE, Mirror-BERT."""
    from embedlab.encoders import plain

    return plain.load(base, **settings)


def starbucks(base: Path, *, max_length: int | None = None, **settings: Any) -> SentenceTransformer:
    from embedlab.encoders import starbucks as method

    model = method.load(base, **settings)
    if max_length:
        model.max_seq_length = max_length
    return model


def colbert(base: Path, *, dim: int = 128, max_length: int | None = None) -> MultiVectorEncoder:
    """A BERT-like encoder, and a projection of each of its tokens to `dim` dimensions, normalised
    (ColBERT, arXiv:2004.12832, section 3.2).

    Without ColBERT's query augmentation by mask tokens and without its markers of queries and
    documents: both sides are encoded alike.
    """
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    # transformers takes the checkpoint's dtype unless told; a training in float16 overflows.
    transformer = Transformer(str(base), model_kwargs={"dtype": torch.float32})
    projection = Dense(
        transformer.get_embedding_dimension(),
        dim,
        bias=False,
        activation_function=nn.Identity(),
        module_input_name="token_embeddings",
    )
    normalise = Normalize(module_input_name="token_embeddings")
    model = MultiVectorEncoder(modules=[transformer, projection, MultiVectorMask(), normalise])
    if max_length:
        model.max_seq_length = max_length
    return model


METHODS: dict[str, Callable[..., Model]] = {
    "decoder": decoder,
    "causal2vec": causal2vec,
    "gem": gem,
    "nv-embed": nv_embed,
    "llm2vec": llm2vec,
    "multi-layer": multi_layer,
    "genc": genc,
    "echo": echo,
    "echo-splade": echo_splade,
    "encoder": encoder,
    "starbucks": starbucks,
    "colbert": colbert,
}

ENCODERS = ("encoder", "starbucks", "colbert")  # the others need a causal language model


def _read(base: Path, template: Template, attention: str, **settings: Any) -> Decoder:
    from embedlab.encoders.modules.weights import read_tokenizer

    tokenizer = read_tokenizer(base)
    template.start = [tokenizer.bos_token] if tokenizer.bos_token else []
    template.end = [tokenizer.eos_token]
    return Decoder.read(base, template, attention=attention, **settings)


def _dense(modules: list[nn.Module]) -> SentenceTransformer:
    return SentenceTransformer(modules=modules, similarity_fn_name="cosine")
