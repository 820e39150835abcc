"""What holds for each LLM method alike."""

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from embedlab.encoders.methods import METHODS
from embedlab.encoders.modules import attention
from embedlab.encoders.modules.decoder import Decoder
from embedlab.errors import UserError

TEXTS = [
    "are judo throws allowed in wrestling?",
    "radiology",
    "42 cats sat on the mat, and the weather is lovely today",
]
PROMPT = "Instruct: Given a question, retrieve passages that answer the question\nQuery: "
DEPENDS_ON_BATCH = "pooling-and-attn-4"  # pools padding too, as published


def decoder_of(model) -> Decoder:
    return next(module for module in model.modules() if isinstance(module, Decoder))


def difference(a, b) -> float:
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


def test_the_vectors_do_not_depend_on_batch_size_or_order(every):
    name, model = every
    if name == DEPENDS_ON_BATCH:
        alone = np.stack([model.encode(text) for text in TEXTS])
        assert difference(alone, model.encode(TEXTS, batch_size=3)) > 1e-4
        return
    for prompt in (None, PROMPT):
        alone = np.stack([model.encode(text, prompt=prompt) for text in TEXTS])
        assert difference(alone, model.encode(TEXTS, prompt=prompt, batch_size=3)) <= 1e-5
        assert (
            difference(alone[::-1], model.encode(TEXTS[::-1], prompt=prompt, batch_size=2)) <= 1e-5
        )


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_vectors_do_not_depend_on_the_side_of_the_padding(every, side):
    name, model = every
    if name == DEPENDS_ON_BATCH:
        pytest.skip("pools padding too, as published")
    decoder = decoder_of(model)
    before, alone = (
        decoder.padding_side,
        np.stack([model.encode(text, prompt=PROMPT) for text in TEXTS]),
    )
    try:
        decoder.padding_side = side
        assert difference(alone, model.encode(TEXTS, prompt=PROMPT)) <= 1e-5
    finally:
        decoder.padding_side = before


def test_saved_and_loaded_it_is_the_same_model(every, tmp_path):
    _, model = every
    model.save(str(tmp_path))
    again = SentenceTransformer(str(tmp_path), device="cpu", model_kwargs={"dtype": torch.float32})
    assert (
        difference(model.encode(TEXTS, prompt=PROMPT), again.encode(TEXTS, prompt=PROMPT)) <= 1e-6
    )
    assert (
        again.get_embedding_dimension() == model.get_embedding_dimension() == len(model.encode("a"))
    )
    assert again.max_seq_length == model.max_seq_length


def test_the_attention_is_measured(every):
    _, model = every
    decoder = decoder_of(model)
    assert attention.measure(decoder.backbone, decoder._probe) == [decoder.attention] * 3


def test_a_long_text_keeps_start_and_end(every):
    name, model = every
    decoder = decoder_of(model)
    whole = decoder.rows(["judo"], PROMPT)[0].ids
    # bge-en-icl's examples come on top of the limit,
    # and up to 16 tokens for what its way through text adds.
    examples = (
        len(decoder.tokenizer(decoder.template.prefix)["input_ids"]) + 32
        if name == "in-context"
        else 0
    )
    for text in ("wrestling " * 500, "wrestling" * 2000, "☃" * 3000):
        row = decoder.rows([text], PROMPT)[0]
        assert decoder.max_seq_length - 12 <= len(row.ids) <= decoder.max_seq_length + examples
        assert row.ids[: row.head - 2] == whole[: row.head - 2]
        if name != "kalm":  # ends with the text itself
            assert row.ids[-1] == whole[-1]


def test_a_text_of_a_million_characters(every):
    _, model = every
    vectors = model.encode(["judo and radiology " * 52_632, "x" * 1_000_000])
    assert np.isfinite(vectors).all()


def test_an_empty_text_has_a_vector(every):
    _, model = every
    for prompt in (None, PROMPT):
        vectors = model.encode(["", " ", *TEXTS], prompt=prompt)
        assert np.isfinite(vectors).all()
        assert (np.linalg.norm(vectors, axis=1) > 0).all()


@pytest.mark.parametrize("wrong", [7, None, b"bytes", ["a", "b"], {"text": "a"}])
def test_only_strings_are_texts(every, wrong):
    _, model = every
    with pytest.raises(UserError, match=f"of type {type(wrong).__name__}"):
        model.preprocess(["fine", wrong])


def test_an_instruction_that_leaves_no_room(every):
    _, model = every
    with pytest.raises(UserError, match="no room for a text"):
        model.encode(["judo"], prompt="word " * 5000)


def test_queries_and_documents_take_the_model_s_prompts(every):
    _, model = every
    model.prompts = {"query": PROMPT, "document": ""}
    assert difference(model.encode_query(TEXTS), model.encode(TEXTS, prompt=PROMPT)) <= 1e-6
    assert difference(model.encode_document(TEXTS), model.encode(TEXTS)) <= 1e-6


def test_each_method_is_registered():
    assert {
        "nv-embed",
        "causal2vec",
        "gem",
        "llm2vec",
        "genc",
        "kalm",
        "in-context",
        "pooling-and-attn",
    } <= set(METHODS)
