"""mteb's registry as a source of facts: what runs record, and how zero-shot they are."""

import json

import pytest

from embedlab.models import composition
from embedlab.models.cards import cards
from embedlab.models.facts import registry_facts, training_sets
from leaderboard.statistics.aggregation import zero_shot
from leaderboard.storage.store import Store


@pytest.fixture(scope="module")
def registry():
    from mteb.models.model_implementations import MODEL_REGISTRY

    return MODEL_REGISTRY


def test_models_of_the_registry_are_as_zero_shot_as_mteb_says(registry):
    """Every tenth, since both sides take a hundredth of a second for each."""
    tasks = ["MSMARCO", "NQ", "HotpotQA", "SciFact", "Banking77Classification", "STSBenchmark"]
    names = sorted(registry)[::10]
    known = registry_facts.of_all([*names, "no/such-model"])
    assert list(known) == names and any("training_datasets" not in known[name] for name in names)
    for name, facts in known.items():
        mteb = registry[name].zero_shot_percentage(tasks)
        assert ("training_datasets" in facts) == (registry[name].training_datasets is not None)
        assert zero_shot(facts.get("training_datasets"), tasks) == mteb


def test_cards_have_the_facts_of_their_source(registry):
    card = cards()["nv-embed-v2"]
    facts = registry_facts.of_card(card)
    meta = registry[card.source]
    assert facts["dim"] == meta.embed_dim == card.dim
    assert facts["release_date"] == str(meta.release_date)
    assert facts["languages"] == list(meta.languages)
    assert registry_facts.of(card.source.lower()) == facts  # a hub id in any case
    under = composition.find('nv-embed-v2?prompt.query="q: "')
    assert registry_facts.of_card(under) == facts
    assert registry_facts.of_card(cards()["bm25"]) == {"training_datasets": []}
    both = training_sets.of_several([cards()["bm25"], card])
    assert both == {"training_datasets": facts["training_datasets"]}
    unknown = cards()["trans-encoder-bi-bert-base"]
    assert training_sets.of_several([unknown, card]) == {}


def test_runs_and_imports_are_marked(cli, home, tmp_path, registry):
    source = "sentence-transformers/all-MiniLM-L6-v2"
    meta = registry[source]
    folder = tmp_path / "results" / source.replace("/", "__") / meta.revision
    folder.mkdir(parents=True)
    entry = {"hf_subset": "default", "languages": ["eng-Latn"], "main_score": 0.4}
    for task in ("MSMARCO", "SciFact"):
        (folder / f"{task}.json").write_text(
            json.dumps({"task_name": task, "mteb_version": "2.0", "scores": {"test": [entry]}})
        )
    code, _, err = cli("import", str(tmp_path / "results"))
    assert code == 0, err
    code, out, err = cli("leaderboard", "--task", "MSMARCO", "--task", "SciFact", "--json")
    assert code == 0, err
    (row,) = json.loads(out)["rows"]
    assert row["zero_shot"] == meta.zero_shot_percentage(["MSMARCO", "SciFact"]) == 50

    corpus = tmp_path / "corner"
    (corpus / "qrels").mkdir(parents=True)
    lines = [{"_id": f"d{n}", "title": "", "text": f"text {n}"} for n in range(3)]
    (corpus / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (corpus / "queries.jsonl").write_text('{"_id": "q", "text": "text 1"}\n')
    (corpus / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td1\t1\n")
    names = ["all-minilm-l6-v2", "rrf(bm25, all-minilm-l6-v2)"]
    code, out, err = cli(
        "eval", "--json", "--task", str(corpus), *(w for name in names for w in ("--model", name))
    )
    assert code == 0, err
    store = Store(home / "results.duckdb")
    for run in json.loads(out)["runs"]:
        details = store.run(run["run_id"]).model.details
        assert set(details["training_datasets"]) == meta.get_training_datasets()
    assert details.get("release_date") is None  # of several models
