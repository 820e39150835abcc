"""Which training texts repeat texts that models are evaluated on, and the proof that none is left.

Case, punctuation and white space do not count. A text repeats another in one of three ways:

exact      all of its words are the other's;
contained  all of the other's words, or its first `PREFIX`, stand in it one after the other;
near       the Jaccard index of their pairs of neighbouring words is `NEAR` or more.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from embedlab import tasks
from embedlab.tasks import rendering

PREFIX = 24  # words of a text that are looked for in others
SHORTEST = 4  # words: shorter texts are compared as a whole alone
NEAR = 0.7
KINDS = ("exact", "contained", "near")

Words = tuple[str, ...]
Pair = tuple[str, str]


def words(text: str) -> Words:
    """`text` in lower case without punctuation and white space."""
    return tuple(re.findall(r"[^\W_]+", text.lower()))


class Unseen:
    """Tells texts that repeat one of those given.

    Args:
        texts: what must not be seen in training.
        near: also find near duplicates.
        split: text -> its words.
    """

    def __init__(
        self,
        texts: Iterable[str],
        *,
        near: bool = True,
        split: Callable[[str], Words] = words,
    ) -> None:
        self.split = split
        self.whole: set[Words] = set()
        self.beginnings: dict[Words, set[Words]] = defaultdict(set)
        for text in texts:
            found = split(text)
            if found:
                self.whole.add(found)
            if len(found) >= SHORTEST:
                self.beginnings[found[:SHORTEST]].add(found[:PREFIX])
        pairs = [_pairs(found) for found in self.whole if len(found) >= SHORTEST] if near else []
        self._counts = Counter(pair for each in pairs for pair in each)
        self._near: dict[Pair, list[frozenset[Pair]]] = defaultdict(list)
        for each in pairs:
            for pair in self._rarest(each):
                self._near[pair].append(each)

    def repeats(self, text: str) -> bool:
        """Whether the beginning of one of the texts stands anywhere in `text`."""
        return self._contains(self.split(text))

    def kind(self, text: str) -> str:
        """How `text` repeats one of the texts: one of `KINDS`, or empty."""
        return self.kind_of(self.split(text))

    def kind_of(self, found: Words) -> str:
        """`kind` of a text that is split already."""
        if found in self.whole:
            return "exact"
        if self._contains(found):
            return "contained"
        return "near" if self._is_near(found) else ""

    def _contains(self, own: Words) -> bool:
        for start in range(len(own) - SHORTEST + 1):
            for beginning in self.beginnings.get(own[start : start + SHORTEST], ()):
                if own[start : start + len(beginning)] == beginning:
                    return True
        return False

    def _is_near(self, own: Words) -> bool:
        pairs = _pairs(own) if len(own) >= SHORTEST and self._near else frozenset()
        known = len(self._counts.keys() & pairs)
        if known < NEAR * len(pairs):  # it shares more with any text that it is near to
            return False
        return any(
            len(pairs & other) >= NEAR * len(pairs | other)
            for pair in self._rarest(pairs)
            for other in self._near.get(pair, ())
        )

    def _rarest(self, pairs: frozenset[Pair]) -> list[Pair]:
        """So many of the pairs, the rarest first, that two sets as near as `NEAR` share one of
        them (prefix filtering; Chaudhuri et al., ICDE 2006).
        """
        order = sorted(pairs, key=lambda pair: (self._counts[pair], pair))
        return order[: len(order) - ceil(NEAR * len(order)) + 1]


def _pairs(found: Words) -> frozenset[Pair]:
    """Neighbouring words, the ends of the text being words too."""
    return frozenset(zip(("", *found), (*found, ""), strict=True))


@dataclass
class HeldOut:
    """The texts of a task that no training may see.

    Args:
        name: the task's.
        texts: queries and relevant documents of a retrieval task, every text of another.
        corpus: further documents of a retrieval task, which its training split may share.
    """

    name: str
    texts: list[str]
    corpus: set[Words] = field(default_factory=set)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the texts."""
        content = "\0".join(sorted(set(self.texts)))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def held_out(names: list[str], data_dirs: list[Path]) -> list[HeldOut]:
    """What is held out for the tasks, benchmarks and BEIR folders of these names, each once.

    Args:
        data_dirs: mirrors; a task's data come from the first one that has them.

    Raises:
        UserError: a name is unknown, or the data cannot be had.
    """
    found: dict[str, HeldOut] = {}
    for name in dict.fromkeys(names):
        for each in _resolved(name, data_dirs):
            if each.metadata.name not in found:
                found[each.metadata.name] = _of_task(tasks.load(each))
    return list(found.values())


