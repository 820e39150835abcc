"""Question sets from disk in the forms in which they are published, and the built-in one."""

import gzip
import json
import re

import pytest
from capitals_server import write

from embedlab.errors import UserError
from embedlab.rag import question_sets, questions
from embedlab.tasks import stdlib_questions

SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Paris",
            "paragraphs": [
                {
                    "context": "Paris lies on the Seine.",
                    "qas": [
                        {
                            "id": "a",
                            "question": "Where does Paris lie?",
                            "answers": [{"text": "on the Seine", "answer_start": 11}] * 2,
                            "is_impossible": False,
                        },
                        {
                            "id": "b",
                            "question": "Who built Paris?",
                            "answers": [],
                            "plausible_answers": [{"text": "Seine", "answer_start": 18}],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        }
    ],
}
HOTPOT = {
    "_id": "h", "question": "Which river?", "answer": "Seine", "type": "bridge", "level": "easy",
    "supporting_facts": [["Paris", 0], ["Seine", 0]],
    "context": [["Paris", ["Paris lies ", "on it."]], ["Seine", ["A river."]], ["Oslo", ["No."]]],
}  # fmt: skip
FLAT_SQUAD = {
    "id": "a", "title": "Paris", "context": "Paris lies on the Seine.", "question": "Where?",
    "answers": {"text": ["on the Seine"], "answer_start": [11]},
}  # fmt: skip
KILT = {
    "id": "k", "input": "Which river?", "meta": {},
    "output": [
        {"answer": "Seine", "provenance": [{"wikipedia_id": "12", "title": "Paris"}]},
        {"answer": "Seine", "provenance": [{"wikipedia_id": "12"}, {"wikipedia_id": 13}]},
        {"meta": {"score": 1}},
    ],
}  # fmt: skip
BERGEN = {
    "id": "b",
    "content": "Which river?",
    "label": ["Seine"],
    "ranking_label": [["1", "2"], ["1"]],
}
HUB_HOTPOT = {
    **HOTPOT, "_id": None, "id": "h",
    "supporting_facts": {"title": ["Paris", "Seine"], "sent_id": [0, 0]},
    "context": {"title": ["Paris"], "sentences": [["Paris lies ", "on it."]]},
}  # fmt: skip


def text_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("content", "form", "answers", "relevant", "documents"),
    [
        (json.dumps(SQUAD), "squad", ("on the Seine",), ("Paris#0",), {"Paris#0"}),
        (json.dumps(SQUAD, indent=1), "squad", ("on the Seine",), ("Paris#0",), {"Paris#0"}),
        (text_of([FLAT_SQUAD]), "squad", ("on the Seine",), None, None),
        (text_of([{"question": "q", "answer": ["a", "b"]}]), "nq-open", ("a", "b"), (), set()),
        (json.dumps([HOTPOT]), "hotpotqa", ("Seine",), ("Paris", "Seine"),
         {"Paris", "Seine", "Oslo"}),
        (text_of([HUB_HOTPOT]), "hotpotqa", ("Seine",), ("Paris", "Seine"), {"Paris"}),
        (text_of([KILT]), "kilt", ("Seine",), ("12", "13"), set()),
        (text_of([BERGEN]), "bergen", ("Seine",), ("1", "2"), set()),
    ],
)  # fmt: skip
def test_forms_are_recognised(tmp_path, content, form, answers, relevant, documents):
    for path, packed in ((tmp_path / "q.json", False), (tmp_path / "q.json.gz", True)):
        data = content.encode()
        path.write_bytes(gzip.compress(data) if packed else data)
        found = question_sets.read(str(path))
        assert found == question_sets.read(str(path), form)
        first = found.questions[0]
        assert first.answers == answers and first.answerable and found.name == "q"
        if documents is None:
            assert first.relevant == tuple(found.documents)
        else:
            assert first.relevant == relevant and found.documents.keys() == documents
    if "is_impossible" in content:
        second = found.questions[1]
        assert not second.answerable and second.answers == second.relevant == ()


