"""What an answer and its context are worth.

Answers are compared as SQuAD does (Rajpurkar et al., EMNLP 2016, section 6.1): without case,
punctuation, articles and surplus blanks; exact match and F1 over words, the best over all right
answers. For all languages, as MLQA does (Lewis et al., ACL 2020, section 5.1): punctuation is every
character that Unicode calls so, and in scripts that do not set words apart every character is a
word. Before that, what only looks different is made equal: Unicode's composed form (NFC),
full-width letters and digits, the minus and the hyphen, the signs that are read as nothing; letters
without case by Unicode's folding. An answer of nothing but an article, such as "A", keeps it.
Contexts: whether any of them holds an answer (Karpukhin et al., EMNLP 2020, section 3), and their
precision and recall of relevant documents.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

# Full-width forms of ASCII, the ideographic space,
# and the minus, which Unicode calls no punctuation.
_WIDTHS = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " ", 0x2212: "-"}
# Thai and Lao am is typed as one letter or as two, with a tone between them or before;
# Unicode does not join them.
_AM = [
    (re.compile("\u0e4d([\u0e48-\u0e4b]?)\u0e32"), "\\1\u0e33"),
    (re.compile("\u0ecd([\u0ec8-\u0ecb]?)\u0eb2"), "\\1\u0eb3"),
]
# Kana, Han, Thai, Lao, Khmer and Burmese, each with the marks above and below it.
_UNSPACED = re.compile(
    "([\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff][\u0300-\u036f\u3099\u309a\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3]*)"
)
# How models say that they have no answer, as `normalised` leaves it.
_ABSTENTIONS = (
    "unknown", "answer is unknown", "i do not know", "i dont know", "not known", "unanswerable",
    "no answer", "there is no answer", "cannot be answered", "it cannot be answered",
    "documents do not", "not in documents", "not specified", "not stated", "i cannot answer",
)  # fmt: skip
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> list[str]:
    """The words of a text as they are compared."""
    text = unicodedata.normalize("NFC", text).translate(_WIDTHS).casefold().replace("i\u0307", "i")
    for parts, joined in _AM:
        text = parts.sub(joined, text)
    cleaned = "".join(map(_sign, unicodedata.normalize("NFC", text)))
    words = _UNSPACED.sub(r" \1 ", cleaned)
    return _ARTICLES.sub(" ", words).split() or words.split() or text.split()


def _sign(character: str) -> str:
    """What is left of a character: nothing of punctuation and of invisible signs,
    but a blank where words may part.
    """
    if character == "\u200b":  # the blank of no width
        return " "
    if character in string.punctuation or unicodedata.category(character)[0] == "P":
        return ""
    return "" if unicodedata.category(character) == "Cf" else character


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 where the answer is one of the right ones, else 0."""
    return float(any(normalised(answer) == normalised(one) for one in right))


def f1(answer: str, right: Sequence[str]) -> float:
    """Harmonic mean of the precision and recall of words, the best over the right answers."""
    return max(_f1(normalised(answer), normalised(one)) for one in right)


def token_recall(answer: str, right: Sequence[str]) -> float:
    """The share of a right answer's words that the answer holds, the best over the right ones: what
    a long answer is worth, which F1 punishes for its length.
    """
    given = Counter(normalised(answer))
    shares = []
    for one in right:
        wanted = Counter(normalised(one))
        shares.append(sum((given & wanted).values()) / max(1, sum(wanted.values())))
    return max(shares)


def abstained(answer: str) -> bool:
    """Whether an answer says that there is none: the prompt's `unknown`, or how models say it."""
    words = " ".join(normalised(answer))
    return not words or any(words == one or words.startswith(f"{one} ") for one in _ABSTENTIONS)


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
