"""Late interaction from what is typed to what the store holds."""

import json
import shutil

import numpy as np
import pytest
from sentence_transformers import MultiVectorEncoder

from embedlab.encoding.vectors.upkeep import spaces
from embedlab.models.files.model_files import kind_of
from embedlab.models.kinds import Kind


def test_views_and_indexes_of_one_pass(late, corner, ok, home):
    runs = ok(
        "eval", "--model", late, "--task", corner, "--json", "--store-dtype", "float16",
        "--index", "maxsim,maxsim,bits=8,pool=2,muvera:faiss:flat,candidates=10",
        "--dims", "16,32", "--top-k", "10",
    )["runs"]  # fmt: skip
    seen = {(run["dim"], run["index"]): run for run in runs}
    assert len(seen) == 6
    full = seen[32, "maxsim"]["costs"]
    tokens = full["index_bytes"] / (32 * 4)
    assert full["index_bytes_per_document"] == full["index_bytes"] / 30
    assert full["recall_of_exact_at_10"] == 1.0 and tokens > 30 * 12
    assert seen[16, "maxsim"]["costs"]["index_bytes"] < 0.55 * full["index_bytes"]
    pooled = seen[32, "maxsim,bits=8,pool=2"]["costs"]
    assert pooled["index_bytes"] < 0.2 * full["index_bytes"]
    assert 0 < seen[32, "muvera:faiss:flat,candidates=10"]["costs"]["recall_of_exact_at_10"] <= 1
    (documents,) = (space.folder for space in spaces() if space.ingredients["role"] == "document")
    (codes,) = (np.load(file) for file in documents.glob("*.codes.npy"))
    assert codes.dtype == np.float16 and codes.shape[1] == 32


def test_precisions_and_int8_in_the_store(late, corner, ok, home):
    runs = ok(
        "eval", "--model", late, "--task", corner, "--json", "--store-dtype", "int8",
        "--precision", "float32,int8,binary",
    )["runs"]  # fmt: skip
    sizes = [run["costs"]["index_bytes"] for run in runs]
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.1 * sizes[0]
    assert [run["index"] for run in runs] == ["maxsim", "maxsim,bits=8", "maxsim,bits=1"]
    (same,) = ok(
        "eval", "--model", late, "--task", corner, "--json", "--store-dtype", "int8",
        "--index", "maxsim,bits=8",
    )["runs"]  # fmt: skip
    place = ("model", "index", "dim", "precision", "settings", "main_score")
    assert [same[key] for key in place] == [runs[1][key] for key in place], "one thing, one place"
    scores = [run["main_score"] for run in runs]
    assert scores[1] == pytest.approx(scores[0], abs=0.02)
    assert any(file.suffix == ".npy" for file in home.glob("vectors/*/*.factors.npy"))


def test_a_second_stage_reads_what_was_stored(late, corner, ok, home):
    command = ("eval", "--model", f"bm25 >> rerank({late}, depth=30)", "--task", corner, "--json")
    (cold,), (alone,) = (
        ok(*command)["runs"],
        ok("eval", "--model", late, "--task", corner, "--json")["runs"],
    )
    assert cold["costs"]["rerank_encode_seconds"] > 0
    assert alone["costs"]["encoded_now_texts"] <= 30, "the rest was found by bm25 and is stored"
    folders = {space.folder for space in spaces()}
    (warm,) = ok(*command)["runs"]
    assert (
        warm["main_score"] == cold["main_score"] and {space.folder for space in spaces()} == folders
    )


def test_an_index_with_a_second_stage_holds_the_tokens(late, corner, ok, tmp_path):
    built = {}
    for name, model in (("plain", "bm25"), ("late", f"bm25 >> {late}")):
        built[name] = ok(
            "index", "--model", model, "--corpus", corner, "--out", tmp_path / name, "--json"
        )
    assert built["late"]["bytes"] > built["plain"]["bytes"] + 30 * 12 * 32 * 4
    asked, texts = texts_of(corner, "queries"), texts_of(corner, "corpus")
    best = ok("search", tmp_path / "late", asked[0], "--json")["results"][0]
    model = MultiVectorEncoder(str(late), device="cpu")
    scores = model.similarity(model.encode_query(asked[:1]), model.encode_document(texts))[0]
    assert best["id"] == f"d{int(scores.argmax())}"
    assert best["score"] == pytest.approx(float(scores.max()), abs=1e-4)


