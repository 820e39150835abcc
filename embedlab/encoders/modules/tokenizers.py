"""What stands between a text and a model's first layer, put right before anything is encoded.

A tokenizer that is not what its tokenizer.json says, padding that moves a text's positions, a limit
beyond the positions there are: none of them raises, or only deep in the model.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Router, Transformer
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from embedlab.compat.sentence_transformers_internals import first_of_route
from embedlab.compat.transformers_internals import backend_of, replace_backend
from embedlab.errors import UserError

# Blanks and line breaks where rebuilt tokenizers were seen to differ,
# and scripts that normalisers touch.
_PROBES = (
    " x y",
    "  a",
    "a  b ",
    "\n a\n\nb",
    "\ta",
    "Don't 1,234 a_b",
    "Ünï ﬁ 日本語 😀",
    "x</s> y",
    "[SEP] z",
)
# Features with one entry per token.
PER_TOKEN = {"input_ids", "attention_mask", "token_type_ids", "pooling_mask"}
# Transformer tasks whose head reads the last position, so padding left.
_READ_LAST = ("text-generation", "any-to-any")


def settle(model: BaseModel) -> None:
    """Put right the inputs of every transformer in a sentence-transformers model,
    so that no vector depends on others.

    * The tokenizer splits as its tokenizer.json does (`as_published`).
    * One without a padding token gets one: padding is masked, so which does not matter.
    * Padding goes to the right: on the left it moves a text's absolute positions by the length of
      its neighbours.
    * No text is longer than the table of positions; a token id beyond that of the embeddings is
      refused.
    * A batch of texts without any token goes through the model as one of masked padding.
    """
    for module in model.modules():
        _watch_ids(module)
        if isinstance(module, Transformer) and module.tokenizer is not None:
            tokenizer = module.tokenizer
            as_published(tokenizer, Path(tokenizer.name_or_path))
            _give_padding_token(tokenizer, module.model)
            if module.transformer_task not in _READ_LAST and _all_known(model):
                tokenizer.padding_side = "right"
                for settings in (module.processing_kwargs or {}).values():
                    settings.pop("padding_side", None)
            if (limit := positions(module.model)) is not None:
                _shorten(module, limit)
            module.register_forward_pre_hook(_padded)


# By name: a model with a nameless function cannot be pickled.
def _padded(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return with_a_column(inputs[0]), *inputs[1:]


def with_a_column(features: dict[str, Any]) -> dict[str, Any]:
    """The features; texts that all have no token get one column,
    masked, where a tokenizer gave none.
    """
    if "attention_mask" not in features or features["input_ids"].shape[1]:
        return features
    return {
        name: value.new_zeros(len(value), 1) if name in PER_TOKEN else value
        for name, value in features.items()
    }


def _watch_ids(module: nn.Module) -> None:
    """Look at every batch's ids where the tokenizer has some that the embeddings lack:
    a GPU would not survive them.
    """
    tokenizer, backbone = getattr(module, "tokenizer", None), getattr(module, "model", None)
    if isinstance(tokenizer, PreTrainedTokenizerBase) and isinstance(backbone, PreTrainedModel):
        try:
            known = len(input_embeddings(backbone))
        except (NotImplementedError, AttributeError):  # it has none
            return
        if max(tokenizer.get_vocab().values(), default=0) >= known:
            module.register_forward_pre_hook(
                partial(_refuse_beyond, known, str(tokenizer.name_or_path))
            )


def _refuse_beyond(known: int, name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Raises a UserError where a batch has a token id that the embeddings,
    `known` of them, do not have.
    """
    ids = inputs[0].get("input_ids")
    if ids is not None and ids.numel() and int(ids.max()) >= known:
        raise UserError(
            f"The tokenizer of {name} gives token {int(ids.max())}, and the model has embeddings"
            f" for {known}.",
            "The tokenizer is not this model's: get the model again.",
        )


