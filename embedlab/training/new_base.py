"""A new base: a byte-level BPE tokenizer for code and prose, and random backbones of any size."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from embedlab.encoders.modules.tokenizers import input_embeddings
from embedlab.errors import UserError

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, one for decoder and encoder:
    `<s>` is BOS and CLS, `</s>` is EOS and SEP.

    Text is lower-cased, and identifiers are cut into their words (`readFile_name` -> `read file
    name`), so that code and the prose about it share their tokens. White space counts as one blank,
    as indentation would fill the length.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"(?<=[a-z0-9])(?=[A-Z])"), " "),
            normalizers.Replace(Regex(r"[_\s]+"), " "),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    around = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> $B </s>", around
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        clean_up_tokenization_spaces=False,
    )


def write_random(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    architecture: str,
    *,
    words: Path | None = None,
    **config: Any,
) -> None:
    """Save a random backbone and its tokenizer in `folder`, as `from_pretrained` reads them.

    Token embeddings start with unit variance, not with the usual 0.02: so a token's identity
    outweighs what random layers add to it, and a model that sees few texts can match words before
    it has learned meanings. Where they are also the output embeddings, the final norm starts small
    enough for logits of unit variance.

    Args:
        architecture: transformers' model type, such as "llama" (with its language-model head) or
            "bert".
        words: a trained model without layers, of the same tokenizer and width, whose token
            embeddings and norm are taken over.
        config: fields of its configuration; the vocabulary and the special tokens are the
            tokenizer's.

    Raises:
        UserError: transformers has no such architecture, or `words` has other dimensions.
    """
    ids = {name: getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    try:
        settings = AutoConfig.for_model(
            architecture,
            vocab_size=len(tokenizer),
            **{f"{name}_token_id": i for name, i in ids.items()},
            **config,
        )
    except ValueError as error:
        raise UserError(
            f"Unknown architecture {architecture!r}.",
            "Give a model type of transformers: llama, bert.",
        ) from error
    decoder = type(settings) in MODEL_FOR_CAUSAL_LM_MAPPING and not hasattr(
        settings, "type_vocab_size"
    )
    model: PreTrainedModel = (
        AutoModelForCausalLM.from_config(settings) if decoder else AutoModel.from_config(settings)
    )
    embeddings = input_embeddings(model)
    norm = (
        getattr(model.base_model, "norm", None)
        if decoder
        else getattr(model.base_model.embeddings, "LayerNorm", None)
    )
    torch.nn.init.normal_(embeddings)
    if words:
        _take_words(AutoModel.from_pretrained(words), embeddings, norm)
    if decoder and settings.tie_word_embeddings and norm is not None:
        norm.weight.data *= settings.hidden_size**-0.5 / norm.weight.data.square().mean().sqrt()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@torch.no_grad()
def _take_words(
    words: PreTrainedModel, embeddings: torch.Tensor, norm: torch.nn.Module | None
) -> None:
    source = input_embeddings(words)
    if source.shape != embeddings.shape:
        raise UserError(
            f"The words have {list(source.shape)} embeddings, the new base"
            f" {list(embeddings.shape)}.",
            "Give [base] the same tokenizer and hidden_size as its words.",
        )
    embeddings.copy_(source)
    if norm is not None:
        norm.get_parameter("weight").copy_(words.get_parameter("norm.weight"))
