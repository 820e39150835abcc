"""A warm run loads no model; what it knows of the model is what the model says."""

import json
import subprocess
import sys

from embedlab import models
from embedlab.models.facts.fact_cache import Remembered
from embedlab.models.facts.model_facts import FACTS
from tests import ready


def test_values_are_kept_between_runs(home):
    first = Remembered({"a": 1})
    assert first.get("x", lambda: [1, 2]) == [1, 2]
    assert Remembered({"a": 1}).get("x", lambda: 1 / 0) == [1, 2]
    assert "x" not in Remembered({"a": 2})
    assert list(home.glob("models/.*")) == []


def test_a_damaged_file_is_made_again(home):
    Remembered({"a": 1}).get("x", lambda: 1)
    (file,) = home.glob("models/*.json")
    file.write_text("{")
    assert Remembered({"a": 1}).get("x", lambda: 2) == 2


def test_without_an_address_nothing_is_kept(home):
    assert Remembered(None).get("x", lambda: 1) == 1
    assert not home.exists()


def test_facts_of_a_model_that_is_not_loaded_are_its_own(home, tiny_folder):
    loaded = models.load(str(tiny_folder), device="cpu", dtype="float32")
    assert "encoder" in vars(loaded)
    again = models.load(str(tiny_folder), device="cpu", dtype="float32")
    assert "encoder" not in vars(again)
    assert again.card == loaded.card
    for name in FACTS:
        assert json.dumps(again.fact(name)) == json.dumps(loaded.fact(name)), name
    assert "encoder" not in vars(again)


def test_a_changed_model_says_what_it_is_now(home, tiny_folder):
    models.load(str(tiny_folder), device="cpu", dtype="float32")
    again = models.load(str(tiny_folder), device="cpu", dtype="float32")
    again.encoder.max_seq_length = 16
    assert again.fact("max_length") == 16
    assert models.load(str(tiny_folder), device="cpu", dtype="float32").fact("max_length") == 64


def test_changed_weights_are_loaded(home, tiny_folder, tmp_path):
    import shutil

    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    models.load(str(folder), device="cpu", dtype="float32")
    config = folder / "modules.json"
    config.write_text(config.read_text() + " ")
    assert "encoder" in vars(models.load(str(folder), device="cpu", dtype="float32"))


def test_a_warm_run_imports_neither_torch_nor_the_model(home, tiny_folder, tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"d{n}", "text": f"w{n}"}) for n in range(9))
    )
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "w3"}))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td3\t1\n")
    typed = ["eval", "--model", str(tiny_folder), "--task", str(folder), "--device", "cpu"]
    lines = [typed, [*typed, "--layers", "1,3", "--dims", "8,32"]]
    code = (
        f"import sys\nfrom embedlab import cli\nfor line in {lines!r}:\n"
        "    cli.app.registered_commands.clear()\n    cli.app.registered_groups.clear()\n"
        "    sys.argv[1:] = line\n"
        "    try:\n        cli.run()\n    except SystemExit:\n        pass\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers'}\n"
        "print('IMPORTED', sorted(heavy & set(sys.modules)))"
    )
    # It has them from its beginning: they would be seen.
    cold = ready.run("-c", code)
    warm = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "IMPORTED ['sentence_transformers', 'torch', 'transformers']" in cold.stdout
    assert "IMPORTED []" in warm.stdout
    scores = [
        [
            line.split("│")[1:6] for line in run.stdout.splitlines() if "nDCG@10" in line
        ]  # costs differ
        for run in (cold, warm)
    ]
    assert scores[0] == scores[1] and len(scores[0]) == 1 + 4


def test_a_changed_bit_is_no_other_value(home):
    Remembered({"a": 1}).get("prompt", lambda: "query: ")
    (file,) = home.glob("models/*.json")
    for other in (b"qu3ry: ", b"[" * 100_000):
        file.write_bytes(file.read_bytes().replace(b"query: ", other))
        assert "prompt" not in Remembered({"a": 1})
    assert Remembered({"a": 1}).get("prompt", lambda: "query: ") == "query: "
