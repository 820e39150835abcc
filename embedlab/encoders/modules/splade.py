"""The SPLADE convention for LLMs: a vector over the vocabulary, from the largest logit that any
token gives a word.

    w_v = log(1 + relu(scale * max_t logit[t, v]))        t over the pooled positions, v over the
    vocabulary

SPLADE (arXiv:2107.05720, arXiv:2109.10086) with masked language models is stock
sentence-transformers. Of the decoders, Lion (arXiv:2502.15526) scales the logits, LENS
(arXiv:2501.09749) reads each token's logits one position earlier and has clusters of words in place
of words, and Echo-Mistral-SPLADE (arXiv:2408.11119) pools an echo.
"""

from pathlib import Path
from typing import Any, Self

import torch
from scipy.sparse import csr_matrix
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from embedlab.bases import origins
from embedlab.encoders.modules import based
from embedlab.encoders.modules.pooling import TrainedPooling
from embedlab.encoders.modules.saved import Features
from embedlab.encoders.modules.tokenizers import input_embeddings
from embedlab.errors import UserError

# Logits at once, in numbers: 2^27 of them take 512 MB in float32,
# where a whole batch would take many times that.
_LOGITS = 2**27
# The largest of some hundred logits of unit variance lies about here: few other terms are active.
_THRESHOLD = 3.0


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
        # Whose words the weights are, where training leaves them alone; and how they are taken.
        self.origin: based.Based | None = None
        self.retied = False

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

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """The weights, or, where they are those of the base still, the base and the bias."""
        folder, origin = Path(output_path), self.origin
        if origin is None or not torch.equal(self._words(origin), self.linear.weight.cpu()):
            super().save(output_path, *args, safe_serialization=safe_serialization)
            return
        self.save_config(output_path)
        bias = {"bias": self.linear.bias.detach().cpu()} if self.bias else {}
        based.write(folder, origin, bias, retied=self.retied)

    def _words(self, origin: based.Based) -> torch.Tensor:
        """The head's weight as its base gives it."""
        base = origins.find(origin.base, origin.revision or None)
        found = words_of(_language_model(base), self.retied)
        return found.weight.detach().to(self.linear.weight.dtype)

    @classmethod
    def from_folder(cls, folder: Path, *, model_kwargs: dict[str, Any]) -> Self:
        if not based.is_based(folder):
            return super().from_folder(folder, model_kwargs=model_kwargs)
        record, config = based.base_record(folder), cls.load_config(str(folder))
        linear = words_of(_language_model(based.base_folder(folder)), record.retied)
        tensors = based.tensors(folder)
        if config["bias"]:
            linear.bias = nn.Parameter(tensors["bias"].float())
        head = cls.of(linear, scale=config["scale"], shift=config["shift"])
        head.retied = record.retied
        head.origin = based.Based(record.base, record.revision)
        return head


def words_of(model: PreTrainedModel, retied: bool) -> nn.Linear:
    """A language model's output embeddings.

    Args:
        retied: its input embeddings in their place, for logits of unit variance, but for a token's
            own, less `_THRESHOLD`.
    """
    output = model.get_output_embeddings()
    if not retied:
        if not isinstance(output, nn.Linear):
            raise UserError(
                f"A {type(model).__name__} has no head over its vocabulary.",
                "Give a causal language model.",
            )
        return output
    words = input_embeddings(model).detach()
    words = words - words.mean(dim=0)  # what all tokens share would make every term active
    head = nn.Linear(words.shape[1], words.shape[0], dtype=words.dtype)
    norm = getattr(model.base_model, "norm", None)
    # Of the states that the head reads.
    size = 1.0 if norm is None else norm.weight.detach().square().mean().sqrt()
    head.weight = nn.Parameter(words / (words.std() * words.shape[1] ** 0.5 * size))
    nn.init.constant_(head.bias, -_THRESHOLD)
    return head


def _language_model(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model


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
