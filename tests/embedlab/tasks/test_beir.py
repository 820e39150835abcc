import json

import pytest

from embedlab.errors import UserError
from embedlab.tasks import load, resolve


def loaded(folder, split=None):
    (task,) = resolve([str(folder)], split=split)
    return load(task)


def test_texts_grades_and_empty_documents_are_kept(beir):
    task = loaded(beir())
    data = task.dataset["default"]["test"]
    assert data["corpus"].to_list() == [
        {"id": "d1", "title": "Cats", "text": "a cat"},
        {"id": "d2", "title": "", "text": "a dog"},
        {"id": "d3", "title": "", "text": ""},
    ]
    assert data["queries"]["id"] == ["q0", "q1"]  # q2 is not judged
    assert data["relevant_docs"] == {"q0": {"d1": 3, "d2": 0}, "q1": {"d2": 1}}
    assert data["top_ranked"] is None
    assert (task.metadata.name, task.metadata.type, task.metadata.main_score) == ("zoo", "Retrieval", "ndcg_at_10")


def test_mteb_evaluates_it(beir, model):
    import mteb

    task = loaded(beir())
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    assert result.get_score() == pytest.approx(1.0)  # each query shares its only known word with its document
    assert result.dataset_revision == task.metadata.revision


def test_the_revision_is_the_contents_hash(beir):
    first, moved = loaded(beir("zoo")), loaded(beir("elsewhere/zoo"))
    assert first.metadata.revision == moved.metadata.revision
    assert len(first.metadata.revision) == 64
    other = loaded(beir("changed/zoo", qrels__test_tsv="q0\td1\t2\n"))
    assert other.metadata.revision != first.metadata.revision


def test_two_folders_of_one_name_are_two_tasks(beir):
    assert len(resolve([str(beir("one/zoo")), str(beir("two/zoo")), str(beir("two/zoo"))])) == 2


def test_candidates_make_it_a_reranking_task(beir, model):
    import mteb

    ranked = "".join(json.dumps({"query-id": q, "corpus-ids": ["d1", "d2"]}) + "\n" for q in ("q0", "q1", "q2"))
    task = loaded(beir(top_ranked_jsonl=ranked))
    assert (task.metadata.type, task.metadata.main_score) == ("Reranking", "map_at_1000")
    assert task.dataset["default"]["test"]["top_ranked"] == {"q0": ["d1", "d2"], "q1": ["d1", "d2"]}
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    assert result.get_score() == pytest.approx(1.0)


def test_a_split_can_be_chosen(beir):
    folder = beir(qrels__graded_tsv="q1\td2\t2\n")
    assert loaded(folder, "graded").dataset["default"]["graded"]["relevant_docs"] == {"q1": {"d2": 2}}
    with pytest.raises(UserError, match=r"no qrels/dev\.tsv") as error:
        loaded(folder, "dev")
    assert "graded, test" in error.value.hint


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"corpus_jsonl": '{"_id": "d1", "text": "a"}\n{"_id": \n'}, r"corpus\.jsonl:2 is not JSON"),
        ({"corpus_jsonl": "[1]\n"}, r"corpus\.jsonl:1 is not a JSON object"),
        ({"corpus_jsonl": '\n{"_id": "d1"}\n'}, r'corpus\.jsonl:2 has no "text"'),
        ({"corpus_jsonl": '{"_id": "d1", "text": 5}\n'}, r'corpus\.jsonl:1: "text" is not a string'),
        ({"corpus_jsonl": '{"_id": "d1", "text": "a"}\n' * 2}, r"corpus\.jsonl:2 gives the id 'd1' a second time"),
        ({"corpus_jsonl": "\n"}, r"corpus\.jsonl holds no documents"),
        ({"queries_jsonl": None}, r"zoo has no queries\.jsonl"),
        ({"queries_jsonl": '{"text": "a"}\n'}, r'queries\.jsonl:1 has no "_id"'),
        ({"qrels__test_tsv": None}, r"zoo has no qrels/test\.tsv"),
        ({"qrels__test_tsv": "query-id\tcorpus-id\tscore\n"}, r"test\.tsv holds no judgements"),
        ({"qrels__test_tsv": "q0\td1\t1\nq0 d1 1\n"}, r"test\.tsv:2 has 1 columns, not 3"),
        ({"qrels__test_tsv": "q0\td1\t1\nq0\td2\thigh\n"}, r"test\.tsv:2: the score 'high' is not an integer"),
        ({"qrels__test_tsv": "q0\td9\t1\n"}, r"test\.tsv:1 names the document 'd9', which corpus\.jsonl lacks"),
        ({"qrels__test_tsv": "q9\td1\t1\n"}, r"test\.tsv:1 names the query 'q9', which queries\.jsonl lacks"),
        ({"top_ranked_jsonl": '{"query-id": "q0"}\n'}, r"top_ranked\.jsonl:1 is malformed"),
        (
            {"top_ranked_jsonl": '{"query-id": "q0", "corpus-ids": ["d9"]}\n'},
            r"top_ranked\.jsonl:1 names the document 'd9'",
        ),
        ({"top_ranked_jsonl": '{"query-id": "q0", "corpus-ids": ["d1"]}\n'}, r"has no line for the query 'q1'"),
    ],
)
def test_one_message_says_what_is_wrong_and_where(beir, files, message):
    with pytest.raises(UserError, match=message):
        loaded(beir(**files))


@pytest.mark.parametrize(
    ("name", "split", "documents", "queries", "judgements"),
    [("scifact", "test", 5183, 300, 339), ("cranfield", "graded", 1400, 225, 1837), ("medline", "test", 1033, 30, 696)],
)
def test_published_collections(shared, name, split, documents, queries, judgements):
    task = loaded(shared / "beir" / name, split)
    data = task.dataset["default"][split]
    assert (len(data["corpus"]), len(data["queries"])) == (documents, queries)
    assert sum(map(len, data["relevant_docs"].values())) == judgements
    if name == "scifact":  # mteb's own task, recognised by name, and as the revision that mteb names
        assert task.metadata.name == "SciFact"
        assert task.metadata.prompt["query"].startswith("Given a scientific claim")
        assert task.metadata.revision == "d56462d0e63a25450459c4f213e49ffdb866f7f9"
    if name == "cranfield":
        texts = dict(zip(data["corpus"]["id"], data["corpus"]["text"], strict=True))
        assert texts["471"] == texts["995"] == ""
        assert {grade for relevant in data["relevant_docs"].values() for grade in relevant.values()} > {1, 3}
