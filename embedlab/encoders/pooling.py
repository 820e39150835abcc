"""Where folders of saved models that name it `embedlab.encoders.pooling` find it."""

from embedlab.encoders.modules.pooling import MarkedPooling

__all__ = ["MarkedPooling"]
