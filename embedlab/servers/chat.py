"""One turn of a language model behind a server (`POST /chat/completions`)."""

import math
from collections.abc import Callable
from typing import Any

from embedlab.servers.http_client import HttpClient, Reply
from embedlab.servers.refusals import BrokenAnswer, Refused
from embedlab.servers.requests_in_flight import Sent

# A prompt and further fields of the request -> the server's answer.
Ask = Callable[[list[dict[str, str]], dict[str, Any]], Reply]


class Chat:
    """A language model's answers, the likeliest word each time.

    Args:
        ask: sends a request: `openai_protocol` or `embedlab.servers.litellm_route.chat`.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask, self._length = ask, "max_tokens"

    def text(self, prompt: str, most: int) -> Sent[str]:
        """The answer of at most so many tokens.

        Raises:
            Refused: there is none; BrokenAnswer: it is no text.
        """
        reply = self._reply(prompt, most, {})
        content = _choice(reply.body).get("message", {}).get("content")
        if not isinstance(content, str):
            raise BrokenAnswer("a message without a text")
        return Sent(content, reply.headers, _tokens(reply.body))

    def probability(self, prompt: str, one: str, other: str) -> Sent[float]:
        """How much likelier the answer begins with one word than with another: 0 to 1.

        Words count in any case; one that is not among the 20 likeliest counts as the last of them.

        Raises:
            Refused: there is no answer; BrokenAnswer: it has no probabilities, or neither word.
        """
        reply = self._reply(prompt, 1, {"logprobs": True, "top_logprobs": 20})
        try:
            top = _choice(reply.body)["logprobs"]["content"][0]["top_logprobs"]
            found = [(str(row["token"]), float(row["logprob"])) for row in top]
        except (KeyError, IndexError, TypeError, ValueError):
            raise BrokenAnswer("no logprobs, which api=pointwise needs") from None
        least = min((math.exp(value) for _, value in found), default=0.0)
        shares = []
        for word in (one, other):
            said = [math.exp(v) for token, v in found if token.strip().lower() == word.lower()]
            shares.append(sum(said))
        if not any(shares):
            raise BrokenAnswer(f"an answer that begins with neither {one} nor {other}")
        shares = [share or least for share in shares]
        return Sent(shares[0] / sum(shares), reply.headers, _tokens(reply.body))

    def _reply(self, prompt: str, most: int, more: dict[str, Any]) -> Reply:
        messages = [{"role": "user", "content": prompt}]
        length = self._length  # other threads may find out meanwhile
        try:
            return self._ask(messages, {"temperature": 0.0, length: most, **more})
        except Refused as error:
            newer = "max_completion_tokens"  # OpenAI's later models know this name alone
            if length == newer or newer not in error.words:
                raise
            self._length = newer
            return self._reply(prompt, most, more)


def openai_protocol(client: HttpClient, model: str) -> Ask:
    """Requests to `POST /chat/completions`."""

    def ask(messages: list[dict[str, str]], more: dict[str, Any]) -> Reply:
        return client.post("chat/completions", {"model": model, "messages": messages, **more})

    return ask


def _choice(body: Any) -> dict[str, Any]:
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BrokenAnswer(f"no completion but {str(body)[:80]!r}")
    choice: dict[str, Any] = choices[0]
    if not isinstance(choice.get("message"), dict):
        raise BrokenAnswer("a choice without a message")
    return choice


def _tokens(body: Any) -> int | None:
    usage = body.get("usage")
    count = usage.get("total_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and 0 < count < 1 << 53 else None
