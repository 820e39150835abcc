"""From texts to what goes through a model at once: shards of texts, batches within a token budget, rows of a batch."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

SHARD_CHARACTERS = 500_000  # about 125,000 tokens: seconds of work, so little is lost to a kill
SHARD_TEXTS = 8_192

_PLAIN = {"input_ids", "attention_mask", "token_type_ids", "pooling_mask", "modality"}  # one entry per token


def shards(texts: Sequence[str], todo: np.ndarray) -> Iterator[np.ndarray]:
    """Cut the work into shards by characters and number of texts, the same way whatever was done before."""
    start = characters = 0
    for position, index in enumerate(todo):
        if position - start == SHARD_TEXTS or (position > start and characters + len(texts[index]) > SHARD_CHARACTERS):
            yield todo[start:position]
            start, characters = position, 0
        characters += len(texts[index])
    if start < len(todo):
        yield todo[start:]


def batches(tokens: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Positions of texts that go through the model together, longest first.

    A batch holds as many texts as fit into `budget` tokens when all are padded to its longest, and ends before more
    than a 32nd of the budget is padding: a further batch costs less than that.

    Args:
        tokens: of each text, int `[n]`.
    """
    order = np.argsort(-tokens, kind="stable")
    sorted_tokens, done = tokens[order], 0
    while done < len(order):
        longest = max(1, int(sorted_tokens[done]))
        padding = np.cumsum(longest - sorted_tokens[done : done + max(1, budget // longest)])
        size = max(1, int(np.searchsorted(padding, budget // 32, side="right")))
        yield order[done : done + size]
        done += size


def select(features: dict, batch: np.ndarray, longest: int) -> dict | None:
    """The rows of a batch cut to its longest text; None where the features are not plain padded token arrays."""
    if not set(features) <= _PLAIN:
        return None
    mask = features["attention_mask"]
    left = not bool(mask[:, 0].all())
    columns = slice(mask.shape[1] - longest, None) if left else slice(0, longest)
    return {
        name: value[batch][:, columns] if isinstance(value, torch.Tensor) else value for name, value in features.items()
    }


def flatten(features: dict, position_offset: int = 0) -> dict:
    """The rows of a batch as one sequence without padding, as variable-length attention takes it.

    Args:
        features: padded rows `[B, L]` as `select` gives them.
        position_offset: the first text position, where the model does not count from 0 (RoBERTa).

    Returns:
        the same names as `[1, T]` without `attention_mask`, and what sentence-transformers' own flattening adds.
    """
    mask = features["attention_mask"].bool()
    lengths = mask.sum(dim=1)
    starts = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
    text = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    flat = {
        name: value[mask][None] if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
        if name != "attention_mask"
    }
    return flat | {
        "position_ids": (torch.arange(len(text)) - starts[text] + position_offset)[None],
        "seq_idx": text[None].to(torch.int32),
        "cu_seq_lens_q": starts,
        "cu_seq_lens_k": starts,
        "max_length_q": int(lengths.max()),
        "max_length_k": int(lengths.max()),
    }