def test_one_index_has_one_name(late, corner, ok):
    spellings = "muvera,muvera:faiss:flat,muvera:faiss:FLAT,candidates=200"
    command = ("eval", "--model", late, "--task", corner, "--json", "--index", spellings)
    (run,) = ok(*command)["runs"]
    assert run["index"] == "muvera:faiss:flat"
    (run,) = ok("eval", "--model", f"rrf(bm25, {late}@muvera)", "--task", corner, "--json")["runs"]
    assert run["model"].endswith("@muvera:faiss:flat)")


def texts_of(corner, name):
    return [json.loads(line)["text"] for line in (corner / f"{name}.jsonl").open()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layers", "1"], "single layers are not seen"),
        (["--dims", "99"], "has no 99 dimensions"),
        (["--index", "maxsim,metric=meanmaxsim"], "would have no effect"),
        (["--index", "faiss:flat"], "No model here can be searched"),
        (["--index", "muvera:faiss:flat", "--precision", "int8"], "goes with --index maxsim"),
    ],
)
def test_what_does_not_fit_is_refused(late, corner, refused, options, words):
    assert words in refused("eval", "--model", late, "--task", corner, *options)


def test_int8_in_the_store_is_for_tokens(tiny_folder, corner, refused):
    said = refused("eval", "--model", tiny_folder, "--task", corner, "--store-dtype", "int8")
    assert "is for late interaction" in said


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config_sentence_transformers.json", '{"model_type": "ColBERT"}'),
        ("config_sentence_transformers.json", '{"query_prefix": "[Q] "}'),
        ("modules.json", '[{"type": "pylate.models.Dense.Dense"}]'),
        ("config.json", '{"architectures": ["HF_ColBERT"]}'),
    ],
)
def test_checkpoints_of_pylate_and_stanford_are_known(tmp_path, file, text):
    (tmp_path / file).write_text(text)
    assert kind_of(tmp_path) is Kind.LATE


def test_a_checkpoint_as_pylate_saves_it(late, corner, ok, tmp_path):
    """Its layout: a Transformer and a Dense of its own, prefixes and lengths in one file."""
    from sentence_transformers.base.modules import Dense

    folder = tmp_path / "pylate"
    shutil.copytree(late, folder)
    shutil.rmtree(folder / "1_MultiVectorMask")
    shutil.rmtree(folder / "2_Normalize")
    dense = Dense(32, 16, bias=False, module_input_name="token_embeddings")
    (folder / "1_Dense").mkdir()
    dense.save(str(folder / "1_Dense"))
    modules = json.loads((folder / "modules.json").read_text())[:1]
    modules.append({"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    config = {
        "model_type": "ColBERT",
        "query_prefix": "q ",
        "document_prefix": ": ",
        "query_length": 16,
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    (run,) = ok("eval", "--model", folder, "--task", corner, "--json")["runs"]
    model = MultiVectorEncoder(str(folder), device="cpu")
    asked, texts = texts_of(corner, "queries"), texts_of(corner, "corpus")
    ranks = model.similarity(model.encode_query(asked), model.encode_document(texts)).argsort(
        dim=1, descending=True
    )
    gains = [
        1 / np.log2(2 + place) if place < 10 else 0.0
        for q in range(8)
        for place in [ranks[q].tolist().index(q)]
    ]
    assert run["main_score"] == pytest.approx(np.mean(gains), abs=1e-6)


@pytest.mark.parametrize("model", ["{late}", "bm25 >> {late}"])
def test_frameworks_search_token_vectors(late, corner, ok, tmp_path, model):
    import retrievers
    from retrievers.integrations.haystack import HaystackRetriever
    from retrievers.integrations.langchain import LangChainRetriever
    from retrievers.integrations.llama_index import LlamaIndexRetriever

    name, query = model.format(late=late), texts_of(corner, "queries")[0]
    ok("index", "--model", name, "--corpus", corner, "--out", tmp_path / "index", "--json")
    index = retrievers.load(tmp_path / "index")
    wanted = [(id, pytest.approx(score)) for id, score in index.search_one(query, 3)]
    found = LangChainRetriever(retriever=index, k=3).invoke(query)
    assert [(one.id, one.metadata["score"]) for one in found] == wanted
    found = LlamaIndexRetriever(retriever=index, k=3).retrieve(query)
    assert [(one.node.node_id, one.score) for one in found] == wanted
    named = HaystackRetriever(str(tmp_path / "index"), top_k=3)
    again = HaystackRetriever.from_dict(named.to_dict())
    assert [(one.id, one.score) for one in again.run(query)["documents"]] == wanted
