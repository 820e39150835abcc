"""Late chunking of a text longer than the model reads, beside plain transformers."""

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

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
