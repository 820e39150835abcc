"""What is paid for: requests at once, what the server allows, budgets, keys, and runs that are
killed.
"""

import json
import os
import signal
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest

import embedlab
from embedlab.corpus_index import recorded_encoder
from embedlab.encoding.server_encoder import ServerEncoder
from embedlab.errors import UserError
from embedlab.models import find
from embedlab.models.served import server_loading
from embedlab.options import EncodingOptions, ServerOptions
from embedlab.progress import Reporter
from embedlab.servers import rate_limits
from embedlab.servers.prices import Price
from embedlab.servers.requests_in_flight import InFlight, Sent
from embedlab.spending import Purse
from tests import ready
from tests.embedlab.servers.loopback import status

KEY = "sk-a-key-that-nobody-may-see"


@pytest.mark.effect("eval --in-flight", "eval --batch-texts")
def test_requests_at_once_and_their_texts(evaluated, server):
    server.delay = 0.1
    code, runs, err = evaluated("--in-flight", "3", "--batch-texts", "5")
    assert code == 0, err
    assert server.most_at_once == 3
    assert max(len(request["input"]) for _, request, _ in server.requests) == 5
    assert runs[0]["costs"]["requests"] == 3 + 9  # 14 questions and 42 documents


def test_a_batch_ends_before_its_tokens_are_too_many(evaluated, server):
    assert evaluated("--batch-tokens", "60")[0] == 0
    longest = max(len("".join(request["input"])) for _, request, _ in server.requests)
    assert longest * 2 / 7 <= 60


def test_eight_in_flight_are_seven_times_as_fast_as_one():
    def ask(job):
        def slow():
            time.sleep(0.5)
            return Sent(job, {}, None)

        return flight.ask(1, slow).answer

    each = {}
    for number, jobs in ((1, 3), (8, 24)):
        flight, began = InFlight(number, Purse(), None), time.perf_counter()
        assert sorted(flight.all(range(jobs), ask)) == list(range(jobs))
        each[number] = (time.perf_counter() - began) / jobs
    assert each[1] >= 7 * each[8]


def test_what_the_headers_allow_is_kept_to(evaluated, server):
    """Four requests, and all of them back after two seconds: two a second from then on."""
    server.headers = {
        "x-ratelimit-limit-requests": "4",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "400ms",
    }
    began = time.perf_counter()
    code, runs, err = evaluated("--batch-texts", "8", "--in-flight", "2")
    assert code == 0, err
    # A tenth of a second for each request after the first answers.
    assert time.perf_counter() - began > 0.1 * (runs[0]["costs"]["requests"] - 4)
    assert runs[0]["costs"]["requests_again"] == 0


def test_durations_and_pauses_of_headers():
    said = {"6m0s": 360, "1.5s": 1.5, "120ms": 0.12, "20": 20, "1h2m": 3720, "soon": None, "": None}
    assert {text: rate_limits.duration(text) for text in said} == said
    assert rate_limits.retry_after({"retry-after-ms": "250"}) == 0.25
    assert rate_limits.retry_after({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}) == 0
    assert rate_limits.retry_after({}) is None
    now, then = "Fri, 31 Dec 1999 23:59:50 GMT", "Fri, 31 Dec 1999 23:59:59 GMT"
    assert rate_limits.retry_after({"date": now, "retry-after": then}) == 9  # by its own clock
    for text in ("nan", "inf", "-5"):
        assert rate_limits.retry_after({"retry-after-ms": text}) in (None, 0)
    limits = rate_limits.RateLimits()
    for reset in ("9999999999", "9999999999999", "300h"):  # not believed: the server will say no
        said = {"limit": "2", "remaining": "0", "reset": reset}
        headers = {f"x-ratelimit-{part}-requests": word for part, word in said.items()}
        began = time.monotonic()
        assert limits.acquire(1, threading.Event())
        limits.release(1, headers)
        assert time.monotonic() - began < 1


def priced(home, model, million):
    home.mkdir(exist_ok=True)
    (home / "prices.toml").write_text(
        f'source = "a page"\ndate = "2026-11-26"\n[million_tokens]\n"{model}" = {million}\n'
    )


