"""A loaded tokenizer splits as its tokenizer.json says,
whatever class transformers builds for it.
"""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, processors
from transformers import AutoTokenizer, GPT2Config, GPT2Model, PreTrainedTokenizerFast

from embedlab.encoders.modules.tokenizers import as_published, positions
from embedlab.encoders.modules.weights import read_tokenizer

TEXTS = [" x y", "x", "  x", "x </s> y", "\n x", "x  y "]


@pytest.fixture
def folder(tmp_path):
    """A SentencePiece-like BPE as Llama's tokenizer.json has it:
    a normaliser that prepends the blank's sign.
    """
    letters = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "x",
        "y",
        "▁x",
        "▁y",
        "▁▁",
    ]
    vocabulary = {piece: n for n, piece in enumerate(letters)}
    merges = [("▁", "x"), ("▁", "y"), ("▁", "▁")]
    made = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return tmp_path


def configure(folder, **settings):
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def test_a_llama_tokenizer_keeps_a_leading_blank(folder):
    configure(folder, tokenizer_class="LlamaTokenizer")
    published = Tokenizer.from_file(str(folder / "tokenizer.json"))
    built = AutoTokenizer.from_pretrained(folder)
    assert (
        built(" x y", add_special_tokens=False)["input_ids"]
        != published.encode(" x y", add_special_tokens=False).ids
    )
    found = read_tokenizer(folder)
    for text in TEXTS:
        for marks in (False, True):
            expected = published.encode(text, add_special_tokens=marks).ids
            assert found(text, add_special_tokens=marks)["input_ids"] == expected, text
    assert (found.bos_token_id, found.eos_token_id) == (1, 2)
    assert (
        found(TEXTS, padding=False, truncation=True, max_length=2)["input_ids"][0]
        == published.encode(" x y").ids[:2]
    )


def test_start_and_end_tokens_that_somebody_switched_on_stay(folder):
    configure(folder, tokenizer_class="LlamaTokenizer")
    tokenizer = AutoTokenizer.from_pretrained(folder, add_bos_token=True, add_eos_token=True)
    ids = as_published(tokenizer, folder)(" x")["input_ids"]
    assert ids == [
        1,
        *Tokenizer.from_file(str(folder / "tokenizer.json"))
        .encode(" x", add_special_tokens=False)
        .ids,
        2,
    ]


def test_a_saved_model_is_loaded_with_the_tokenizer_of_its_file(folder, home):
    """Through the loader of any model folder: a Llama of sentence-transformers' own modules."""
    from sentence_transformers import SentenceTransformer
    from transformers import LlamaConfig, LlamaModel

    from embedlab import models as loading

    configure(folder, tokenizer_class="LlamaTokenizer", pad_token="</s>")
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    LlamaModel(LlamaConfig(vocab_size=300, max_position_embeddings=32, **small)).save_pretrained(
        folder
    )
    found = loading.load(str(folder), device="cpu", dtype="float32").encoder.tokenizer
    published = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert found(" x y")["input_ids"] == published.encode(" x y").ids
    assert (
        SentenceTransformer(str(folder), device="cpu").tokenizer(" x y")["input_ids"]
        != published.encode(" x y").ids
    )


def test_another_tokenizer_json_is_left_alone(folder, word_tokenizer):
    plain = word_tokenizer("w1 w2")["input_ids"]
    assert as_published(word_tokenizer, folder)("w1 w2")["input_ids"] == plain
    assert as_published(word_tokenizer, folder / "nowhere") is word_tokenizer


def test_positions_are_counted_where_there_is_a_table():
    assert (
        positions(
            GPT2Model(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=40, vocab_size=9))
        )
        == 40
    )


def test_a_loaded_model_can_be_pickled_and_copied(tiny_folder):
    """An index with its model is, in frameworks that send their parts to other processes."""
    import copy
    import pickle

    from embedlab import models

    model = models.load(str(tiny_folder)).encoder
    wanted = model.encode(["one text"])
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert (twin.encode(["one text"]) == wanted).all()
