"""Nothing is evaluated half-loaded:
what of a checkpoint does not fit its model is named, or forced and recorded.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from embedlab import models
from embedlab.errors import UserError


def damage(source: Path, target: Path, weights=lambda tensors: tensors, **config) -> Path:
    """A copy of a model's folder with other tensors, or another configuration."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    tensors = weights(load_file(target / "model.safetensors"))
    save_file(
        {key: value.clone() for key, value in tensors.items()},
        target / "model.safetensors",
        {"format": "pt"},
    )
    file = target / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    return target


def without(part: str):
    return lambda tensors: {key: value for key, value in tensors.items() if part not in key}


def prefixed(prefix: str):
    return lambda tensors: {prefix + key: value for key, value in tensors.items()}


def narrower(tensors):
    return {
        key: value[:-1] if "word_embeddings" in key else value for key, value in tensors.items()
    }


def with_more(*keys: str):
    return lambda tensors: tensors | dict.fromkeys(keys, next(iter(tensors.values())))


def load(folder: Path, **how):
    return models.load(str(folder), device="cpu", dtype="float32", **how)


DAMAGED = {
    "layer missing": ({"weights": without(".layer.2.")}, "missing: encoder.layer.2.attention"),
    "prefix wrong": ({"weights": prefixed("model.")}, "unexpected: model.embeddings"),
    "fewer layers in the configuration": (
        {"num_hidden_layers": 2},
        "unexpected: encoder.layer.2.attention",
    ),
    "more layers in the configuration": (
        {"num_hidden_layers": 4},
        "missing: encoder.layer.3.attention",
    ),
    "vocabulary cut": ({"weights": narrower}, "misshapen: embeddings.word_embeddings.weight ["),
    "a tensor more": (
        {"weights": with_more("encoder.extra.weight")},
        "unexpected: encoder.extra.weight",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_checkpoint_that_does_not_fit_is_refused_by_its_keys(home, tiny_folder, tmp_path, kind):
    damaged, said = DAMAGED[kind]
    folder = damage(tiny_folder, tmp_path / "damaged", **damaged)
    for _ in range(2):  # the second time as much as the first
        with pytest.raises(UserError) as error:
            load(folder)
        assert said in str(error.value) and str(folder) in str(error.value)
        assert "--force" in error.value.hint


@pytest.mark.parametrize("kind", DAMAGED)
def test_force_loads_it_the_same_each_time_and_says_what_does_not_fit(
    home, tiny_folder, tmp_path, kind
):
    damaged, said = DAMAGED[kind]
    folder = damage(tiny_folder, tmp_path / "damaged", **damaged)
    first, again = load(folder, force=True), load(folder, force=True)
    assert first.misfit == again.misfit
    wrong, key = said.split(": ")
    assert any(name.startswith(key.removesuffix(" [")) for name in first.misfit[wrong])
    assert first.identity == again.identity != load(tiny_folder).identity
    assert first.encoder.encode(["w1 w2"]).tolist() == again.encoder.encode(["w1 w2"]).tolist()


def test_what_only_a_head_reads_is_no_misfit(home, tiny_folder, tmp_path):
    keys = (
        "cls.predictions.bias",
        "cls.seq_relationship.weight",
        "classifier.weight",
        "embeddings.position_ids",
    )
    heads = with_more(*keys)
    assert load(damage(tiny_folder, tmp_path / "heads", heads)).misfit == {}
    assert load(damage(tiny_folder, tmp_path / "no pooler", without("pooler."))).misfit == {}


def test_a_pooler_that_is_read_must_be_there(home, tiny_folder, tmp_path):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_folder), device="cpu")
    transformer = model[0]
    transformer.modality_config = {
        "text": {"method": "forward", "method_output_name": "pooler_output"}
    }
    transformer.module_output_name = "sentence_embedding"
    SentenceTransformer(modules=[transformer], device="cpu").save(str(tmp_path / "whole"))
    assert load(tmp_path / "whole").misfit == {}
    with pytest.raises(UserError, match=r"missing: pooler\.dense\.bias, pooler\.dense\.weight"):
        load(damage(tmp_path / "whole", tmp_path / "damaged", without("pooler.")))


def test_a_folder_without_a_vocabulary_is_refused(home, tiny_folder, tmp_path):
    """transformers 5 makes a BERT tokenizer of special tokens alone:
    all words would be the same.
    """
    folder = shutil.copytree(tiny_folder, tmp_path / "wordless")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match="holds no vocabulary") as error:
        load(folder)
    assert "tokenizer.json" in error.value.hint
    from embedlab.encoders.modules.weights import read_tokenizer

    with pytest.raises(UserError, match="holds no vocabulary"):
        read_tokenizer(folder)


@pytest.mark.parametrize(
    "name", ["config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json"]
)
def test_a_file_that_is_no_json_is_named(home, tiny_folder, tmp_path, name):
    folder = shutil.copytree(tiny_folder, tmp_path / "broken")
    (folder / name).write_text((folder / name).read_text()[:-3])
    with pytest.raises(UserError, match=re.escape(str(folder / name))):
        load(folder)


@pytest.mark.parametrize("base", ["../base", "/nowhere/base", "some/base"])
def test_an_adapter_whose_base_is_not_here_says_so(home, tiny_folder, tmp_path, monkeypatch, base):
    pytest.importorskip("peft", reason="needs the extra train")
    import huggingface_hub
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformer

    # Asked for before the hub's libraries are imported it is no wait for each try to reach it.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    model.add_adapter(LoraConfig(r=2, target_modules=["query"]))
    model.save(str(tmp_path / "adapter"))
    config = tmp_path / "adapter/adapter_config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": base})
    )
    with pytest.raises(
        UserError, match=f"is to be put on the model '{base}', which is not here"
    ) as error:
        load(tmp_path / "adapter")
    assert "base_model_name_or_path" in error.value.hint


