"""Pipelines of several steps, grids of them, and what runs at once."""

import json
import threading
import time

import pytest
from capitals_server import CAPITALS, Server, write

from embedlab.errors import UserError
from embedlab.rag import generators
from embedlab.rag.pipeline_expressions import PipelineSpec, Stage, grid, parse
from embedlab.rag.retrieving import arranged
from leaderboard.storage.store import Store
from tests import ready


def test_an_expression_is_read_from_left_to_right():
    text = (
        "hyde(http://h:1/v1#m, max_tokens=9) | (rrf(bm25, a) >> rerank(b, depth=9)) |"
        " noise(random, n=3) | extract(e) | order(reverse) | generate(llm, prompt=p.txt)"
    )
    spec = parse(text)
    assert spec.retriever == "rrf(bm25, a) >> rerank(b, depth=9)"
    assert str(spec.rewriter) == "hyde(http://h:1/v1#m, max_tokens=9)"
    assert str(spec.noise) == "noise(random, n=3)" and spec.order.argument == "reverse"
    assert str(spec.refiner) == "extract(e)" and spec.generator.argument == "llm"
    assert spec.prompt.name == "p.txt"
    assert parse("bm25") == PipelineSpec("bm25") and parse("(a) >> (b)").retriever == "(a) >> (b)"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("generate(a) | bm25", "wrong place"),
        ("bm25 | order(reverse) | order(sides)", "two steps of the kind order"),
        ("hyde(a) | generate(b)", "no retriever"),
        ("bm25 | order(upside)", "Unknown order 'upside'"),
        ("bm25 | noise(random, n=0)", "n=0"),
        ("bm25 | extract(a, b)", "names 2 things"),
        ("bm25 | extract(a, depth=4)", "Unknown setting of extract 'depth'"),
        ("bm25 | multi(a)", "wrong place"),
        ("bm25 | ", "is empty"),
        ("bm25 | extract(a", "do not match"),
    ],
)
def test_a_malformed_expression_is_one_clear_error(text, problem):
    with pytest.raises(UserError, match=problem) as error:
        parse(text)
    assert error.value.hint


def test_a_grid_is_every_combination_once():
    specs = [PipelineSpec("bm25"), parse("hyde(x) | bm25")]
    found = grid(
        specs, k=[1, 3], order=["best-first", "reverse"], generator=[Stage("generate", "g")]
    )
    assert len(found) == 8 == len(set(found))
    with pytest.raises(UserError, match="has its generator"):
        grid([parse("bm25 | generate(a)")], generator=[Stage("generate", "g")])


def test_the_order_of_contexts():
    assert arranged([1, 2, 3, 4, 5], [], "reverse") == [5, 4, 3, 2, 1]
    assert arranged([1, 2, 3, 4, 5], [], "sides") == [1, 3, 5, 4, 2]
    assert arranged([1, 2], [8, 9], "") == [1, 8, 2, 9]


