"""Batches of similar length: every row once, less padding,
the same again for the same seed and epoch.
"""

import torch
from datasets import Dataset

from embedlab.training.samplers import SimilarLengths
from embedlab.training.trainer import _bfloat16

ROWS = Dataset.from_dict(
    {
        "query": ["q" * (i % 7 + 1) for i in range(100)],
        "positive": ["p" * (i * 37 % 101 + 1) for i in range(100)],
    }
)


def batches(epoch=0, *, seed=3, drop_last=False):
    sampler = SimilarLengths(
        ROWS, batch_size=4, drop_last=drop_last, generator=torch.Generator(), seed=seed
    )
    sampler.set_epoch(epoch)
    return list(sampler), len(sampler)


def test_every_row_comes_once_in_an_epoch():
    found, count = batches()
    assert sorted(row for batch in found for row in batch) == list(range(100))
    assert len(found) == count == 25


def test_no_batch_is_short_with_drop_last():
    odd = SimilarLengths(ROWS.select(range(98)), batch_size=4, drop_last=True, seed=1)
    found = list(odd)
    assert {len(batch) for batch in found} == {4}
    assert len(found) == len(odd) == 24


def test_the_rows_of_a_batch_are_about_as_long():
    def spread(found):
        return sum(
            max(length) - min(length)
            for length in ([len(ROWS[i]["positive"]) for i in b] for b in found)
        )

    found, _ = batches()
    assert spread(found) < spread([list(range(start, start + 4)) for start in range(0, 100, 4)]) / 3


def test_seed_and_epoch_say_the_order():
    assert batches() == batches()
    assert batches() != batches(epoch=1)
    assert batches() != batches(seed=4)


def test_bfloat16_where_the_processor_multiplies_it(monkeypatch):
    cpu = torch.device("cpu")
    for there, wanted in (({}, False), ({"amx_tile": True}, True), ({"avx512_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda there=there: there)
        assert _bfloat16("auto", cpu) == wanted
        assert _bfloat16("bfloat16", cpu) and not _bfloat16("float32", cpu)
