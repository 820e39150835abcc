"""KaLM-Embedding-V2's loss by its formula (arXiv:2506.20923), written out in numpy."""

import numpy as np
import pytest
import torch

from embedlab.training.losses.focal import Focal

RANDOM = np.random.default_rng(0)
COLUMNS = [RANDOM.normal(size=(3, 6)).astype(np.float32) for _ in range(4)]  # two negatives
TENSORS = [torch.tensor(column) for column in COLUMNS]


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def by_hand(gamma, temperature, extra=None):
    """Mean of (1 - p)^gamma * -log p; `extra` [B, n, d] are each row's mixed negatives."""
    query, *documents = (unit(column.astype(np.float64)) for column in COLUMNS)
    losses = []
    for i in range(3):
        own = [] if extra is None else list(extra[i])
        scores = [query[i] @ d / temperature for d in [*np.concatenate(documents), *own]]
        p = np.exp(scores[i]) / np.exp(scores).sum()
        losses.append((1 - p) ** gamma * -np.log(p))
    return np.mean(losses)


@pytest.mark.parametrize(("gamma", "temperature"), [(0.0, 0.5), (0.5, 0.5), (2.0, 0.1)])
def test_the_weight_of_hard_rows(gamma, temperature):
    loss = Focal(None, gamma, mixed=0, temperature=temperature)
    found = loss.compute_loss_from_embeddings(TENSORS)
    assert float(found) == pytest.approx(by_hand(gamma, temperature), rel=1e-5)


def test_without_a_weight_it_is_info_nce():
    from embedlab.training.losses.contrastive import info_nce

    found = Focal(None, 0.0, mixed=0, temperature=0.05).compute_loss_from_embeddings(TENSORS)
    wanted = info_nce(TENSORS[0], torch.cat(TENSORS[1:]), 20.0)
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)


def test_mixtures_of_two(monkeypatch):
    shares = RANDOM.beta(2, 2, size=(3, 2, 1))
    monkeypatch.setattr(
        torch.distributions.Beta, "sample", lambda self, size: torch.tensor(shares).float()
    )
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.tensor([0.1, 0.2]).expand(*size))
    first, second = (unit(column.astype(np.float64))[:, None] for column in COLUMNS[2:])
    mixed = unit(shares * first + (1 - shares) * second)
    found = Focal(None, 0.5, mixed=2, temperature=0.3).compute_loss_from_embeddings(TENSORS)
    assert float(found) == pytest.approx(by_hand(0.5, 0.3, mixed), rel=1e-5)


def test_the_shares_are_beta_two_two():
    torch.manual_seed(0)
    own = torch.eye(2).expand(4000, 2, 2)
    mixed = Focal(None, mixed=1)._mixtures(torch.ones(4000, 2), own)[:, 0]
    share = mixed[:, 0] / mixed.sum(-1)  # the length cancels out
    assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(share.var()) == pytest.approx(0.05, abs=0.005)  # of Beta(2, 2)


def test_the_mixture_of_all():
    query, _, *negatives = (unit(column.astype(np.float64)) for column in COLUMNS)
    own = np.stack(negatives, axis=1)
    weights = np.exp(np.einsum("bmd,bd->bm", own, query) / 0.3)
    weights /= weights.sum(1, keepdims=True)
    mixed = unit(np.einsum("bm,bmd->bd", weights, own))[:, None]
    loss = Focal(None, 0.5, mixed=0, listwise=True, temperature=0.3)
    found = loss.compute_loss_from_embeddings(TENSORS)
    assert float(found) == pytest.approx(by_hand(0.5, 0.3, mixed), rel=1e-5)


def test_mixtures_are_harder_than_what_they_are_made_of():
    """A mixture lies between two negatives: its cosine is not below the lower one's."""
    torch.manual_seed(0)
    query, own = (
        torch.nn.functional.normalize(torch.rand(50, *shape, 8), dim=-1) for shape in ((), (3,))
    )
    mixed = Focal(None, mixed=4)._mixtures(query, own)
    cosines = (mixed @ query[..., None])[..., 0]
    assert (cosines.min(1).values >= (own @ query[..., None])[..., 0].min(1).values - 1e-6).all()
