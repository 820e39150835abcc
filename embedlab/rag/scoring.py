"""What an answer and its context are worth.

Answers are compared as SQuAD does (Rajpurkar et al., EMNLP 2016, section 6.1): lower case, without punctuation,
articles and surplus blanks; exact match and F1 over words, the best over all right answers. Contexts: whether any of
them holds an answer (Karpukhin et al., EMNLP 2020, section 3), and their precision and recall of relevant documents.
"""

import re
import string
from collections import Counter
from collections.abc import Collection, Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> list[str]:
    """The words of a text as SQuAD compares them."""
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split()


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 where the answer is one of the right ones, else 0."""
    return float(any(normalised(answer) == normalised(one) for one in right))


def f1(answer: str, right: Sequence[str]) -> float:
    """Harmonic mean of the precision and recall of words, the best over the right answers."""
    return max(_f1(normalised(answer), normalised(one)) for one in right)


def answer_recall(contexts: Sequence[str], right: Sequence[str]) -> float:
    """1 where a right answer stands in a context, word for word, else 0."""
    joined = [f" {' '.join(normalised(context))} " for context in contexts]
    wanted = [f" {' '.join(words)} " for one in right if (words := normalised(one))]
    return float(any(one in context for one in wanted for context in joined))


def context_precision(documents: Sequence[str], relevant: Collection[str]) -> float:
    """The share of the retrieved documents that are relevant; 0 where none was retrieved."""
    return sum(document in relevant for document in documents) / max(1, len(documents))


def context_recall(documents: Sequence[str], relevant: Collection[str]) -> float:
    """The share of the relevant documents that were retrieved."""
    return len(set(relevant).intersection(documents)) / len(set(relevant))


def _f1(answer: list[str], right: list[str]) -> float:
    common = sum((Counter(answer) & Counter(right)).values())
    if not answer or not right:
        return float(answer == right)
    return 2 * common / (len(answer) + len(right))
