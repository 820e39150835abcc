"""`--compile`: the same vectors, whichever batch shapes come."""

import numpy as np
import pytest

from embedlab.encoding.encoder import Encoder
from embedlab.options import EncodingOptions

pytestmark = pytest.mark.bench
TEXTS = [" ".join(f"w{(7 * n + k) % 200}" for k in range(1 + n)) for n in range(40)]


def test_compiled_layers_give_the_same_vectors(tiny, tmp_path, monkeypatch):
    found = []
    for compiled in (False, True):
        monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / str(compiled)))
        encoder = Encoder(tiny, EncodingOptions(compiled=compiled, batch_tokens=256))
        vectors, cost = encoder.encode(TEXTS, role="document", layers=[2, None])
        assert cost.kernels == ("compiled" if compiled else encoder.kernels)
        found.append([vectors[layer].read() for layer in (2, None)])
    np.testing.assert_allclose(found[1], found[0], atol=2e-6)
    assert any((tmp_path / "True" / "compiled").iterdir())  # kept for later runs
