"""Which tokens a language model must predict, and what stands in their place."""

import torch
from transformers import PreTrainedTokenizerBase

from embedlab.errors import UserError

IGNORED = -100  # a target that counts for nothing


def mask_tokens(
    ids: torch.Tensor,
    attention_mask: torch.Tensor,
    share: float,
    mask_id: int,
    tokenizer: PreTrainedTokenizerBase,
    keep: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask a share of the tokens, special tokens excepted.

    Args:
        ids: `[B, L]`; attention_mask alike.
        share: of the tokens that are predicted.
        mask_id: id that stands for a masked token.
        keep: see `corrupt`.

    Returns:
        ids with masks, and targets that are `IGNORED` where nothing is predicted; both `[B, L]`.
    """
    special = torch.tensor(sorted({*tokenizer.all_special_ids, mask_id}), device=ids.device)
    may = attention_mask.bool() & ~torch.isin(ids, special)
    return corrupt(
        ids, may & (torch.rand(ids.shape, device=ids.device) < share), mask_id, len(tokenizer), keep
    )


def corrupt(
    ids: torch.Tensor, predicted: torch.Tensor, mask_id: int, vocabulary: int, keep: float = 0.2
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put the mask in the place of the `predicted` tokens.

    Args:
        ids: `[B, L]`.
        predicted: bool, alike.
        vocabulary: random tokens are drawn below this id.
        keep: of the predicted tokens, half of this share stay as they are and half become random
            ones. BERT's 80/10/10 rule (arXiv:1810.04805) is 0.2.

    Returns:
        ids with masks, and targets that are `IGNORED` where nothing is predicted; both `[B, L]`.
    """
    draw = torch.rand(ids.shape, device=ids.device)
    hidden = ids.masked_fill(predicted & (draw >= keep), mask_id)
    random = torch.randint_like(ids, vocabulary)
    return torch.where(predicted & (draw < keep / 2), random, hidden), ids.masked_fill(
        ~predicted, IGNORED
    )


def mask_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """The id of the token that stands for a masked one; where the vocabulary lacks it, the
    tokenizer's own mask, else its unknown token.

    Raises:
        UserError: it has none of them.
    """
    found: int | None = tokenizer.get_vocab().get(token, tokenizer.mask_token_id)
    if found is None:
        found = tokenizer.unk_token_id
    if found is None:
        raise UserError(
            f"The tokenizer knows neither {token!r} nor a mask nor an unknown token.",
            "Name one of its tokens: mask_token = ...",
        )
    return found


def word_starts(tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """bool `[V]`: whether a token begins a word, by the vocabulary's mark
    (BERT's ##, GPT-2's and Llama's blank).
    """
    tokens = list(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))
    if any(token.startswith("##") for token in tokens):
        return torch.tensor([not token.startswith("##") for token in tokens])
    blank = next((mark for mark in "Ġ▁" if any(token.startswith(mark) for token in tokens)), "")
    return torch.tensor([token.startswith(blank) for token in tokens])


def number_words(ids: torch.Tensor, may: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """The number of each token's word within its text, from 0,
    and -1 where a token must not be masked.

    Args:
        ids: `[B, L]`.
        may: bool, alike: the tokens that may be masked.
        starts: see `word_starts`.
    """
    begins = starts.to(ids.device)[ids] & may
    first = may & (may.cumsum(-1) == 1)  # a text that begins in the middle of a word
    return ((begins | first).cumsum(-1) - 1).masked_fill(~may, -1)


def whole_words(words: torch.Tensor, *budgets: torch.Tensor) -> list[torch.Tensor]:
    """Draw whole words until each budget of tokens is spent;
    a word that does not fit in is passed over.

    As transformers' `DataCollatorForWholeWordMask` draws them. With several budgets the draws are
    nested, as in Starbucks' pre-training: a word can only be in an earlier one if it is in the
    last.

    Args:
        words: `[N, L]`, of `number_words`.
        budgets: tokens to mask, each `[N]`; the last one is the largest.

    Returns:
        one bool `[N, L]` per budget: the tokens to mask.
    """
    rows = torch.arange(len(words), device=words.device)
    sizes = torch.zeros(words.shape, dtype=torch.long, device=words.device)
    sizes.scatter_add_(1, words.clamp(min=0), (words >= 0).long())
    order = torch.rand(sizes.shape, device=words.device).masked_fill(sizes == 0, 2.0).argsort(-1)
    spent = [torch.zeros_like(budget) for budget in budgets]
    chosen = [torch.zeros(words.shape, dtype=torch.bool, device=words.device) for _ in budgets]
    for drawn in order.T[: int((sizes > 0).sum(-1).max())]:
        size = sizes[rows, drawn]
        allowed = (size > 0) & (spent[-1] + size <= budgets[-1])
        for used, budget, words_in in zip(spent, budgets, chosen, strict=True):
            fits = allowed & (used + size <= budget)
            used += size * fits
            words_in[rows, drawn] = fits
    return [words_in.gather(1, words.clamp(min=0)) & (words >= 0) for words_in in chosen]


def budget(lengths: torch.Tensor, share: float) -> torch.Tensor:
    """How many of `lengths` tokens to mask: the share, rounded, and one at least."""
    return (lengths * share).round().long().clamp(min=1)
