"""What is held of a corpus while it is encoded and searched: some bytes for each text."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from embedlab.encoding import batches
from embedlab.encoding.vectors.keys import distinct, keys_and_lengths, text_keys
from embedlab.encoding.vectors.vector_store import Space

TEXTS, BLOCK = 200_000, 2_000


class OnDisk(Sequence):
    """Texts that are made when they are asked for, and counted."""

    asked = 0

    def __len__(self):
        return TEXTS

    def __getitem__(self, row):
        if isinstance(row, np.ndarray):
            self.asked += len(row)
            return [f"passage {each % (TEXTS - 9)} " + "x" * (each % 50) for each in row.tolist()]
        if isinstance(row, slice):
            return self[np.arange(TEXTS)[row]]
        raise AssertionError("texts are read one by one")

    def __iter__(self):
        for start in range(0, TEXTS, BLOCK):
            yield from self[start : start + BLOCK]


@pytest.fixture
def traced():
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_order_and_places_of_texts_take_bytes_not_objects(tmp_path, traced):
    texts = OnDisk()
    keys, lengths = keys_and_lengths("", texts)
    todo = distinct(keys)
    todo = todo[np.argsort(-lengths[todo], kind="stable")]
    parts = list(batches.shards(todo, lengths[todo]))
    space = Space({"model": "made up"}, tmp_path)
    for part in parts:
        space.add(keys[part], lengths[part], np.zeros((len(part), 4), np.float32), 1.0)
    vectors = Space({"model": "made up"}, tmp_path).vectors(keys)
    assert vectors.tokens().sum() == lengths.sum()
    assert vectors.seconds().all == pytest.approx(len(parts))
    assert sum(len(rows) for rows, _ in vectors.blocks(BLOCK)) == TEXTS
    assert texts.asked == TEXTS
    assert traced() < 150 * TEXTS


def test_the_order_is_that_of_length_then_key():
    """As `np.unique` and a stable sort give it: batches, and vectors, stay what they were."""
    texts = [f"w{number % 700}" + "x" * (number % 7) for number in range(2_000)]
    keys, lengths = keys_and_lengths("p: ", texts)
    assert keys.tobytes() == text_keys("p: ", texts).tobytes()
    assert lengths.tolist() == [len(text) for text in texts]
    assert distinct(keys).tolist() == np.unique(keys, return_index=True)[1].tolist()
