"""A tiny model with real parts: random BERT weights, its own tokenizer, mean pooling."""

import pytest


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A sentence-transformers folder of a random BERT: 3 layers, 32 dimensions, 64 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *(f"w{n}" for n in range(200)),
        "q",
        ":",
        "the",
        "a",
        "of",
        "cell",
        "gene",
    ]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    raw = tmp_path_factory.mktemp("raw")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(raw)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
            initializer_range=0.5,
        )
    ).save_pretrained(raw)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    SentenceTransformer(
        modules=[Transformer(str(raw), max_seq_length=64), Pooling(32, "mean"), Normalize()], device="cpu"
    ).save(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """The tiny model, loaded in float32 on the CPU."""
    from embedlab import models

    return models.load(str(tiny_folder), device="cpu", dtype="float32")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty EMBEDLAB_HOME."""
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def cli(capfd, monkeypatch):
    """Run a command line in this process: cli("eval", ...) -> exit code, standard output, standard error."""
    from embedlab import cli as program

    def call(*arguments):
        program.app.registered_commands.clear()
        program.app.registered_groups.clear()
        capfd.readouterr()
        monkeypatch.setattr("sys.argv", ["embedlab", *map(str, arguments)])
        code = 0
        try:
            program.run()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capfd.readouterr()
        return code, out, err

    return call