def test_a_token_beyond_the_embeddings_is_refused_where_a_text_has_it(home, tiny_folder, tmp_path):
    from embedlab.encoding.encoder import Encoder

    folder = shutil.copytree(tiny_folder, tmp_path / "other")
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["model"]["vocab"] |= {"beyond": len(tokenizer["model"]["vocab"])}
    file.write_text(json.dumps(tokenizer))
    encoder = Encoder(load(folder))
    whole = Encoder(load(tiny_folder)).encode(["w1 w2"], role="text")[0][None].read()
    assert encoder.encode(["w1 w2"], role="text")[0][None].read().tolist() == whole.tolist()
    with pytest.raises(UserError, match=f"tokenizer of {re.escape(str(folder))} gives token 207"):
        encoder.encode(["w1 w2", "beyond"], role="text")


def test_a_folder_that_says_nothing_of_pooling_is_evaluated_with_a_word(
    cli, home, tmp_path, word_tokenizer
):
    from transformers import BertConfig, BertModel

    from leaderboard.storage.store import Store

    config = BertConfig(
        vocab_size=207,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
    )
    BertModel(config).save_pretrained(tmp_path / "bare")
    word_tokenizer.save_pretrained(tmp_path / "bare")
    task = tmp_path / "beir"
    (task / "qrels").mkdir(parents=True)
    (task / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"d{n}", "text": f"w{n}"}) for n in range(9))
    )
    (task / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "w3"}))
    (task / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td3\t1\n")
    code, out, err = cli(
        "eval", "--model", tmp_path / "bare", "--task", task, "--device", "cpu", "--json"
    )
    assert code == 0 and "sentence-transformers' default is mean" in " ".join(err.split())
    run = Store(home / "results.duckdb").run(json.loads(out)["runs"][0]["run_id"])
    assert "default is mean" in run.model.details["notes"]


def test_a_class_that_is_nowhere_is_named(home, tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "strange")
    modules = json.loads((folder / "modules.json").read_text())
    for wanted, hint in (
        ("nowhere.Strange", "Install"),
        ("pip_install_embedlab.Strange", "pip install -U embedlab"),
    ):
        modules[1]["type"] = wanted
        (folder / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(UserError, match=f"needs {wanted}, which is neither") as error:
            load(folder)
        assert hint in error.value.hint


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_give_an_error_for_a_text(home, tiny_folder, tmp_path, value):
    from embedlab.encoding.encoder import Encoder

    def broken(tensors):
        tensors["encoder.layer.1.output.dense.weight"][0, 0] = value
        return tensors

    model = load(damage(tiny_folder, tmp_path / "broken", broken))
    for _ in range(2):  # nothing of it was kept
        with pytest.raises(
            UserError, match="gives a vector with NaN or infinity for the text 'w1 w2'"
        ):
            Encoder(model).encode(["w1 w2"], role="text")


@pytest.mark.parametrize(
    "name", ["starbucks", "gem", "nv-embed-mini", "mistral-splade", "llm2vec-mini"]
)
def test_our_own_methods_are_loaded_whole_too(home, tmp_path, name):
    from embedlab.resources import DATA

    source = DATA / "checkpoints" / name
    folder = damage(
        source, tmp_path / "damaged", without("layers.1." if name != "starbucks" else "layer.1.")
    )
    with pytest.raises(UserError, match=r"missing: .*layers?\.1\."):
        load(folder)
    folder = damage(source, tmp_path / "fewer", num_hidden_layers=1)
    with pytest.raises(UserError, match=r"layers?\.1\."):
        load(folder)


def test_a_classifier_without_its_head_is_refused(home, tmp_path, word_tokenizer):
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=len(word_tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path / "ranker")
    word_tokenizer.save_pretrained(tmp_path / "ranker")
    assert load(tmp_path / "ranker").card.kind == "cross"
    with pytest.raises(UserError, match=r"missing: classifier\.weight"):
        load(damage(tmp_path / "ranker", tmp_path / "headless", without("classifier.weight")))
    with pytest.raises(UserError, match=r"missing: bert\.pooler\.dense"):
        load(damage(tmp_path / "ranker", tmp_path / "no pooler", without("pooler.")))


def test_a_user_sees_the_keys_and_a_forced_run_keeps_them(cli, home, tiny_folder, tmp_path):
    from leaderboard.storage.store import Store

    task = tmp_path / "beir"
    (task / "qrels").mkdir(parents=True)
    (task / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"d{n}", "text": f"w{n}"}) for n in range(9))
    )
    (task / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "w3"}))
    (task / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td3\t1\n")
    folder = damage(tiny_folder, tmp_path / "damaged", without(".layer.2."))
    code, _, err = cli("eval", "--model", folder, "--task", task, "--device", "cpu")
    assert code == 2 and "missing: encoder.layer.2." in err and "Traceback" not in err
    assert not (home / "results.duckdb").exists()
    code, out, err = cli(
        "eval", "--model", folder, "--task", task, "--device", "cpu", "--force", "--json"
    )
    assert code == 0 and "evaluated all the same" in err
    run = Store(home / "results.duckdb").run(json.loads(out)["runs"][0]["run_id"])
    assert len(run.resolved["misfit"]["missing"]) == 16