def as_published(tokenizer: PreTrainedTokenizerBase, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer itself, splitting as the tokenizer.json that it came with does.

    transformers 5 builds most tokenizers anew from vocabulary and class, and not all come out the
    same: a LlamaTokenizer loses a text's leading blank. Start and end tokens are those of
    tokenizer.json too, save where somebody switched them on (`add_bos_token`, `add_eos_token`).

    Raises:
        UserError: the folder holds no vocabulary; transformers 5 makes a tokenizer of special
            tokens alone then.
    """
    backend = backend_of(tokenizer)
    if backend is not None and _knows_nothing(tokenizer, backend, folder):
        raise UserError(
            f"The folder {folder} holds no vocabulary: every word would be unknown.",
            "Put the files of the model's tokenizer (tokenizer.json) beside its weights, or get the"
            " model again.",
        )
    published = _published(backend, folder) if backend is not None else None
    if backend is None or published is None:
        return tokenizer
    if not _agree(backend, published):
        backend.normalizer, backend.pre_tokenizer = published.normalizer, published.pre_tokenizer
    if not _agree(backend, published):
        published.post_processor = backend.post_processor
        published.encode_special_tokens = backend.encode_special_tokens
        replace_backend(tokenizer, published)
        backend = published
    switched = getattr(tokenizer, "add_bos_token", False) or getattr(
        tokenizer, "add_eos_token", False
    )
    if not switched and not _agree(backend, published, special=True):
        backend.post_processor = published.post_processor
    return tokenizer


def input_embeddings(model: PreTrainedModel) -> torch.Tensor:
    """The embeddings of a model's tokens, `[V, d]`."""
    return model.get_input_embeddings().get_parameter("weight")


def positions(model: PreTrainedModel) -> int | None:
    """The most tokens that the model's tables of absolute positions take;
    None where it has none.
    """
    limits = [
        # RoBERTa and its kin count from behind the padding token's place,
        # OPT and BART from an offset.
        table.num_embeddings
        - getattr(table, "offset", 0 if table.padding_idx is None else table.padding_idx + 1)
        for name, table in model.named_modules()
        if isinstance(table, nn.Embedding)
        and ("position" in name.rpartition(".")[2] or name.rpartition(".")[2] == "wpe")
        and not any(other in name for other in ("relative", "vision", "visual", "image", "audio"))
    ]
    return min(limits, default=None)


def tokens_of(model: BaseModel, ids: list[int], role: str) -> list[str]:
    """What token ids stand for in a model;
    `role` chooses among the tokenizers of one with several towers.
    """
    first = model[0]
    if isinstance(first, Router):
        task = role if role in ("query", "document") else None
        first = first_of_route(first, task)
    tokenizer = getattr(first, "tokenizer", None)
    if tokenizer is None:  # a module that cuts texts by itself: the ids alone are known
        return [str(id) for id in ids]
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        return list(tokenizer.convert_ids_to_tokens(ids))
    if isinstance(tokenizer, Tokenizer):
        return [tokenizer.id_to_token(id) or str(id) for id in ids]  # none beyond its vocabulary
    words = list(tokenizer.get_vocab())  # of a word tokenizer, in the order of the ids
    return [words[id] for id in ids]


def _knows_nothing(tokenizer: PreTrainedTokenizerBase, backend: Tokenizer, folder: Path) -> bool:
    """Whether the folder has none of the files of such a tokenizer,
    and all words are the same to it.
    """
    names = {"tokenizer.json", *getattr(tokenizer, "vocab_files_names", {}).values()}
    if not folder.is_dir() or any(next(folder.rglob(name), None) for name in names):
        return False
    return (
        len(
            {
                tuple(backend.encode(word, add_special_tokens=False).ids)
                for word in ("water", "house", "ice")
            }
        )
        == 1
    )


def _published(backend: Tokenizer, folder: Path) -> Tokenizer | None:
    """The tokenizer.json below `folder` with the vocabulary of `backend`."""
    vocabulary = backend.get_vocab(with_added_tokens=False)
    for file in sorted(folder.rglob("tokenizer.json")) if folder.is_dir() else ():
        published = Tokenizer.from_file(str(file))
        if published.get_vocab(with_added_tokens=False) == vocabulary:
            published.no_padding()
            published.no_truncation()
            return published
    return None


def _agree(one: Tokenizer, other: Tokenizer, *, special: bool = False) -> bool:
    return all(
        a.ids == b.ids
        for a, b in zip(
            one.encode_batch(list(_PROBES), add_special_tokens=special),
            other.encode_batch(list(_PROBES), add_special_tokens=special),
            strict=True,
        )
    )


def _give_padding_token(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    if tokenizer.pad_token is None:
        known = (
            tokenizer.eos_token,
            tokenizer.unk_token,
            tokenizer.bos_token,
            tokenizer.convert_ids_to_tokens(0),
        )
        tokenizer.pad_token = next(token for token in known if token is not None)
    if getattr(model.config, "pad_token_id", None) is None:
        # Heads of classifiers find the last token by it.
        model.config.pad_token_id = tokenizer.pad_token_id


def _all_known(model: BaseModel) -> bool:
    """Whether every module is sentence-transformers' or ours: those find a text's tokens by the
    mask on either side.
    """
    return all(
        type(module).__module__.startswith(("sentence_transformers.", "embedlab."))
        for module in model
    )


def _shorten(module: Transformer, limit: int) -> None:
    for name in ("max_seq_length", "query_length", "document_length"):
        if (length := getattr(module, name, None)) is not None and length > limit:
            setattr(module, name, limit)
