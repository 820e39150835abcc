"""This model's modules are those of embedlab. Type:

    pip install embedlab

and load it with one import before:

    import embedlab.encoders.trust
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer("path/to/this/folder")
"""

from embedlab.encoders.modules.decoder import Decoder  # noqa: F401
from embedlab.encoders.modules.pooling import MarkedPooling  # noqa: F401
