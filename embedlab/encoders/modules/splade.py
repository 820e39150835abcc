"""The SPLADE convention for LLMs: a vector over the vocabulary, from the largest logit that any
token gives a word.

    w_v = log(1 + relu(scale * max_t logit[t, v]))        t over the pooled positions, v over the
    vocabulary

SPLADE (arXiv:2107.05720, arXiv:2109.10086) with masked language models is stock
sentence-transformers. Of the decoders, Lion (arXiv:2502.15526) scales the logits, LENS
(arXiv:2501.09749) reads each token's logits one position earlier and has clusters of words in place
of words, and Echo-Mistral-SPLADE (arXiv:2408.11119) pools an echo.
"""

from typing import Any, Self

import torch
from scipy.sparse import csr_matrix
from torch import nn

from embedlab.encoders.modules.pooling import TrainedPooling
from embedlab.encoders.modules.saved import Features

# Logits at once, in numbers: 2^27 of them take 512 MB in float32,
# where a whole batch would take many times that.
_LOGITS = 2**27


class LexicalHead(TrainedPooling):
    """token_embeddings `[B, L, d]` and pooling_mask `[B, L]`
    to a sentence_embedding `[B, |V|]`, in float32.

    Args:
        hidden_size: d.
        vocabulary: |V|.
        bias: whether the head has one.
        scale: factor on the logits.
        shift: position t predicts token t + 1, so the mask moves one to the left; the last pooled
            token (the end token) is left out first.
    """

    config_keys = ["hidden_size", "vocabulary", "bias", "scale", "shift"]  # noqa: RUF012

    def __init__(
        self,
        hidden_size: int,
        vocabulary: int,
        bias: bool = False,
        scale: float = 1.0,
        shift: bool = False,
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self.vocabulary = vocabulary
        self.bias = bias
        self.scale = scale
        self.shift = shift
        self.linear = nn.Linear(hidden_size, vocabulary, bias=bias)

    @classmethod
    def of(cls, linear: nn.Linear, *, scale: float = 1.0, shift: bool = False) -> Self:
        """The head with the weights of a language model's own."""
        with torch.device("meta"):
            head = cls(
                linear.in_features, linear.out_features, linear.bias is not None, scale, shift
            )
        head.linear = linear
        return head

    def forward(self, features: Features, **kwargs: Any) -> Features:
        states, mask = features["token_embeddings"], features["pooling_mask"].bool()
        if self.shift:
            following = torch.nn.functional.pad(mask[:, 1:], (0, 1))
            mask = torch.nn.functional.pad((mask & following)[:, 1:], (0, 1))
        # The logarithm grows with its argument, so the maximum may come first: one logarithm per
        # word, not per token.
        largest = states.new_full((len(states), self.vocabulary), -torch.inf)
        step = max(1, _LOGITS // (len(states) * self.vocabulary))
        for start in range(0, states.shape[1], step):
            logits = self.linear(states[:, start : start + step]) * self.scale
            logits = logits.masked_fill(~mask[:, start : start + step, None], -torch.inf)
            largest = torch.maximum(largest, logits.amax(dim=1))
        features["sentence_embedding"] = largest.float().relu().log1p()
        return features

    def get_embedding_dimension(self) -> int:
        return self.vocabulary


def to_csr(vectors: torch.Tensor) -> csr_matrix:
    """What a SparseEncoder gives, a dense or sparse tensor `[n, |V|]` on any device,
    as a float32 CSR matrix.
    """
    vectors = vectors.detach()
    if vectors.layout is torch.strided:
        vectors = vectors.to_sparse_coo()
    vectors = vectors.to_sparse_coo().coalesce().cpu()
    rows, columns = vectors.indices().numpy()
    height, width = vectors.shape
    matrix = csr_matrix((vectors.values().float().numpy(), (rows, columns)), shape=(height, width))
    matrix.eliminate_zeros()
    return matrix
