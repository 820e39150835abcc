"""Rerankers behind a server: what `bm25 >> http://HOST:PORT/v1#MODEL` asks for a query's documents.

* `api=rerank`: an endpoint that scores a list.
* `api=pointwise`: a language model, whether a passage answers the query; the score is the
  probability of Yes beside No (relevance generation, arXiv:2211.09110, section 3.3).
* `api=listwise`: a language model puts 20 passages in order, window by window from the last to the
  first (RankGPT, arXiv:2304.09542, section 3.2).

What is answered is kept in EMBEDLAB_HOME/answers, and is not paid for again.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from embedlab.errors import UserError
from embedlab.models.served.server_models import ServerModel
from embedlab.resources import home
from embedlab.servers import chat
from embedlab.servers.answers import Answers, held
from embedlab.servers.chat import Chat
from embedlab.servers.prices import estimated_tokens
from embedlab.servers.refusals import Refused
from embedlab.servers.reranking_endpoints import RerankEndpoint, scores_of
from embedlab.servers.served_models import Served

_WINDOW, _STEP, _WORDS = 20, 10, 300  # as RankGPT has them
_NUMBER = re.compile(r"\[?(\d+)\]?")
_POINTWISE = (
    "Passage: {text}\n\nQuery: {query}\n\nDoes the passage answer the query? Reply with one word,"
    " Yes or No."
)
_LISTWISE = (
    "Below are {count} numbered passages and a search query.\n\n{passages}\n\nQuery: {query}\n\n"
    "Put the passages in order, the one that answers the query best first. Reply with their numbers"
    " alone, in the form [2] > [1] > [3], each number once."
)


class _Job(NamedTuple):
    """Candidates of a query that one chain of requests scores; where its scores go."""

    query: str
    texts: list[str]
    row: int
    first: int


@dataclass
class Forecast:
    """What a server is to be asked: requests, tokens, queries that are paid for each by itself."""

    requests: int = 0
    tokens: int = 0
    queries: int = 0
    keys: set[bytes] = field(default_factory=set)  # of what is counted already


class ServerReranker:
    """A `retrievers` scorer of many lists: as many requests at once as the options say."""

    def __init__(self, model: ServerModel) -> None:
        self._model = model
        named = f"{model.identity} {sorted(model.settings.items())} {self.words}"
        digest = blake2b(named.encode(), digest_size=16).hexdigest()
        self._path = home() / "answers" / f"{digest}.sqlite"
        self._answers: Answers  # while lists are scored
        options = model.options
        self._served = Served(model.address, model.price, options.in_flight, options.purse)

    kept = 0  # scores that an earlier run had asked for: their time is not the model's
    words = ""  # of the prompt, which shape the scores
    single = False  # every text by itself
    counts_queries = 0  # that a request is paid for, beside its tokens

    def score_lists(self, queries: Sequence[str], lists: Sequence[list[str]]) -> list[np.ndarray]:
        """Scores of each query's candidates, float64 `[len(list)]`.

        Raises:
            UserError: the server gives none, or wrong ones; what was answered is kept.
        """
        scores = [np.empty(len(texts)) for texts in lists]
        alike: dict[bytes, list[_Job]] = {}  # a query that stands twice is asked once
        for job in self._jobs(queries, lists):
            alike.setdefault(_key(job), []).append(job)

        def send(item: tuple[bytes, list[_Job]]) -> None:
            key, jobs = item
            found = self._kept(key, jobs[0])
            for job in jobs:
                scores[job.row][job.first : job.first + len(job.texts)] = found

        with held(self._path) as self._answers, self._served.explained():
            self._served.check_listed()
            for _ in self._served.in_flight.all(alike.items(), send):
                pass
        return scores

    def foresee(
        self, queries: Sequence[str], lists: Sequence[list[str]], forecast: Forecast
    ) -> list[np.ndarray]:
        """Add what `score_lists` would ask to a forecast; nothing is sent.

        Returns:
            The scores of each query's candidates, float64 `[len(list)]`: those that an earlier run
            had asked for, where it had them all; else such as leave the candidates in their order.
        """
        scores = [np.empty(len(texts)) for texts in lists]
        answers, lacking = Answers(self._path), set()
        for job in self._jobs(queries, lists):
            key = _key(job)
            if (kept := answers.get([key]).get(key)) is not None:
                scores[job.row][job.first : job.first + len(job.texts)] = np.frombuffer(kept)
                continue
            lacking.add(job.row)
            if key not in forecast.keys:
                forecast.keys.add(key)
                for prompts in self.prompts(job.query, job.texts):
                    forecast.requests += 1
                    forecast.tokens += sum(map(estimated_tokens, prompts))
                    forecast.queries += self.counts_queries
        answers.close()
        for row in lacking:
            scores[row] = -np.arange(len(lists[row]), dtype=np.float64)
        return scores

    def prompts(self, query: str, texts: list[str]) -> Iterator[Sequence[str]]:
        """The texts of each request that `asked` makes, as far as they are known before."""
        raise NotImplementedError

    def _jobs(self, queries: Sequence[str], lists: Sequence[list[str]]) -> Iterator[_Job]:
        for row, (query, texts) in enumerate(zip(queries, lists, strict=True)):
            if not self.single:
                yield _Job(query, texts, row, 0)
                continue
            for place, text in enumerate(texts):
                yield _Job(query, [text], row, place)

    def _kept(self, key: bytes, job: _Job) -> np.ndarray:
        """The scores of a job: those of an earlier run, else asked for and kept."""
        if (kept := self._answers.get([key]).get(key)) is not None:
            self.kept += 1
            return np.frombuffer(kept)
        scores = self.asked(job.query, job.texts)
        self._answers.put({key: np.asarray(scores, dtype=np.float64).tobytes()})
        return scores

    def asked(self, query: str, texts: list[str]) -> np.ndarray:
        """Scores of the server, float64 `[len(texts)]`."""
        raise NotImplementedError

    def ask(self, prompts: Sequence[str], request: Any) -> Any:
        """The answer to a request that has about the tokens of these texts."""
        tokens = sum(map(estimated_tokens, prompts))
        return self._served.in_flight.ask(tokens, request, queries=self.counts_queries).answer

    def chat(self) -> Chat:
        """The language model."""
        address = self._model.address
        if address.route == "litellm":
            from embedlab.servers import litellm_route

            return Chat(litellm_route.chat(address.model))
        return Chat(chat.openai_protocol(self._served.client, address.model))


def _key(job: _Job) -> bytes:
    """What a job's scores are kept under."""
    parts = (part.encode("utf-8", "surrogatepass") for part in (job.query, *job.texts))
    text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return blake2b(text, digest_size=16).digest()


