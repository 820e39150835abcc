"""Saved models that hold our modules load through plain `SentenceTransformer(path)`, without `trust_remote_code`.

To sentence-transformers 6 every module class outside its own namespace is remote code, an installed package's too.
Importing this file declares the modules under `embedlab.encoders` as known; nothing else gains trust by it.
"""

from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Module
from sentence_transformers.util import import_from_string


class _OurModules(dict):
    """Looked up with the `type` of each entry of a modules.json; resolved only then, so that imports stay lazy."""

    def get(self, reference: str, default=None):
        if not reference.startswith("embedlab.encoders."):
            return default
        found = import_from_string(reference)
        return found if isinstance(found, type) and issubclass(found, Module) else default

    def __bool__(self) -> bool:
        return True  # a Router hands the lookup on to its routes only if it is true


BaseModel._module_classes = _OurModules()
