import gzip
import json
import shutil

import pytest
from mteb.types import PromptType

from embedlab.errors import UserError
from embedlab.evaluation.retrieval_data import retrieval_data
from embedlab.models.cards import Card
from embedlab.models.settings.prompts import prompt_for
from embedlab.tasks import load, recorded_name, resolve


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
    assert (task.metadata.type, task.metadata.main_score) == ("Retrieval", "ndcg_at_10")


def test_mteb_evaluates_it(beir, model):
    import mteb

    task = loaded(beir())
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    # Each query shares its only known word with its document.
    assert result.get_score() == pytest.approx(1.0)
    assert result.dataset_revision == task.metadata.revision


def test_a_folder_is_its_content(beir):
    first, moved = loaded(beir("zoo")), loaded(beir("elsewhere/park"))
    assert first.metadata.revision == moved.metadata.revision
    assert len(first.metadata.revision) == 64
    assert recorded_name(first) == f"zoo@{first.metadata.revision[:8]}"
    assert recorded_name(moved) == f"park@{first.metadata.revision[:8]}"
    other = loaded(beir("changed/zoo", qrels__test_tsv="q0\td1\t2\n"))
    assert other.metadata.revision != first.metadata.revision
    assert recorded_name(other) != recorded_name(first)


def test_two_folders_of_one_name_are_two_tasks(beir):
    assert len(resolve([str(beir("one/zoo")), str(beir("two/zoo")), str(beir("two/zoo"))])) == 2


@pytest.mark.parametrize("name", ["arguana", "ArguAna", "scifact", "query", "Retrieval"])
def test_the_name_of_a_folder_makes_nothing_of_it(beir, name):
    """Neither the metric nor the prompts nor what is dropped follow from it,
    and its scores are no MTEB task's.
    """
    task, plain = loaded(beir(name)), loaded(beir("zoo"))
    for field in ("type", "main_score", "prompt", "eval_splits", "category"):
        assert getattr(task.metadata, field) == getattr(plain.metadata, field)
    assert task.ignore_identical_ids is False
    assert recorded_name(task).startswith(f"{name}@")
    card = Card("m", "plain", prompts={name: "by name", "Retrieval": "by type", "query": "by role"})
    given, expected = (
        prompt_for(card, {}, each.metadata, PromptType.document) for each in (task, plain)
    )
    assert given == expected


def test_a_folder_that_changes_while_a_run_goes_on_is_refused(beir):
    folder = beir()
    (task,) = resolve([str(folder)])
    (folder / "qrels/test.tsv").write_text("q0\td2\t1\n")
    with pytest.raises(UserError, match="zoo has changed since this run began"):
        load(task)


def test_dropping_the_querys_own_document_makes_another_task(beir):
    folder = beir()
    (task,) = resolve([str(folder)], ignore_identical_ids=True)
    assert load(task).ignore_identical_ids
    assert recorded_name(task) != recorded_name(loaded(folder))
    with pytest.raises(
        UserError, match="--ignore-identical-ids is for BEIR folders of one's own; SciFact"
    ):
        resolve(["SciFact"], ignore_identical_ids=True)
    (arguana,) = resolve(["ArguAna"], ignore_identical_ids=True)
    assert arguana.ignore_identical_ids


QRELS = {("q0", "d1"): 3, ("q0", "d2"): 0, ("q1", "d2"): 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test.tsv", "q0\td1\t3.0\nq0\td2\t0.0\nq1\td2\t1\n"),
        ("test.tsv", "\ufeffq0\td1\t3\nq0\td2\t0\nq1\td2\t1"),
        ("test.tsv", "query_id\tdoc_id\trelevance\r\nq0\td1\t3\r\nq0\td2\t0\r\n\r\nq1\td2\t1\r\n"),
        ("test.tsv", "q0\tQ0\td1\t3\nq0\tQ0\td2\t0\nq1\tQ0\td2\t1\n"),
        ("test.tsv", "q0 0 d1 3\nq0 0 d2 0\nq1 0 d2 1\nq1 0 d2 1\n"),
        ("test.tsv", 'query-id\tcorpus-id\tscore\n"q0"\t"d1"\t"3"\n"q0"\td2\t0\nq1\td2\t1\n'),
        ("test.csv", 'query-id,corpus-id,score\n"q0","d1",3\n"q0","d2",0\nq1,d2,1\n'),
        ("test.trec", "q0 0 d1 3\nq0 0 d2 0\nq1 0 d2 1\n"),
        ("test.tsv.gz", "q0\td1\t3\nq0\td2\t0\nq1\td2\t1\n"),
    ],
)
def test_judgements_as_the_world_has_them(beir, name, content):
    folder = beir(qrels__test_tsv=None)
    (folder / "qrels").mkdir()
    (folder / "qrels" / name).write_bytes(
        gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
    )
    found = loaded(folder).dataset["default"]["test"]["relevant_docs"]
    assert {(q, d): grade for q, judged in found.items() for d, grade in judged.items()} == QRELS


