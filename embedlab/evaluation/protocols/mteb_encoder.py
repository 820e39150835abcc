"""A loaded model as mteb's EncoderProtocol, with the vector store behind it:
for every task that is not retrieval.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from embedlab.encoding.cost import Cost
from embedlab.encoding.encoder import Encoder, finite
from embedlab.encoding.in_memory import ObjectEncoder
from embedlab.encoding.server_encoder import ServerEncoder
from embedlab.encoding.vectors.views import Quantiser, View, shape
from embedlab.models.settings.prompts import prompt_for
from retrievers.token_vectors import TokenVectors

if TYPE_CHECKING:
    import torch
    from mteb import TaskMetadata
    from mteb.types import PromptType


AnyEncoder = Encoder | ObjectEncoder | ServerEncoder
_Similarity = Callable[..., Any]  # of two arrays or tensors; gives a tensor


class MtebEncoder:
    """What mteb's evaluators call.

    Args:
        encoder: the model with its store.
        view: which layer, dimensions and precision the evaluator sees.
        layers: all layers of the grid, encoded together in the first pass.
    """

    def __init__(
        self, encoder: AnyEncoder, view: View, layers: Sequence[int | None] = (None,)
    ) -> None:
        from mteb.models.model_meta import ModelMeta

        card = encoder.model.card
        self._encoder, self._view, self._layers = encoder, view, layers
        self._quantiser: Quantiser | None = None
        self.cost = Cost()
        self.prompts: dict[str, str] = {}
        name = card.source if card.source.count("/") == 1 else f"embedlab/{card.name}"
        if name.count("/") > 1:  # of a server; mteb's names have one
            name = f"embedlab/{card.name.replace('/', '_')}"
        self.mteb_model_meta = ModelMeta.create_empty(
            {"name": name, "revision": encoder.model.revision}
        )

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: "TaskMetadata",
        hf_split: str,
        hf_subset: str,
        prompt_type: "PromptType | None" = None,
        **_: Any,
    ) -> np.ndarray:
        """Vectors of all texts of a DataLoader: float32 `[n, d]`.

        Raises:
            UserError: one holds NaN or infinity: not every evaluator would say so, and some would
                give a score.
        """
        model = self._encoder.model
        texts = [text for batch in inputs for text in batch["text"]]
        role = prompt_type.value if prompt_type else "text"
        prompt = prompt_for(model.card, model.fact("prompts"), task_metadata, prompt_type)
        self.prompts[role] = prompt
        vectors, cost = self._encoder.encode(texts, role=role, prompt=prompt, layers=self._layers)
        self.cost.add(cost)
        encoded = vectors[self._view.layer]
        rows = encoded.read()
        assert not isinstance(rows, TokenVectors)  # no vector per text
        if not isinstance(rows, np.ndarray):
            return finite(np.asarray(rows.toarray()), texts, model.name)
        # Classifiers and clusters see lengths:
        # only a model's own module normalises, as sentence-transformers has it.
        dense = finite(shape(rows, self._view, normalise=False), texts, model.name)
        if self._view.precision in ("int8", "binary"):
            self._quantiser = self._quantiser or Quantiser(dense, self._view.precision)
            dense = self._quantiser(dense)
        return dense

    def similarity(
        self, embeddings1: "torch.Tensor", embeddings2: "torch.Tensor"
    ) -> "torch.Tensor":
        """Similarity of all pairs, `[n, m]`, by the model's own measure;
        single vectors `[d]` count as one row.
        """
        rows = (np.atleast_2d(np.asarray(embeddings)) for embeddings in (embeddings1, embeddings2))
        similarities: torch.Tensor = _measure(self._encoder.model.card.similarity)[0](*rows)
        return similarities

    def similarity_pairwise(
        self, embeddings1: "torch.Tensor", embeddings2: "torch.Tensor"
    ) -> "torch.Tensor":
        """Similarity of aligned pairs, `[n]`, by the model's own measure."""
        similarities: torch.Tensor = _measure(self._encoder.model.card.similarity)[1](
            embeddings1, embeddings2
        )
        return similarities


def _measure(name: str) -> "tuple[_Similarity, _Similarity]":
    """A measure of similarity for all pairs and for aligned pairs; distances are negated.

    mteb's own, and beside them Manhattan's, which mteb leaves to sentence-transformers: to import
    that takes seconds, which a run with nothing to encode does not have.
    """
    import torch
    from mteb import similarity_functions as mteb

    def manhattan(a: "torch.Tensor", b: "torch.Tensor") -> torch.Tensor:
        return -torch.cdist(torch.as_tensor(a), torch.as_tensor(b), p=1.0)

    def pairwise_manhattan(a: "torch.Tensor", b: "torch.Tensor") -> torch.Tensor:
        return -(torch.as_tensor(a) - torch.as_tensor(b)).abs().sum(dim=-1)

    return {
        "cosine": (mteb.cos_sim, mteb.pairwise_cos_sim),
        "dot": (mteb.dot_score, mteb.pairwise_dot_score),
        "euclidean": (mteb.euclidean_sim, mteb.pairwise_euclidean_sim),
        "manhattan": (manhattan, pairwise_manhattan),
    }[name]
