"""This model's modules are those of embedlab. Type:

    pip install embedlab

and load it with one import before:

    import embedlab.encoders.trust
    from sentence_transformers import SparseEncoder

    model = SparseEncoder("path/to/this/folder")
"""

from embedlab.encoders.echo import EchoDecoder  # noqa: F401
from embedlab.encoders.splade import LexicalHead  # noqa: F401
