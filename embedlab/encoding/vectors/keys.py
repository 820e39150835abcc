"""Content addresses: a vector is found again only if everything that shaped it is the same."""

import json
import re
from array import array
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

# Raise it when a change to the encode loop changes the vectors of any model.
ENCODING = 3
_TOGETHER = 1 << 20  # keys that are compared or looked up at a time


def space_address(ingredients: Mapping[str, Any]) -> str:
    """The name of the space that holds all vectors made under the same ingredients.

    Ingredients are the model's identity, the method's settings, role, prompt, maximum length,
    layer, dtype, device kind and attention kernel: any difference gives another name.
    """
    canonical = json.dumps(
        {**ingredients, "encoding": ENCODING}, sort_keys=True, default=str, ensure_ascii=False
    )
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def is_address(name: str) -> bool:
    """Whether a name is one that `space_address` gives: a store may share its folder or bucket with
    what is not embedlab's.
    """
    return re.fullmatch("[0-9a-f]{32}", name) is not None


def text_keys(prompt: str, texts: Iterable[str]) -> np.ndarray:
    """One 16-byte key per rendered text, as an array of dtype V16.

    The prompt's length is part of it: where the prompt ends decides what is pooled.
    """
    return keys_and_lengths(prompt, texts)[0]


def keys_and_lengths(prompt: str, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """One key per rendered text, V16 `[n]`, and the characters of each text without the prompt,
    int32 `[n]`; texts are walked through once, and none is held.
    """
    head = f"{len(prompt)}:{prompt}".encode("utf-8", "surrogatepass")
    start = blake2b(head, digest_size=16)
    keys, lengths = bytearray(), array("i")
    for text in texts:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        keys += digest.digest()
        lengths.append(len(text))
    return np.frombuffer(keys, dtype="V16"), np.frombuffer(lengths, dtype=np.int32)


def distinct(keys: np.ndarray) -> np.ndarray:
    """Where each different key comes first, int64, in the order of the keys."""
    order = np.argsort(keys, kind="stable")
    first = np.ones(len(keys), dtype=bool)
    for start in range(1, len(keys), _TOGETHER):
        part = keys[order[start - 1 : start + _TOGETHER]]
        first[start : start + _TOGETHER] = part[1:] != part[:-1]
    return order[first]


def found(known: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Where each key comes first among the `known`, which are sorted; -1 where it does not: `[n]`.

    Keys are looked up in their order, a part at a time: at random, each look-up would wait for
    memory.
    """
    places = np.full(len(keys), -1, dtype=np.int64)
    for start in range(0, len(keys) if len(known) else 0, _TOGETHER):
        part = keys[start : start + _TOGETHER]
        order = np.argsort(part)
        at = np.searchsorted(known, part[order]).clip(max=len(known) - 1)
        places[start + order] = np.where(known[at] == part[order], at, -1)
    return places
