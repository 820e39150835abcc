"""The folder of indexes: what is found in it, and that nothing outside is."""

from html import escape

import pytest

import retrievers
from app import saved_indexes
from retrievers.errors import RetrieverError


def _index(path):
    import numpy as np

    retrievers.make("torch").index(["a"], np.ones((1, 4), np.float32)).save(path)


def test_indexes_are_found_inside_alone(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for path in (
        inside / "one",
        inside / "group" / "two",
        inside / ".partial" / "three",
        outside / "four",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        _index(path)
    (inside / "link").symlink_to(outside / "four")
    (inside / "group" / "up").symlink_to(tmp_path)
    assert list(saved_indexes.saved(inside)) == ["one", "group/two"]
    assert saved_indexes.saved(tmp_path / "nowhere") == {}


def test_a_broken_index_is_an_error_with_a_hint(tmp_path):
    _index(tmp_path / "one")
    next(tmp_path.glob("one/data-*/vectors.npy")).unlink()
    with pytest.raises(RetrieverError, match="half-written") as caught:
        saved_indexes.load(tmp_path / "one")
    assert caught.value.hint


def test_a_sparse_models_expansion_terms_come_with_the_results(
    tmp_path, tiny_folder, show, monkeypatch
):
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    BertForMaskedLM(
        BertConfig(vocab_size=len(tokenizer), initializer_range=0.3, **sizes)
    ).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = SparseEncoder(
        modules=[MLMTransformer(str(tmp_path)), SpladePooling("max")], device="cpu"
    )
    encoder = retrievers.Encoder(model, "splade@1", "splade")
    documents = ["w1 w2 the cell", "w3 <b> gene"]
    retrievers.Encoded(encoder, "sparse").index(["a", "b"], documents).save(
        tmp_path / "indexes" / "splade"
    )
    # What the command names in its settings: a function from an encoder's name to the encoder.
    monkeypatch.setattr(
        "tests.app.sample.encoder", lambda name: {"splade": encoder}[name], raising=False
    )
    page = show(
        "search",
        indexes=tmp_path / "indexes",
        encoders="tests.app.sample:encoder",
        q="w1 cell",
        right="none",
    )
    assert not page.exception and not page.error
    html = "".join(element.proto.body for element in page.get("html"))
    terms = retrievers.Encoded(encoder, "sparse").query_terms("w1 cell")
    assert len(terms) > 1 and all(
        f"<li>{escape(term)} <span>{weight:.4f}</span></li>" in html for term, weight in terms[:20]
    )