def test_packed_files_are_the_same_task(beir):
    plain, packed = beir("zoo"), beir("packed")
    for file in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (packed / f"{file}.gz").write_bytes(gzip.compress((packed / file).read_bytes()))
        (packed / file).unlink()
    assert loaded(packed).dataset["default"]["test"]["corpus"].num_rows == 3
    assert loaded(packed).metadata.revision == loaded(plain).metadata.revision
    (packed / "corpus.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match=r"corpus\.jsonl\.gz cannot be unpacked"):
        loaded(packed)


def test_judgements_of_what_is_not_there_stay(beir):
    task = loaded(beir(qrels__test_tsv="q0\td1\t1\nq0\tgone\t1\nq1\tgone\t1\nnobody\td1\t1\n"))
    data = retrieval_data(task, "test", "default")
    assert data.query_ids == ["q0", "q1"]
    assert data.judgements.row.tolist().count(-1) == 2
    assert data.missing == {"judged documents": 1, "judged queries": 1}


def test_candidates_make_it_a_reranking_task(beir, model):
    import mteb

    ranked = "".join(
        json.dumps({"query-id": q, "corpus-ids": ["d1", "d2"]}) + "\n" for q in ("q0", "q1", "q2")
    )
    task = loaded(beir(top_ranked_jsonl=ranked))
    assert (task.metadata.type, task.metadata.main_score) == ("Reranking", "map_at_1000")
    assert task.dataset["default"]["test"]["top_ranked"] == {"q0": ["d1", "d2"], "q1": ["d1", "d2"]}
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    assert result.get_score() == pytest.approx(1.0)


def test_a_split_can_be_chosen(beir):
    folder = beir(qrels__graded_tsv="q1\td2\t2\n")
    assert loaded(folder, "graded").dataset["default"]["graded"]["relevant_docs"] == {
        "q1": {"d2": 2}
    }
    with pytest.raises(UserError, match=r"no qrels/dev\.tsv") as error:
        loaded(folder, "dev")
    assert "graded, test" in error.value.hint


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"corpus_jsonl": '{"_id": "d1", "text": "a"}\n{"_id": \n'},
            r"corpus\.jsonl:2 is not JSON",
        ),
        ({"corpus_jsonl": "[1]\n"}, r"corpus\.jsonl:1 is not a JSON object"),
        ({"corpus_jsonl": '\n{"_id": "d1"}\n'}, r'corpus\.jsonl:2 has no "text"'),
        (
            {"corpus_jsonl": '{"_id": "d1", "text": 5}\n'},
            r'corpus\.jsonl:1: "text" is not a string',
        ),
        (
            {"corpus_jsonl": '{"_id": "d1", "text": "a"}\n' * 2},
            r"corpus\.jsonl:2 gives the id 'd1' a second time",
        ),
        ({"corpus_jsonl": "\n"}, r"corpus\.jsonl holds no documents"),
        ({"queries_jsonl": None}, r"zoo has no queries\.jsonl"),
        ({"queries_jsonl": '{"text": "a"}\n'}, r'queries\.jsonl:1 has no "_id"'),
        ({"qrels__test_tsv": None}, r"zoo has no qrels/test\.tsv"),
        ({"qrels__test_tsv": "query-id\tcorpus-id\tscore\n"}, r"test\.tsv holds no judgements"),
        ({"qrels__test_tsv": "q0\td1\t1\nq0\td1\n"}, r"test\.tsv:2 has 2 columns, not 3"),
        (
            {"qrels__test_tsv": "q0\td1\t1\nq0\t0\td1\t1\n"},
            r"test\.tsv:2 has 4 columns, the first line 3",
        ),
        (
            {"qrels__test_tsv": "q0\td1\t1\nq0\td2\thigh\n"},
            r"test\.tsv:2: the grade 'high' is not a whole number",
        ),
        (
            {"qrels__test_tsv": "q0\td1\tyes\n"},
            r"test\.tsv:1: the grade 'yes' is not a whole number",
        ),
        (
            {"qrels__test_tsv": "q0\td1\t0.5\n"},
            r"test\.tsv:1: the grade '0\.5' is not a whole number",
        ),
        (
            {"qrels__test_tsv": "q0\td1\tnan\n"},
            r"test\.tsv:1: the grade 'nan' is not a whole number",
        ),
        (
            {"qrels__test_tsv": "q0\td1\t3000000000\n"},
            r"test\.tsv:1: the grade '3000000000' is too large",
        ),
        ({"qrels__test_tsv": "q0\td1\t0\nq1\td1\t-1\n"}, r"test\.tsv judges nothing relevant"),
        (
            {"qrels__test_tsv": "q0\td1\t1\nq0\td2\t1\nq0\td1\t0\n"},
            r"test\.tsv:3 gives document 'd1' the grade 0 for query 'q0', an earlier line 1",
        ),
        (
            {"qrels__test_tsv": "q0\td9\t1\n"},
            r"none of the documents judged, such as 'd9', is in corpus\.jsonl",
        ),
        (
            {"qrels__test_tsv": "q9\td1\t1\n"},
            r"none of the queries judged, such as 'q9', is in queries\.jsonl",
        ),
        (
            {"qrels/test.csv": "q0,d1,1\n"},
            r"has several files of the split test: test\.csv, test\.tsv",
        ),
        (
            {"corpus_jsonl": '{"_id": null, "text": "a"}\n'},
            r'corpus\.jsonl:1: "_id" is null, which is no id',
        ),
        (
            {"corpus_jsonl": '{"_id": ["d1"], "text": "a"}\n'},
            r'corpus\.jsonl:1: "_id" is \["d1"\], which is no id',
        ),
        (
            {"queries_jsonl": '{"_id": "", "text": "a"}\n'},
            r'queries\.jsonl:1: "_id" is "", which is no id',
        ),
        (
            {"corpus_jsonl": '{"_id": "a\\u0000b", "text": "a"}\n'},
            r'corpus\.jsonl:1: "_id" holds the character NUL',
        ),
        (
            {"top_ranked_jsonl": '{"query-id": "q0"}\n'},
            r"top_ranked\.jsonl:1 has no list of ids as corpus-ids",
        ),
        (
            {"top_ranked_jsonl": '{"query-id": "q0", "corpus-ids": ["d1"]}\n' * 2},
            r"top_ranked\.jsonl:2 gives the candidates of the query 'q0' a second time",
        ),
        (
            {"top_ranked_jsonl": '{"query-id": "q0", "corpus-ids": ["d9"]}\n'},
            r"top_ranked\.jsonl:1 names the document 'd9'",
        ),
        (
            {"top_ranked_jsonl": '{"query-id": "q0", "corpus-ids": ["d1"]}\n'},
            r"has no line for the query 'q1'",
        ),
    ],
)
def test_one_message_says_what_is_wrong_and_where(beir, files, message):
    with pytest.raises(UserError, match=message):
        loaded(beir(**files))


