"""A loaded model as mteb's EncoderProtocol, with the vector store behind it: for every task that is not retrieval."""

import numpy as np

from embedlab.evaluation.encode import Cost, Encoder
from embedlab.evaluation.prompts import prompt_for
from embedlab.evaluation.views import Quantiser, View, shape


class MtebEncoder:
    """What mteb's evaluators call.

    Args:
        encoder: the model with its store.
        view: which layer, dimensions and precision the evaluator sees.
        layers: all layers of the grid, encoded together in the first pass.
    """

    def __init__(self, encoder: Encoder, view: View, layers=(None,)):
        from mteb.models.model_meta import ModelMeta

        card = encoder.model.card
        self._encoder, self._view, self._layers = encoder, view, layers
        self._quantiser: Quantiser | None = None
        self.cost, self.prompts = Cost(), {}
        name = card.source if card.source.count("/") == 1 else f"embedlab/{card.name}"
        self.mteb_model_meta = ModelMeta.create_empty({"name": name, "revision": encoder.model.revision})

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **_) -> np.ndarray:
        """Vectors of all texts of a DataLoader: float32 `[n, d]`."""
        model = self._encoder.model
        texts = [text for batch in inputs for text in batch["text"]]
        role = prompt_type.value if prompt_type else "text"
        prompt = prompt_for(model.card, model.fact("prompts"), task_metadata, prompt_type)
        self.prompts[role] = prompt
        vectors, cost = self._encoder.encode(texts, role=role, prompt=prompt, layers=self._layers)
        self.cost.add(cost)
        found = vectors[self._view.layer]
        if found.sparse:
            return found.read().toarray()
        found = shape(found.read(), self._view, normalise=model.card.similarity == "cosine")
        if self._view.precision in ("int8", "binary"):
            self._quantiser = self._quantiser or Quantiser(found, self._view.precision)
            found = self._quantiser(found)
        return found

    def similarity(self, embeddings1, embeddings2):
        """Similarity of all pairs, `[n, m]`, by the model's own measure."""
        from mteb.similarity_functions import cos_sim, dot_score

        return (cos_sim if self._encoder.model.card.similarity == "cosine" else dot_score)(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1, embeddings2):
        """Similarity of aligned pairs, `[n]`, by the model's own measure."""
        from mteb.similarity_functions import pairwise_cos_sim, pairwise_dot_score

        pairwise = pairwise_cos_sim if self._encoder.model.card.similarity == "cosine" else pairwise_dot_score
        return pairwise(embeddings1, embeddings2)
