"""Backends: the same model by other runtimes, from its name to vectors, runs and refusals."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from embedlab import models
from embedlab.encoding.encoder import Encoder
from embedlab.errors import UserError
from embedlab.models import backends, composition
from embedlab.options import EncodingOptions
from leaderboard.storage.store import Store
from tests.beir_folder import write_beir
from tests.tiny_models import HEADS, write_cross_encoder

NEEDS = {"onnx": "onnxruntime", "onnx-int8": "onnxruntime", "openvino": "openvino", "gguf": "gguf"}
rng = np.random.default_rng(1)
TEXTS = [
    " ".join(f"w{n}" for n in rng.integers(0, 200, length)) for length in rng.integers(1, 70, 40)
]


def installed(backend: str):
    missing = [name for name in ("onnx", "onnxscript", NEEDS[backend]) if not find_spec(name)]
    return pytest.param(
        backend, marks=pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not here")
    )


EXPORTED = [installed(name) for name in ("onnx", "openvino", "onnx-int8")]
needs_onnx = installed("onnx").marks[0]


@pytest.fixture(scope="module", autouse=True)
def one_home(tmp_path_factory):
    """Exports are made once for this file."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("EMBEDLAB_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    return write_beir(
        tmp_path_factory.mktemp("beir") / "corner", [f"w{n}" for n in range(99)], 20, 6
    )


def vectors(model, workers=2):
    encoder = Encoder(model, EncodingOptions(workers=workers, batch_tokens=256))
    made, cost = encoder.encode(TEXTS, role="document")
    return made[None].read(), cost


@pytest.mark.parametrize("backend", EXPORTED)
def test_another_runtime_gives_the_same_vectors_in_a_space_of_its_own(backend, tiny_folder):
    plain = models.load(str(tiny_folder), device="cpu")
    other = models.load(f"{tiny_folder}@{backend}", device="cpu")
    expected, _ = vectors(plain)
    actual, cost = vectors(other)
    assert cost.encoded_texts == len(TEXTS)  # none was found among the plain model's
    assert cost.kernels == other.runtime and other.runtime.startswith(
        f"{backend} ({NEEDS[backend]}"
    )
    assert not any(type(part) is torch.nn.Linear for part in other.encoder.modules())
    cosines = (expected * actual).sum(axis=1)
    if backend == "onnx-int8":
        assert 0.9 < cosines.min() < 0.99999
    else:
        assert np.abs(expected - actual).max() < 1e-5
    assert other.card.parameters == plain.card.parameters
    assert other.fact("layers") is None and other.fact("attention_kernel") is None


@needs_onnx
def test_a_suffix_is_a_setting(tiny_folder):
    by_suffix, by_setting = (
        models.load(f"{tiny_folder}{suffix}", device="cpu")
        for suffix in ("@onnx?max_length=16", "?max_length=16&backend=onnx")
    )
    assert by_suffix.card.name == by_setting.card.name == "tiny@onnx?max_length=16"
    assert by_suffix.identity == by_setting.identity
    assert by_suffix.encoder.max_seq_length == 16
    again = models.find(by_suffix.card.name.replace("tiny", str(tiny_folder), 1))
    assert (again.name, again.chosen) == (by_suffix.card.name, by_suffix.card.chosen)


@needs_onnx
def test_a_card_of_the_users_may_name_a_backend_or_get_one(tiny_folder, one_home):
    (one_home / "models").mkdir(exist_ok=True)
    (one_home / "models/mine.toml").write_text(f"model = '{tiny_folder}'\nmax_length = 16")
    (one_home / "models/fast.toml").write_text(f"model = '{tiny_folder}@onnx'\nmax_length = 16")
    behind, inside = (models.load(name, device="cpu") for name in ("mine@onnx", "fast"))
    assert (behind.card.name, inside.card.name) == ("mine@onnx", "fast")
    assert behind.identity == inside.identity and "onnxruntime" in inside.identity


