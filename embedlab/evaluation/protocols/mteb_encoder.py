"""A loaded model as mteb's EncoderProtocol, with the vector store behind it: for every task that is not retrieval."""

from collections.abc import Callable

import numpy as np

from embedlab.encoding.cost import Cost
from embedlab.encoding.encoder import Encoder, finite
from embedlab.encoding.vectors.views import Quantiser, View, shape
from embedlab.models.prompts import prompt_for


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
        """Vectors of all texts of a DataLoader: float32 `[n, d]`.

        Raises:
            UserError: one holds NaN or infinity: not every evaluator would say so, and some would give a score.
        """
        model = self._encoder.model
        texts = [text for batch in inputs for text in batch["text"]]
        role = prompt_type.value if prompt_type else "text"
        prompt = prompt_for(model.card, model.fact("prompts"), task_metadata, prompt_type)
        self.prompts[role] = prompt
        vectors, cost = self._encoder.encode(texts, role=role, prompt=prompt, layers=self._layers)
        self.cost.add(cost)
        found = vectors[self._view.layer]
        if found.sparse:
            return finite(found.read().toarray(), texts, model.name)
        # Classifiers and clusters see lengths: only a model's own module normalises, as sentence-transformers has it.
        found = finite(shape(found.read(), self._view, normalise=False), texts, model.name)
        if self._view.precision in ("int8", "binary"):
            self._quantiser = self._quantiser or Quantiser(found, self._view.precision)
            found = self._quantiser(found)
        return found

    def similarity(self, embeddings1, embeddings2):
        """Similarity of all pairs, `[n, m]`, by the model's own measure; single vectors `[d]` count as one row."""
        rows = (np.atleast_2d(np.asarray(embeddings)) for embeddings in (embeddings1, embeddings2))
        return _measure(self._encoder.model.card.similarity)[0](*rows)

    def similarity_pairwise(self, embeddings1, embeddings2):
        """Similarity of aligned pairs, `[n]`, by the model's own measure."""
        return _measure(self._encoder.model.card.similarity)[1](embeddings1, embeddings2)


def _measure(name: str) -> tuple[Callable, Callable]:
    """A measure of similarity for all pairs and for aligned pairs; distances are negated.

    mteb's own, and beside them Manhattan's, which mteb leaves to sentence-transformers: to import that takes seconds,
    which a run with nothing to encode does not have.
    """
    import torch
    from mteb import similarity_functions as mteb

    def manhattan(a, b) -> torch.Tensor:
        return -torch.cdist(torch.as_tensor(a), torch.as_tensor(b), p=1.0)

    def pairwise_manhattan(a, b) -> torch.Tensor:
        return -(torch.as_tensor(a) - torch.as_tensor(b)).abs().sum(dim=-1)

    return {
        "cosine": (mteb.cos_sim, mteb.pairwise_cos_sim),
        "dot": (mteb.dot_score, mteb.pairwise_dot_score),
        "euclidean": (mteb.euclidean_sim, mteb.pairwise_euclidean_sim),
        "manhattan": (manhattan, pairwise_manhattan),
    }[name]
