"""Soft labels by their formula (LG-ANNA-Embedding, arXiv:2506.07438), written out in numpy."""

import numpy as np
import pytest
import torch

from embedlab.training.losses.soft_labels import SoftLabels

RANDOM = np.random.default_rng(1)
COLUMNS = [RANDOM.normal(size=(3, 6)) for _ in range(4)]
TEACHER = np.array([[0.9, 0.5, 0.88], [0.7, 0.1, 0.2], [0.4, 0.8, 0.3]])
TENSORS = [torch.tensor(column).float() for column in COLUMNS]


def by_hand(temperature, teacher_temperature, hard, margin, in_batch):
    query, *documents = (c / np.linalg.norm(c, axis=1, keepdims=True) for c in COLUMNS)
    losses = []
    for i in range(3):
        kept = [
            c
            for c in range(3)
            if c == 0 or margin is None or TEACHER[i, c] <= TEACHER[i, 0] - margin
        ]
        own = np.array([query[i] @ documents[c][i] / temperature for c in kept])
        others = [
            query[i] @ d[j] / temperature
            for d in documents
            for j in range(3)
            if j != i and in_batch
        ]
        log_p = own - np.log(np.exp([*own, *others]).sum())
        soft = np.exp(TEACHER[i, kept] / teacher_temperature)
        wanted = (1 - hard) * soft / soft.sum() + hard * (np.array(kept) == 0)
        losses.append(-(wanted * log_p).sum())
    return np.mean(losses)


BASE = {
    "temperature": 0.3,
    "teacher_temperature": 0.2,
    "hard": 0.4,
    "margin": 0.05,
    "in_batch": True,
}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"temperature": 0.1},
        {"teacher_temperature": 0.05},
        {"hard": 0.0},
        {"hard": 1.0},
        {"margin": None},
        {"margin": 0.3},
        {"in_batch": False},
    ],
)
def test_the_loss_is_its_formula_and_each_setting_changes_it(changed):
    def value(settings):
        found = SoftLabels(None, **settings).compute_loss_from_embeddings(
            TENSORS, torch.tensor(TEACHER)
        )
        return float(found)

    settings = BASE | changed
    assert value(settings) == pytest.approx(by_hand(**settings), rel=1e-5)
    assert not changed or value(settings) != pytest.approx(value(BASE), rel=1e-4)


def test_with_hard_labels_alone_it_is_info_nce():
    from embedlab.training.losses.contrastive import info_nce

    loss = SoftLabels(None, temperature=0.05, hard=1.0, margin=None)
    found = loss.compute_loss_from_embeddings(TENSORS, torch.tensor(TEACHER))
    wanted = info_nce(TENSORS[0], torch.cat(TENSORS[1:]), 20.0)
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)


def test_a_negative_that_may_be_right_gets_no_gradient():
    columns = [tensor.clone().requires_grad_() for tensor in TENSORS]
    loss = SoftLabels(None, margin=0.05, in_batch=False)
    loss.compute_loss_from_embeddings(columns, torch.tensor(TEACHER)).backward()
    assert torch.isfinite(columns[0].grad).all()
    assert not columns[3].grad[0].any() and columns[2].grad[0].any()  # .88 of .9, and .5
    assert not columns[2].grad[2].any() and columns[3].grad[2].any()  # .8 of .4, and .3