@pytest.mark.parametrize("backend", EXPORTED[1:2])
def test_openvino_computes_in_bfloat16_where_asked(backend, tiny_folder):
    from embedlab.encoders.backends.runtimes import multiplies_bfloat16

    name = f"{tiny_folder}@{backend}?dtype=bfloat16"
    if not multiplies_bfloat16():
        with pytest.raises(UserError, match="does not multiply bfloat16"):
            _ = models.load(name, device="cpu").encoder
        return
    rounded, plain = models.load(name, device="cpu"), models.load(f"{tiny_folder}@{backend}")
    assert (rounded.dtype, plain.dtype) == ("bfloat16", "float32")
    difference = np.abs(vectors(rounded)[0] - vectors(plain)[0]).max()
    assert 1e-5 < difference < 0.1


@needs_onnx
def test_a_cross_encoder_scores_the_same(tmp_path, word_tokenizer):
    write_cross_encoder(tmp_path / "cross", word_tokenizer, initializer_range=0.5)
    pairs = [("w1 w2", text) for text in TEXTS[:6]]
    scores = [
        models.load(f"{tmp_path / 'cross'}{suffix}", device="cpu").encoder.predict(pairs)
        for suffix in ("", "@onnx")
    ]
    assert np.abs(scores[0] - scores[1]).max() < 1e-5 < np.ptp(scores[0])


@needs_onnx
def test_runs_record_the_backend(cli, corner, tiny_folder, one_home):
    code, out, err = cli(
        "eval", "--json", "--device", "cpu", "--task", corner,
        "--model", tiny_folder, "--model", f"{tiny_folder}@onnx",
        "--model", f"rrf({tiny_folder}, {tiny_folder}@onnx@torch)",
    )  # fmt: skip
    assert code == 0, err
    plain, other, fused = json.loads(out)["runs"]
    assert [run["model"] for run in (plain, other, fused)] == [
        "tiny", "tiny@onnx", "rrf(tiny, tiny@onnx@torch)",
    ]  # fmt: skip
    assert plain["main_score"] == other["main_score"]
    resolved = Store(one_home / "results.duckdb").run(other["run_id"]).resolved
    assert (resolved["backend"], resolved["dtype"]) == ("onnx", "float32")
    assert resolved["kernels"].startswith("onnx (onnxruntime ")


@needs_onnx
def test_a_compared_model_may_have_an_at_sign_and_a_view(cli, corner, tiny_folder):
    code, _, err = cli(
        "eval", "--task", corner, "--dims", "8,16", "--model", tiny_folder,
        "--model", f"{tiny_folder}@onnx",
    )  # fmt: skip
    assert code == 0, err
    code, out, err = cli("compare", "tiny@dim=8", "tiny@onnx@dim=8", "--json")
    assert code == 0, err
    assert json.loads(out)["pairs"][0]["second"] == "tiny@onnx@dim=8"


@needs_onnx
def test_a_file_that_does_otherwise_than_torch_is_refused(tiny_folder, one_home):
    import onnx

    _ = models.load(f"{tiny_folder}@onnx", device="cpu").encoder
    files = list((one_home / "exports").glob("*/model.onnx"))
    whole = [file.read_bytes() for file in files]
    for file in files:
        graph = onnx.load(file)
        for tensor in graph.graph.initializer:
            if tensor.name.endswith("word_embeddings.weight"):
                tensor.raw_data = tensor.raw_data[4:] + tensor.raw_data[:4]
        onnx.save(graph, file)
    try:
        with pytest.raises(UserError, match="gives other states than torch"):
            _ = models.load(f"{tiny_folder}@onnx", device="cpu").encoder
    finally:
        for file, content in zip(files, whole, strict=True):
            file.write_bytes(content)


@pytest.mark.parametrize("backend", EXPORTED)
def test_a_damaged_export_is_named(tiny_folder, one_home, backend):
    _ = models.load(f"{tiny_folder}@{backend}", device="cpu").encoder
    files = list((one_home / "exports").rglob("model.onnx"))
    whole = [file.read_bytes() for file in files]
    for file, content in zip(files, whole, strict=True):
        file.write_bytes(content[: len(content) // 2])
    try:
        with pytest.raises(UserError, match="cannot run its export") as refusal:
            _ = models.load(f"{tiny_folder}@{backend}", device="cpu").encoder
        assert f"Remove the folder {one_home / 'exports'}" in refusal.value.hint
    finally:
        for file, content in zip(files, whole, strict=True):
            file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "problem", "hint"),
    [
        ("{tiny}@onx", "", ""),
        ("{tiny}?backend=onx", "Unknown backend 'onx'", "onnx-int8, openvino"),
        ("bm25@onnx", "bm25 counts words", "Leave the backend out"),
        ("causal2vec-mini@onnx", "has no use for a Causal2Vec", "torch runs it"),
        ("{tiny}@onnx?dtype=bfloat16", "does not compute in bfloat16", "auto or float32"),
        ("{tiny}@gguf", "needs one .gguf file", "keep one file"),
        ("{tiny}?backend=torch", "is what tiny has anyway", "Leave it out"),
    ],
)
def test_what_a_backend_cannot_serve_is_refused(cli, tiny_folder, corner, name, problem, hint):
    name = name.format(tiny=tiny_folder)
    code, _, err = cli("eval", "--device", "cpu", "--model", name, "--task", corner)
    assert code == 2 and "Traceback" not in err
    assert problem in err and hint in err, err