class Endpoint(ServerReranker):
    """`POST /rerank`."""

    counts_queries = 1

    def __init__(self, model: ServerModel) -> None:
        super().__init__(model)
        self._most = 1 << 30  # texts in one request, once the server has refused more
        if model.address.route == "litellm":
            from embedlab.servers import litellm_route

            ask = litellm_route.rerank(model.address.model)
            self._endpoint: Any = lambda query, texts: scores_of(ask(query, texts), len(texts))
        else:
            self._endpoint = RerankEndpoint(self._served.client, model.address.model)

    def asked(self, query: str, texts: list[str]) -> np.ndarray:
        if len(texts) > self._most:
            half = (len(texts) + 1) // 2
            parts = (texts[:half], texts[half:])
            return np.concatenate([self.asked(query, part) for part in parts])
        try:
            scores: np.ndarray = self.ask([query, *texts], lambda: self._endpoint(query, texts))
            return scores
        except Refused as error:
            if not error.too_large or len(texts) == 1:
                raise
            self._most = min(self._most, (len(texts) + 1) // 2)
            return self.asked(query, texts)

    def prompts(self, query: str, texts: list[str]) -> Iterator[Sequence[str]]:
        yield [query, *texts]


class Pointwise(ServerReranker):
    """A language model's Yes or No, one passage at a time."""

    words, single = _POINTWISE, True

    def __init__(self, model: ServerModel) -> None:
        super().__init__(model)
        self._chat = self.chat()

    def asked(self, query: str, texts: list[str]) -> np.ndarray:
        ((prompt,),) = self.prompts(query, texts)
        return np.array([self.ask([prompt], lambda: self._chat.probability(prompt, "Yes", "No"))])

    def prompts(self, query: str, texts: list[str]) -> Iterator[Sequence[str]]:
        yield [_POINTWISE.format(query=query, text=texts[0])]


class Listwise(ServerReranker):
    """A language model's order of 20 passages at a time. Scores are minus the ranks."""

    words = _LISTWISE

    def __init__(self, model: ServerModel) -> None:
        super().__init__(model)
        self._chat = self.chat()

    def asked(self, query: str, texts: list[str]) -> np.ndarray:
        order = list(range(len(texts)))
        for start in _starts(len(texts)):
            window = order[start : start + _WINDOW]
            prompt = _listwise(query, [texts[place] for place in window])
            most = 8 * len(window)  # tokens of the answer
            said: str = self.ask([prompt], lambda p=prompt, m=most: self._chat.text(p, m))
            order[start : start + _WINDOW] = [window[n] for n in order_of(said, len(window))]
        ranks = np.empty(len(texts))
        ranks[order] = np.arange(len(texts))
        return -ranks

    def prompts(self, query: str, texts: list[str]) -> Iterator[Sequence[str]]:
        """As if each window had the passages that come to stand there before anything is asked."""
        for start in _starts(len(texts)):
            yield [_listwise(query, texts[start : start + _WINDOW])]


def _starts(count: int) -> list[int]:
    """Where the windows over so many passages begin, the last one first."""
    return [*range(count - _WINDOW, 0, -_STEP), 0] if count > 1 else []


def _listwise(query: str, texts: Sequence[str]) -> str:
    passages = "\n\n".join(
        f"[{number}] {' '.join(text.split()[:_WORDS])}" for number, text in enumerate(texts, 1)
    )
    return _LISTWISE.format(count=len(texts), passages=passages, query=query)


def order_of(said: str, count: int) -> list[int]:
    """The order that a language model's answer says, `[count]` positions from 0; what it leaves out
    comes behind, in the order that it had.

    Raises:
        UserError: the answer names none of the passages.
    """
    answer = said.rpartition("</think>")[2]
    numbers = [int(number) - 1 for number in _NUMBER.findall(answer) if len(number) < 9]
    named = [n for n in dict.fromkeys(numbers) if 0 <= n < count]
    if not named:
        raise UserError(
            f"The model put no passage in order: {said[:80]!r}.",
            "Take one that follows instructions, or api=pointwise.",
        )
    return [*named, *(n for n in range(count) if n not in set(named))]


_OF_API = {"rerank": Endpoint, "pointwise": Pointwise, "listwise": Listwise}


def reranker(model: ServerModel) -> ServerReranker:
    """What scores the candidates of queries, by the model's setting `api`."""
    return _OF_API[model.settings["api"]](model)
