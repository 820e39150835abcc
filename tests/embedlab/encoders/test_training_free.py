"""Language models without training: each form beside a plain computation with transformers."""

import checkpoints
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from embedlab.encoders import training_free
from embedlab.encoders.modules import attention
from embedlab.errors import UserError
from embedlab.models import training_free_names as names

TEXTS = [
    'Are "judo" throws allowed?',
    "radiology",
    "42 cats sat on the mat, and the weather is lovely today",
]
LAYERS = 3
# What the tests compute of each form: the unmasked layers, and which positions are pooled.
FORMS = {
    "mean": {},
    "last": {},
    "bidirectional": {},
    "echo": {},
    "eol": {},
    "special-token": {},
    "unmasked above": {"form": "bidirectional", "unmask": "011"},
    "unmasked below": {"form": "bidirectional", "unmask": 10},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random Llama of three layers that puts a start token in front."""
    return checkpoints.write_backbone(
        tmp_path_factory.mktemp("llama"), "llama", language_model=True
    )


@pytest.fixture(scope="module", params=list(FORMS))
def form(request, folder):
    settings = {"form": request.param, **FORMS[request.param]}
    return request.param, training_free.load(folder, device="cpu", max_length=64, **settings)


def plain(folder, form: str, text: str) -> tuple[list[int], list[int]]:
    """Token ids and the pooled positions, written out."""
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def ids(words: str) -> list[int]:
        return tokenizer(words, add_special_tokens=False)["input_ids"]

    start = [tokenizer.bos_token_id]
    if form == "eol":  # quotation marks within become apostrophes; the text ends in a full stop
        quoted = {TEXTS[0]: "Are 'judo' throws allowed."}.get(text, text + ".")
        found = start + ids(f'This sentence : "{quoted}" means in one word:"')
        return found, [len(found) - 1]
    if form == "echo":
        before = [*start, *ids("Rewrite the sentence:"), *ids(text), *ids(", rewritten sentence:")]
        found = before + ids(text)
        return found, list(range(len(before), len(found)))
    found = start + ids(text)
    if form == "special-token":
        found.append(tokenizer.eos_token_id)
    if form in ("last", "special-token"):
        return found, [len(found) - 1]
    return found, list(range(1, len(found)))


@torch.no_grad()
def computed(folder, form: str, text: str, layer: int = LAYERS) -> np.ndarray:
    """The vector of one text after a layer: transformers' own layers, each under its mask."""
    ids, pooled = plain(folder, form, text)
    free = {"bidirectional": (0, 1, 2), "unmasked above": (1, 2), "unmasked below": (0, 1)}
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    length = len(ids)
    causal = torch.full((length, length), torch.finfo(torch.float32).min).triu(1)[None, None]
    states = model.embed_tokens(torch.tensor([ids]))
    places = torch.arange(length)[None]
    rotary = model.rotary_emb(states, places)
    for number in range(layer):
        mask = torch.zeros_like(causal) if number in free.get(form, ()) else causal
        states = model.layers[number](states, attention_mask=mask, position_embeddings=rotary)
        states = states[0] if isinstance(states, tuple) else states
    return model.norm(states)[0, pooled].mean(0).numpy()


def test_the_vectors_are_those_of_a_plain_computation(form, folder):
    name, model = form
    found = model.encode(TEXTS)
    for text, vector in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(vector, computed(folder, name, text), atol=2e-5, err_msg=text)


def test_each_layer_is_that_of_a_plain_computation(form, folder):
    from embedlab.encoders.modules.layers import layer_outputs

    name, model = form
    with torch.no_grad():
        found = layer_outputs(model, model.preprocess(TEXTS), [1, 2, 3]).numpy()
    for layer in (1, 2, 3):
        for row, text in enumerate(TEXTS):
            expected = computed(folder, name, text, layer)
            np.testing.assert_allclose(found[layer - 1, row], expected, atol=2e-5)


def test_neighbours_and_the_side_of_the_padding_change_nothing(form):
    _, model = form
    alone = np.stack([model.encode(text) for text in TEXTS])
    before = model[0].padding_side
    try:
        for side in ("left", "right"):
            model[0].padding_side = side
            np.testing.assert_allclose(model.encode(TEXTS, batch_size=3), alone, atol=2e-5)
    finally:
        model[0].padding_side = before


def test_the_attention_is_measured(form):
    name, model = form
    decoder = model[0]
    found = attention.measure(decoder.backbone, decoder._probe)
    free = {"bidirectional": (0, 1, 2), "unmasked above": (1, 2), "unmasked below": (0, 1)}
    assert found == [
        "bidirectional" if layer in free.get(name, ()) else "causal" for layer in range(LAYERS)
    ]


def test_saved_it_loads_again(form, tmp_path):
    _, model = form
    model.save(str(tmp_path))
    again = SentenceTransformer(str(tmp_path), device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), model.encode(TEXTS), atol=1e-6)


def test_a_long_text_keeps_what_stands_behind_it(form, folder):
    name, model = form
    ids = model[0].rows(["wrestling " * 500])[0].ids
    short = model[0].rows(["judo."])[0].ids
    if name == "echo":
        assert len(ids) > 64  # each copy has its own 64 tokens
        return
    assert len(ids) == 64
    if name in ("eol", "special-token"):
        assert ids[-4:] == short[-4:] if name == "eol" else ids[-1] == short[-1]


def test_empty_texts_have_vectors(form):
    _, model = form
    assert np.isfinite(model.encode(["", " "])).all()


def test_another_special_token(folder):
    model = training_free.load(folder, form="special-token", token="<unk>", device="cpu")
    assert model[0].rows(["judo"])[0].ids[-1] == model.tokenizer.unk_token_id
    with pytest.raises(UserError, match="no token '<nowhere>'"):
        training_free.load(folder, form="special-token", token="<nowhere>", device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "median"}, "Unknown form 'median'"),
        ({"form": "mean", "unmask": "01"}, "unmask is a setting of bidirectional"),
        ({"form": "eol", "token": "</s>"}, "token is a setting of special-token"),
        ({"form": "bidirectional", "unmask": "012"}, "unmask=012 names no groups"),
        ({"form": "bidirectional", "unmask": "0101"}, "up to 3 groups"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message, folder):
    with pytest.raises(UserError) as error:
        training_free.load(folder, device="cpu", **settings)
    assert message in f"{error.value} {error.value.hint}"


def test_the_names_have_the_forms_of_the_method():
    assert names.FORMS == training_free.FORMS
