"""English texts that every Python has (pydoc's language reference), and a tokenizer of them."""

from functools import cache
from pydoc_data import topics

from transformers import PreTrainedTokenizerFast


@cache
def words() -> list[str]:
    """About 65,000 words."""
    return [word for topic in topics.topics.values() for word in topic.split()]


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 8,192 tokens, as `embedlab train` makes one for a new base."""
    from embedlab.training.new_base import train_tokenizer

    return train_tokenizer(list(topics.topics.values()), 8192)


@cache
def tokens_per_word() -> float:
    sample = words()[:10_000]
    return len(tokenizer()(" ".join(sample))["input_ids"]) / len(sample)


def cut_at(tokens: int, number: int) -> list[str]:
    """Different texts, each some words longer than so many tokens, where a model cuts it."""
    each = int(tokens * 1.25 / tokens_per_word()) + 2
    return _windows([each] * number)


def mixed(most: int, number: int) -> list[str]:
    """Different texts of 16 to `most` tokens, as many of each length."""
    steps = [16 + (most - 16) * (n * 37 % 101) // 100 for n in range(number)]
    return _windows([max(4, int(tokens / tokens_per_word())) for tokens in steps])


def _windows(sizes: list[int]) -> list[str]:
    """Runs of words from different places; a number keeps each apart from all others."""
    all_words = words() + words()[: max(sizes)]
    step = max(1, len(words()) // len(sizes))
    starts = [number * step % len(words()) for number in range(len(sizes))]
    return [
        " ".join([str(number), *all_words[start : start + size]])
        for number, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]
