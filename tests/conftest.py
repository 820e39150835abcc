"""A tiny model with real parts: random BERT weights, its own tokenizer, mean pooling."""

import gc
import os
import sys
from pathlib import Path

import pytest

from tests.tiny_models import LLAMA

# Here and in the processes that tests start: models this small lose more to threads than they win,
# and the threads of several processes wait for each other at full speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The folders and files that take longest, first: so both processes are busy until the end.
LONGEST = (
    "tests/oracles", "tests/invariants", "tests/docs", "tests/kills", "tests/plugins", "tests/fuzz",
    "tests/golden", "tests/embedlab/training", "tests/embedlab/encoders", "tests/leaderboard",
    "tests/browser", "tests/test_wheel.py", "tests/test_architecture.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests by how long their folders take; within a folder they stay as they are."""
    root = Path(__file__).parents[1]

    def place(item: pytest.Item) -> int:
        file = item.path.relative_to(root).as_posix() if item.path.is_relative_to(root) else ""
        found = (n for n, path in enumerate(LONGEST) if f"{file}/".startswith(f"{path}/"))
        return next(found, len(LONGEST))

    items.sort(key=place)


def pytest_runtest_logstart() -> None:
    """Hide what was imported from the garbage collector: a million objects, half a second for each
    collection, of which accelerate asks for one per training.
    """
    global _imported
    if len(sys.modules) > _imported + 200:
        gc.collect()
        gc.freeze()
        _imported = len(sys.modules)


_imported = 0


def pytest_unconfigure() -> None:
    """So that Python can free it at its end."""
    gc.unfreeze()


def pytest_runtest_setup() -> None:
    """Without a GPU, torch keeps for later the stack of each call that seeds one: a millisecond
    for each of mteb's many.
    """
    torch = sys.modules.get("torch")
    for kind in ("cuda", "xpu", "mtia"):
        device = getattr(torch, kind, None)
        if device and not device.is_available():
            getattr(device, "random", device)._lazy_call = lambda *_, **__: None


@pytest.fixture(scope="session")
def word_tokenizer():
    """A tokenizer of the words w0 to w199 and a few more,
    with BERT's special tokens; at most 64 tokens.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *(f"w{n}" for n in range(200)), "q", ":"]
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    names = dict(
        zip(
            ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True
        )
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, word_tokenizer):
    """A sentence-transformers folder of a random BERT: 3 layers, 32 dimensions, 64 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from transformers import BertConfig, BertModel

    torch.set_num_threads(1)  # models this small lose more to threads than they win
    raw = tmp_path_factory.mktemp("raw")
    word_tokenizer.save_pretrained(raw)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(word_tokenizer),
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
        modules=[Transformer(str(raw), max_seq_length=64), Pooling(32, "mean"), Normalize()],
        device="cpu",
    ).save(str(folder))
    return folder


@pytest.fixture(scope="session")
def small_base(tmp_path_factory, word_tokenizer):
    """A random Llama of two layers, a base for training."""
    import torch

    from embedlab.training.new_base import write_random

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base") / "decoder"
    write_random(
        folder, word_tokenizer, "llama", **LLAMA, num_key_value_heads=2, max_position_embeddings=64
    )
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """The tiny model, loaded in float32 on the CPU."""
    from embedlab import models

    return models.load(str(tiny_folder), device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def real_bases(tmp_path_factory):
    """An EMBEDLAB_HOME/bases that all tests of a run, in all its processes, share: to convert
    the real base takes twenty seconds of computing.
    """
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent  # which is the run's; theirs are below
    (folder / "bases").mkdir(exist_ok=True)
    return folder / "bases"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty EMBEDLAB_HOME."""
    monkeypatch.setenv("EMBEDLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def cli(capfd, monkeypatch):
    """Run a command line in this process: cli("eval", ...)
    -> exit code, standard output, standard error.
    """
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