def test_not_all_that_have_one_title_are_one(tmp_path):
    """Paragraphs of one title: of one question they are one document, of two questions two."""
    first = {**HOTPOT, "context": [*HOTPOT["context"], ["Paris", ["Paris, Texas."]]]}
    other = {**HOTPOT, "_id": "i", "context": [["Paris", ["A son of Priam."]]]}
    path = tmp_path / "q.jsonl"
    path.write_text(text_of([first, other, {**other, "_id": "j"}]))
    found = question_sets.read(str(path))
    assert found.documents["Paris"]["text"] == "Paris lies on it.\n\nParis, Texas."
    assert found.documents["Paris (2)"] == {"title": "Paris", "text": "A son of Priam."}
    assert len(found.documents) == 4
    assert [each.relevant for each in found.questions] == [
        ("Paris", "Seine"), ("Paris (2)", "Seine"), ("Paris (2)", "Seine"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (json.dumps(SQUAD).replace('"Who built Paris?"', "5"),
         r"q\.json: data\[0\]\.paragraphs\[0\]\.qas\[1\]\.question: .*Expected `str`"),
        ("[\n" + json.dumps(HOTPOT) + ",\n" + json.dumps({**HOTPOT, "question": 7}) + "]",
         r"q\.json:3 \(item 2\): question = 7"),
        ("[\n" + json.dumps(HOTPOT) + ",\n7]", r"q\.json:3 \(item 2\) is not a JSON object"),
        ("[\n" + json.dumps(HOTPOT) + ",", r"q\.json is not JSON: .*line 2"),
        (text_of([KILT, {**KILT, "input": None}]), r"q\.json:2: input = None"),
        (text_of([KILT, KILT]), r"q\.json:2 gives the id 'k' a second time"),
        (text_of([BERGEN, {**BERGEN, "id": "c", "content": " "}]),
         r"q\.json:2 has no \"question\""),
        (text_of([{"question": "q", "answer": ["a"]}, {"question": "q", "answer": 3}]),
         r"q\.json:2: answer = 3"),
        (text_of([{"id": "1", "question": "q", "answers": ["a"], "answerable": False}]),
         r"q\.json:1: .*answerable"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(tmp_path, content, problem):
    (tmp_path / "q.json").write_text(content)
    with pytest.raises(UserError) as error:
        question_sets.read(str(tmp_path / "q.json"))
    assert re.search(problem, str(error.value)) and error.value.hint


@pytest.mark.parametrize("answer", ["Seine", ["Seine"], ["Seine", "Seine", ""]])
def test_own_rows_may_say_answer(tmp_path, answer):
    row = {"id": "mine", "question": "Which river?", "answer": answer, "relevant": ["d"]}
    (tmp_path / "q.jsonl").write_text(text_of([row]))
    found = question_sets.read(str(tmp_path / "q.jsonl"))
    assert found.questions == [questions.Question("mine", "Which river?", ("Seine",), ("d",))]
    assert not found.own_ids


def test_rows_of_two_minds_are_refused(tmp_path):
    own = {"question": "Which river?", "answer": "Seine"}
    for more, problem in (
        ({"id": "1", "answers": ["Oise"]}, '1: it has both "answer" and "answers"'),
        ({"relevant": ["d"]}, '1 has no "id"'),
        ({"id": "1", "answerable": False}, '"answerable" is false'),
        ({"id": "1", "answer": {"value": "Seine"}}, "1: answer = "),
    ):
        (tmp_path / "q.jsonl").write_text(text_of([own | more]))
        with pytest.raises(UserError) as error:
            question_sets.read(str(tmp_path / "q.jsonl"))
        assert problem in str(error.value) and error.value.hint


def test_a_beir_folder(tmp_path):
    write(tmp_path / "corpus.jsonl", [{"_id": "d", "text": "t"}])
    rows = [
        {"_id": "1", "text": "Which river?", "metadata": {"answer": "Seine"}},
        {"_id": "2", "text": "not judged"},
    ]
    write(tmp_path / "queries.jsonl", rows)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels/dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\td\t1\n1\te\t0\n")
    found = question_sets.read(str(tmp_path))
    (one,) = found.questions
    assert (one.answers, one.relevant, found.corpus) == (("Seine",), ("d",), tmp_path)
    with pytest.raises(UserError, match=r"qrels/test\.tsv"):
        question_sets.read(str(tmp_path), split="test")
    with pytest.raises(UserError, match="form of questions 'squat'"):
        question_sets.read(str(tmp_path), "squat")


@pytest.fixture(scope="session")
def stdlib_qa():
    return stdlib_questions.build()


def test_the_built_in_questions_hold_what_they_say(stdlib_qa):
    documents, asked = stdlib_qa
    answered = [each for each in asked if each.answers]
    assert len(answered) >= 250 and len(asked) - len(answered) >= 30
    assert {each.kind for each in asked} == {"returns", "true", "raises", "name"}
    for each in answered:
        if each.kind == "name":
            assert each.answers[0] == each.name and each.name in documents
        else:
            assert " ".join(each.answers[0].split()) in " ".join(documents[each.name].split())
    for each in asked:
        if not each.answers:
            assert each.name not in documents
            assert each.name in each.question and "`" in each.question
    assert stdlib_questions.build() == stdlib_qa, "the same Python gives the same questions"
    assert len({each.question for each in asked}) == len(asked)


def test_the_rules_word_by_word():
    from embedlab.tasks.stdlib_source import Definition

    def made(docstring, name="mod.f"):
        # Every fifth question loses its document: the first of them is another one.
        first = Definition("mod.a", "Return the first of all things here.", "def a():\n    pass")
        asked = Definition(name, docstring, "def f(x):\n    pass")
        found = stdlib_questions.build([first, asked]).questions
        return [(each.question, each.answers) for each in found if each.name == name]

    for docstring, question, answers in (
        ("Return a list of all files. More.", "What does `mod.f` return?", ["a list of all files"]),
        ("Return True if x is a file, False otherwise.", "When does `mod.f` return True?",
         ["x is a file"]),
        ("Take x. Raises KeyError if x is not there.",
         "Which exception does `mod.f` raise if x is not there?", ["KeyError"]),
        ("Take x. If x is not there, raise an os.SomeError.",
         "Which exception does `mod.f` raise if x is not there?", ["os.SomeError", "SomeError"]),
        ("Copy the data of one file to another.",
         "Which function of `mod` copies the data of one file to another?", ["mod.f", "f"]),
    ):  # fmt: skip
        found = made(docstring)
        assert [each for each, _ in found] == [question]
        assert found[0][1] in (answers, []), "or it is the one whose document was taken out"
    for docstring in (
        "Return it as it is, of course.",  # it?
        "Take x. Raise KeyError if this is so.",
        "Open the file and return its text whole.",  # two verbs
        "Wonder about what x might be.",
    ):
        assert made(docstring) == []
    assert made("Return a list of all files.", name="mod._f") == []


@pytest.mark.effect("rag --sample", "rag --questions-form", "rag --split")
def test_the_questions_options(cli, home, tmp_path, index):
    write(tmp_path / "q.jsonl", [{"id": f"{n}", "question": f"capital {n}"} for n in range(9)])
    rag = ("rag", "--retriever", index, "--questions", tmp_path / "q.jsonl", "--json")
    code, out, err = cli(*rag, "--sample", 4)
    some = [each["id"] for each in json.loads(out)["questions"]]
    assert code == 0 and len(some) == 4 and some == sorted(some), err
    assert [e["id"] for e in json.loads(cli(*rag, "--sample", 4)[1])["questions"]] == some
    code, _, err = cli(*rag, "--questions-form", "kilt")
    assert code == 2 and "q.jsonl:1: Object missing required field `input`" in err
    code, _, err = cli(*rag, "--split", "dev")
    assert code == 2 and "--split is for a BEIR folder" in err


def test_questions_bring_their_documents(cli, home, tmp_path):
    (tmp_path / "dev.json").write_text(json.dumps(SQUAD))
    rag = ("rag", "--retriever", "bm25", "--questions", tmp_path / "dev.json", "-k", 1, "--json")
    code, out, err = cli(*rag)
    assert code == 0, err
    answer = json.loads(out)
    assert answer["scores"]["context_recall"] == 1 and answer["scores"]["answer_recall"] == 1
    assert answer["questions"][0]["documents"] == ["Paris#0"]


def test_documents_of_another_corpus_leave_the_answers(cli, home, index, tmp_path):
    (tmp_path / "dev.json").write_text(json.dumps(SQUAD))
    rag = ("rag", "--retriever", index, "--questions", tmp_path / "dev.json", "--json")
    code, out, err = cli(*rag)
    assert code == 0 and "holds none of the documents that the questions name" in err
    assert json.loads(out)["scores"].keys() == {"answer_recall"}


def test_the_revision_of_known_sets_stays():
    """A set without unanswerable questions has the revision that it had before there were any."""
    one = questions.Question("1", "what", ("x",), ("d",))
    import hashlib

    text = "[Question(id='1', text='what', answers=('x',), relevant=('d',))]"
    assert questions.digest([one]) == hashlib.sha256(text.encode()).hexdigest()[:16]
    other = questions.Question("1", "what", ("x",), ("d",), answerable=False)
    assert questions.digest([other]) != questions.digest([one])


def test_squad_without_answers_and_with_articles_of_one_title(tmp_path):
    """Nobody says that what has no answers yet cannot be answered; two articles are two."""
    asked = {text: {"id": text, "question": "q"} for text in ("one", "two")}
    asked["two"]["answers"] = [{"text": "two"}]
    articles = [
        {"title": "Paris", "paragraphs": [{"context": text, "qas": [qa]}]}
        for text, qa in asked.items()
    ]
    (tmp_path / "q.json").write_text(json.dumps({"data": articles}))
    found = question_sets.read(str(tmp_path / "q.json"))
    first, second = found.questions
    assert first.answerable and not first.answers
    assert [each["text"] for each in found.documents.values()] == ["one", "two"]
    assert found.documents[second.relevant[0]]["text"] == "two"
