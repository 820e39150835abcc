"""Where folders of saved models that name it `embedlab.encoders.decoder` find it."""

from embedlab.encoders.modules.decoder import Decoder

__all__ = ["Decoder"]
