"""Lets `SentenceTransformer(path)` load saved models that contain embedlab's own modules.

sentence-transformers imports a module class from outside its package only with `trust_remote_code=True`, which would
also trust whatever code the model's folder carries. Importing this file trusts the modules of embedlab, no others.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Module


class _OwnModules(Mapping):
    """A class reference of `modules.json` -> the class, for the classes below `embedlab.encoders` alone."""

    def __getitem__(self, reference: str) -> type[Module]:
        module, _, name = reference.rpartition(".")
        if not module.startswith("embedlab.encoders."):
            raise KeyError(reference)
        found = getattr(import_module(module), name, None)
        if not (isinstance(found, type) and issubclass(found, Module)):
            raise KeyError(reference)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(())  # resolved on demand: none is known beforehand

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True


BaseModel._module_classes = _OwnModules()