@pytest.mark.effect("eval --budget")
def test_a_budget_is_kept_and_the_price_recorded(evaluated, server, home):
    priced(home, f"{server.url}#minilm", 1_000.0)
    code, _, err = evaluated("--budget", "0.5")
    assert code == 2 and "more than --budget 0.5" in err and "1.31 USD" in err, err
    assert sum(server.received.values()) == 1  # the probe
    code, runs, err = evaluated("--budget", "2.00")
    assert code == 0, err
    costs = runs[0]["costs"]
    assert costs["price_usd"] == costs["price_now_usd"] == pytest.approx(56 * 10 / 1000)
    assert "1000 USD a million tokens; a page, 2026-11-26" in err
    costs = evaluated("--budget", "0.01")[1][0]["costs"]  # all is there already
    assert costs["price_usd"] == pytest.approx(0.56) and costs["price_now_usd"] == 0


def test_a_run_stops_at_its_budget_and_goes_on(evaluated, server, home):
    """The estimate was too low: the server counts many more tokens."""
    priced(home, f"{server.url}#minilm", 1_000.0)
    counted = lambda handler, body: {**body, "usage": {"prompt_tokens": 5_000}}  # noqa: E731
    server.faults = [lambda handler, body: body, *[counted] * 50]
    code, _, err = evaluated("--budget", "6", "--batch-texts", "8", "--in-flight", "1")
    assert code == 2 and "10.01 USD spent already: more than --budget 6" in err, err
    server.faults = []
    assert evaluated("--budget", "2")[0] == 0
    assert not {t for t, count in server.received.items() if count > 1 and "fox" not in t}


@pytest.mark.parametrize("api", ["", "?api=pointwise"])
def test_a_reranker_is_not_asked_beyond_the_budget(cli, home, capitals, server, api):
    priced(home, f"{server.url}#minilm", 1_000.0)
    server.say = lambda request: [("Yes", -0.1), ("No", -2.0)]
    model, pairs = f"bm25 >> rerank({server.url}#minilm{api}, depth=5)", 14 * 5

    def with_budget(dollars):
        return cli("eval", "-m", model, "-t", capitals, "--budget", dollars, "--json")

    code, _, err = with_budget("0.5")
    assert code == 2 and "more than --budget 0.5" in err and not server.requests, err
    assert not (home / "results.duckdb").exists()
    code, out, err = with_budget("20")
    number = pairs if api else 14
    assert code == 0 and f"about {number} requests" in err and len(server.requests) == number, err
    estimated = float(err.partition(" requests of ")[2].partition(", ")[2].split(" USD")[0])
    assert 0.5 < json.loads(out)["runs"][0]["costs"]["rerank_price_now_usd"] <= 2 * estimated
    code, out, err = with_budget("0")  # all is there already
    assert code == 0 and len(server.requests) == number, err
    assert json.loads(out)["runs"][0]["costs"]["rerank_price_now_usd"] == 0


def test_a_reranker_without_a_price_has_no_budget(cli, capitals, home, server):
    model = f"bm25 >> {server.url}#minilm"
    code, _, err = cli("eval", "-m", model, "-t", capitals, "--budget", "1")
    assert code == 2 and "price" in err and "is not known" in err and not server.requests


def test_an_unknown_price_is_said_and_has_no_budget(evaluated, server):
    code, _, err = evaluated("--budget", "1")
    assert code == 2 and "price" in err and "is not known" in err
    assert "openai:text-embedding-3-large" in Path("data/prices.toml").read_text()


def test_server_options_are_for_servers(cli, home, capitals, server):
    code, _, err = cli("eval", "-m", "bm25", "-t", capitals, "--in-flight", "2")
    assert code == 2 and "are for models behind a server" in err
    code, _, err = cli("eval", "-m", f"{server.url}#minilm", "-t", capitals, "--device", "cpu")
    assert code == 2 and "models on this machine" in err
    code, _, err = cli("eval", "-m", f"{server.url}#minilm", "-t", capitals, "--workers", "2")
    assert code == 2 and "--in-flight" in err


@pytest.mark.parametrize("name", ["openai:minilm", "URL"])
def test_a_key_is_sent_and_nowhere_to_be_found(cli, home, capitals, server, monkeypatch, name):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}-wrong")
    model, server.key = name.replace("URL", f"{server.url}#minilm"), KEY
    code, out, wrong = cli("eval", "--model", model, "--task", capitals)
    assert code == 2 and "refused the key: 401 Incorrect API key provided: Bearer ***" in wrong
    assert "Set OPENAI_API_KEY" in wrong and not (home / "results.duckdb").exists()
    with pytest.raises(UserError) as caught:
        embedlab.evaluate(model, capitals, progress=False)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.faults = [status(500, f"you sent {KEY}")] * 2
    code, right, err = cli("eval", "--model", model, "--task", capitals, "--json")
    assert code == 0 and json.loads(right)["runs"], err
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert KEY.encode() not in kept
    assert not any(KEY in text for text in (wrong, out, right, err))


