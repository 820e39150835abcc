"""Our objectives beside sentence-transformers' own losses and plain formulas, on given vectors."""

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers.sentence_transformer import losses as dense
from sentence_transformers.sparse_encoder import losses as sparse
from sentence_transformers.util import dot_score, pairwise_dot_score
from torch import nn

from embedlab.training import objectives
from embedlab.training.losses import distil, focal
from embedlab.training.losses.caching import GradientCached

ROWS, WIDTH = 6, 5


class Table(nn.Module):
    """A model whose vector of text n is row n of a table that trains."""

    def __init__(self, rows):
        super().__init__()
        torch.manual_seed(0)
        self.rows = nn.Parameter(torch.randn(rows, WIDTH))

    def forward(self, features):
        return {**features, "sentence_embedding": self.rows[features["input_ids"][:, 0]].relu()}

    def get_embedding_dimension(self):
        return WIDTH

    def __getitem__(self, number):  # gradient caching looks at the first module
        return self


def columns(number):
    ids = torch.arange(ROWS * number).view(number, ROWS, 1)
    return [{"input_ids": each, "attention_mask": torch.ones_like(each)} for each in ids]


def outcome(loss, number, labels=None):
    """The loss of one batch and the gradient of the table, from the same start."""
    model = loss.model
    model.rows.grad = None
    found = loss(columns(number), labels)
    value = sum(found.values()) if isinstance(found, dict) else found
    value.backward()
    return value.detach(), model.rows.grad.clone()


def same(ours, public, number, labels=None):
    for one, other in zip(
        outcome(ours, number, labels), outcome(public, number, labels), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.fixture
def teacher(monkeypatch):
    from embedlab.models.cards import Card
    from embedlab.training import teachers

    card = Card(name="teacher", method="object", dim=WIDTH, similarity="dot")
    monkeypatch.setattr(teachers, "described", lambda name, vectors=False: card)
    return "teacher"


@pytest.mark.parametrize("mini", [None, 2])
def test_margins(teacher, mini):
    model, labels = Table(3 * ROWS), torch.randn(ROWS, 1)
    ours = distil.build(
        model, teacher=teacher, kind="margin-mse", similarity="dot", mini_batch_size=mini
    )
    same(ours, dense.MarginMSELoss(model), 3, labels)
    with_flops = sparse.SpladeLoss(model, sparse.SparseMarginMSELoss(model), 0.0, 0.0)
    same(ours, with_flops, 3, labels)
    query, good, bad = model.rows.relu().view(3, ROWS, WIDTH)
    margin = (query * good).sum(1) - (query * bad).sum(1)
    torch.testing.assert_close(
        outcome(ours, 3, labels)[0], ((margin - labels[:, 0]) ** 2).mean().detach()
    )


@pytest.mark.parametrize("mini", [None, 4])
def test_scores(teacher, mini):
    model, labels = Table(4 * ROWS), torch.randn(ROWS, 3)
    ours = distil.build(
        model,
        teacher=teacher,
        kind="kl",
        similarity="dot",
        temperature=2.0,
        mini_batch_size=mini,
    )
    public = dense.DistillKLDivLoss(model, similarity_fct=pairwise_dot_score, temperature=2.0)
    same(ours, public, 4, labels)
    query, *others = model.rows.relu().view(4, ROWS, WIDTH)
    scores = torch.stack([(query * each).sum(1) for each in others], 1) / 2
    wanted = F.softmax(labels / 2, 1)
    value = (wanted * (wanted.log() - F.log_softmax(scores, 1))).sum(1).mean() * 4
    torch.testing.assert_close(outcome(ours, 4, labels)[0], value.detach())


def test_gradient_caching_is_that_of_the_public_one():
    model = Table(2 * ROWS)
    plain = dense.MultipleNegativesRankingLoss(model, scale=20.0)
    public = dense.CachedMultipleNegativesRankingLoss(model, scale=20.0, mini_batch_size=2)
    same(GradientCached(model, plain, 2), public, 2)
    same(GradientCached(model, plain, 2), plain, 2)
    same(objectives.contrastive(model, scale=20.0, mini_batch_size=2), plain, 2)


def test_flops():
    model = Table(2 * ROWS)
    ours = objectives.splade(model, query_weight=0.3, document_weight=0.2, scale=1.0)
    ranking = sparse.SparseMultipleNegativesRankingLoss(model, scale=1.0, similarity_fct=dot_score)
    public = sparse.SpladeLoss(model, ranking, 0.2, query_regularizer_weight=0.3)
    same(ours, public, 2)
    query, good = model.rows.relu().view(2, ROWS, WIDTH)
    value = F.cross_entropy(query @ good.T, torch.arange(ROWS))
    value = value + 0.3 * (query.mean(0) ** 2).sum() + 0.2 * (good.mean(0) ** 2).sum()
    torch.testing.assert_close(outcome(ours, 2)[0], value.detach())


def test_without_focus_and_mixtures_it_is_the_public_contrast():
    model = Table(3 * ROWS)
    ours = focal.Focal(model, gamma=0.0, mixed=0, temperature=0.05)
    same(ours, dense.MultipleNegativesRankingLoss(model, scale=20.0), 3)
