"""`retrievers.load(path)` in a process that knows the path alone: the index finds its encoder, and
answers as in the process that built it, filters included.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

from embedlab import corpus_index
from tests.embedlab.encoding.model_shapes import splade

ROOT = Path(__file__).parents[3]
DOCUMENTS = {
    f"d{n}": {"text": f"w{n} the cell w{n * 7 % 30} gene", "year": 2000 + n, "tags": ["x"][n % 2 :]}
    for n in range(30)
}
INDEXES = {
    "dense": ["torch", "faiss:flat", "faiss:hnsw8", "faiss:ivf2", "faiss:sq8", "faiss:binary",
              "faiss:binary,rescore=4", "lucene:hnsw"],
    "sparse": ["sparse", "seismic", "lucene:impact"],
    "late": ["maxsim", "muvera:faiss:flat"],
}  # fmt: skip
QUERY, WHERE = "w3 the gene w21", "year >= 2010 and not tags contains 'x'"
PROGRAM = f"""
import json, sys, retrievers
for path in sys.argv[1:]:
    found = retrievers.load(path).retrieve({QUERY!r}, 5, where={WHERE!r})
    print("FOUND", json.dumps([path, [[hit.id, hit.score, hit.metadata] for hit in found]]))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory, tiny_folder):
    """The folder of a model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    splade(folder).save(str(folder / "sparse"))
    transformer = SentenceTransformer(str(tiny_folder), device="cpu")[0]
    modules = [transformer, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, device="cpu").save(str(folder / "late"))
    return {"dense": tiny_folder, "sparse": folder / "sparse", "late": folder / "late"}


def test_every_family_finds_its_encoder(models, home, tmp_path):
    asked = [
        *((str(models[kind]), spec, "") for kind, specs in INDEXES.items() for spec in specs),
        ("bm25", "", ""),
        ("bm25", "", "tokens:size=3"),
        (str(models["dense"]), "torch", "tokens:size=6,over=mean"),
        (f"rrf(bm25, {models['dense']}) >> {models['late']}", "", ""),
    ]
    wanted = {}
    for number, (model, spec, chunk) in enumerate(asked):
        how = {} if model == "bm25" else {"device": "cpu", "dtype": "float32"}
        built = corpus_index.build(
            model, list(DOCUMENTS), list(DOCUMENTS.values()), spec, chunk=chunk, **how
        )
        built.save(tmp_path / f"{number}")
        found = built.retrieve(QUERY, 5, where=WHERE)
        assert len(found) == 5 and all(hit.metadata["year"] >= 2010 for hit in found)
        wanted[str(tmp_path / f"{number}")] = [[hit.id, hit.score, hit.metadata] for hit in found]
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *wanted], capture_output=True, text=True, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr
    lines = [line for line in answer.stdout.splitlines() if line.startswith("FOUND ")]
    got = dict(json.loads(line.removeprefix("FOUND ")) for line in lines)
    assert got.keys() == wanted.keys()
    for path, found in wanted.items():
        model = asked[int(Path(path).name)]
        assert [hit[::2] for hit in got[path]] == [hit[::2] for hit in found], model
        assert [hit[1] for hit in got[path]] == pytest.approx([hit[1] for hit in found]), model
