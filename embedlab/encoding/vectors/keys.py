"""Content addresses: a vector is found again only if everything that shaped it is the same."""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

# Raise it when a change to the encode loop changes the vectors of any model.
ENCODING = 3


def space_address(ingredients: Mapping[str, Any]) -> str:
    """The name of the space that holds all vectors made under the same ingredients.

    Ingredients are the model's identity, the method's settings, role, prompt, maximum length,
    layer, dtype, device kind and attention kernel: any difference gives another name.
    """
    canonical = json.dumps(
        {**ingredients, "encoding": ENCODING}, sort_keys=True, default=str, ensure_ascii=False
    )
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def text_keys(prompt: str, texts: Sequence[str]) -> np.ndarray:
    """One 16-byte key per rendered text, as an array of dtype V16.

    The prompt's length is part of it: where the prompt ends decides what is pooled.
    """
    head = f"{len(prompt)}:{prompt}".encode("utf-8", "surrogatepass")
    start = blake2b(head, digest_size=16)
    keys = bytearray()
    for text in texts:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        keys += digest.digest()
    return np.frombuffer(bytes(keys), dtype="V16")