class Slow(Server):
    """Answers once it has eight requests at a time, or none came for long; counts them."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self.lock = 0, 0, threading.Lock()
        self.enough = threading.Event()

    def process_request_thread(self, request, client_address):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.most >= 8:
                self.enough.set()
        self.enough.wait(20)
        with self.lock:
            self.now -= 1
        super().process_request_thread(request, client_address)


@pytest.fixture
def slow():
    server = Slow()
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.effect("rag --in-flight")
def test_requests_are_in_flight(cli, home, index, capitals, slow):
    rag = (
        "rag", "--retriever", index, "--questions", capitals / "questions.jsonl", "--generator",
        slow.url, "--generator-model", "reader", "--json",
    )  # fmt: skip
    code, out, err = cli(*rag)
    assert code == 0, err
    assert slow.most >= 8 and len(slow.requests) == 12
    assert json.loads(out)["scores"]["exact_match"] == 1
    slow.most = 0
    assert cli(*rag, "--in-flight", 3, "-k", 1)[0] == 0 and 1 <= slow.most <= 3


def test_a_killed_run_asks_no_question_twice(cli, home, index, capitals, server):
    """Every request is answered before the process is killed, or was never answered."""
    server.hang_from = 6
    command = (
        "rag", "--retriever", index, "--questions", capitals / "questions.jsonl", "--generator",
        server.url, "--in-flight", "3",
    )  # fmt: skip
    victim = ready.Process("-m", "embedlab", *command)
    assert server.hanging.wait(120)
    kept = wait_for(lambda: stored(home), 6)
    victim.kill()
    victim.wait()
    server.hang_from = None
    before = len(server.requests)
    code, out, err = cli(*command, "--json")
    assert code == 0, err
    again = [r["messages"][0]["content"] for r in server.requests[before:]]
    assert len(again) == 12 - kept and len(set(again)) == len(again)
    answered = [r["messages"][0]["content"] for r in server.requests[:6]]
    assert not set(answered) & set(again)
    assert json.loads(out)["scores"]["exact_match"] == pytest.approx(1)


def stored(home):
    rows = Store(home / "results.duckdb").query("SELECT count(*) AS n FROM answers")
    return rows["n"].to_pylist()[0]


def wait_for(count, wanted):
    for _ in range(200):
        if (found := count()) >= wanted:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{count()} of {wanted}")


def test_a_batch_answers_as_one_by_one(language_model):
    generator = generators.find(str(language_model), max_tokens=6, device="cpu", dtype="float32")
    prompts = [
        f"{city} is the capital of" + " the land" * n for n, city in enumerate(CAPITALS.values())
    ]
    together = dict(generator.generate_all(prompts))
    assert [together[place] for place in range(len(prompts))] == [
        generator.generate(prompt) for prompt in prompts
    ]
    assert {one.prompt_tokens for one in together.values()} != {prompts and 0}
    whole = generator.again(12, 0.0, None).generate(prompts[0])
    assert whole.answer_tokens <= 12 and generator.generate(prompts[0]) == together[0]


class Writer(Server):
    """Answers by the prompt: rewrites, extracts, judges and answers by rules."""

    def reply(self, prompt):
        raise NotImplementedError


@pytest.fixture
def writer(server, monkeypatch):
    """The server, with a rule for each kind of prompt."""
    from capitals_server import Handler

    plain = Handler.answer

    def answer(self, code, body):
        if body.get("choices"):
            asked = server.requests[-1]["messages"][0]["content"] if server.requests else ""
            body["choices"][0]["message"]["content"] = written(asked, body)
        plain(self, code, body)

    def written(asked, body):
        question = asked.rpartition("Question: ")[2].partition("\n")[0]
        land = question.rpartition(" of ")[2].rstrip("?")
        if asked.startswith("Write a short passage"):
            return f"{CAPITALS.get(land, '')} is the capital of {land}."
        if asked.startswith("Ask the same question"):
            return f"1. capital {land}\n2. main city {land}\n3. seat {land}\n4. one too many"
        if asked.startswith("Write a search query"):
            return f"capital {land}"
        if asked.startswith("From the documents"):
            return f"1. capitals\n{CAPITALS.get(land, '')} is the capital of {land}."
        if asked.startswith("Do the documents"):
            documents, _, claim = asked.partition("Claim: ")
            if "Oslo" in claim:
                return "perhaps"
            return "yes" if claim.partition("\n")[0].rstrip(".") in documents else "No."
        return body["choices"][0]["message"]["content"]

    monkeypatch.setattr(Handler, "answer", answer)
    return server


@pytest.fixture
def answered(cli, home, capitals, index, writer):
    def call(*options):
        rag = ("rag", "--questions", capitals / "questions.jsonl", "--in-flight", 1)
        code, out, err = cli(*rag, *options, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def step(home, run_id, name):
    store = Store(home / "results.duckdb")
    answers = store.answers(store.run(run_id).resolved["pipeline"])
    return answers["What is the capital of Peru?"].steps.get(name)


@pytest.mark.effect("rag --pipeline")
def test_rewriters(answered, home, index, writer):
    for text, queries in (
        ("rewrite", ["capital Peru"]),
        ("hyde", ["What is the capital of Peru?", "Lima is the capital of Peru."]),
        ("multi", ["What is the capital of Peru?", "capital Peru", "main city Peru", "seat Peru"]),
    ):
        found = answered("--pipeline", f"{text}({writer.url}) | {index} | generate({writer.url})")
        assert found["model"].startswith(f"{text}(reader") and "| lucene + reader" in found["model"]
        assert step(home, found["run_id"], "queries") == queries
        assert found["scores"]["exact_match"] == 1
        assert found["costs"]["rewrite_prompt_tokens_per_question"] == 30
        assert found["costs"]["rewrite_p50_ms"] > 0
    before = len(writer.requests)
    again = answered("--pipeline", f"hyde({writer.url}) | {index}", "-k", 2)
    assert len(writer.requests) == before, "what was rewritten before is not asked again"
    assert again["model"] == "hyde(reader) | lucene k=2" and again["scores"]["context_recall"] == 1


def test_refined_contexts(answered, home, index, writer, tiny_folder):
    found = answered("--pipeline", f"{index} | refine({writer.url}) | generate({writer.url})")
    assert step(home, found["run_id"], "contexts") == ["1. capitals\nLima is the capital of Peru."]
    assert found["costs"]["refine_verbatim"] == 1
    assert 0.3 < found["costs"]["context_tokens_saved"] < 0.9
    assert found["scores"]["refined_answer_recall"] == 1
    sent = writer.requests[-1]["messages"][0]["content"]
    assert "[1] 1. capitals" in sent and "[2]" not in sent
    found = answered("--pipeline", f"{index} | extract({tiny_folder}, n=1)", "-k", 3)
    (one,) = step(home, found["run_id"], "contexts")
    assert one.endswith(".") and found["model"].endswith(f"k=3 | extract({tiny_folder}, n=1)")
    assert found["costs"]["context_tokens_saved"] == pytest.approx(2 / 3, abs=0.1)


@pytest.mark.effect("rag --order", "rag --noise")
def test_order_and_noise_are_a_grid(answered, home, index, writer):
    found = answered(
        "--retriever", index, "--generator", writer.url, "-k", "2",
        "--order", "best-first,reverse", "--noise", "none,random:2,adversarial:1",
    )  # fmt: skip
    runs = {each["model"]: each for each in found["runs"]}
    assert len(runs) == 6 and len(found["pairs"]) == 15
    assert runs["lucene k=2 + reader"]["scores"]["exact_match"] == 1
    # The rule reads the first document: with the best one last, it is another's.
    assert runs["lucene k=2 | order(reverse) + reader"]["scores"]["exact_match"] == 0
    assert all(pair["corrected_p"] is not None for pair in found["pairs"])
    noisy = runs["lucene k=2 | noise(random, n=2) + reader"]
    assert len(step(home, noisy["run_id"], "noise")) == 2
    assert "Peru" not in step(home, noisy["run_id"], "noise")
    assert noisy["scores"]["context_recall"] == 1, "noise is nothing that was retrieved"
    (hard,) = step(home, runs["lucene k=2 | noise(adversarial, n=1) + reader"]["run_id"], "noise")
    assert hard in CAPITALS and hard != "Peru"


@pytest.mark.effect("rag --judge", "rag --judge-labels")
def test_a_judge_says_what_is_supported(cli, home, index, capitals, writer, tmp_path):
    labels = [
        {"claim": "Lima is big", "context": "Lima is big and old", "supported": True},
        {"claim": "Lima is small", "context": "Lima is big", "supported": False},
        {"claim": "Lima is", "context": "Lima is big", "supported": False},
        {"claim": "Oslo is cold", "context": "Oslo is cold", "supported": True},
    ]
    write(tmp_path / "labels.jsonl", labels)
    rag = (
        "rag", "--retriever", index, "--questions", capitals / "questions.jsonl", "--generator",
        writer.url, "--in-flight", 1, "--judge", writer.url, "--json",
    )  # fmt: skip
    code, out, err = cli(*rag, "--judge-labels", tmp_path / "labels.jsonl")
    assert code == 0, err
    found = json.loads(out)
    assert "agrees with 67% of 3 labels" in err and "1 verdicts" in err
    assert found["scores"]["claim_support"] == 1, "Oslo's verdict is none, and left out"
    assert found["costs"]["judge_agreement"] == pytest.approx(2 / 3)
    assert found["costs"]["judge_unreadable"] == 1
    assert found["costs"]["judge_labels_unreadable"] == 1
    by_id = {each["id"]: each["scores"] for each in found["questions"]}
    assert sum("claim_support" in scores for scores in by_id.values()) == 11
    asked = len(writer.requests)
    assert cli(*rag)[0] == 0 and len(writer.requests) == asked, "verdicts are kept"
    (tmp_path / "labels.jsonl").write_text('{"claim": "x"}\n')
    code, _, err = cli(*rag, "--judge-labels", tmp_path / "labels.jsonl")
    assert code == 2 and "labels.jsonl:1: Object missing required field" in err


@pytest.mark.effect("rag --similarity")
def test_semantic_similarity(cli, home, index, capitals, writer, tiny_folder):
    rag = ("rag", "--retriever", index, "--questions", capitals / "questions.jsonl")
    code, out, err = cli(*rag, "--generator", writer.url, "--similarity", tiny_folder, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert 0 < found["scores"]["semantic_similarity"] <= 1
    run = Store(home / "results.duckdb").run(found["run_id"])
    assert run.resolved["similarity"]["model"] == str(tiny_folder)


@pytest.mark.effect("rag --budget")
def test_what_servers_cost(cli, home, index, capitals, writer):
    home.mkdir(exist_ok=True)
    (home / "prices.toml").write_text(
        'source = "a list"\ndate = "2026-01-01"\n'
        f'[million_tokens]\n"{writer.url}#reader" = 1000.0\n'
        f'[million_answer_tokens]\n"{writer.url}#reader" = 2000.0\n'
    )
    rag = (
        "rag", "--retriever", index, "--questions", capitals / "questions.jsonl", "--generator",
        writer.url, "--in-flight", 1, "--json",
    )  # fmt: skip
    code, _, err = cli(*rag, "--budget", 0.0001)
    assert code == 2 and "beyond --budget" in err and not writer.requests
    code, out, err = cli(*rag)
    assert code == 0, err
    # 30 tokens read at 1000 and 3 written at 2000 US dollars a million.
    assert json.loads(out)["costs"]["price_per_question"] == pytest.approx(0.036)


def test_abstention_where_nothing_answers(cli, home, index, server, tmp_path):
    rows = [
        {"id": "a", "question": "capital of Peru", "answers": ["Lima"]},
        {"id": "b", "question": "xyzzy", "answerable": False},
        {"id": "c", "question": "capital of Cuba, its mayor", "answerable": False},
    ]
    write(tmp_path / "q.jsonl", rows)
    rag = ("rag", "--retriever", index, "--questions", tmp_path / "q.jsonl", "--in-flight", 1)
    code, out, err = cli(*rag, "--generator", server.url, "--json")
    assert code == 0, err
    scores = json.loads(out)["scores"]
    assert scores["abstention"] == 0.5 and scores["attempted"] == 1
    assert scores["f1_or_abstention"] == pytest.approx(2 / 3) and scores["f1"] == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            ("--retriever", "bm25", "--order", "up", "--questions", "stdlib-qa"),
            "Unknown order 'up'",
        ),
        (("--retriever", "bm25", "--noise", "random:0", "--questions", "stdlib-qa"), "no number"),
        (("--questions", "stdlib-qa"), "There is no retriever"),
        (("--retriever", "bm25"), "There are no questions"),
        (("--pipeline", "bm25 | hide(x)", "--questions", "stdlib-qa"), "two steps of the kind"),
    ],
)
def test_one_clear_error(cli, home, options, problem):
    code, out, err = cli("rag", *options)
    assert code == 2 and not out and problem in err and "Traceback" not in err