def test_a_layer_of_an_exported_model_is_refused(cli, tiny_folder, corner):
    pytest.importorskip("onnxruntime")
    code, _, err = cli(
        "eval", "--model", f"{tiny_folder}@onnx", "--task", corner, "--layers", "2"
    )  # fmt: skip
    assert code == 2 and "layer" in err and "Traceback" not in err, err


@pytest.mark.parametrize(("backend", "extra"), [("onnx", "onnx"), ("openvino", "openvino")])
def test_a_missing_package_is_named_with_what_installs_it(
    cli, tiny_folder, corner, monkeypatch, backend, extra
):
    real = backends.find_spec
    monkeypatch.setattr(
        backends, "find_spec", lambda name: None if name == NEEDS[backend] else real(name)
    )
    code, _, err = cli("eval", "--model", f"{tiny_folder}@{backend}", "--task", corner)
    assert code == 2 and f"pip install 'embedlab[{extra}]'" in err, err


@needs_onnx
def test_only_the_cpu_runs_an_export(tiny_folder):
    with pytest.raises(UserError, match="runs on the CPU, not on cuda"):
        models.load(f"{tiny_folder}@onnx", device="cuda")


def test_a_base_and_an_index_keep_their_at_sign():
    assert backends.split("smollm2-135m@layers=12") == ("smollm2-135m@layers=12", "")
    card = composition.find("rrf(bm25, all-minilm-l6-v2@faiss:hnsw32)")
    assert card.name == "rrf(bm25, all-minilm-l6-v2@faiss:hnsw32)"


def write_gguf(folder):
    """Move the weights of a Qwen2 into a GGUF file beside them, in blocks of 8 bits."""
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    writer = gguf.GGUFWriter(str(folder / "model.gguf"), "qwen2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    for name, tensor in weights.items():
        stem, _, end = f"model.{name}".rpartition(".")
        target = f"{names.get_name(stem)}.{end}"
        if tensor.ndim == 1:
            writer.add_tensor(target, tensor.astype(np.float32))
            continue
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(
            target, gguf.quants.quantize(tensor.astype(np.float32), kind), raw_dtype=kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.skipif(not find_spec("gguf"), reason="gguf is not here")
def test_the_weights_of_a_gguf_file_are_read(tmp_path, word_tokenizer):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import Qwen2Config, Qwen2Model

    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, **HEADS}
    torch.manual_seed(0)
    raw, folder = tmp_path / "raw", tmp_path / "qwen"
    Qwen2Model(
        Qwen2Config(
            vocab_size=len(word_tokenizer),
            num_key_value_heads=2,
            max_position_embeddings=64,
            initializer_range=0.3,
            **sizes,
        )
    ).save_pretrained(raw)
    word_tokenizer.save_pretrained(raw)
    SentenceTransformer(modules=[Transformer(str(raw)), Pooling(64, "mean")], device="cpu").save(
        str(folder)
    )
    write_gguf(folder)
    plain, quantised = (models.load(f"{folder}{end}", device="cpu") for end in ("", "@gguf"))
    a, b = (model.encoder.encode(TEXTS[:8]) for model in (plain, quantised))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.99 and np.abs(a - b).max() > 1e-4
    assert plain.identity != quantised.identity
    (folder / "second.gguf").write_bytes((folder / "model.gguf").read_bytes())
    with pytest.raises(
        UserError, match=r"needs one \.gguf file in its folder, and has model\.gguf"
    ):
        models.load(f"{folder}@gguf", device="cpu")
