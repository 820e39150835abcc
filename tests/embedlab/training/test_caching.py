"""Gradient caching gives the loss and the gradients of the loss itself, at the trainer's scale."""

import pytest
import torch
from small_pairs import QUERIES, TEXTS

from embedlab.training import objectives, untrained
from embedlab.training.losses import distil, focal, soft_labels

NEGATIVES = [*TEXTS[4:], *TEXTS[:4]], [*TEXTS[9:], *TEXTS[:9]]
LABELS = torch.linspace(-0.5, 0.9, 48).view(16, 3)


@pytest.fixture
def model(decoder):
    return untrained.build("decoder", decoder, {"max_length": 32})


def gradients(loss, model, labels, scale=1.0):
    columns = [{**model.preprocess(list(column))} for column in (QUERIES, TEXTS, *NEGATIVES)]
    loss.zero_grad()
    torch.manual_seed(0)
    value = loss(columns, labels)
    (value * scale).backward()
    found = {
        name.removeprefix("loss."): one.grad.clone()
        for name, one in loss.named_parameters()
        if one.grad is not None
    }
    return float(value), found


def make(name, model, size):
    if name == "vectors":  # a projection is learned beside the model
        torch.manual_seed(1)
        loss = distil._Vectors(model, distance_metric="cosine", projection_dim=5)
        return distil.cached(model, loss, size)
    if name == "focal":
        return focal.build(model, mixed=2, listwise=True, mini_batch_size=size)
    if name == "soft_labels":
        return soft_labels.build(model, mini_batch_size=size)
    if name == "own":
        settings = {"in_batch": False}
        return objectives.build("contrastive", model, {**settings, "mini_batch_size": size})
    return objectives.build("contrastive", model, {"mini_batch_size": size})


@pytest.mark.parametrize("name", ["vectors", "focal", "soft_labels", "own", "contrastive"])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_cached_gradients_are_the_plain_ones(name, scale, model):
    labels = LABELS if name == "soft_labels" else None
    if name == "vectors":
        labels = torch.randn(16, 4, 5, generator=torch.Generator().manual_seed(2))
    plain, wanted = gradients(make(name, model, None), model, labels, scale)
    value, found = gradients(make(name, model, 5), model, labels, scale)
    assert value == pytest.approx(plain, rel=1e-5)
    assert wanted.keys() == found.keys() and len(wanted) > 5
    assert name != "vectors" or "projection.weight" in wanted
    for key, one in wanted.items():
        assert torch.allclose(found[key], one, rtol=1e-3, atol=1e-6), key


def test_a_size_of_nothing_is_refused(model):
    with pytest.raises(ValueError, match="1 or more"):
        focal.build(model, mini_batch_size=0)
