"""A text's vector is what sentence-transformers' own `encode` gives
for it alone, whatever the model's shape.
"""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer, SparseEncoder

from embedlab import models
from embedlab.encoding.encoder import Encoder
from embedlab.errors import UserError
from embedlab.options import EncodingOptions
from tests.embedlab.encoding.model_shapes import SHAPES, WORDS, build

RNG = np.random.default_rng(5)
BLANK = ["", " ", "\n"]
TEXTS = [
    *BLANK,
    "w1",
    " w2 w3 ",
    "other w4",
    *(" ".join(RNG.choice(WORDS, size)) for size in RNG.integers(2, 60, 15)),
]
LIMIT = 32  # positions of the tiny transformers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def get(name: str):
        if name not in made:
            made[name] = build(name, tmp_path_factory.mktemp("shape"))
        return made[name]

    return get


def alone(folder, role: str, prompt: str) -> np.ndarray:
    """By sentence-transformers, each text alone;
    beside another where it has no token, which its `encode` needs.
    """
    config = json.loads((folder / "config_sentence_transformers.json").read_text())
    model = (SparseEncoder if config["model_type"] == "SparseEncoder" else SentenceTransformer)(
        str(folder), device="cpu"
    )
    for module in model.modules():
        if getattr(module, "transformer_task", None):
            module.max_seq_length = min(module.max_seq_length, LIMIT)
            module.tokenizer.padding_side = "right"
            module.tokenizer.pad_token = module.tokenizer.pad_token or "[SEP]"
    encode = {"query": model.encode_query, "document": model.encode_document, "text": model.encode}[
        role
    ]
    rows = [
        encode([text, "w5"] if not (prompt + text).strip() else [text], prompt=prompt)[0]
        for text in TEXTS
    ]
    return np.stack([row.to_dense().numpy() if hasattr(row, "to_dense") else row for row in rows])


@pytest.mark.parametrize("prompt", ["", "w7 w8 "])
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_in_every_batch_size(name, prompt, folder, tmp_path, monkeypatch):
    model = models.load(str(folder(name)), device="cpu", dtype="float32")
    roles = ("query", "document") if "queries" in name or "free" in name else ("document",)
    for role in roles:
        wanted = alone(folder(name), role, prompt)
        assert np.isfinite(wanted).all()
        for size in (1, 100, 4_096):
            monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / f"{role}{size}"))
            encoder = Encoder(model, EncodingOptions(batch_tokens=size))
            found = encoder.encode(TEXTS, role=role, prompt=prompt)[0][None].read()
            found = found.toarray() if model.card.kind == "sparse" else found
            np.testing.assert_allclose(
                found, wanted, atol=2e-5, err_msg=f"{role}, {size} tokens a batch"
            )
        assert model.card.dim == wanted.shape[1]


@pytest.mark.parametrize(
    "name", ["no marks, padded left, mean", "static", "word embeddings", "cosine"]
)
def test_texts_without_a_token_spoil_no_other(name, folder, home):
    """One empty text, or nothing else: what was encoded alone is what is encoded beside it."""
    model = models.load(str(folder(name)), device="cpu", dtype="float32")
    together = Encoder(model).encode(["", *TEXTS[3:]], role="document")[0][None].read()
    without = Encoder(model).encode([*TEXTS[3:]], role="query")[0][None].read()
    np.testing.assert_allclose(together[1:], without, atol=2e-6)
    empty = Encoder(model).encode([""], role="text")[0][None].read()
    np.testing.assert_allclose(empty[0], together[0], atol=2e-6)


def test_a_batch_of_texts_without_a_token_is_indexed_and_searched(folder, home):
    """sentence-transformers' own `encode` would give the transformer a batch without columns."""
    from embedlab import corpus_index

    name = str(folder("no marks, padded right, mean"))
    documents = [{"text": text} for text in ["w1 w2", *[""] * 50]]
    index = corpus_index.build(
        name, [f"d{n}" for n in range(51)], documents, device="cpu", dtype="float32"
    )
    assert index.search(["w1 w2"], 1).rows.tolist() == [[0]]
    assert np.isfinite(index.search([""], 51).scores).all()


def test_the_folders_that_need_no_transformer_are_evaluated(folder, home, cli, tmp_path):
    """Through the command line: the score is that of sentence-transformers' vectors."""
    task = tmp_path / "words"
    (task / "qrels").mkdir(parents=True)
    documents, queries = TEXTS, TEXTS[6:]
    write = {"corpus.jsonl": documents, "queries.jsonl": queries}
    for name, texts in write.items():
        lines = (
            json.dumps({"_id": f"{name[0]}{n}", "title": "", "text": text})
            for n, text in enumerate(texts)
        )
        (task / name).write_text("".join(f"{line}\n" for line in lines))
    rows = "".join(f"q{n}\tc{(n * 5) % len(documents)}\t1\n" for n in range(len(queries)))
    (task / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    for name in (
        "static",
        "static for queries",
        "bag of words",
        "word embeddings",
        "no padding token",
    ):
        code, out, err = cli(
            "eval", "--model", folder(name), "--task", task, "--dtype", "float32", "--json"
        )
        assert code == 0, err
        model = SentenceTransformer(str(folder(name)), device="cpu")
        if name == "no padding token":
            model.tokenizer.pad_token = "[SEP]"
        similar = model.similarity(
            model.encode_query(queries), model.encode_document(documents)
        ).numpy()
        gains = []
        for n, scores in enumerate(similar):
            row = (n * 5) % len(documents)
            others = np.delete(np.arange(len(documents)), row)
            # trec_eval's order: score, then the greater id
            ahead = (scores[others] > scores[row] + 1e-6).sum() + sum(
                f"c{other}" > f"c{row}"
                for other in others
                if abs(scores[other] - scores[row]) <= 1e-6
            )
            gains.append(1 / np.log2(ahead + 2) if ahead < 10 else 0)
        assert json.loads(out)["runs"][0]["main_score"] == pytest.approx(
            np.mean(gains), abs=1e-6
        ), name


def test_truncated_vectors_are_not_those_of_the_whole_model(folder, home):
    from embedlab.encoding.encoder import Encoder

    model = models.load(str(folder("truncated")), device="cpu", dtype="float32")
    assert Encoder(model).encode(TEXTS, role="document", layers=[1, None])[0][1].dim == 8
    cut = Encoder(model).ingredients("document", "", None)
    model.encoder.truncate_dim = None
    assert (
        cut["cuts"] == {"truncate_dim": 8}
        and Encoder(model).ingredients("document", "", None)["cuts"] == {}
    )


@pytest.mark.parametrize("method", ["encode", "encode_query", "_inference"])
def test_a_class_with_an_encode_of_its_own_is_refused(method, tiny, home, monkeypatch):
    own = type("Own", (SentenceTransformer,), {method: lambda *_, **__: None})
    monkeypatch.setattr(tiny.encoder, "__class__", own)
    with pytest.raises(UserError, match=f"has a method {method} of its own"):
        Encoder(tiny).encode(["w1"], role="document")


def test_layers_of_a_model_with_towers_are_refused(folder, home):
    model = models.load(str(folder("static for queries")), device="cpu", dtype="float32")
    with pytest.raises(UserError, match="not defined for this model: its modules ask for the role"):
        Encoder(model).encode(["w1"], role="document", layers=[1])
