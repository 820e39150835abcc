"""sentence-transformers' private API is what embedlab reads it for."""

import json

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Module, Router
from sentence_transformers.sentence_transformer.modules import Normalize

from embedlab.compat import sentence_transformers_internals


class Ones(Module):
    """Gives every text the vector (1, 1)."""

    def tokenize(self, texts, **_):
        return {"rows": torch.zeros(len(texts), 1)}

    preprocess = tokenize

    def forward(self, features, **_):
        return {**features, "sentence_embedding": torch.ones(len(features["rows"]), 2)}

    def save(self, output_path, *_, **__):
        return None

    @classmethod
    def load(cls, *_, **__):
        return cls()


def test_a_declared_module_is_loaded_without_remote_code(tmp_path, monkeypatch):
    SentenceTransformer(modules=[Ones()], device="cpu").save(
        str(tmp_path / "model"), create_model_card=False
    )
    listed = json.loads((tmp_path / "model" / "modules.json").read_text())
    listed[0]["type"] = "a_package_that_is_not.Ones"
    (tmp_path / "model" / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(Exception, match=r"a_package_that_is_not|trust_remote_code"):
        SentenceTransformer(str(tmp_path / "model"), device="cpu")
    # Put back afterwards.
    monkeypatch.setattr(BaseModel, "_module_classes", BaseModel._module_classes)
    sentence_transformers_internals.declare_modules({"a_package_that_is_not.Ones": Ones})
    assert isinstance(SentenceTransformer(str(tmp_path / "model"), device="cpu")[0], Ones)


def test_the_first_module_of_a_route_is_the_tasks_own():
    query, document = Ones(), Ones()
    router = Router.for_query_document(
        query_modules=[query, Normalize()], document_modules=[document]
    )
    assert sentence_transformers_internals.first_of_route(router, "query") is query
    assert sentence_transformers_internals.first_of_route(router, "document") is document


def test_roberta_counts_positions_from_behind_its_padding(tmp_path):
    from sentence_transformers.base.modules import Transformer
    from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    for config, model, offset in ((BertConfig, BertModel, 0), (RobertaConfig, RobertaModel, 2)):
        module = Transformer.__new__(Transformer)
        torch.nn.Module.__init__(module)
        module.model = model(config(vocab_size=11, pad_token_id=1, **sizes))
        module._flatten_position_offset = module._infer_flatten_position_offset()
        assert sentence_transformers_internals.position_offset(module) == offset
