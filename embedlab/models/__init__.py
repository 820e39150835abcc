"""From a model's name to a loaded model: cards, settings, files, identity, compositions."""

from embedlab.models.loaded import LoadedModel, find, is_code, load

__all__ = ["LoadedModel", "find", "is_code", "load"]
