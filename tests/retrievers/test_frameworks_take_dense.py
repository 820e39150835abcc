"""What frameworks call embeddings are dense vectors: a sparse encoder is refused with a reason."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from retrievers.errors import RetrieverError
from retrievers.pipelines.encoded import Encoder


class Fixed:
    """A model that gives the same matrix for any texts."""

    def __init__(self, matrix):
        self.matrix = matrix

    def encode_query(self, texts):
        return self.matrix

    encode_document = encode_query


def adapters(encoder: Encoder):
    langchain = pytest.importorskip("retrievers.integrations.langchain").LangChainEmbeddings(
        encoder
    )
    llama = pytest.importorskip("retrievers.integrations.llama_index").LlamaIndexEmbedding(encoder)
    return [langchain.embed_query, llama.get_query_embedding]


def test_dense_vectors_are_lists_of_numbers():
    for embed in adapters(Encoder(Fixed(np.array([[0.5, 0.25]], np.float32)), "dense")):
        assert embed("text") == [0.5, 0.25]


def test_sparse_vectors_are_refused():
    for embed in adapters(Encoder(Fixed(csr_matrix(np.eye(1, 4, dtype=np.float32))), "sparse")):
        with pytest.raises(RetrieverError, match="no dense vectors"):
            embed("text")
