import pytest

from embedlab.errors import UserError
from embedlab.tasks import load, resolve


@pytest.fixture
def offline(monkeypatch):
    """As on a machine without a network, at once."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    from embedlab.hub import settle

    settle.cache_clear()
    yield
    settle.cache_clear()


def names(*asked, **options):
    return [task.metadata.name for task in resolve(asked, **options)]


def test_names_of_mteb(offline):
    assert names("scifact", "STSBenchmark", "SciFact") == ["SciFact", "STSBenchmark"]
    assert len(names("MTEB(eng, v2)")) == 41
    assert names("mteb(ENG, v2)")[:2] == names("MTEB(eng, v2)")[:2]


def test_a_benchmark_keeps_its_choice_of_languages(offline):
    tasks = {task.metadata.name: task for task in resolve(["MTEB(eng, v2)"])}
    assert tasks["STS17"].hf_subsets == ["en-en"]


def test_changing_a_benchmarks_task_leaves_mteb_alone(offline):
    import mteb

    resolve(["MTEB(eng, v2)"], split="train")
    assert "train" not in {
        split for task in mteb.get_benchmark("MTEB(eng, v2)").tasks for split in task.eval_splits
    }


def test_an_aggregate_stands_for_its_parts(offline):
    parts = names("CQADupstackRetrieval")
    assert len(parts) == 12
    assert "CQADupstackEnglishRetrieval" in parts


def test_a_folder_named_like_a_data_set_of_mteb_is_no_task_of_mteb(beir):
    for folder in ("scifact", "SciFact", "fiqa", "trec-covid", "quora"):
        (task,) = resolve([str(beir(folder))])
        assert task.metadata.name.startswith(f"{folder}@")
    load(task)
    assert len(task.metadata.revision) == 64


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("SciFcat", "Unknown task 'SciFcat'", "SciFact"),
        ("stdlib-mimi", "Unknown task", "stdlib-mini"),
        ("some/folder", "is no BEIR folder: there is no some/folder/corpus.jsonl", "queries.jsonl"),
        ("CIFAR10", "is about image", "text alone"),
    ],
)
def test_unknown_names(offline, name, message, hint):
    with pytest.raises(UserError, match=message) as error:
        resolve([name])
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SciFact", "DIR/SciFact/ holding corpus.jsonl, queries.jsonl, qrels/test.tsv"),
        ("AskUbuntuDupQuestions", "top_ranked.jsonl"),
        ("STS12", "DIR/STS12/test.tsv (columns sentence1, sentence2, score)"),
        (
            "ImdbClassification",
            (
                "DIR/ImdbClassification/train.tsv and DIR/ImdbClassification/test.tsv (columns"
                " text, label)"
            ),
        ),
    ],
)
def test_without_the_hub_the_message_says_what_works(offline, tmp_path, name, expected):
    (task,) = resolve([name], data_dir=tmp_path)
    with pytest.raises(UserError, match="cannot be had from the hub") as error:
        load(task)
    assert "stdlib-mini" in error.value.hint
    assert expected in error.value.hint