@pytest.mark.parametrize(
    ("name", "split", "documents", "queries", "judgements"),
    [
        ("scifact", "test", 5183, 300, 339),
        ("cranfield", "graded", 1400, 225, 1837),
        ("medline", "test", 1033, 30, 696),
    ],
)
def test_published_collections(shared, name, split, documents, queries, judgements):
    task = loaded(shared / "beir" / name, split)
    data = task.dataset["default"][split]
    assert (len(data["corpus"]), len(data["queries"])) == (documents, queries)
    assert sum(map(len, data["relevant_docs"].values())) == judgements
    if name == "scifact":
        # mteb's own task, recognised by its content, and as the revision that mteb names.
        assert task.metadata.name == "SciFact"
        assert task.metadata.prompt["query"].startswith("Given a scientific claim")
        assert task.metadata.revision == "d56462d0e63a25450459c4f213e49ffdb866f7f9"
    if name == "cranfield":
        texts = dict(zip(data["corpus"]["id"], data["corpus"]["text"], strict=True))
        assert texts["471"] == texts["995"] == ""
        assert {
            grade for relevant in data["relevant_docs"].values() for grade in relevant.values()
        } > {1, 3}


def test_official_content_is_official_under_any_name_and_nothing_else_is(shared, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(shared / "beir/scifact", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755), (folder / "qrels").chmod(0o755)
    task = loaded(folder)
    assert (task.metadata.name, recorded_name(task)) == ("SciFact", "SciFact")
    file = folder / "qrels/test.tsv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))  # one judgement less
    assert recorded_name(loaded(folder)).startswith("mine@")
    folder.rename(tmp_path / "scifact")
    assert recorded_name(loaded(tmp_path / "scifact")).startswith("scifact@")
    (mirrored,) = resolve(["SciFact"], data_dir=tmp_path)
    assert recorded_name(load(mirrored)).startswith("SciFact@")
    assert mirrored.metadata.prompt["query"].startswith("Given a scientific claim")
