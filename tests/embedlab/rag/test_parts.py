"""The parts of a RAG run on their own: questions, prompts, scores, generators."""

import numpy as np
import pytest

import embedlab
from embedlab.bases import folders
from embedlab.errors import UserError
from embedlab.rag import generators, prompt, question_sets, retrieving, scoring
from embedlab.rag.refining import Extracted


def test_answers_are_compared_as_squad_does():
    assert scoring.normalised("The  Eiffel-Tower, a tower!") == ["eiffeltower", "tower"]
    assert scoring.exact_match("the Paris.", ["London", "paris"]) == 1
    assert scoring.exact_match("Paris, France", ["paris"]) == 0
    assert scoring.f1("Paris, in France", ["paris"]) == pytest.approx(2 * (1 / 3) * 1 / (1 / 3 + 1))
    assert scoring.f1("rome rome", ["rome is rome", "x"]) == pytest.approx(
        2 * 1 * (2 / 3) / (1 + 2 / 3)
    )
    assert (
        scoring.f1("", ["the"]) == 0
        and scoring.f1("", [""]) == 1
        and scoring.f1("", ["rome"]) == 0
        and scoring.f1("milan", ["rome"]) == 0
    )


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("café", "cafe\u0301"),
        ("“Paris”", "Paris"),
        ("２０２４", "2024"),
        ("New\u00a0York", "New York"),
        ("New\u200bYork", "New York"),
        ("1914–1918", "1914-1918"),
        ("STRASSE", "straße"),
        ("İstanbul", "istanbul"),
        ("北京。", "北京"),
        ("«Roma»", "roma"),
        ("co\u00adoperate", "cooperate"),
        ("The", "the"),
        ("กรุงเทพ", "กรุงเทพ!"),
        ("\u22125", "-5"),
        ("น้ำ", "น\u0e4d\u0e49\u0e32"),
    ],
)
def test_answers_that_only_look_different_are_the_same(answer, right):
    assert scoring.exact_match(answer, [right]) == scoring.f1(answer, [right]) == 1
    assert right == "the" or scoring.answer_recall([f"so, {answer}, he said"], [right]) == 1


def test_scripts_without_blanks_are_compared_by_characters():
    assert scoring.normalised("答案是北京。") == list("答案是北京")
    assert scoring.f1("北京市", ["北京"]) == pytest.approx(0.8)
    assert (
        scoring.answer_recall(["答案是北京。"], ["北京"]) == 1
        and scoring.answer_recall(["答案是南京。"], ["北京"]) == 0
    )
    assert scoring.normalised("GPT-4は東京で") == ["gpt4", *"は東京で"]
    assert scoring.normalised("서울 특별시") == ["서울", "특별시"]  # Korean sets words apart


@pytest.mark.parametrize(("answer", "right"), [("A", "B"), ("", "The"), ("...", "!"), ("", "x")])
def test_answers_of_nothing_but_an_article_or_a_sign_are_what_they_are(answer, right):
    assert scoring.exact_match(answer, [right]) == scoring.f1(answer, [right]) == 0


def test_contexts_are_scored():
    assert scoring.answer_recall(["It is the city of N'Djamena, in Chad."], ["NDjamena"]) == 1
    assert scoring.answer_recall(["Romeo"], ["Rome", "the"]) == 0
    assert scoring.context_precision(["a", "b", "c", "d"], ["b", "x"]) == 0.25
    assert scoring.context_recall(["a", "b", "c", "d"], ["b", "x"]) == 0.5
    assert scoring.context_precision([], ["x"]) == 0


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "2"}', 'questions.jsonl:2 has no "question"'),
        ('{"question": "why"}', 'questions.jsonl:2 has no "id"'),
        ('{"id": "", "question": "why"}', 'questions.jsonl:2 has no "id"'),
        (
            '{"id": "2", "question": ["why"]}',
            "questions.jsonl:2: question = ['why']: Expected `str`, got `array`.",
        ),
        ('{"id": [2], "question": "why"}', "questions.jsonl:2: id = [2]: Expected"),
        (
            '{"id": "2", "question": "why", "answers": "so"}',
            "questions.jsonl:2: answers = 'so': Expected `array | null`, got `str`.",
        ),
        (
            '{"id": "2", "question": "why", "relevant": [1]}',
            "questions.jsonl:2: relevant[0] = 1: Expected `str`, got `int`.",
        ),
        ('{"id": "1", "question": "why"}', "questions.jsonl:2 gives the id '1' a second time"),
        ('{"id": "2", "question', "questions.jsonl:2 is not JSON"),
        ("[1]", "questions.jsonl:2 is not a JSON object"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, problem):
    file = tmp_path / "questions.jsonl"
    file.write_text(f'{{"id": "1", "question": "what", "answers": ["x"]}}\n{line}\n')
    with pytest.raises(UserError) as error:
        question_sets.read(str(file))
    assert problem in str(error.value)


