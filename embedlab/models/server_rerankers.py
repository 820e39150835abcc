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
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from embedlab.errors import UserError
from embedlab.models.server_models import ServerModel
from embedlab.resources import home
from embedlab.servers import chat
from embedlab.servers.answers import Answers
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


class ServerReranker:
    """A `retrievers` scorer of many lists: as many requests at once as the options say."""

    def __init__(self, model: ServerModel) -> None:
        self._model = model
        named = f"{model.identity} {sorted(model.settings.items())} {self.words}"
        digest = blake2b(named.encode(), digest_size=16).hexdigest()
        self._answers = Answers(home() / "answers" / f"{digest}.sqlite")
        options = model.options
        self._served = Served(model.address, model.price, options.in_flight, options.purse)

    kept = 0  # scores that an earlier run had asked for: their time is not the model's
    words = ""  # of the prompt, which shape the scores
    single = False  # every text by itself

    def score_lists(self, queries: Sequence[str], lists: Sequence[list[str]]) -> list[np.ndarray]:
        """Scores of each query's candidates, float64 `[len(list)]`.

        Raises:
            UserError: the server gives none, or wrong ones; what was answered is kept.
        """
        scores = [np.empty(len(texts)) for texts in lists]

        def send(job: _Job) -> None:
            scores[job.row][job.first : job.first + len(job.texts)] = self._kept(job)

        with self._served.explained():
            self._served.check_listed()
            for _ in self._served.in_flight.all(self._jobs(queries, lists), send):
                pass
        return scores

    def _jobs(self, queries: Sequence[str], lists: Sequence[list[str]]) -> Iterator[_Job]:
        for row, (query, texts) in enumerate(zip(queries, lists, strict=True)):
            if not self.single:
                yield _Job(query, texts, row, 0)
                continue
            for place, text in enumerate(texts):
                yield _Job(query, [text], row, place)

    def _kept(self, job: _Job) -> np.ndarray:
        """The scores of a job: those of an earlier run, else asked for and kept."""
        parts = (part.encode("utf-8", "surrogatepass") for part in (job.query, *job.texts))
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        key = blake2b(text, digest_size=16).digest()
        if (kept := self._answers.get([key]).get(key)) is not None:
            self.kept += 1
            return np.frombuffer(kept)
        scores = self.asked(job.query, job.texts)
        self._answers.put({key: np.asarray(scores, dtype=np.float64).tobytes()})
        return scores

    def asked(self, query: str, texts: list[str]) -> np.ndarray:
        """Scores of the server, float64 `[len(texts)]`."""
        raise NotImplementedError

    def ask(self, prompts: Sequence[str], request: Any, queries: int = 0) -> Any:
        """The answer to a request that has about the tokens of these texts."""
        tokens = sum(map(estimated_tokens, prompts))
        return self._served.in_flight.ask(tokens, request, queries=queries).answer

    def chat(self) -> Chat:
        """The language model."""
        address = self._model.address
        if address.route == "litellm":
            from embedlab.servers import litellm_route

            return Chat(litellm_route.chat(address.model))
        return Chat(chat.openai_protocol(self._served.client, address.model))


class Endpoint(ServerReranker):
    """`POST /rerank`."""

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
            scores: np.ndarray = self.ask(
                [query, *texts], lambda: self._endpoint(query, texts), queries=1
            )
            return scores
        except Refused as error:
            if not error.too_large or len(texts) == 1:
                raise
            self._most = min(self._most, (len(texts) + 1) // 2)
            return self.asked(query, texts)


class Pointwise(ServerReranker):
    """A language model's Yes or No, one passage at a time."""

    words, single = _POINTWISE, True

    def __init__(self, model: ServerModel) -> None:
        super().__init__(model)
        self._chat = self.chat()

    def asked(self, query: str, texts: list[str]) -> np.ndarray:
        prompt = _POINTWISE.format(query=query, text=texts[0])
        return np.array([self.ask([prompt], lambda: self._chat.probability(prompt, "Yes", "No"))])


class Listwise(ServerReranker):
    """A language model's order of 20 passages at a time. Scores are minus the ranks."""

    words = _LISTWISE

    def __init__(self, model: ServerModel) -> None:
        super().__init__(model)
        self._chat = self.chat()

    def asked(self, query: str, texts: list[str]) -> np.ndarray:
        order = list(range(len(texts)))
        starts = [*range(len(texts) - _WINDOW, 0, -_STEP), 0] if len(texts) > 1 else []
        for start in starts:
            window = order[start : start + _WINDOW]
            order[start : start + _WINDOW] = self._ordered(query, texts, window)
        ranks = np.empty(len(texts))
        ranks[order] = np.arange(len(texts))
        return -ranks

    def _ordered(self, query: str, texts: list[str], window: list[int]) -> list[int]:
        passages = "\n\n".join(
            f"[{number}] {' '.join(texts[place].split()[:_WORDS])}"
            for number, place in enumerate(window, 1)
        )
        prompt = _LISTWISE.format(count=len(window), passages=passages, query=query)
        said: str = self.ask([prompt], lambda: self._chat.text(prompt, 8 * len(window)))
        return [window[place] for place in order_of(said, len(window))]


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
