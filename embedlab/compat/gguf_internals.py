"""How transformers 5.23 reads GGUF: the whole file anew for the configuration, the weights and the
tokenizer, and the table of the tensors' names anew for each part of the model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def read_once() -> Iterator[None]:
    """What is read of a file here is read once, and forgotten at the end.

    Raises:
        ImportError: the package gguf is not installed.
    """
    import gguf

    plain = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, function in plain.items():
        setattr(gguf, name, cache(function))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(gguf, name, function)
