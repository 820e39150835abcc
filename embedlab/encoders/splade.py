"""Where folders of saved models that name it `embedlab.encoders.splade` find it."""

from embedlab.encoders.modules.splade import LexicalHead

__all__ = ["LexicalHead"]
