"""From texts to what goes through a model at once: shards of texts, batches within a token budget,
rows of a batch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from embedlab.encoders.modules.tokenizers import PER_TOKEN

SHARD_CHARACTERS = 500_000  # about 125,000 tokens: seconds of work, so little is lost to a kill
SHARD_TEXTS = 8_192

_SAID = {"modality", "task", "prompt_length"}  # of all texts alike
_PLAIN = {*PER_TOKEN, *_SAID, "sentence_lengths", "sentence_embedding"}  # one row per text
_BAGS = {"input_ids", "offsets", *_SAID}


def shards(todo: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Cut the work into shards by characters and number of texts,
    the same way whatever was done before.

    Args:
        todo: texts in the order in which they are encoded.
        lengths: characters of each of them.
    """
    start = 0
    while start < len(todo):
        characters = np.cumsum(lengths[start : start + SHARD_TEXTS], dtype=np.int64)
        size = max(1, int(np.searchsorted(characters, SHARD_CHARACTERS, side="right")))
        yield todo[start : start + size]
        start += size


def taken(texts: Sequence[str], rows: np.ndarray) -> list[str]:
    """The texts at these rows; a sequence that is no list or tuple lies on disk, perhaps, and is
    asked for all of them at once.
    """
    if isinstance(texts, list | tuple):
        return [texts[row] for row in rows.tolist()]
    several: Any = texts
    return list(several[rows])


def batches(tokens: np.ndarray, budget: int, *, even: bool = False) -> Iterator[np.ndarray]:
    """Positions of texts that go through the model together, longest first.

    A batch holds as many texts as fit into `budget` tokens when all are padded to its longest, and
    ends before more than a 32nd of the budget is padding: a further batch costs less than that.

    Args:
        tokens: of each text, int `[n]`.
        even: only texts of one length together, for models whose vectors padding would change.
    """
    order = np.argsort(-tokens, kind="stable")
    sorted_tokens, done = tokens[order], 0
    while done < len(order):
        longest = max(1, int(sorted_tokens[done]))
        padding = np.cumsum(longest - sorted_tokens[done : done + max(1, budget // longest)])
        size = max(1, int(np.searchsorted(padding, budget // 32, side="right")))
        # What a model makes of a text without tokens may depend on the padding:
        # such texts go by themselves.
        size = min(size, int(np.count_nonzero(sorted_tokens[done:])) or size)
        if even:
            size = min(size, int(np.count_nonzero(sorted_tokens[done:] == sorted_tokens[done])))
        yield order[done : done + size]
        done += size


def select(features: dict[str, Any], batch: np.ndarray) -> dict[str, Any] | None:
    """The rows of a batch without the columns that pad all of them;
    None where the features cannot be cut so.

    Args:
        features: of a whole shard, as a model's `preprocess` gives them.
        batch: positions of the rows.
    """
    if set(features) <= _BAGS:
        return _bags(features, batch)
    if not set(features) <= _PLAIN:
        return None
    mask = features.get("attention_mask")
    used = np.zeros(0, dtype=np.int64) if mask is None else np.flatnonzero(mask[batch].any(dim=0))
    # Rows without any token keep one column, masked:
    # a model needs one, and it is the same whatever their neighbours.
    columns = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
    if "attention_mask" not in features:
        columns = slice(None)
    return {name: _rows(value, batch, columns) for name, value in features.items()}


def lengths(features: dict[str, Any]) -> np.ndarray:
    """Tokens of each text, int `[n]`; of a bag of words, its different ones."""
    if "attention_mask" in features:
        counted: np.ndarray = features["attention_mask"].sum(dim=1).numpy()
        return counted
    if "offsets" in features:
        return np.diff(features["offsets"].numpy(), append=len(features["input_ids"]))
    if "input_ids" in features:
        return np.full(*features["input_ids"].shape)
    different: np.ndarray = (features["sentence_embedding"] != 0).sum(dim=1).numpy()
    return different


def _rows(value: Any, batch: np.ndarray, columns: slice) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return value[batch][:, columns] if value.ndim == 2 else value[batch]


def _bags(features: dict[str, Any], batch: np.ndarray) -> dict[str, Any]:
    """Rows of texts that stand end to end, as nn.EmbeddingBag takes them."""
    starts, counts = features["offsets"].numpy()[batch], lengths(features)[batch]
    offsets = np.cumsum([0, *counts[:-1]])
    places = np.repeat(starts - offsets, counts) + np.arange(counts.sum())
    ids = features["input_ids"][torch.from_numpy(places)]
    return {**features, "input_ids": ids, "offsets": torch.from_numpy(offsets)}


def flatten(features: dict[str, Any], position_offset: int = 0) -> dict[str, Any]:
    """The rows of a batch as one sequence without padding, as variable-length attention takes it.

    Args:
        features: padded rows `[B, L]` as `select` gives them.
        position_offset: the first text position, where the model does not count from 0 (RoBERTa).

    Returns:
        the same names as `[1, T]` without `attention_mask`, and what sentence-transformers' own
        flattening adds.
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
