"""What goes through a model at once: budgets kept, little padding,
flat batches as sentence-transformers has them.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embedlab.encoding.batches import batches, flatten, select


@given(st.lists(st.integers(1, 300), min_size=1, max_size=200), st.integers(1, 1_000))
def test_batches_keep_the_budget_and_hold_every_text_once(tokens, budget):
    tokens = np.array(tokens)
    cut = list(batches(tokens, budget))
    assert sorted(np.concatenate(cut)) == list(range(len(tokens)))
    assert all(len(batch) == 1 or len(batch) * tokens[batch].max() <= budget for batch in cut)
    assert all((tokens[batch[0]] - tokens[batch]).sum() <= budget // 32 for batch in cut)
    assert all(tokens[batch[0]] == tokens[batch].max() for batch in cut)


def test_texts_of_like_length_come_together_so_little_is_padded():
    tokens = np.random.default_rng(0).integers(3, 257, 500)
    padded = sum(len(batch) * tokens[batch[0]] for batch in batches(tokens, 2_048))
    assert 1 - tokens.sum() / padded < 0.05


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_are_cut_on_the_padded_side(side):
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    features = {
        "input_ids": torch.arange(12).view(3, 4),
        "attention_mask": mask if side == "right" else mask.flip(1),
    }
    rows = select(features, np.array([1, 2]))
    assert rows["input_ids"].tolist() == (
        [[4, 5], [8, 9]] if side == "right" else [[6, 7], [10, 11]]
    )
    assert select({**features, "prompt_length": 3}, np.array([0]))["prompt_length"] == 3
    assert select({**features, "what": 3}, np.array([0])) is None


@pytest.mark.parametrize("offset", [0, 2])
def test_flat_batches_are_those_of_sentence_transformers(offset):
    """The same names and values as transformers' collator,
    which sentence-transformers flattens with.
    """
    from transformers import DataCollatorWithFlattening

    texts = [[2, 7, 8, 3], [2, 9, 3], [2, 3]]
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])
    padded = {
        "input_ids": torch.tensor([ids + [0] * (4 - len(ids)) for ids in texts]),
        "attention_mask": mask,
        "modality": "text",
    }
    collate = DataCollatorWithFlattening(
        return_seq_idx=True, return_flash_attn_kwargs=True, return_position_ids=True
    )
    expected = collate([{"input_ids": ids} for ids in texts])
    expected.pop("labels")
    found = flatten(padded, offset)
    assert found.pop("modality") == "text"
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        value = value + offset if name == "position_ids" else value
        assert torch.equal(
            torch.as_tensor(found[name]),
            torch.as_tensor(value).to(torch.as_tensor(found[name]).dtype),
        ), name
