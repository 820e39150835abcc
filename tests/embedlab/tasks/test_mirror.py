import gzip
import json

import pytest

from embedlab.errors import UserError
from embedlab.tasks import load, recorded_name, resolve

ANIMALS, VEHICLES = ("cat", "dog", "bird"), ("car", "train", "plane")


@pytest.fixture
def mirror(tmp_path):
    """Writes files into a mirror: path -> rows, the columns named by the first."""

    def write(**files):
        for name, rows in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".jsonl":
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            else:
                path.write_text(
                    "\n".join(("\t" if path.suffix == ".tsv" else ",").join(row) for row in rows)
                    + "\n"
                )
        return tmp_path

    return write


def only(name, data_dir, **options):
    (task,) = resolve([name], data_dir=data_dir, **options)
    return load(task)


def score(task, model):
    import mteb

    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    return result.get_score()


def labelled(*header):
    return [
        header,
        *(
            (f"a {word}", label)
            for label, words in (("x", ANIMALS), ("y", VEHICLES))
            for word in words * 8
        ),
    ]


PAIRS = [
    ("one cat", "one cat"),
    ("two dog", "two dog"),
    ("red car", "blue plane"),
    ("green bird", "three train"),
]


def test_sts(mirror, model):
    rows = [
        ("score", "sentence1", "sentence2"),
        *((grade, *pair) for grade, pair in zip("5410", PAIRS, strict=True)),
    ]
    assert score(only("STSBenchmark", mirror(**{"stsbenchmark/test.tsv": rows})), model) > 0.5


def test_pair_classification(mirror, model):
    rows = [
        ("label", "sentence1", "sentence2"),
        *((label, *pair) for label, pair in zip("1100", PAIRS, strict=True)),
    ]
    task = only("TwitterSemEval2015", mirror(**{"TwitterSemEval2015/test.tsv": rows}))
    assert score(task, model) == pytest.approx(1.0)


def test_classification_with_words_as_labels(mirror, model):
    task = only(
        "Banking77Classification",
        mirror(
            **{
                "banking77/data/train.csv": labelled("text", "category"),
                "banking77/data/test.csv": labelled("text", "category"),
            }
        ),
    )
    assert set(task.dataset["train"]["label"]) == {0, 1}
    assert score(task, model) > 0.9  # six words tell the two classes apart


def test_numbers_as_labels_stay(mirror):
    rows = [("text", "label"), ("a", "7"), ("b", "3")]
    task = only("ImdbClassification", mirror(**{"imdb/train.csv": rows, "imdb/test.csv": rows}))
    assert task.dataset["test"]["label"] == [7, 3]


def test_clustering_of_both_kinds(mirror, model):
    rows = labelled("text", "label")
    for name in ("StackExchangeClustering.v2", "StackExchangeClustering"):
        task = only(name, mirror(**{f"{name}/test.csv": rows}))
        task.max_fraction_of_documents_to_embed, task.max_documents_per_cluster = 1.0, 64
        assert 0 <= score(task, model) <= 1


def test_bitext_mining_in_one_language_of_several(mirror, model):
    rows = [("sentence1", "sentence2"), *PAIRS[:2]]
    task = only("Tatoeba", mirror(**{"Tatoeba/fra-eng/test.tsv": rows}))
    assert task.hf_subsets == ["fra-eng"]
    assert score(task, model) == pytest.approx(1.0)


def test_summarisation(mirror, model):
    row = {
        "text": "a",
        "human_summaries": ["one cat"],
        "machine_summaries": ["one cat", "red car", "two dog"],
        "relevance": [5, 1, 2],
    }
    task = only(
        "SummEvalSummarization.v2", mirror(**{"SummEvalSummarization.v2/test.jsonl": [row, row]})
    )
    assert -1 <= score(task, model) <= 1


def test_several_labels_per_text(mirror):
    rows = [{"text": "a cat", "label": [0, 2]}, {"text": "a dog", "label": [1]}]
    task = only(
        "EmitClassification", mirror(**{"EmitClassification/train.jsonl": rows}), split="train"
    )
    assert task.dataset["train"]["label"] == [[0, 2], [1]]


def test_retrieval_and_reranking(beir, tmp_path):
    beir("NFCorpus")
    assert only("NFCorpus", tmp_path).dataset["default"]["test"]["corpus"].num_rows == 3
    ranked = "".join(json.dumps({"query-id": q, "corpus-ids": ["d1"]}) + "\n" for q in ("q0", "q1"))
    beir("AskUbuntuDupQuestions", top_ranked_jsonl=ranked)
    assert only("AskUbuntuDupQuestions", tmp_path).dataset["default"]["test"]["top_ranked"][
        "q0"
    ] == ["d1"]