def _resolved(name: str, data_dirs: list[Path]) -> list[Any]:
    for data_dir in data_dirs:
        there: list[Any] = tasks.resolve([name], data_dir=data_dir)
        if all(hasattr(each, "sources") for each in there):
            return there
    return tasks.resolve([name])


def _of_task(task: Any) -> HeldOut:
    found = HeldOut(task.metadata.name, [])
    subsets = task.dataset
    if not set(task.hf_subsets) & set(subsets):
        subsets = {"default": subsets}
    for splits in subsets.values():
        for split in task.eval_splits:
            data = splits[split]
            if isinstance(data, dict) and "relevant_docs" in data:
                _add_retrieval(found, data)
            else:
                found.texts.extend(_strings(data[:]))
    return found


def _add_retrieval(found: HeldOut, data: dict[str, Any]) -> None:
    ids, documents = data["corpus"]["id"][:], rendering.documents(data["corpus"])
    relevant = {
        id for judged in data["relevant_docs"].values() for id, score in judged.items() if score > 0
    }
    found.texts += rendering.queries(data["queries"])
    found.texts += [text for id, text in zip(ids, documents, strict=True) if id in relevant]
    found.corpus |= {
        words(text) for id, text in zip(ids, documents, strict=True) if id not in relevant
    }


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, part in value.items() if name != "label" for text in _strings(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _strings(part)]
    return []


class Guard:
    """Drops training texts that repeat held-out ones, and counts.

    Args:
        held: see `held_out`.
    """

    def __init__(self, held: list[HeldOut]) -> None:
        self.held = [(each, Unseen(each.texts)) for each in held]
        self.dropped = {each.name: dict.fromkeys(KINDS, 0) for each in held}
        self._compared: dict[str, set[str]] = {}  # by text, the tasks of which it repeats a text

    def lets(self, text: str) -> bool:
        """Whether a text may be seen in training; each distinct text counts once."""
        if text not in self._compared:
            kinds = self._kinds(text)
            for name, kind in kinds.items():
                self.dropped[name][kind] += 1
            self._compared[text] = set(kinds)
        return not self._compared[text]

    def _kinds(self, text: str) -> dict[str, str]:
        found = words(text)
        kinds = {each.name: unseen.kind_of(found) for each, unseen in self.held}
        return {name: kind for name, kind in kinds.items() if kind}

    def report(self, used: Iterable[str]) -> dict[str, Any]:
        """What was compared, and what of it was left out, by task.

        Args:
            used: the texts that training will see.

        Returns:
            by task: texts held out and their digest, distinct training texts compared, how many of
                these were dropped and why, how many that repeat a held-out text are left (none),
                and how many are documents of the task's corpus that are relevant to no query.
        """
        distinct = set(used)
        own = {words(text) for text in distinct}
        repeated = Counter(
            name
            for text in distinct
            for name in (self._compared[text] if text in self._compared else self._kinds(text))
        )
        return {
            each.name: {
                "held_out_texts": len(set(each.texts)),
                "held_out_digest": each.digest,
                "compared_texts": len(self._compared),
                "dropped": dict(self.dropped[each.name]),
                "left": repeated[each.name],
                "shared_corpus_documents": len(own & each.corpus),
            }
            for each, _ in self.held
        }
