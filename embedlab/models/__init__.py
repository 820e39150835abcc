"""From a model's name to a loaded model: cards, settings, files, identity, compositions."""

from embedlab.models.loaded import find, is_code, load
from embedlab.models.loaded_model import LoadedModel

__all__ = ["LoadedModel", "find", "is_code", "load"]