@pytest.mark.parametrize(
    "name", ["STS12.tsv", "sts12-test.tsv", "STS12.test.tsv", "sts12-sts/test.tsv"]
)
def test_spellings(mirror, name):
    rows = [("score", "sentence1", "sentence2"), ("1", 'say "a"', "b")]
    task = only("STS12", mirror(**{name: rows, "STS13.tsv": rows * 2, "test.tsv": rows * 3}))
    assert task.dataset["test"]["sentence1"] == ['say "a"']


def test_a_shorter_name_is_not_another_tasks(mirror):
    rows = [("score", "sentence1", "sentence2"), ("1", "a", "b")]
    (task,) = resolve(
        ["STS12"], data_dir=mirror(**{"STS1.tsv": rows, "STS.tsv": rows, "STS12.v2.tsv": rows})
    )
    assert not hasattr(task, "sources")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("score", "sentence1"), ("1", "a")], r"test\.tsv:2 has no column 'sentence2'"),
        (
            [("score", "sentence1", "sentence2"), ("1", "a")],
            r"test\.tsv:2 has 2 columns, but the first line names 3",
        ),
        (
            [("score", "sentence1", "sentence2"), ("x", "a", "b")],
            r"test\.tsv:2: the score 'x' is not a number",
        ),
        ([("score", "sentence1", "sentence2")], r"test\.tsv holds no rows"),
    ],
)
def test_malformed_tables(mirror, rows, message):
    with pytest.raises(UserError, match=message):
        only("STS12", mirror(**{"STS12/test.tsv": rows}))


def test_a_missing_split_is_named(mirror):
    data_dir = mirror(**{"imdb/test.csv": [("text", "label"), ("a", "0")]})
    with pytest.raises(
        UserError, match="the train split of ImdbClassification is missing"
    ) as error:
        only("ImdbClassification", data_dir)
    assert "train.csv" in error.value.hint


def test_a_missing_mirror(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        resolve(["STS12"], data_dir=tmp_path / "nowhere")


def test_real_data_as_they_are(shared):
    sts = only("STSBenchmark", shared / "sts")
    assert (sts.dataset["test"].num_rows, max(sts.dataset["test"]["score"])) == (1379, 5.0)
    assert (
        only("STSBenchmark", shared / "sts", split="validation").dataset["validation"].num_rows
        == 1500
    )
    banking = only("banking77classification", shared / "classification")
    assert {split: rows.num_rows for split, rows in banking.dataset.items()} == {
        "train": 10003,
        "test": 3080,
    }
    # The size is the official data's.
    assert banking.metadata.revision == "0fd18e25b25c072e09e0d92ab615fda904d66300"
    assert len(set(banking.dataset["train"]["label"])) == 77
    assert recorded_name(banking) == "Banking77Classification"
    # 13 characters shorter than the official one.
    assert recorded_name(sts).startswith("STSBenchmark@")


def test_a_part_of_the_training_data_is_another_task(shared, mirror):
    """The evaluated split alone is the official one."""
    source = shared / "classification/banking77/banking_data"
    data_dir = mirror(**{"banking77/train.csv": [("text", "label")]})
    lines = (source / "train.csv").read_text().splitlines(keepends=True)
    (data_dir / "banking77/train.csv").write_text("".join(lines[:-9]))
    (data_dir / "banking77/test.csv").write_text((source / "test.csv").read_text())
    task = only("Banking77Classification", data_dir)
    assert len(task.metadata.revision) == 64
    assert recorded_name(task) == f"Banking77Classification@{task.metadata.revision[:8]}"


def test_other_labels_are_another_task(shared, mirror):
    """As many texts and characters, one label exchanged."""
    source = shared / "classification/banking77/banking_data"
    lines = (source / "test.csv").read_text().splitlines(keepends=True)
    assert lines[1].rstrip().endswith("card_arrival")
    lines[1] = lines[1].replace("card_arrival", "card_linking")
    data_dir = mirror(**{"banking77/train.csv": [("text", "label")]})
    (data_dir / "banking77/train.csv").write_text((source / "train.csv").read_text())
    (data_dir / "banking77/test.csv").write_text("".join(lines))
    assert recorded_name(only("Banking77Classification", data_dir)).startswith(
        "Banking77Classification@"
    )


def test_a_packed_folder_below_the_entry_is_found(mirror):
    for name, row in (
        ("corpus", {"_id": "d1", "text": "a"}),
        ("queries", {"_id": "q1", "text": "a"}),
    ):
        mirror(**{f"scifact/beir/{name}.jsonl": [row]})
    folder = mirror(**{"scifact/beir/qrels/test.tsv": [("q1", "d1", "1")]})
    corpus = folder / "scifact/beir/corpus.jsonl"
    corpus.with_name("corpus.jsonl.gz").write_bytes(gzip.compress(corpus.read_bytes()))
    corpus.unlink()
    assert only("SciFact", folder).dataset["default"]["test"]["corpus"].num_rows == 1