def test_files_without_questions(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    for name, problem in (("empty.jsonl", "holds no questions"), ("absent.jsonl", "no file")):
        with pytest.raises(UserError, match=problem):
            question_sets.read(str(tmp_path / name))


def test_the_prompt(tmp_path):
    template = prompt.read(None)
    filled = prompt.fill(template, ["a {question} in braces", "b"], "why {context}?")
    assert "[1] a {question} in braces\n\n[2] b" in filled and "Question: why {context}?" in filled
    (tmp_path / "bad.txt").write_text("{context} and no more")
    with pytest.raises(UserError, match=r"has no \{question\}"):
        prompt.read(tmp_path / "bad.txt")
    (tmp_path / "bad.txt").write_bytes(b"\xff{context}{question}")
    with pytest.raises(UserError, match="cannot be read"):
        prompt.read(tmp_path / "bad.txt")
    with pytest.raises(UserError, match="no prompt template"):
        prompt.read(tmp_path / "absent.txt")


def test_a_prompt_that_is_too_long_loses_its_last_contexts_first():
    contexts = ["x" * 40, "y" * 40, "z" * 40]
    filled, used = prompt.fitted(
        "{context} {question}", contexts, "why", lambda text: len(text) < 100
    )
    assert used == 2 and "x" * 40 in filled and "y" * 40 in filled and "z" not in filled
    filled, used = prompt.fitted(
        "{context} {question}", contexts, "why", lambda text: len(text) < 20
    )
    assert used == 1 and "xxxxx" in filled and "x" * 11 not in filled and filled.endswith("why")
    with pytest.raises(UserError, match="too long"):
        prompt.fitted("{context} {question}", contexts, "why" * 9, lambda text: len(text) < 20)


def test_the_worst_contexts_are_left_out_whatever_the_order():
    best_first = ["a" * 40, "b" * 40, "c" * 40, "d" * 40]
    for order, read in (("", "ab"), ("reverse", "ba"), ("sides", "ab")):
        filled, used = prompt.fitted(
            "{context} {question}", best_first, "why", lambda text: len(text) < 100,
            lambda texts, order=order: retrieving.ordered(texts, order),
        )  # fmt: skip
        assert used == 2 and [each[4] for each in filled.split("\n\n")] == list(read)
    for order in ("", "reverse", "sides"):
        for count in range(6):
            ranks = list(range(count))
            assert retrieving.by_rank(retrieving.ordered(ranks, order), order) == ranks


def test_a_sentence_of_two_contexts_is_extracted_once():
    towards = {"Lima is big.": [1, 0], "It is old.": [0.9, 0.1], "So.": [0, 1]}

    class Encoder:
        id = "e"

        def encode_documents(self, texts):
            return np.array([towards[text] for text in texts])

        def encode_queries(self, texts):
            return np.array([[1.0, 0.0]] * len(texts))

    contexts = [["So. Lima is big. Lima is big.", "Lima is big. It is old.", "Lima is big. So."]]
    (found,) = Extracted("e", Encoder(), 2).refine(["how big"], contexts)
    assert found.contexts == ["Lima is big.", "It is old."]


def test_a_servers_query_is_a_part_of_it_and_credentials_are_not():
    def identity(query):
        found = generators.find(f"http://127.0.0.1:9/v1{query}", model="m")
        assert "secret" not in found.identity and "2024" not in found.identity
        return found.identity

    plain, old, new = map(identity, ("", "?api-version=2024-01", "?api-version=2024-02"))
    assert len({plain, old, new}) == 3 and plain == "http://127.0.0.1:9/v1 m"
    assert identity("?api-key=secret1&api-version=2024-01") == old
    assert identity("?api-version=2024-01&sig=secret2&access_token=secret3") == old
    assert identity("?key=secret") == plain


def test_a_local_model_answers_as_transformers_does(language_model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    generator = generators.find(str(language_model), max_tokens=9, device="cpu", dtype="float32")
    answer = generator.generate("the capital of France is")
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    model = AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.float32)
    ids = torch.tensor([tokenizer("the capital of France is")["input_ids"][:-1]])  # without </s>
    wanted = model.generate(ids, max_new_tokens=9, do_sample=False)[0, ids.shape[1] :]
    assert (
        answer.text
        == tokenizer.decode(wanted, skip_special_tokens=True).strip().partition("\n")[0].strip()
    )
    assert (answer.prompt_tokens, answer.answer_tokens) == (ids.shape[1], len(wanted))
    assert generator.fits("w " * 80) and not generator.fits("w " * 300)


def test_a_chat_template_is_used(language_model, tmp_path):
    import shutil

    from transformers import AutoTokenizer

    folder = tmp_path / "chat"
    shutil.copytree(language_model, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = (
        "{% for m in messages %}<s>user {{ m.content }}</s>{% endfor %}<s>assistant"
    )
    tokenizer.save_pretrained(folder)
    generator = generators.find(str(folder), max_tokens=3, device="cpu", dtype="float32")
    wanted = tokenizer("<s>user why?</s><s>assistant", add_special_tokens=False)["input_ids"]
    assert generator.generate("why?").prompt_tokens == len(wanted)
    assert generator.settings["chat_template"]


def test_the_first_layers_of_a_model_generate(language_model, home):
    name = f"{language_model}@layers=1"
    cut = generators.find(name, max_tokens=4, device="cpu")
    same = generators.find(str(folders.folder(name)), max_tokens=4, device="cpu")
    assert cut.name == name and cut.generate("the capital of") == same.generate("the capital of")
    with pytest.raises(UserError, match="cannot be cut to '9' layers"):
        generators.find(f"{language_model}@layers=9")


def test_the_weights_of_a_gem_generate(language_model, tmp_path):
    from embedlab.encoders import gem

    plain = generators.find(str(language_model), max_tokens=9, device="cpu", dtype="float32")
    gem.create(language_model, tokens=2, device="cpu").save(str(tmp_path / "gem"))
    both = generators.find(str(tmp_path / "gem"), max_tokens=9, device="cpu", dtype="float32")
    for text in ("the capital of Peru is", "Question: why"):
        assert both.generate(text).text == plain.generate(text).text
    assert both.identity != plain.identity


def test_models_that_cannot_generate(tiny_folder, language_model, tmp_path):
    import shutil

    from transformers import AutoModel

    bare = tmp_path / "bare"
    shutil.copytree(language_model, bare)
    AutoModel.from_pretrained(language_model).save_pretrained(bare)
    for name in (tiny_folder, "bm25", bare):
        with pytest.raises(UserError, match="cannot generate text"):
            generators.find(str(name), device="cpu")
    with pytest.raises(UserError, match="Unknown model 'no-such-model'"):
        generators.find("no-such-model")
    with pytest.raises(UserError, match="has 192 positions"):
        generators.find(str(language_model), max_tokens=192, device="cpu")


def test_a_server_is_asked_in_openais_protocol(server):
    generator = generators.find(server.url, max_tokens=7)
    assert generator.name == "reader"
    assert generator.generate("[1] Paris is\nQuestion").text == "Paris."
    (request,) = server.requests
    assert (
        request["max_tokens"] == 7 and request["temperature"] == 0 and request["model"] == "reader"
    )
    server.fail_from = 0
    with pytest.raises(UserError, match="400 the context is too long"):
        generator.generate("x")
    server.models = ["a", "b"]
    with pytest.raises(UserError, match="serves 2 models") as error:
        generators.find(server.url)
    assert "--generator-model: a, b" in error.value.hint


def test_equal_scores_come_by_id_in_whatever_order_they_were_indexed():
    def ones(texts):
        return np.ones((len(texts), 2), dtype=np.float32)

    for ids in ("bca", "abc"):
        index = embedlab.Index.build(dict.fromkeys(ids, "alike"), ones).retriever
        (found,) = retrieving.retrieve(index, [["anything"]], 2)
        assert [index.ids[row] for row in found.rows] == ["c", "b"]
