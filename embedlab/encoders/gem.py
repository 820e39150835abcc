"""GEM (arXiv:2506.04344): special tokens at the end of the text hold its embedding;
the model still generates.
"""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import GenerationMixin, PreTrainedModel, PreTrainedTokenizerBase

from embedlab.encoders.modules import based
from embedlab.encoders.modules.decoder import Decoder, decoder_of
from embedlab.encoders.modules.pooling import MarkedPooling
from embedlab.encoders.modules.template import Template, token_ids
from embedlab.encoders.modules.weights import local, read_backbone, read_tokenizer
from embedlab.errors import UserError


def training_mask(prefix: int, special: int, suffix: int) -> torch.Tensor:
    """Who sees whom in the training sequence prefix | special tokens | suffix (section 3).

    Lower triangular, and: the suffix does not see the prefix, which therefore has to pass through
    the special tokens; special tokens do not see each other.

    Returns:
        bool `[L, L]` with L = prefix + special + suffix; True where the row's token sees the
        column's.
    """
    length, end = prefix + special + suffix, prefix + special
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    mask[end:, :prefix] = False
    mask[prefix:end, prefix:end] = torch.eye(special, dtype=torch.bool)
    return mask


def add_special_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, number: int
) -> list[str]:
    """Give a causal language model `number` special tokens, and keep it from generating them.

    Their embeddings start near the mean of the others, so training moves them from neutral ground;
    the paper does not state its choice.

    Returns:
        the new tokens, `<|gem_0|>` and so on.
    """
    tokens = [f"<|gem_{i}|>" for i in range(number)]
    tokenizer.add_special_tokens(
        {"extra_special_tokens": tokens}, replace_extra_special_tokens=False
    )
    based.of(model).tokens = token_ids(tokenizer, tokens)
    model.resize_token_embeddings(max(len(tokenizer), model.config.vocab_size), mean_resizing=True)
    suppressed = model.generation_config.suppress_tokens or []
    model.generation_config.suppress_tokens = [*suppressed, *token_ids(tokenizer, tokens)]
    return tokens


def create(
    source: str | Path,
    *,
    tokens: int = 1,
    pooling: str = "mean",
    max_length: int = 512,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """An untrained GEM on a causal language model; `save` keeps it for `load`.

    Args:
        source: hub id or folder of the language model.
        tokens: k, the number of special tokens.
        pooling: "mean" over their states, or "concatenate" (k times the width).
        max_length: tokens in all.
        device: torch device.
        dtype: dtype of the weights; None is float32.

    Raises:
        UserError: fewer than one token, an unknown pooling, or weights that do not fit.
    """
    if tokens < 1:
        raise UserError(
            f"GEM needs at least one special token, not {tokens}.", "Type tokens=1 or more."
        )
    folder = local(source)
    model = read_backbone(folder, "causal", dtype=dtype, language_model=True)
    tokenizer = read_tokenizer(folder)
    template = Template(
        start=[tokenizer.bos_token] if tokenizer.bos_token else [],
        end=add_special_tokens(model, tokenizer, tokens),
        pooled="end",
        max_length=max_length,
    )
    decoder = Decoder(model, tokenizer, template)
    modules: list[nn.Module] = [
        decoder,
        MarkedPooling(decoder.get_embedding_dimension(), pooling, tokens),
    ]
    return SentenceTransformer(modules=modules, device=device, similarity_fn_name="cosine")


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
) -> SentenceTransformer:
    """Load a trained GEM that `SentenceTransformer.save` wrote: a standard causal language model
    and two JSON files.
    """
    folder = local(source, revision)
    if not (folder / Decoder.config_file_name).exists():
        raise UserError(
            f"The folder {folder} holds no trained GEM.",
            "Train one from this language model first.",
        )
    return SentenceTransformer(
        str(folder), device=device, model_kwargs={"dtype": dtype or torch.float32}
    )


@torch.no_grad()
def generate(model: SentenceTransformer, text: str, **settings: Any) -> str:
    """The continuation of `text` by the very weights that embed;
    `settings` go to transformers' `generate`.
    """
    decoder = decoder_of(model)
    if not isinstance(decoder.model, GenerationMixin):
        raise UserError(
            f"A {type(decoder.model).__name__} has no head that generates.",
            "Load a model that keeps its language-model head, such as a GEM.",
        )
    inputs = decoder.tokenizer(text, return_tensors="pt").to(model.device)
    # transformers annotates `self` with a Protocol that no model of its own fits.
    ids = decoder.model.generate(**inputs, **settings)  # type: ignore[misc]
    new = ids[0, inputs["input_ids"].shape[1] :]
    return str(decoder.tokenizer.decode(new, skip_special_tokens=True))
