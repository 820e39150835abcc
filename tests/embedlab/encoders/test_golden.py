"""Values that the authors published, on the real weights:
`EMBEDLAB_GOLDEN=1 pytest tests/embedlab/encoders`.

The weights come from the hub's cache or the hub; each model needs 1 to 32 GB of memory in float32.
"""

import os

import numpy as np
import pytest

from embedlab import hub
from embedlab.encoders import kalm, llm2vec, nv_embed

pytestmark = pytest.mark.skipif(
    os.environ.get("EMBEDLAB_GOLDEN") != "1",
    reason="needs the published weights: set EMBEDLAB_GOLDEN=1",
)

TASK = "Given a question, retrieve passages that answer the question"
QUERIES = [
    "are judo throws allowed in wrestling?",
    "how to become a radiology technician in michigan?",
]


@pytest.mark.parametrize(
    ("source", "scores"),
    [
        ("nvidia/NV-Embed-v2", [[87.4269, 0.4629], [0.9653, 86.0372]]),
        ("nvidia/NV-Embed-v1", [[77.9402, 0.4249], [3.7577, 79.6011]]),
    ],
)
def test_nv_embed_s_model_card(source, scores):
    passages = card_passages(source)
    model = nv_embed.load(source)
    queries = model.encode(QUERIES, prompt=f"Instruct: {TASK}\nQuery: ")
    assert np.abs(100 * queries @ model.encode(passages).T - scores).max() < 0.1


def card_passages(source: str) -> list[str]:
    """The two passages of the model card's example, from its README."""
    readme = (hub.snapshot(source) / "README.md").read_text(encoding="utf-8")
    block = readme.partition("passages = [")[2].partition("]\n")[0]
    return [
        line.strip().rstrip(",").strip("\"'") for line in block.strip().splitlines() if line.strip()
    ][:2]


def test_kalm_v2_5():
    model = kalm.load("KaLM-Embedding/KaLM-embedding-multilingual-mini-instruct-v2.5")
    published = [
        -0.01055833, -0.02115268, 0.00994598, -0.00856667, -0.0047357,
        0.01062506, 0.00235983, -0.07997689, -0.03332109, 0.01760131,
    ]  # fmt: skip
    assert np.abs(model.encode("This is an example sentence")[:10] - published).max() < 1e-4


def test_llm2vec_s_readme():
    name = "McGill-NLP/LLM2Vec-Meta-Llama-3-8B-Instruct-mntp"
    base = "meta-llama/Meta-Llama-3-8B-Instruct"
    model = llm2vec.load(f"{name}-supervised", base=base, adapters=(name,), chat="llama-3")
    task = "Given a web search query, retrieve relevant passages that answer the query:"
    queries = ["how much protein should a female eat", "summit define"]
    documents = readme_documents("McGill-NLP/LLM2Vec-Meta-Llama-3-8B-Instruct-mntp-supervised")
    found = model.similarity(model.encode(queries, prompt=task), model.encode(documents))
    assert np.abs(found.numpy() - [[0.6470, 0.1619], [0.0786, 0.5844]]).max() < 0.01


def readme_documents(source: str) -> list[str]:
    """The two documents of the README's example."""
    readme = (hub.snapshot(source) / "README.md").read_text(encoding="utf-8")
    block = readme.partition("documents = [")[2].partition("]\n")[0]
    return [
        line.strip().rstrip(",").strip("\"'") for line in block.strip().splitlines() if line.strip()
    ][:2]
