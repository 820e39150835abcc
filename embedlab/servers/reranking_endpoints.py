"""Scores of a query's candidates by the protocol that Jina and Cohere began and vLLM, Infinity and
llama.cpp speak (`POST /rerank`), and by TEI's, which has other names for the same.
"""

from typing import Any

import numpy as np

from embedlab.servers.http_client import HttpClient, Reply
from embedlab.servers.refusals import BrokenAnswer, Refused
from embedlab.servers.requests_in_flight import Sent


class RerankEndpoint:
    """Args:
    client: of the server; model: its name there.
    """

    def __init__(self, client: HttpClient, model: str) -> None:
        self._client, self._model, self._as_tei = client, model, False

    def __call__(self, query: str, texts: list[str]) -> Sent[np.ndarray]:
        """float64 `[len(texts)]`.

        Raises:
            Refused: the server gave no answer; BrokenAnswer: it must not be used.
        """
        as_tei = self._as_tei  # other threads may find out meanwhile
        try:
            return scores_of(self._ask(query, texts, as_tei), len(texts))
        except Refused as error:
            if as_tei or error.status not in (400, 422) or "texts" not in error.words:
                raise
            self._as_tei = True
            return self(query, texts)

    def _ask(self, query: str, texts: list[str], as_tei: bool) -> Reply:
        if as_tei:
            return self._client.post("rerank", {"query": query, "texts": texts})
        more = {"top_n": len(texts), "return_documents": False}
        return self._client.post(
            "rerank", {"model": self._model, "query": query, "documents": texts, **more}
        )


def scores_of(reply: Reply, count: int) -> Sent[np.ndarray]:
    """The scores of an answer, in the order of the texts.

    Raises:
        BrokenAnswer: they are not one finite number for each text.
    """
    body: Any = reply.body
    rows = body if isinstance(body, list) else body.get("results") if isinstance(body, dict) else 0
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokenAnswer(f"no list of scores but {str(body)[:80]!r}")
    found = {row.get("index"): row.get("relevance_score", row.get("score")) for row in rows}
    if len(rows) != count or found.keys() != set(range(count)):
        raise BrokenAnswer(f"{len(rows)} scores for {count} texts")
    try:
        scores = np.array([float(found[place]) for place in range(count)])
    except (TypeError, ValueError):
        raise BrokenAnswer("a score that is no number") from None
    if not np.isfinite(scores).all():
        raise BrokenAnswer("a score that is NaN or infinity")
    usage = body.get("usage") if isinstance(body, dict) else None
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return Sent(scores, reply.headers, tokens if isinstance(tokens, int) and tokens > 0 else None)