def test_a_key_that_cannot_be_sent_is_not_shown(cli, server, capitals, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-half\nother-half")
    code, out, err = cli("eval", "--model", f"{server.url}#minilm", "--task", capitals)
    assert code == 2 and "a character that no key has" in err and "half" not in out + err
    server.key = KEY
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    server.faults = [lambda handler, body: {"object": "error", "message": KEY}]
    code, out, err = cli("eval", "--model", f"{server.url}#minilm", "--task", capitals)
    assert code == 2 and "cannot be right" in err and KEY not in out + err


@pytest.mark.parametrize("url", ["http://me:secret@HOST/v1#m", "http://HOST/v1?key=secret#m"])
def test_a_url_holds_no_key(cli, home, capitals, url):
    code, _, err = cli("eval", "--model", url, "--task", capitals)
    assert code == 2 and "secret" not in err and "environment alone" in err


def test_a_killed_run_pays_for_nothing_twice(home, capitals, server):
    """Killed where it hurts: some answers are there, others on their way."""
    server.delay = 0.05
    command = (
        "-m", "embedlab", "eval", "--model", f"{server.url}#minilm", "--task", capitals,
        "--batch-texts", "1", "--in-flight", "2", "--json",
    )  # fmt: skip
    child = ready.Process(*command)
    until = time.monotonic() + 120
    while len(server.answered) < 30 and child.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    assert child.poll() is None
    # Nothing on its way: what is answered has been received, and what comes now waits.
    hold = threading.Event()
    server.faults = [lambda handler, body: (hold.wait(20), body)[1]] * 2
    while server.faults and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.2)  # the last answers before these are written
    before = dict(server.answered)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    hold.set()
    server.faults = [status(429, headers={"Retry-After": "0.1"})] * 3
    received = dict(server.received)
    done = ready.run(*command)
    assert done.returncode == 0, done.stderr
    again = {text for text in before if server.received[text] > received[text]}
    assert again <= {"The quick brown fox jumps over the lazy dog."}, again
    assert len(before) >= 30 and len(server.answered) == 57
    (run,) = json.loads(done.stdout)["runs"]
    assert run["costs"]["encoded_now_texts"] == 57 - len(before)


def test_two_runs_at_once_pay_once(home, server):
    server.delay, texts, errors = 0.02, [f"text {number}" for number in range(40)], []

    def run():
        model = server_loading.load(find(f"{server.url}#minilm"))
        model.options = ServerOptions(batch_texts=4)
        encoder = ServerEncoder(model, EncodingOptions(), Reporter(quiet=True))
        vectors, _ = encoder.encode(texts, role="document")
        errors.extend([] if vectors[None].read().shape == (40, 384) else ["not all"])

    both = [threading.Thread(target=run) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert not errors and not server.twice() and len(server.answered) == 41


def test_two_processes_at_once_pay_once(home, capitals, server):
    """Vectors and a reranker's scores: whoever comes second waits, and finds them."""
    server.delay, model = 0.05, f"{server.url}#minilm"
    command = (
        "-m", "embedlab", "eval", "--model", f"{model}@torch >> rerank({model}, depth=5)",
        "--task", capitals, "--batch-texts", "8", "--json",
    )  # fmt: skip
    both = [ready.Process(*command) for _ in range(2)]
    ended = [(child.communicate(timeout=300), child.returncode) for child in both]
    assert [code for _, code in ended] == [0, 0], ended
    scores = [json.loads(out)["runs"][0]["scores"] for (out, _), _ in ended]
    assert scores[0] == scores[1]
    asked = Counter(
        text
        for path, request, _ in server.requests
        for text in (request["input"] if path.endswith("/embeddings") else [request["query"]])
    )
    again = {text: count for text, count in asked.items() if count > 1 and "fox" not in text}
    # A question is embedded once, and asked once with its candidates.
    assert len(again) == 14 and set(again.values()) == {2}, again


def test_a_price_of_queries_and_tokens():
    assert Price(token=1e-6, query=0.002).of(1_000, 3) == pytest.approx(0.007)


@pytest.mark.parametrize(
    "address",
    [
        "http://203.0.113.7:9/v1#m",
        "HTTPS://example.org/v1#m?dimensions=8",
        " http://example.org/v1#m",
    ],
)
def test_an_index_does_not_decide_who_gets_the_key(monkeypatch, address):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(UserError, match="asks to send queries, and your key"):
        recorded_encoder(address)
