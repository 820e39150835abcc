"""What each option of the commands that list, diagnose, and keep the vector store changes."""

import json

import pytest


@pytest.mark.effect("models --json")
def test_models(ok):
    (card,) = ok("models", "all-minilm-l6-v2", "--json")["models"]
    assert card["dim"] == 384


@pytest.mark.effect("tasks --type", "tasks --benchmark", "tasks --data-dir", "tasks --json")
def test_tasks(ok, refused, tmp_path):
    rows = ok("tasks", "--benchmark", "stdlib-mini", "--type", "Clustering", "--json")["tasks"]
    assert [row["name"] for row in rows] == ["StdlibMiniPackageClustering"]
    (tmp_path / "STS12.tsv").write_text("score\tsentence1\tsentence2\n1\ta\tb\n")
    rows = ok("tasks", "STS12", "--data-dir", tmp_path, "--json")["tasks"]
    assert [row["data"] for row in rows if row["name"] == "STS12"] == ["mirror"]
    for further in ((), ("--benchmark", "stdlib-mini")):
        assert "there is no folder /nope" in refused("tasks", "--data-dir", "/nope", *further)


@pytest.mark.effect("doctor --json")
def test_doctor(ok):
    subjects = {finding["subject"] for finding in ok("doctor", "--json")["findings"]}
    assert {"torch", "GPU", "hub"} <= subjects
    assert {f"extra {name}" for name in ("onnx", "openvino", "gguf", "litellm")} <= subjects


@pytest.mark.effect(
    "cache ls --json", "cache du --json", "cache verify --json", "cache prune --model"
)
def test_cache(ok, refused, cli, home, corner, tiny_folder):
    ok("eval", "--model", tiny_folder, "--task", corner, "--dtype", "float32", "--json")
    (model,) = ok("cache", "du", "--json")["bytes"]
    spaces = ok("cache", "ls", "--json")["spaces"]
    assert {space["role"] for space in spaces} == {"query", "document"} and model in {
        s["model"] for s in spaces
    }
    assert ok("cache", "verify", "--json")["problems"] == []
    next((home / "vectors").glob("*/*.dense.npy")).write_bytes(b"damaged")
    code, out, _ = cli("cache", "verify", "--json")
    assert code == 1 and len(json.loads(out)["problems"]) == 1
    assert "No vectors of a model 'nope'" in refused("cache", "prune", "--model", "nope")
    ok("cache", "prune")
    assert ok("cache", "ls", "--json")["spaces"]
    ok("cache", "prune", "--model", "tiny")
    assert ok("cache", "ls", "--json")["spaces"] == []
