"""Which tokens are masked: whole words, as many as asked,
and nested where the method nests them.
"""

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from embedlab.training.losses import masking


def vocabulary(*tokens):
    inside = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, tokens[0]))
    return PreTrainedTokenizerFast(tokenizer_object=inside, unk_token=tokens[0])


@pytest.mark.parametrize(
    ("tokens", "begins"),
    [
        (("[UNK]", "play", "##ing", "well"), [True, True, False, True]),
        (("<unk>", "Ġplay", "ing", "Ġwell"), [False, True, False, True]),
        (("<unk>", "▁play", "ing", "▁well"), [False, True, False, True]),
        (("<unk>", "a", "b", "c"), [True] * 4),
    ],
)
def test_words_begin_where_the_vocabulary_says(tokens, begins):
    assert masking.word_starts(vocabulary(*tokens)).tolist() == begins


def test_words_are_numbered_within_their_text():
    starts = torch.tensor([True, True, False])  # 0 special, 1 begins, 2 continues
    ids = torch.tensor([[0, 1, 2, 2, 1, 0, 0], [0, 2, 1, 1, 2, 2, 0]])
    may = torch.tensor([[0, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1, 0]]).bool()
    words = masking.number_words(ids, may, starts)
    assert words.tolist() == [[-1, 0, 0, 0, 1, -1, -1], [-1, 0, 1, 2, 2, 2, -1]]


def test_whole_words_fill_their_budgets_and_are_nested():
    torch.manual_seed(0)
    words = torch.tensor([[-1, 0, 0, 0, 1, 2, 2, 3, 4, 5, -1]]).repeat(300, 1)
    small, large = (torch.full((300,), n) for n in (2, 5))
    first, second = masking.whole_words(words, small, large)
    for masked in (first, second):
        assert not masked[:, [0, -1]].any()
        # Never half a word.
        assert (masked[:, 1] == masked[:, 3]).all() and (masked[:, 5] == masked[:, 6]).all()
    assert (first <= second).all()
    # 4: all single tokens, and no more fits.
    assert first.sum(-1).max() <= 2 and set(second.sum(-1).tolist()) == {4, 5}
    share = masking.whole_words(words, large)[0].float().mean(0)
    # Every word has its chance.
    assert share[4] > 0.4 and torch.allclose(share[4], share[7], atol=0.12)


def test_the_budget_is_a_share_of_the_length_and_one_at_least():
    assert masking.budget(torch.tensor([1, 9, 20]), 0.3).tolist() == [1, 3, 6]


@pytest.mark.parametrize(("keep", "masked"), [(0.2, 0.8), (0.0, 1.0)])
def test_what_stands_for_a_predicted_token(keep, masked):
    torch.manual_seed(0)
    ids = torch.full((100, 50), 7)
    predicted = torch.rand(ids.shape) < 0.5
    hidden, targets = masking.corrupt(ids, predicted, 3, 1000, keep)
    assert torch.equal(targets, ids.masked_fill(~predicted, masking.IGNORED))
    assert torch.equal(hidden[~predicted], ids[~predicted])
    assert abs((hidden[predicted] == 3).float().mean() - masked) < 0.02
    assert abs((hidden[predicted] == 7).float().mean() - keep / 2) < 0.02
