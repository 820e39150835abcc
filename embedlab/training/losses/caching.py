"""Gradient caching (GradCache, arXiv:2101.06983) around any loss on embeddings: batches of any
size in the memory of a small one.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn


class GradientCached(CachedLossMixin, nn.Module):
    """Embeds a batch in small parts, without and then with gradients; the loss sees it whole.

    Loss and gradients are those of the loss itself, save for the order of sums.

    Args:
        model: the model that is trained.
        loss: has `compute_loss_from_embeddings(embeddings, labels)`, which gives the loss or a
            dictionary of its terms.
        mini_batch_size: rows that go through the model at once.
    """

    def __init__(self, model: nn.Module, loss: nn.Module, mini_batch_size: int) -> None:
        super().__init__()
        if mini_batch_size < 1:
            raise ValueError(f"mini_batch_size is {mini_batch_size}, and has to be 1 or more")
        self.model = model
        self.loss = loss
        self.mini_batch_size = mini_batch_size

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> Tensor:
        self._held: list[tuple[nn.Parameter, Tensor]] = []
        loss = self.forward_cached(sentence_features, labels)
        if self._held:
            loss.register_hook(partial(_send, self._held))
        return loss

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss of the whole batch; with `with_backward`,
        each embedding holds its gradient after.
        """
        loss: Any = self.loss  # `compute_loss_from_embeddings` is no method of every module
        found = loss.compute_loss_from_embeddings([torch.cat(parts) for parts in reps], labels)
        terms: list[Tensor] = list(found.values()) if isinstance(found, dict) else [found]
        total = sum(terms[1:], terms[0])
        if not with_backward:
            return total
        of_model = {id(one) for one in self.model.parameters()}
        learned = [one for one in self.loss.parameters() if id(one) not in of_model]
        # What the loss itself learns waits for the backward pass: only there is known by how much
        # the trainer scales it (gradient accumulation).
        before = [one.grad for one in learned]
        for one in learned:
            one.grad = None
        total.backward()
        self._held = [(one, one.grad) for one in learned if one.grad is not None]
        for one, gradient in zip(learned, before, strict=True):
            one.grad = gradient
        return total.detach()


def _send(held: list[tuple[nn.Parameter, Tensor]], scale: Tensor) -> None:
    for one, gradient in held:
        scaled = gradient * scale
        one.grad = scaled if one.grad is None else one.grad + scaled


def cached(model: nn.Module, loss: nn.Module, mini_batch_size: int | None) -> nn.Module:
    """`loss`, with gradient caching where a `mini_batch_size` is given."""
    return loss if mini_batch_size is None else GradientCached(model, loss, mini_batch_size)
